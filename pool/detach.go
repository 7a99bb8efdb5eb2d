package pool

import (
	"context"
	"runtime"
	"sync/atomic"
)

// Detached is a resource that has left its pool. Its holder owns it and must close it; the
// pool's seat is free for another, so there may be more resources open than the pool's
// limit while it lives.
type Detached[T any] struct {
	pool   *Pool[T]
	res    *hold[T]
	info   *Info
	closed atomic.Bool
}

// Detach ends the lease and takes its resource out of the pool: it is the caller's
// now. The error is ErrReleased, or ErrUnshareable if others hold the resource too.
func (l Lease[T]) Detach() (*Detached[T], error) {
	h := l.hold
	defer runtime.KeepAlive(l.guard)
	if h == nil {
		return nil, ErrReleased
	}
	p, r := h.rec.pool, h.rec
	if p.sharer != nil {
		if err := p.detachShared(l); err != nil {
			return nil, err
		}
	} else {
		if !h.end(l.word) {
			return nil, l.misuse("Detach")
		}
		h.mark(gone)
	}
	res := h.resource()
	d := &Detached[T]{pool: p, res: res, info: res.extra().info.clone()}
	r.move(closing)
	r.clear()
	p.census.remove(res.epoch())
	p.counts.detached.Add(1)
	p.logInfo("detached", res)
	e := p.event(nil, res)
	e.Seat, e.info = r.seat, d.info
	p.tell(onDetach, e)
	p.giveBackEmpty(r)
	return d, nil
}

// detachShared ends the lease of a shared resource if it is the only one.
func (p *Pool[T]) detachShared(l Lease[T]) error {
	h, r := l.hold, l.hold.rec
	s := r.sharing()
	s.mu.Lock()
	if h.word.v.Load() != l.word {
		s.mu.Unlock()
		return l.misuse("Detach")
	}
	if h.has(gone) {
		s.mu.Unlock()
		return ErrUnshareable
	}
	p.gatherLocked(s) // this holder is left
	if len(s.holds)-len(s.free) > 1 {
		s.mu.Unlock()
		return ErrUnshareable
	}
	s.end(h, l.word)
	h.resource().mark(gone) // whoever joins now finds it gone, and waits for the next
	p.sharer.Drain(h.grant())
	s.mu.Unlock()
	return nil
}

// Value is the resource.
func (d *Detached[T]) Value() T { return d.res.value }

// Info is what the resource's own store held when it was detached.
func (d *Detached[T]) Info() *Info { return d.info }

// Close resets and closes the resource as the pool would have done, with the Reset and
// CloseDetached hooks. It is bounded by Options.ResetTimeout and Options.CloseTimeout. It
// returns Backend.Close's error, and nil the second time. An owner who closes the resource
// otherwise need not call it.
func (d *Detached[T]) Close() error {
	if d.closed.Swap(true) {
		return nil
	}
	p := d.pool
	e := p.event(nil, d.res)
	e.info, e.Detached, e.Reason = d.info, true, ReasonDetached
	p.counts.closed[ReasonDetached].Add(1)
	done := send("close of a detached resource", func() error {
		p.tell(onReset, e)
		if p.do.reset {
			d.reset()
		}
		p.tell(onCloseDetached, e)
		if !p.do.close {
			return nil
		}
		ctx, cancel := deadline(context.Background(), p.opts.CloseTimeout)
		defer cancel()
		return inline("Backend.Close", func() error { return p.backend.Close(ctx, d.res.value) })
	})
	bound := p.opts.CloseTimeout
	if bound != Inline && p.opts.ResetTimeout != Inline {
		bound = plus(bound, p.opts.ResetTimeout)
	}
	if !done.within(context.Background(), bound) {
		p.counts.overdue.Add(1)
		return context.DeadlineExceeded
	}
	return done.err
}

func (d *Detached[T]) reset() {
	ctx, cancel := deadline(context.Background(), d.pool.opts.ResetTimeout)
	defer cancel()
	err := isolate("Backend.Reset", func() error { return d.pool.backend.Reset(ctx, d.res.value) })
	if err != nil {
		d.pool.logError("reset failed", d.res, "err", err)
	}
}
