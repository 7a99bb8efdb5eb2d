package postgres

import "time"

// Unasked is unasked, for messages that no server here sends at will.
var Unasked = unasked

// NewWire makes what a dialer makes of a network connection. Doubt and Asked are what it does with it.
var NewWire = newWire

func (w *wire) Doubt(limit time.Time) { w.doubt(limit) }
func (w *wire) Asked(taken bool)      { w.asked(taken) }
