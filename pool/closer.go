package pool

import "context"

// sendClose is closing on a goroutine of its own. It returns nil if there is nothing to do.
func (p *Pool[T]) sendClose(r *record[T], h *hold[T], why Reason, cause error, checkin bool) *errand {
	if f := p.closing(r, h, why, cause, checkin); f != nil {
		return send("close", f)
	}
	return nil
}

// closing takes a resource out of use, and returns what closes it, with the hooks that belong to it; nil if there
// is nothing to do. checkin says to tell the Checkin hooks, last of all, that the seat came back without it.
func (p *Pool[T]) closing(r *record[T], h *hold[T], why Reason, cause error, checkin bool) func() error {
	if !h.mark(closed) {
		panic("pool: bug: resource closed twice")
	}
	h.mark(gone)
	p.counts.closed[why].Add(1)
	p.logClose(h, why, cause)
	if !p.do.close && len(p.on[onInvalidate]) == 0 && len(p.on[onClose]) == 0 && len(p.on[onCheckin]) == 0 {
		p.census.remove(h.epoch())
		return nil
	}
	return func() error {
		defer p.census.remove(h.epoch())
		if checkin {
			defer func() { p.tell(onCheckin, p.event(r, nil)) }()
		}
		e := p.event(r, h)
		e.Reason, e.Cause = why, cause
		if why == ReasonInvalid {
			p.tell(onInvalidate, e)
		}
		p.tell(onClose, e)
		p.closeValue(h)
		return nil
	}
}

// closeValue calls Backend.Close. What it answers changes nothing: the resource is gone.
func (p *Pool[T]) closeValue(h *hold[T]) {
	if !p.do.close {
		return
	}
	ctx, cancel := deadline(context.Background(), p.opts.CloseTimeout)
	defer cancel()
	err := ErrGoexit // unless Backend.Close comes back
	defer func() {
		if err != nil {
			p.counts.closeFailures.Add(1)
			p.logError("close failed", h, "err", err)
		}
	}()
	err = inline("Backend.Close", func() error { return p.backend.Close(ctx, h.value) })
}

// vacate closes what is in a seat that the caller has, and gives the seat back empty. It
// waits for the close, but no longer than Options.CloseTimeout and ctx. What becomes of the seat of
// a close that takes longer than Options.CloseTimeout is said by Options.HungClose.
func (p *Pool[T]) vacate(ctx context.Context, r *record[T], why Reason, cause error) {
	h := r.own.Load()
	r.move(closing)
	if why == ReasonUnwanted && p.closed.Load() {
		why = ReasonDisposed
	}
	if p.opts.CloseTimeout == Inline {
		p.closeHere(r, p.closing(r, h, why, cause, why == ReasonInvalid))
		return
	}
	if e := p.sendClose(r, h, why, cause, why == ReasonInvalid); e != nil {
		p.upkeep.soon() // the close may hang
		p.awaitClose(ctx, e, r, h)
		return
	}
	r.clear()
	p.giveBackEmpty(r)
}

// closeHere closes what is in a seat that the caller has on this goroutine, and gives the seat back empty, also if
// the close calls Goexit.
func (p *Pool[T]) closeHere(r *record[T], f func() error) {
	defer func() {
		r.clear()
		p.giveBackEmpty(r)
	}()
	if f != nil {
		_ = f()
	}
}

// awaitClose waits until what is in a seat that the caller has is closed, for at most CloseTimeout, and
// gives the seat back, or says what becomes of it. If ctx ends before, it goes on with that on
// another goroutine, for the rest of the time.
func (p *Pool[T]) awaitClose(ctx context.Context, e *errand, r *record[T], h *hold[T]) {
	begun := p.now()
	ended := e.inTime(ctx, p.closes)
	if ended || ctx.Err() == nil {
		p.closeEnded(e, r, h, ended)
		return
	}
	rest := p.opts.CloseTimeout
	if rest != Inline {
		rest = max(0, rest-(p.now()-begun))
	}
	go func() { p.closeEnded(e, r, h, e.within(context.Background(), rest)) }()
}

// closeEnded goes on with the seat of a close that has ended, or is overdue.
func (p *Pool[T]) closeEnded(e *errand, r *record[T], h *hold[T], ended bool) {
	empty := func() {
		r.clear()
		p.giveBackEmpty(r)
	}
	switch {
	case ended:
		empty()
	case p.mayAbandon(h):
		r.clear()
		p.giveBack(r)
		p.abandon(e)
	default:
		p.adopt(e, empty)
	}
}

// adopt has a call that is overdue go on with its seat when it returns at last.
func (p *Pool[T]) adopt(e *errand, then func()) {
	p.counts.overdue.Add(1)
	p.counts.stuck.Add(1)
	e.then(func() {
		p.counts.stuck.Add(-1)
		then()
	})
}

// mostAbandoned is how many closes a pool leaves to themselves at once under FreeSeat. Arbitrary:
// what a server can have more than the pool's limit says must be a small number.
const mostAbandoned = 16

// mayAbandon reports whether a close that is overdue may be left to itself, and counts it then. In
// a pool that has ended nobody needs the seat.
func (p *Pool[T]) mayAbandon(h *hold[T]) bool {
	n := &p.counts.abandoned
	free := p.opts.HungClose == FreeSeat && !p.closed.Load()
	for k := n.Load(); free && k < mostAbandoned; k = n.Load() {
		if n.CompareAndSwap(k, k+1) {
			p.counts.overdue.Add(1)
			p.logError("close is overdue: it is abandoned, and its seat is free", h)
			return true
		}
	}
	p.logError("close is overdue: its seat stays taken until it returns", h)
	return false
}

// abandon leaves a close to itself that mayAbandon has counted. It takes the place of its seat in
// what Shutdown waits for.
func (p *Pool[T]) abandon(e *errand) {
	e.then(func() {
		p.counts.abandoned.Add(-1)
		p.live.done()
	})
}

func (p *Pool[T]) giveBackEmpty(r *record[T]) {
	p.giveBack(r)
	p.live.done()
}

// giveBack is giveBackEmpty but for what Shutdown waits for.
func (p *Pool[T]) giveBack(r *record[T]) {
	r.move(empty)
	p.seating.Release(r.seat, false)
	p.upkeep.soon()
	p.news.spread()
}

// tell runs the hooks of an event that is only told: their errors are logged.
func (p *Pool[T]) tell(e event, ev Event[T]) {
	if len(p.on[e]) == 0 {
		return
	}
	ctx, cancel := deadline(context.Background(), p.opts.CloseTimeout)
	defer cancel()
	if err := isolate(e.String()+" hook", func() error { return p.on.fire(ctx, e, ev) }); err != nil {
		p.counts.hookFailures.Add(1)
		p.logError("hook failed", nil, "event", e, "seat", ev.Seat, "err", err)
	}
}
