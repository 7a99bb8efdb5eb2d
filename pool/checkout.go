package pool

import (
	"context"
	"errors"
	"slices"
)

// verdict is what checkout found of a resource.
type verdict uint8

const (
	fit    verdict = iota
	stale          // retired, outdated or too old: another in its place
	dead           // found dead: likewise, but it counts as an attempt
	failed         // a hook refused the checkout: the Acquire fails
	away           // a ping hangs and keeps the seat: another seat
)

// checkout makes a lease of a grant: the slow way, for pools that have something to
// check. It owns the seat unless the grant is joined.
//
// Resources with a number above known were opened since the acquirer came, and need no look.
func (p *Pool[T]) checkout(ctx context.Context, g Grant, m Mode, known uint64) (Lease[T], error) {
	newest := p.nextID.Load()       // resources with a higher number were opened since
	epoch := epochOf(p.gate.Load()) // opens that begin from now on are of this, or of a later one
	for tries := 1; ; {
		r := p.seats.at(g.Seat)
		var l Lease[T]
		var v verdict
		var why error
		meant := false // by an invalidation that is in epoch
		if g.Joined {
			l, v, why = p.join(ctx, r, g)
		} else if v, why = p.examine(ctx, r, known); v == fit {
			l = p.lend(r, g)
		} else if own := r.own.Load(); v == stale && own.id > newest {
			if meant = older(own.epoch(), epoch); !meant {
				v = dead // or this might go on for ever
				if why == nil {
					why = errOutdated
				}
			}
		}
		switch v {
		case fit:
			// Read after the lease is made: then either this sees that the pool was
			// closed, or Close sees the lease.
			if !p.closed.Load() {
				return l, nil
			}
			p.undo(l)
			return Lease[T]{}, p.refusal(ctx, ErrClosed, 0)
		case failed:
			return Lease[T]{}, why
		case dead, away:
			if v == away && ctx.Err() != nil {
				return Lease[T]{}, p.refusedWhileChecking(ctx)
			}
			if tries == p.opts.Attempts {
				if v == dead && !g.Joined {
					p.vacate(ctx, r, ReasonInvalid, why)
				}
				p.logInfo("attempts exhausted on checkout", nil, "attempts", tries, "err", why)
				return Lease[T]{}, &AttemptsError{Pool: p.opts.Name, Attempts: tries, Err: why}
			}
			tries++
		}
		if !meant {
			epoch = epochOf(p.gate.Load()) // one invalidation means all that were being opened then, and is one attempt
		}
		var err error
		if v == away {
			g, err = p.grant(ctx, m|Again, p.hints.index())
		} else if g.Joined {
			g, err = p.grant(ctx, m, p.hints.index())
		} else {
			r.move(opening)
			g, err = p.seating.Replace(ctx, g, m)
		}
		if err != nil {
			return Lease[T]{}, p.refusal(ctx, err, g.Waited)
		}
	}
}

// examine checks the resource in a seat that the caller has. Unless the verdict is failed
// or away, the caller has the seat still.
func (p *Pool[T]) examine(ctx context.Context, r *record[T], known uint64) (v verdict, err error) {
	returned, res := false, r.own.Load()
	defer func() {
		// Goexit goes on through here; the seat must not go with it. After one from a close it has been given back.
		if !returned && !res.has(closed) {
			p.vacate(ctx, r, ReasonInvalid, ErrGoexit)
		}
	}()
	v, err = p.check(ctx, r, known)
	returned = true
	return v, err
}

