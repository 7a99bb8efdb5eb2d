package pool

import (
	"sync"
	"time"
)

// alarm tells of calls that have not ended in time. All that it watches have the same time, so who
// began first is due first, and one timer does for all. It is set for the first, and not
// touched when that ends before: it rings once for nothing then, and is set anew, if anybody is left.
type alarm struct {
	after time.Duration
	start time.Time // zero of its clock

	mu          sync.Mutex
	first, last *watch
	timer       *time.Timer
	set         bool
}

// watch is a call that an alarm watches.
type watch struct {
	next, prev *watch
	due        time.Duration
	listed     bool
	ring       func() // called once, on a goroutine of its own, if the call has not ended in time
}

// newAlarm makes an alarm; nil if it is never to ring.
func newAlarm(after time.Duration) *alarm {
	if after == Inline {
		return nil
	}
	return &alarm{after: after, start: time.Now()}
}

// add begins to watch a call.
func (a *alarm) add(w *watch) {
	if a == nil {
		return
	}
	now := time.Since(a.start)
	a.mu.Lock()
	defer a.mu.Unlock()
	w.due = plus(now, a.after)
	if a.last != nil {
		w.due = max(w.due, a.last.due) // the clock was read before the lock was had
	}
	w.listed, w.prev = true, a.last
	if a.last == nil {
		a.first = w
	} else {
		a.last.next = w
	}
	a.last = w
	a.setFor(now)
}

// remove says that the call has ended. If it rings at the same moment, that may come still.
func (a *alarm) remove(w *watch) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if w.listed {
		a.drop(w)
	}
}

func (a *alarm) drop(w *watch) {
	if w.prev == nil {
		a.first = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		a.last = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.next, w.prev, w.listed = nil, nil, false
}

// setFor sets the timer for who is due first. The caller holds mu.
func (a *alarm) setFor(now time.Duration) {
	if a.set || a.first == nil {
		return
	}
	a.set = true
	if wait := a.first.due - now; a.timer == nil {
		a.timer = time.AfterFunc(wait, a.fire)
	} else {
		a.timer.Reset(wait)
	}
}

// close has the timer ring at once, unless a call is under way still. A timer that is stopped can stay in the
// runtime's heap until its time has come, and with it all that it refers to.
func (a *alarm) close() {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.set && a.first == nil {
		a.timer.Reset(0)
	}
}

func (a *alarm) fire() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.set = false
	now := time.Since(a.start)
	for a.first != nil && a.first.due <= now {
		w := a.first
		a.drop(w)
		go w.ring()
	}
	a.setFor(now)
}
