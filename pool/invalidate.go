package pool

import (
	"context"
	"fmt"
	"strings"
	"sync"
)

// Invalidate outdates every resource opened, or being opened, until now: idle ones are
// replaced before they are lent again, leased ones when they are next acquired after their
// return. It closes nothing and does not wait. cause is told to the log; it may be nil.
func (p *Pool[T]) Invalidate(cause error) {
	p.gate.Add(oneGeneration)
	p.logInfo("pool invalidated", nil, causeArgs(cause)...)
}

// invalidateEpoch is Invalidate unless one has come since the given epoch began: when a
// server restarts, many leases of one generation fail, and that is one
// invalidation.
func (p *Pool[T]) invalidateEpoch(epoch uint64, cause error) {
	for {
		now := p.gate.Load()
		if now/oneGeneration != epoch/oneGeneration {
			return
		}
		if p.gate.CompareAndSwap(now, now+oneGeneration) {
			p.logInfo("disconnection detected, pool invalidated", nil, "cause", cause)
			return
		}
	}
}

// Dispose closes every idle resource, and sees to it that those leased or being opened now
// are closed when they are returned. The pool stays in use and opens afresh. It waits for
// the closes, at most Options.CloseTimeout.
func (p *Pool[T]) Dispose() {
	p.disposeOf()
	var closes sync.WaitGroup
	p.eachIdle(closes.Go)
	closes.Wait()
	p.logStatus("pool disposed")
}

// disposeOf has every resource opened, or being opened, until now closed when it comes to rest, and
// tells the epoch of those that come after.
func (p *Pool[T]) disposeOf() (epoch uint64) {
	p.takeBackDropped()
	for {
		now := p.gate.Load()
		// The generation moves too, lest a resource leased across the disposal be lent
		// again before its return closes it. The count of disposals wraps into nothing.
		next := (now+oneGeneration)&^disposals | (now+oneDisposal)&disposals
		if p.gate.CompareAndSwap(now, next) {
			return epochOf(next)
		}
	}
}

// InvalidateAndWait is Invalidate, but idle resources are closed now and leased ones when they are
// returned, and it waits until all that were opened, or being opened, before are gone: until their
// closes have returned, also of those that were under way. Detached ones do not count. Closes run side
// by side, however many there are, so that one that hangs keeps no other open. The pool stays in use and
// opens afresh. cause is told to the log; it may be nil.
//
// If ctx ends before, the error is an *InvalidateError, which satisfies errors.Is for ctx's cause and
// names who still holds; the invalidation stands. It may be called by several goroutines at once, each of which
// waits for what was there before its own call, and it goes on waiting when the pool is closed.
func (p *Pool[T]) InvalidateAndWait(ctx context.Context, cause error) error {
	epoch := p.disposeOf()
	p.logInfo("pool invalidated", nil, causeArgs(cause)...)
	p.eachIdle(func(f func()) { go f() }) // the pool's end waits for the seats
	f := p.census.wait(epoch)
	select {
	case <-f.gone:
		return nil
	default:
	}
	select {
	case <-f.gone:
		return nil
	case <-ctx.Done():
	}
	left := p.census.giveUp(f)
	if left == 0 {
		return nil // at the same moment
	}
	held := p.held(func(h *hold[T]) bool { return older(h.epoch(), epoch) })
	return &InvalidateError{Pool: p.opts.Name, Left: left, Held: held, Err: context.Cause(ctx)}
}

// InvalidateError says what InvalidateAndWait did not wait for.
type InvalidateError struct {
	Pool string
	Left int         // resources of before that are open still, or being opened or closed
	Held []HeldLease // the leases of these
	Err  error       // why the wait ended
}

func (e *InvalidateError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%sinvalidate: %s; %d of the old resources left", prefix(e.Pool), strings.TrimPrefix(e.Err.Error(), "pool: "), e.Left)
	listHeld(&b, e.Held)
	return b.String()
}

// Unwrap returns why the wait ended.
func (e *InvalidateError) Unwrap() error { return e.Err }

// eachIdle has do close what rests in each seat that looks idle now, if it was disposed of.
func (p *Pool[T]) eachIdle(do func(func())) {
	p.seats.all(func(r *record[T]) bool {
		switch s := r.state(); {
		case p.gather(r):
			do(func() { p.turnIn(r, true) })
		case s == idle || s == free:
			do(func() { p.sweep(r) })
		}
		return true
	})
}

// discard closes the resource of a lease that has been ended by hold.end.
func (p *Pool[T]) discard(h *hold[T], cause error) {
	r := h.rec
	if s := r.sharing(); s != nil {
		s.mu.Lock()
		first := h.resource().mark(gone)
		if first {
			s.markAll(h.resource(), gone)
			p.sharer.Drain(h.grant())
		}
		s.mu.Unlock()
		if !first {
			return // another holder has discarded it already
		}
	}
	p.vacate(context.Background(), r, ReasonInvalid, cause)
}

// retire marks a leased resource.
func (p *Pool[T]) retire(h *hold[T], cause error) {
	res := h.resource()
	if !res.mark(retired) {
		return
	}
	if s := h.rec.sharing(); s != nil {
		s.mu.Lock()
		s.markAll(res, retired)
		s.mu.Unlock()
	}
	if p.shares == Common {
		p.sharer.Drain(h.grant())
	}
	p.logInfo("soft invalidation", res, causeArgs(cause)...)
	e := p.event(h.rec, res)
	e.Cause = cause
	p.tell(onSoftInvalidate, e)
}

// markAll marks the joints of a resource. The caller holds mu.
func (s *sharing[T]) markAll(res *hold[T], mark uint64) {
	for _, h := range s.holds {
		if h.resource() == res {
			h.mark(mark)
		}
	}
}