// check is examine, but for callbacks that call Goexit.
func (p *Pool[T]) check(ctx context.Context, r *record[T], known uint64) (verdict, error) {
	if r.state() != checking {
		r.move(checking)
	}
	res := r.own.Load()
	if why := p.outdated(res); why != 0 {
		res.extra().reason = why
		return stale, nil
	}
	pinged := p.opts.Ping && res.id <= known && (p.opts.PingAfter == 0 || p.now()-res.extra().idleAt >= p.opts.PingAfter)
	if pinged && p.do.ping {
		if v, err := p.ping(ctx, r, "Backend.Ping", p.backend.Ping); v != fit {
			return v, err
		}
	}
	switch {
	case p.checks == NoCheck || res.id > known:
	case p.checks == QuickCheck:
		if v, err := p.pinged(r, p.glance(ctx, res)); v != fit {
			return stale, err // no attempt: it has cost nothing, and there may be many after a restart of the server
		}
	default:
		if v, err := p.ping(ctx, r, "Checker.Check", p.checker.Check); v != fit {
			return v, err
		}
		pinged = true
	}
	if v, err := p.checkedOut(ctx, r); v != fit {
		return v, err
	}
	if ctx.Err() != nil && len(p.on[onCheckout]) > 0 { // a hook that did not heed it
		p.turnIn(r, true)
		return failed, p.refusedWhileChecking(ctx)
	}
	if pinged || len(p.on[onCheckout]) > 0 { // which may have taken their time
		if why := p.outdated(res); why != 0 {
			res.extra().reason = why
			return dead, errOutdated
		}
	}
	p.logDebug("checked out", res)
	return fit, nil
}

// checkedOut runs the checkout hooks.
func (p *Pool[T]) checkedOut(ctx context.Context, r *record[T]) (verdict, error) {
	if len(p.on[onCheckout]) == 0 {
		return fit, nil
	}
	err := p.on.fire(ctx, onCheckout, p.event(r, r.own.Load()))
	if err == nil {
		return fit, nil
	}
	if fault := p.classify(err); fault != Sound {
		p.condemn(r, fault, err)
		return dead, err
	}
	p.vacate(ctx, r, ReasonInvalid, err)
	return failed, err
}

// outdated says why a resource must not be lent any more; 0 if it may be.
func (p *Pool[T]) outdated(res *hold[T]) Reason {
	switch {
	case res.has(retired):
		return ReasonRetired
	case res.epoch() != epochOf(p.gate.Load()):
		return ReasonOutdated
	case res.has(aged), p.opts.MaxAge > 0 && p.now()-res.openedAt > p.lifetime(res):
		return ReasonAge
	}
	return 0
}

// condemn notes why the resource in a seat is to be replaced.
func (p *Pool[T]) condemn(r *record[T], f Fault, cause error) {
	if f == AllDead {
		p.invalidateEpoch(r.own.Load().epoch(), cause)
	}
	e := r.own.Load().extra()
	e.reason, e.cause = ReasonInvalid, cause
}

var (
	errOutdated     = errors.New("pool: resource was invalidated or grew too old while it was checked")
	errPingTimeout  = errors.New("pool: ping did not return in time")
	errResetTimeout = errors.New("pool: reset did not return in time")
)

// ping asks the backend whether the resource works, by ask, Backend.Ping or Checker.Check. If
// ctx ends first, or PingTimeout, the seat stays with the ping until it returns.
func (p *Pool[T]) ping(ctx context.Context, r *record[T], name string, ask func(context.Context, T) error) (verdict, error) {
	res := r.own.Load()
	pctx, cancel := deadline(ctx, p.opts.PingTimeout)
	call := func() error { return ask(pctx, res.value) }
	if p.opts.PingTimeout == Inline {
		return p.pinged(r, inline(name, call))
	}
	e := send(name, call)
	switch {
	case e.inTime(ctx, p.pings):
		cancel()
		return p.pinged(r, e.err)
	case ctx.Err() == nil:
		p.counts.pingFailures.Add(1)
		p.logInfo("ping timed out", res)
		p.adopt(e, func() {
			cancel()
			p.vacate(context.Background(), r, ReasonInvalid, errPingTimeout)
		})
		return away, errPingTimeout
	default:
		inTime := context.AfterFunc(pctx, func() { // PingTimeout is over
			p.counts.overdue.Add(1)
			p.counts.stuck.Add(1)
		})
		e.then(func() {
			if !inTime() {
				p.counts.stuck.Add(-1)
			}
			cancel()
			if v, err := p.pinged(r, e.err); v == dead {
				p.vacate(context.Background(), r, ReasonInvalid, err)
			} else {
				p.park(r)
			}
		})
		return away, ctx.Err()
	}
}

// glance is a QuickCheck, without what a call costs that may take its time.
func (p *Pool[T]) glance(ctx context.Context, res *hold[T]) (err error) {
	defer recoverInto(&err, "Checker.Check")
	ctx, _ = deadline(ctx, Inline)
	return p.checker.Check(ctx, res.value)
}

