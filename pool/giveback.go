package pool

import "context"

// leave ends a lease whose word has been moved on already.
func (p *Pool[T]) leave(h *hold[T], clean bool) {
	r := h.rec
	s := r.sharing()
	if s == nil {
		if (p.plainIn || clean && p.plainClean) && h.fit.Load() == epochOf(p.gate.Load()) {
			p.park(r)
		} else {
			p.turnIn(r, clean)
		}
		return
	}
	s.mu.Lock()
	res := h.resource()
	last := false
	voided := res.has(gone)
	if !voided {
		last = p.sharer.Leave(h.grant())
	}
	if p.quickJoint {
		if p.shares == Nested && !h.extra().joined.Load() {
			s.alone = true
			s.markAll(res, alone)
		}
		last = p.gatherLocked(s) || last
	}
	if !clean {
		res.mark(dirty)
	}
	if stateOf(h.word.v.Load()) != ended {
		s.free = append(s.free, h)
	}
	s.mu.Unlock()
	switch {
	case last:
		p.turnIn(r, res.fit.And(^dirty)&dirty == 0)
	case !voided && p.shares == Common:
		p.tell(onCheckin, p.event(r, res))
	}
}

// turnIn takes back a seat from its last holder: reset, hooks, and on to whoever is next.
func (p *Pool[T]) turnIn(r *record[T], clean bool) {
	if r.state() != returning {
		r.move(returning)
	}
	returned := false
	defer func() {
		if !returned { // Goexit goes on through here; the seat must not go with it
			p.vacate(context.Background(), r, ReasonInvalid, ErrGoexit)
		}
	}()
	h := r.own.Load()
	late, err := p.cleanUp(r, h, clean)
	returned = true
	switch {
	case late != nil:
		p.counts.resetFailures.Add(1)
		p.logError("reset is overdue: its seat stays taken until it returns", h)
		p.adopt(late, func() { p.vacate(context.Background(), r, ReasonInvalid, errResetTimeout) })
	case err != nil:
		p.counts.resetFailures.Add(1)
		p.logError("reset failed", h, "err", err)
		p.vacate(context.Background(), r, ReasonInvalid, err)
	case p.disposed(h):
		p.vacate(context.Background(), r, ReasonDisposed, nil)
	default:
		if p.opts.PingAfter > 0 {
			h.extra().idleAt = p.now()
		}
		p.logDebug("returned", h)
		p.park(r)
	}
}

// park gives back a seat whose resource is fit to be lent again.
func (p *Pool[T]) park(r *record[T]) {
	h := r.own.Load()
	r.move(idle)
	p.hand(r, h)
}

// hand gives an idle seat to the seating. Not taken, its resource is closed.
func (p *Pool[T]) hand(r *record[T], h *hold[T]) {
	switch {
	case !p.seating.Release(r.seat, true):
		why := ReasonOverflow
		if p.closed.Load() {
			why = ReasonDisposed
		}
		p.vacate(context.Background(), r, why, nil)
	case p.disposed(h):
		p.sweep(r)
	}
	p.news.spread()
}

// sweep closes the resource that rests in a seat if it was disposed of. Whoever lets a
// resource rest looks after it has done so: then either this sees the disposal, or Dispose
// sees the resource.
func (p *Pool[T]) sweep(r *record[T]) {
	if !p.seating.Claim(r.seat) {
		return
	}
	if p.disposed(r.own.Load()) || !p.seating.Release(r.seat, true) {
		p.vacate(context.Background(), r, ReasonDisposed, nil)
		return
	}
	p.news.spread()
}

// disposed reports whether a Dispose came after the resource was opened.
func (p *Pool[T]) disposed(h *hold[T]) bool {
	return h.fit.Load()&disposals != p.gate.Load()&disposals
}

// cleanUp does what has to be done to a resource on its return. If Backend.Reset does not
// return in time, it is handed back as late and goes on with the resource.
func (p *Pool[T]) cleanUp(r *record[T], res *hold[T], clean bool) (late *errand, err error) {
	if (clean || !p.do.reset) && !res.has(onReturn) && len(p.on[onReset]) == 0 && len(p.on[onCheckin]) == 0 {
		return nil, nil // before there is a deadline, which costs more than the rest
	}
	ctx, cancel := deadline(context.Background(), p.opts.ResetTimeout)
	defer func() {
		if late == nil {
			cancel()
		}
	}()
	if len(p.on[onReset]) > 0 {
		e := p.event(r, res)
		e.Clean = clean
		if err := p.on.fire(ctx, onReset, e); err != nil {
			return nil, err
		}
	}
	if p.do.reset && !clean {
		if p.opts.ResetTimeout == Inline {
			err = inline("Backend.Reset", func() error { return p.backend.Reset(ctx, res.value) })
		} else {
			late, err = p.sendReset(ctx, res)
		}
		if late != nil || err != nil {
			return late, err
		}
	}
	if err := p.runOnReturn(ctx, res); err != nil {
		return nil, err
	}
	return nil, p.on.fire(ctx, onCheckin, p.event(r, res))
}

// sendReset calls Backend.Reset on a goroutine of its own, and hands it back if it does not
// return before ctx ends.
func (p *Pool[T]) sendReset(ctx context.Context, res *hold[T]) (late *errand, err error) {
	e := send("Backend.Reset", func() error { return p.backend.Reset(ctx, res.value) })
	ended := false
	if len(p.on[onReset]) > 0 { // which have taken a part of the time
		ended = e.wait(ctx, nil)
	} else {
		ended = e.inTime(context.Background(), p.resets)
	}
	if !ended {
		return e, nil
	}
	return nil, e.err
}

// runOnReturn calls what Lease.OnReturn was given, the last first.
func (p *Pool[T]) runOnReturn(ctx context.Context, res *hold[T]) error {
	if !res.has(onReturn) {
		return nil
	}
	e := res.extra()
	e.mu.Lock()
	once := e.once
	e.once = nil
	res.fit.And(^onReturn)
	e.mu.Unlock()
	for i := len(once) - 1; i >= 0; i-- {
		if err := inline("OnReturn function", func() error { return once[i](ctx, res.value) }); err != nil {
			return err
		}
	}
	return nil
}
