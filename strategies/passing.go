package strategies

import (
	"time"

	"github.com/lidopool/lido/pool"
)

// Bounded fairness. A seat that comes back is not handed to the longest waiter, which is
// asleep, but set free, and that waiter is called to come for it. Meanwhile a goroutine that
// runs may take it, as often as it likes, at the price of the fast path: only one waiter
// is called at a time, and while it is on its way nothing here is touched. If it comes too
// late it stays the first in line. Once it has been passed over for longer than the bound, the
// line is strict until its first has waited for less.
//
// It is what sync.Mutex does, whose bound is 1 ms too, with many seats for one. The bound is
// kept by a timer, not by who comes and goes: they need not read a clock.

// bargeable reports whether a seat that comes back may be taken by whoever is first.
// While more are open than are to be kept they are counted, which needs the list.
func (l *line) bargeable() bool { return l.passing > 0 && !l.strict && !l.overflowing() }

// call sets a seat free and calls the first in line, unless somebody is called already.
func (l *line) call(first *waiter, s pool.Seat) {
	if l.called == nil {
		l.called = first
		first.called = true
		first.wake()
	}
	if l.self == nil {
		l.idle.push(s)
		return
	}
	if l.attending {
		l.stopAttending()
	}
	l.self.Put(s)
}

// come is for a waiter that was called: it takes an idle seat, or stays where it is.
func (l *line) come(w *waiter) {
	l.attend()
	if l.idle.n > 0 {
		l.serve(w, l.idle.pop(l.fifo))
	}
}

// answered goes on after a waiter that was called has come, or has left the line.
func (l *line) answered(w *waiter) {
	if !w.called {
		l.calm()
		return
	}
	w.called = false
	if l.called == w {
		l.called = nil
	}
	if l.waiting.n == 0 {
		l.calm()
		return
	}
	// Nobody is on the way any more: the next seat that comes back must come here.
	l.attend()
	for l.idle.n > 0 {
		next := l.waiting.first()
		if next == nil {
			break
		}
		if s := l.idle.pop(l.fifo); l.bargeable() {
			l.call(next, s)
			return
		} else {
			l.serve(next, s)
		}
	}
	l.calm()
}

// ring sees to it that the bell rings when the first in line has been passed over long
// enough.
func (l *line) ring(now time.Duration) {
	if l.passing == 0 || l.ringing || l.strict || l.waiting.head == nil {
		return
	}
	l.ringing = true
	wait := l.waiting.head.since + l.passing - now
	if l.bell == nil {
		l.bell = time.AfterFunc(wait, l.rung)
	} else {
		l.bell.Reset(wait)
	}
}

func (l *line) rung() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ringing = false
	now := l.now()
	first := l.waiting.first()
	if l.closed || first == nil {
		return
	}
	if now-first.since < l.passing {
		l.ring(now)
		return
	}
	l.strict = true
	l.attend()
	for l.idle.n > 0 && first != nil {
		l.serve(first, l.idle.pop(l.fifo))
		first = l.waiting.first()
	}
}

// relent ends strictness when the first in line has not waited too long.
func (l *line) relent() {
	if !l.strict {
		return
	}
	now := l.now()
	if l.waiting.head == nil || now-l.waiting.head.since < l.passing {
		l.strict = false
		l.ring(now)
	}
}