func (p *Pool[T]) pinged(r *record[T], err error) (verdict, error) {
	if err == nil {
		return fit, nil
	}
	p.counts.pingFailures.Add(1)
	p.logInfo("ping failed", r.own.Load(), "err", err)
	p.condemn(r, p.classify(err), err)
	return dead, err
}

// lend makes the lease of a seat that the caller has.
func (p *Pool[T]) lend(r *record[T], g Grant) Lease[T] {
	s := r.sharing()
	if s == nil {
		return r.own.Load().lease()
	}
	r.move(leased)
	s.mu.Lock()
	l := s.lend(r.own.Load(), g)
	s.mu.Unlock()
	p.sharer.Ready(g)
	return l
}

// lease makes a lease of a hold that the caller has.
func (h *hold[T]) lease() Lease[T] {
	if p := h.rec.pool; p.opts.Stacks {
		h.extra().trail.mark(p.now())
	}
	w := h.word.move(h.rec.seat, leased)
	return Lease[T]{hold: h, guard: h.arm(), word: w}
}

// lend makes one lease of many of the resource of own. The caller holds mu.
func (s *sharing[T]) lend(own *hold[T], g Grant) Lease[T] {
	h := s.spare(own)
	fit := own.fit.Load() &^ dirty
	if own.rec.pool.shares == Nested && (!g.Joined || s.alone) {
		fit |= alone
		s.alone = s.alone && g.Joined
	}
	h.fit.Store(fit)
	e := h.extra()
	e.tenancy.Store(g.Tenancy)
	e.joined.Store(g.Joined)
	return h.lease()
}

// spare is a joint of own's that is leased to nobody. Those of earlier resources are dropped: a
// holder who ends a lease on one goroutine and reads it on another must not see a later one.
func (s *sharing[T]) spare(own *hold[T]) *hold[T] {
	for n := len(s.free); n > 0; n = len(s.free) {
		h := s.free[n-1]
		s.free = s.free[:n-1]
		if h.resource() == own {
			return h
		}
		s.drop(h)
	}
	h := &hold[T]{rec: own.rec, value: own.value, id: own.id, openedAt: own.openedAt}
	h.word.v.Store(uint64(idle))
	h.extra().of = own
	s.holds = append(s.holds, h)
	return h
}

// drop forgets a joint, but for the number of its leases.
func (s *sharing[T]) drop(h *hold[T]) {
	s.ended += h.begun()
	if i := slices.Index(s.holds, h); i >= 0 {
		s.holds = slices.Delete(s.holds, i, i+1)
	}
}

// join makes the lease of a grant to a seat that others hold too.
func (p *Pool[T]) join(ctx context.Context, r *record[T], g Grant) (l Lease[T], v verdict, err error) {
	s := r.sharing()
	s.mu.Lock()
	if !p.sharer.Current(g) {
		s.mu.Unlock()
		return l, stale, nil // its tenancy was ended by a Discard
	}
	res := r.own.Load() // changes only with the tenancy, or under s.mu at its end
	if res == nil || res.has(gone) {
		p.sharer.Drain(g) // the tenancy is about to end: wait for the next
		s.mu.Unlock()
		return l, stale, nil
	}
	if p.shares == Common && p.outdated(res) != 0 {
		p.sharer.Drain(g)
		last := p.sharer.Leave(g)
		last = p.gatherLocked(s) || last
		s.mu.Unlock()
		if last {
			p.park(r)
		}
		return l, stale, nil
	}
	l = s.lend(res, g)
	s.mu.Unlock()
	if p.shares == Nested || len(p.on[onCheckout]) == 0 {
		return l, fit, nil
	}
	returned := false
	defer func() {
		if !returned {
			_ = l.Discard(ErrGoexit)
		}
	}()
	err = p.on.fire(ctx, onCheckout, p.event(r, res))
	returned = true
	switch {
	case err != nil:
	case ctx.Err() != nil: // a hook did not heed it
		_ = l.ReleaseClean()
		return l, failed, p.refusedWhileChecking(ctx)
	default:
		return l, fit, nil
	}
	fault := p.classify(err)
	if fault == AllDead {
		p.invalidateEpoch(res.epoch(), err)
	}
	if fault == Sound {
		_ = l.ReleaseClean() // others hold it too: what displeased this one is not theirs
		return l, failed, err
	}
	_ = l.Discard(err)
	return l, dead, err
}
