package postgres

// Unasked is unasked, for messages that no server here sends at will.
var Unasked = unasked
