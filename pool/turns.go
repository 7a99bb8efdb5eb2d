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
// Opens that fail one after the other are failures in a row only if each began after the one before had failed. Those
// that were under way together share one accident, such as a load balancer that resets what goes through it, and
// the next open may go well. But who has taken all of OpenTimeout has seen more than a moment of it, and counts.
//
// An open that succeeds ends the back-off. The queue needs no goroutine: a timer starts whose
// turn it is.
type turns struct {
	start func(*turn)          // has an open run, on a goroutine of its own
	now   func() time.Duration // the pool's clock
	draw  func() float64       // from 0 to 1

	limit     int // Unlimited: no bound
	interval  time.Duration
	patience  time.Duration // Options.OpenTimeout
	base, top time.Duration // of the back-off; base 0: none

	mu       sync.Mutex
	queue    []*turn
	running  int
	failures int           // in a row
	counted  int           // failures since ever
	resume   time.Duration // when the back-off is over
	probe    *turn         // the newest that began during a back-off; nil once it has ended
	spaced   time.Duration // when the next one may begin for OpenInterval's sake
	timer    *time.Timer
	closed   bool
}

// turn is an open that was asked for.
type turn struct {
	seat    Seat
	attempt int           // from 1
	began   time.Duration // when its turn came
	before  time.Duration // what turns.spaced was then
	counted int           // what turns.counted was then
	over    bool

	// Of the open itself.
	watch   watch
	outcome outcome
	term    term
}

func newTurns(o Options, limit int, start func(*turn), now func() time.Duration) *turns {
	t := &turns{start: start, now: now, draw: rand.Float64, limit: limit, interval: o.OpenInterval, patience: o.OpenTimeout, base: o.Backoff, top: o.BackoffMax}
	if t.base == NoBackoff {
		t.base = 0
	}
	if t.patience == Inline {
		t.patience = forever
	}
	return t
}

// take begins an open at once, for an acquirer who makes it, if it need not wait for its turn.
func (t *turns) take(o *turn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.queue) > 0 || t.limit != Unlimited && t.running >= t.limit {
		return false
	}
	now := t.now()
	if now < t.next() {
		return false
	}
	t.begin(o, now)
	return true
}

// retry counts a failed attempt of an open that an acquirer makes, and tells how long the next has to wait; 0: it has
// begun. It may be asked again.
func (t *turns) retry(o *turn) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fail(o)
	if t.probe == o {
		t.probe = nil
	}
	now := t.now()
	if next := t.next(); now < next {
		t.pump()
		return next - now
	}
	t.running--
	t.begin(o, now)
	return 0
}

func (t *turns) begin(o *turn, now time.Duration) {
	t.running++
	o.began, o.before, o.counted = now, t.spaced, t.counted
	t.spaced = plus(now, t.interval)
	if t.failures > 0 && t.base > 0 {
		t.probe = o
	}
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
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fail(o)
	t.leave(o)
	t.queue = append([]*turn{{seat: o.seat, attempt: o.attempt + 1}}, t.queue...)
	t.pump()
}

// end says that an open is over, and tells how many have failed in a row. It may be said twice, of
// one that was overdue.
func (t *turns) end(o *turn, ok bool) (failures int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if ok {
		t.failures, t.resume, t.probe = 0, 0, nil
	} else if !o.over {
		t.fail(o)
	}
	t.leave(o)
	t.pump()
	return t.failures
}

func (t *turns) fail(o *turn) {
	if o.counted != t.counted && t.now()-o.began < t.patience {
		return // another that was under way with it has been counted
	}
	t.failures++
	t.counted++
	t.resume = plus(t.now(), t.backoff())
}

// skip says that an open whose turn it was is not needed any more: it is as if it had not been.
func (t *turns) skip(o *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.spaced == plus(o.began, t.interval) { // else another began after it
		t.spaced = o.before
	}
	t.leave(o)
	t.pump()
}

func (t *turns) leave(o *turn) {
	if !o.over {
		o.over = true
		t.running--
	}
	if t.probe == o {
		t.probe = nil
	}
}

// next is when the next one may begin.
func (t *turns) next() time.Duration {
	at := max(t.spaced, t.resume)
	if t.probe != nil {
		at = max(at, plus(t.probe.began, t.top))
	}
	return at
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
		if next := t.next(); now < next && !t.closed {
			t.wake(next - now)
			return
		}
		o := t.queue[0]
		t.queue[0] = nil
		t.queue = t.queue[1:]
		t.begin(o, now)
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
		t.timer.Reset(0) // stopped, it could keep the pool in memory until its time has come
	}
	t.pump()
}

// state tells how many opens wait for their turn, and whether the last one failed.
func (t *turns) state() (pending int, down bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.queue), t.failures > 0
}
