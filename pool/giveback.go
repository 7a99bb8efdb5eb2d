package pool

import "context"

// releasePlain is Release where nothing has to be done on return but to pass the seat on.
// It reports false if the lease is over, which the caller then finds out once more.
func (p *Pool[T]) releasePlain(h *hold[T], l Lease[T]) bool {
	if !h.word.v.CompareAndSwap(l.word, with(l.word+oneLease, idle)) {
		return false
	}
	h.guard = l.guard
	r := h.rec
	if res := r.res; res.epoch != p.epoch.Load() || res.has(onReturn) {
		p.turnIn(r, false)
	} else {
		p.hand(r, res)
	}
	return true
}

// leave ends a lease whose word has been moved on already.
func (p *Pool[T]) leave(h *hold[T], clean bool) {
	r := h.rec
	if p.sharer == nil {
		p.turnIn(r, clean)
		return
	}
	r.mu.Lock()
	res := h.res
	last := false
	voided := res.has(gone)
	if !voided {
		last = p.sharer.Leave(h.grant)
	}
	if !clean {
		res.marks.Or(dirty)
	}
	if stateOf(h.word.v.Load()) != ended {
		r.free = append(r.free, h)
	}
	r.mu.Unlock()
	switch {
	case last:
		p.turnIn(r, res.marks.And(^dirty)&dirty == 0)
	case !voided && p.limits.Sharing == Common:
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
	late, err := p.cleanUp(r, clean)
	returned = true
	switch {
	case late != nil:
		p.counts.resetFailures.Add(1)
		p.logError("reset is overdue: its seat stays taken until it returns", r.res)
		p.adopt(late, func() { p.vacate(context.Background(), r, ReasonInvalid, errResetTimeout) })
	case err != nil:
		p.counts.resetFailures.Add(1)
		p.logError("reset failed", r.res, "err", err)
		p.vacate(context.Background(), r, ReasonInvalid, err)
	case p.disposed(r.res):
		p.vacate(context.Background(), r, ReasonDisposed, nil)
	default:
		if p.opts.PingAfter > 0 {
			r.res.idleAt = p.now()
		}
		p.logDebug("returned", r.res)
		p.park(r)
	}
}

// park gives back a seat whose resource is fit to be lent again.
func (p *Pool[T]) park(r *record[T]) {
	res := r.res
	r.move(idle)
	p.hand(r, res)
}

// hand gives an idle seat to the seating. Not taken, its resource is closed.
func (p *Pool[T]) hand(r *record[T], res *resource[T]) {
	switch {
	case !p.seating.Release(r.seat, true):
		why := ReasonOverflow
		if p.closed.Load() {
			why = ReasonDisposed
		}
		p.vacate(context.Background(), r, why, nil)
	case p.disposed(res):
		p.sweep(r)
	}
}

// sweep closes the resource that rests in a seat if it was disposed of. Whoever lets a
// resource rest looks after it has done so: then either this sees the disposal, or Dispose
// sees the resource.
func (p *Pool[T]) sweep(r *record[T]) {
	if !p.seating.Claim(r.seat) {
		return
	}
	if p.disposed(r.res) || !p.seating.Release(r.seat, true) {
		p.vacate(context.Background(), r, ReasonDisposed, nil)
	}
}

// disposed reports whether a Dispose came after the resource was opened.
func (p *Pool[T]) disposed(res *resource[T]) bool {
	return uint32(res.epoch) != uint32(p.epoch.Load())
}

// cleanUp does what has to be done to a resource on its return. If Backend.Reset does not
// return in time, it is handed back as late and goes on with the resource.
func (p *Pool[T]) cleanUp(r *record[T], clean bool) (late *errand, err error) {
	res := r.res
	if !p.do.reset && !res.has(onReturn) && len(p.on[onReset]) == 0 && len(p.on[onCheckin]) == 0 {
		return nil, nil
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
func (p *Pool[T]) sendReset(ctx context.Context, res *resource[T]) (late *errand, err error) {
	e := send("Backend.Reset", func() error { return p.backend.Reset(ctx, res.value) })
	if !e.before(ctx) {
		return e, nil
	}
	return nil, e.err
}

// runOnReturn calls what Lease.OnReturn was given, the last first.
func (p *Pool[T]) runOnReturn(ctx context.Context, res *resource[T]) error {
	if !res.has(onReturn) {
		return nil
	}
	res.mu.Lock()
	once := res.once
	res.once = nil
	res.marks.And(^onReturn)
	res.mu.Unlock()
	for i := len(once) - 1; i >= 0; i-- {
		if err := inline("OnReturn function", func() error { return once[i](ctx, res.value) }); err != nil {
			return err
		}
	}
	return nil
}
