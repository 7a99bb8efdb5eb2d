package pool

import "context"

// sendClose closes a resource, with the hooks that belong to it, on a goroutine of its own.
// It returns nil if there is nothing to do. The resource is out of use from now on. checkin
// says to tell the Checkin hooks, last of all, that the seat came back without it.
func (p *Pool[T]) sendClose(r *record[T], h *hold[T], why Reason, cause error, checkin bool) *errand {
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
	return send("close", func() error {
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
	})
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
// waits for the close, but no longer than Options.CloseTimeout and ctx; what takes longer
// keeps its seat until it is done, so that there are never more resources open than seats.
func (p *Pool[T]) vacate(ctx context.Context, r *record[T], why Reason, cause error) {
	h := r.own.Load()
	r.move(closing)
	if why == ReasonUnwanted && p.closed.Load() {
		why = ReasonDisposed
	}
	empty := func() {
		r.clear()
		p.giveBackEmpty(r)
	}
	e := p.sendClose(r, h, why, cause, why == ReasonInvalid)
	switch {
	case e == nil || e.within(ctx, p.opts.CloseTimeout):
		empty()
	case ctx.Err() != nil: // not overdue: whoever waited had no more time
		e.then(empty)
	case p.abandon(e, h):
		empty()
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

// abandon leaves a close that is overdue to itself, if Options.HungClose allows it, and reports
// whether its seat is free.
func (p *Pool[T]) abandon(e *errand, h *hold[T]) bool {
	if p.opts.HungClose == FreeSeat {
		if p.counts.abandoned.Add(1) <= mostAbandoned {
			p.counts.overdue.Add(1)
			p.logError("close is overdue: it is abandoned, and its seat is free", h)
			e.then(func() { p.counts.abandoned.Add(-1) })
			return true
		}
		p.counts.abandoned.Add(-1)
	}
	p.logError("close is overdue: its seat stays taken until it returns", h)
	return false
}

func (p *Pool[T]) giveBackEmpty(r *record[T]) {
	r.move(empty)
	p.live.done()
	p.seating.Release(r.seat, false)
	p.upkeep.soon()
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
