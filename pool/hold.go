package pool

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"weak"
)

// hold is what a lease points to. A seat has one hold, used again for lease after lease;
// a shared seat has as many as it has had holders at once.
type hold[T any] struct {
	word  word
	rec   *record[T]
	res   *resource[T]
	guard *guard // with the lease while leased; nil here then
	grant Grant  // shared seats: what to leave
	trail trail  // where it was acquired, with Options.Stacks
}

// guard is what tells the garbage collector that a lease was dropped. While a hold is
// leased only the lease's copies point to its guard, so if that becomes
// unreachable nobody can release the lease any more. The cleanup is attached once, for
// many leases; only a real drop costs a new guard.
//
// It must hold a pointer: the runtime packs small pointer-free objects together and
// frees them together.
type guard struct{ _ *guard }

// arm returns the hold's guard for a new lease.
func (h *hold[T]) arm() *guard {
	g := h.guard
	if g != nil {
		h.guard = nil
		return g
	}
	p := h.rec.pool
	if p.opts.Dropped == IgnoreDropped {
		return nil
	}
	g = new(guard)
	// The pointer is weak, or the runtime would keep hold, guard and pool alive for ever.
	runtime.AddCleanup(g, dropped[T], weak.Make(h))
	return g
}

// dropped runs on the runtime's cleanup goroutine, which all cleanups of the process
// share: it must do no I/O and never block.
func dropped[T any](w weak.Pointer[hold[T]]) {
	h := w.Value()
	if h == nil || stateOf(h.word.v.Load()) != leased {
		return // it ended by Discard or Detach, or with the pool
	}
	p := h.rec.pool
	p.lost.add(h)
	if !p.bubble {
		go p.takeBackDropped()
	}
}

// lostHolds are the holds whose leases were dropped and that nobody has taken back yet.
type lostHolds[T any] struct {
	some atomic.Bool // a hint, so that looking costs one load
	mu   sync.Mutex
	list []*hold[T]
}

func (l *lostHolds[T]) add(h *hold[T]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, h)
	l.some.Store(true)
}

func (l *lostHolds[T]) take() []*hold[T] {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := l.list
	l.list = nil
	l.some.Store(false)
	return list
}

// takeBackDropped ends the leases that were dropped. Usually it runs on a goroutine that
// the cleanup started. A pool made in a synctest bubble must not be woken from outside it,
// so there the verbs of the pool that wait or count call it. It does not wait for the reset
// or the close.
func (p *Pool[T]) takeBackDropped() {
	if !p.lost.some.Load() {
		return
	}
	for _, h := range p.lost.take() {
		v := h.word.v.Load()
		if stateOf(v) != leased || !h.end(v) {
			continue
		}
		p.counts.dropped.Add(1)
		p.logWarn("lease was dropped without Release", h.res, "acquired", h.trail.text())
		if p.opts.Dropped == KeepDropped {
			go p.leave(h, false)
		} else {
			go p.discard(h, ErrDropped)
		}
	}
}

// end ends the lease that began with word v otherwise than by Release, and reports whether
// it still held. The seat then belongs to the caller, in state returning; for a
// shared seat, the lease's share of it.
func (h *hold[T]) end(v uint64) bool {
	r := h.rec
	if r.pool.sharer != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.endShared(h, v)
	}
	if !h.word.v.CompareAndSwap(v, with(v, ended)) {
		return false
	}
	fresh := &hold[T]{rec: r}
	fresh.word.v.Store(with(v+oneLease, returning))
	r.own.Store(fresh)
	return true
}

// endShared is end for a shared seat. The caller holds r.mu.
func (r *record[T]) endShared(h *hold[T], v uint64) bool {
	if !h.word.v.CompareAndSwap(v, with(v, ended)) {
		return false
	}
	r.ended += v>>stateBits + 1
	if i := slices.Index(r.holds, h); i >= 0 {
		r.holds = slices.Delete(r.holds, i, i+1)
	}
	return true
}
