package pool

import (
	"math/rand/v2"
	"sync"
	"time"
)

// turns decides when opens begin. Opens that are asked for stand in a queue until:
//
//   - fewer than the limit are under way; an open that is overdue does not count any more, or a
//     driver that hangs could keep a pool from opening for ever;
//   - the last one began long enough ago (Options.OpenInterval);
//   - and, if the last one failed, the back-off is over. It is drawn evenly from 0 to
//     Backoff·2ⁿ, for n failures in a row before this one, at most BackoffMax: "full jitter" of
//     M. Brooker, "Exponential Backoff And Jitter", AWS 2015. Then a single open, the probe, goes
//     ahead, and nobody follows before it has ended, or has taken BackoffMax.
//
// An open that succeeds ends the back-off. The queue needs no goroutine: a timer starts whose
// turn it is.
type turns struct {
	start func(*turn)          // has an open run, on a goroutine of its own
	now   func() time.Duration // the pool's clock
	draw  func() float64       // from 0 to 1

	limit     int // Unlimited: no bound
	interval  time.Duration
	base, top time.Duration // of the back-off; base 0: none

	mu       sync.Mutex
	queue    []*turn
	running  int
	failures int           // in a row
	last     time.Duration // when the last one began, if begun
	begun    bool
	next     time.Duration // none begins before
	timer    *time.Timer
	closed   bool
}

// turn is an open that was asked for.
type turn struct {
	seat    Seat
	attempt int           // from 1
	before  time.Duration // what turns.next was when its turn came
	over    bool
}

func newTurns(o Options, limit int, start func(*turn), now func() time.Duration) *turns {
	t := &turns{start: start, now: now, draw: rand.Float64, limit: limit, interval: o.OpenInterval, base: o.Backoff, top: o.BackoffMax}
	if t.base == NoBackoff {
		t.base = 0
	}
	return t
}

// ask puts an open in the queue.
func (t *turns) ask(o *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.queue = append(t.queue, o)
	t.pump()
}

// again puts an open that has failed back in the queue, before the others.
func (t *turns) again(o *turn) {
	t.end(o, false)
	t.mu.Lock()
	defer t.mu.Unlock()
	o.attempt++
	o.over = false
	t.queue = append([]*turn{o}, t.queue...)
	t.pump()
}

// end says that an open is over, and tells how many have failed in a row. It may be said twice, of
// one that was overdue.
func (t *turns) end(o *turn, ok bool) (failures int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	switch {
	case ok:
		t.failures = 0
		t.next = t.spaced()
	case !o.over:
		t.failures++
		t.next = max(now+t.backoff(), t.spaced())
	}
	t.leave(o)
	return t.failures
}

// skip says that an open whose turn it was is not needed any more.
func (t *turns) skip(o *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.next = min(t.next, max(o.before, t.spaced()))
	t.leave(o)
}

func (t *turns) leave(o *turn) {
	if !o.over {
		o.over = true
		t.running--
	}
	t.pump()
}

// spaced is when the next may begin for OpenInterval's sake.
func (t *turns) spaced() time.Duration {
	if !t.begun || t.interval == 0 {
		return 0
	}
	return plus(t.last, t.interval)
}

// backoff is how long to wait after the last of so many failures.
func (t *turns) backoff() time.Duration {
	if t.base == 0 {
		return 0
	}
	return time.Duration(t.draw() * float64(t.bound()))
}

// bound is the longest back-off there can be now.
func (t *turns) bound() time.Duration {
	d := t.base
	for range t.failures - 1 {
		if d >= t.top/2 {
			return t.top
		}
		d *= 2
	}
	return min(d, t.top)
}

// pump begins those whose turn it is. The caller holds mu.
func (t *turns) pump() {
	for len(t.queue) > 0 && (t.closed || t.limit == Unlimited || t.running < t.limit) {
		now := t.now()
		if now < t.next && !t.closed {
			t.wake(t.next - now)
			return
		}
		o := t.queue[0]
		t.queue[0] = nil
		t.queue = t.queue[1:]
		o.before = t.next
		t.running++
		t.last, t.begun = now, true
		t.next = t.spaced()
		if t.failures > 0 && t.base > 0 {
			t.next = max(t.next, plus(now, t.top))
		}
		t.start(o)
	}
}

func (t *turns) wake(after time.Duration) {
	if t.timer == nil {
		t.timer = time.AfterFunc(after, func() {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.pump()
		})
		return
	}
	t.timer.Reset(after)
}

// close begins all that wait, so that they learn of the end.
func (t *turns) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	if t.timer != nil {
		t.timer.Stop()
	}
	t.pump()
}

// state tells how many opens wait for their turn, and whether the last one failed.
func (t *turns) state() (pending int, down bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.queue), t.failures > 0
}
