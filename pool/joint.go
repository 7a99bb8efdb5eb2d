package pool

import "context"

// Self-service of shared seats. Where a strategy shares a seat and the pool has nothing to do
// for those who join, a joint that is released stays free: it keeps its share of the seat, so
// that whoever takes it by compare-and-swap holds the resource without asking the seating.
// All of selfservice.go holds for it. In addition:
//
//   - The seating counts a free joint as a holder. So when the seat's tenancy is to end, the
//     free joints must be gathered, which leaves their shares. That is done by whoever finds that
//     a resource is not to be lent any more, and before a pool or a resource is closed.
//   - Under Nested the first lease of a tenancy is the owner's checkout, and ends with it: its
//     Release gathers the free joints, and from then on nobody leaves one free. A free joint is
//     taken by its owner only, whom the seating tells apart by a number.

// Owned is implemented by a Sharer whose Sharing is Nested, if it can tell owners apart at
// little cost.
type Owned interface {
	// Owner is a number for the owner that Acquire(ctx) would have, unlike that of any other
	// owner who lives; 0 if that is costly to know.
	Owner(ctx context.Context) uint64
}

// sharesQuickly decides whether free joints are of any use, once the seating is there.
func (p *Pool[T]) sharesQuickly() bool {
	if p.sharer == nil || !p.plainOut || !p.plainIn {
		return false
	}
	if p.shares == Nested {
		p.owned, _ = p.seating.(Owned)
		return p.owned != nil
	}
	return true
}

// joinQuickly takes a free joint. Of a Common strategy it comes here if the hint of Acquire
// did not help.
func (p *Pool[T]) joinQuickly(ctx context.Context, m Mode, at uintptr) (l Lease[T], ok bool) {
	if m&Unique != 0 || ctx.Err() != nil {
		return l, false
	}
	g := p.gate.Load()
	if p.shares == Nested {
		me := p.owned.Owner(ctx)
		h := p.hints.of(me).Load()
		if me == 0 || h == nil || h.more.Load().owner.Load() != me {
			return l, false
		}
		return p.joinAt(h, g)
	}
	if p.seats.n.Load() == 0 {
		return l, false
	}
	h := p.seats.sharingAt(0).findFree(g)
	if h == nil {
		return l, false
	}
	p.hints.table[at].Store(h)
	p.stirred()
	return p.joinAt(h, g)
}

// findFree looks for a joint that is free. Whoever claims it first has it.
func (s *sharing[T]) findFree(g uint64) *hold[T] {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.holds[:min(len(s.holds), near)] {
		if h.fit.Load() == g && stateOf(h.word.v.Load()) == free {
			return h
		}
	}
	return nil
}

// joinAt takes a joint if it is free and nothing is wrong with it. The gate was g before.
func (p *Pool[T]) joinAt(h *hold[T], g uint64) (l Lease[T], ok bool) {
	if h.fit.Load() != g {
		return l, false
	}
	w, ok := h.word.claim(leased)
	if !ok {
		return l, false
	}
	l = Lease[T]{hold: h, guard: h.guard, word: w}
	h.guard = nil
	if l.guard != nil && p.gate.Load() == g {
		return l, true
	}
	ok = p.secondLook(&l, g)
	return l, ok
}

// remember leaves a hint to the joint of a new lease, for its next holder.
func (p *Pool[T]) remember(ctx context.Context, h *hold[T], at uintptr) {
	if p.shares != Nested {
		p.hints.table[at].Store(h)
	} else if h.has(alone) {
		return
	} else if me := p.owned.Owner(ctx); me != 0 {
		h.more.Load().owner.Store(me)
		p.hints.of(me).Store(h)
	}
}

// gather takes back the free joints of a seat, and reports whether nobody holds it any more: then
// the caller has the seat.
func (p *Pool[T]) gather(r *record[T]) (last bool) {
	s := r.sharing()
	if s == nil || !p.quickJoint {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return p.gatherLocked(s)
}

// gatherLocked reports whether the last to leave was among the free joints. The caller holds
// s.mu, and has the seat if so.
func (p *Pool[T]) gatherLocked(s *sharing[T]) (last bool) {
	for _, h := range s.holds {
		if _, ok := h.word.claim(idle); !ok {
			continue
		}
		s.free = append(s.free, h)
		if !h.has(gone) && p.sharer.Leave(h.grant()) {
			last = true
		}
	}
	return last
}
