package pool

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"weak"
)

// hold is one opened resource, and what a lease of it points to. It is leased again and
// again, and never used for another resource: so no lease of an earlier one can be taken for
// a lease of a later one.
//
// For a shared seat there is one more hold for each of as many holders as it has had at
// once: a joint, with a copy of value and fit, and with the word of that holder's lease.
//
// What a cycle of Acquire and Release touches is one cache line, and nobody else's: for a T
// of a word the allocator gives a hold 64 bytes, at an address divisible by 64.
type hold[T any] struct {
	word word
	// fit is the pool's gate as it was when the open began, and marks. While it equals the
	// gate, nothing is wrong with the resource and nobody needs to be asked.
	fit      atomic.Uint64
	rec      *record[T]
	guard    *guard // with the lease while leased; nil here then
	value    T
	id       uint64
	openedAt time.Duration // on the pool's clock
	more     atomic.Pointer[extra[T]]
}

// extra is what few holds need.
type extra[T any] struct {
	info Info
	// Why the opener is to close it before it opens another.
	reason Reason
	cause  error
	idleAt time.Duration // when it was last returned, if Options.PingAfter wants to know
	trail  trail         // where it was acquired, with Options.Stacks

	// Of a joint, which is never used for another resource either: the hold of the resource
	// itself, and what changes from lease to lease.
	of      *hold[T]
	tenancy atomic.Uint32 // of the grant
	joined  atomic.Bool   // it was not the first of its tenancy
	owner   atomic.Uint64 // under Nested: whose it is; see joint.go

	mu   sync.Mutex
	once []func(context.Context, T) error // Lease.OnReturn
}

// marks of a hold, in the bits of fit which the gate always has zero.
const (
	retired  uint64 = 2 << iota // by Retire: replaced at its next checkout
	gone                        // closed, about to be, or detached
	closed                      // given to Backend.Close
	onReturn                    // Lease.OnReturn has something to do
	dirty                       // a holder that shared it has left without saying that it is clean
	alone                       // of a joint: it must not be left free; see joint.go
	aged                        // too old, and in use when upkeep found it so: replaced like a retired one
	markBits = 0xfe
)

func (h *hold[T]) has(mark uint64) bool { return h.fit.Load()&mark != 0 }

// mark sets marks and reports whether one of them was not set before.
func (h *hold[T]) mark(marks uint64) bool { return h.fit.Or(marks)&marks != marks }

func (h *hold[T]) epoch() uint64 { return epochOf(h.fit.Load()) }

// extra returns what few holds need, and makes it for those.
func (h *hold[T]) extra() *extra[T] {
	for {
		if e := h.more.Load(); e != nil {
			return e
		}
		h.more.CompareAndSwap(nil, new(extra[T]))
	}
}

// resource is the hold of the resource that the lease of h is of.
func (h *hold[T]) resource() *hold[T] {
	if e := h.more.Load(); e != nil && e.of != nil {
		return e.of
	}
	return h
}

// begun is how many leases of the hold there have been, the present one included.
func (h *hold[T]) begun() uint64 {
	v := h.word.v.Load()
	n := v >> stateBits
	if s := stateOf(v); s == leased || s == ended {
		n++
	}
	return n
}

// guard is what tells the garbage collector that a lease was dropped. While a hold is
// leased only the lease's copies point to its guard, so if that becomes
// unreachable nobody can release the lease any more. The cleanup, which costs a microsecond, is attached once, for
// many leases, also of the resources that come next in the seat; only a lease that does not end by Release costs a new guard.
//
// It must hold a pointer: the runtime packs small pointer-free objects together and
// frees them together.
type guard struct{ _ *guard }

// arm returns the hold's guard for a new lease.
func (h *hold[T]) arm() *guard {
	g := h.guard
	if g == nil {
		g = h.newGuard()
	}
	h.guard = nil
	return g
}

func (h *hold[T]) newGuard() *guard {
	p := h.rec.pool
	if p.opts.Dropped == IgnoreDropped {
		return &p.noGuard
	}
	g := new(guard)
	// The pointers are weak, or the runtime would keep hold, guard and pool alive for ever.
	if e := h.more.Load(); e != nil && e.of != nil {
		runtime.AddCleanup(g, droppedJoint[T], weak.Make(h))
	} else {
		runtime.AddCleanup(g, p.dropped, address[T]{p.self, h.rec.seat, h.rec.tenure()})
	}
	return g
}

// keep takes the guard back from a lease that is about to end. The race detector must not
// look: two Releases of one lease at the same time, which is a mistake of the user's that
// the word then settles, both store the same pointer here. The worst that can come of it is
// that a late store hides from the collector that the next lease was dropped.
//
//go:norace
func (h *hold[T]) keep(g *guard) { h.guard = g }

// address says whose guard it is at a fraction of the memory that a weak pointer to a hold takes.
// The number tells the guards of one seat apart unless there were a hundred million between two of them.
type address[T any] struct {
	pool   weak.Pointer[Pool[T]]
	seat   Seat
	tenure uint32
}

// dropped and droppedJoint run on the runtime's cleanup goroutine, which all cleanups of the
// process share: they must do no I/O and never block.
func dropped[T any](a address[T]) {
	if p := a.pool.Value(); p != nil {
		r := p.seats.at(a.seat)
		if h := r.own.Load(); h != nil && r.tenure() == a.tenure {
			p.noteDropped(h)
		}
	}
}

func droppedJoint[T any](w weak.Pointer[hold[T]]) {
	if h := w.Value(); h != nil {
		h.rec.pool.noteDropped(h)
	}
}

func (p *Pool[T]) noteDropped(h *hold[T]) {
	if stateOf(h.word.v.Load()) != leased {
		return // it ended by Discard or Detach, or with the pool
	}
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
		if stateOf(v) != leased {
			continue
		}
		if p.opts.Dropped == KeepDropped {
			if h.word.v.CompareAndSwap(v, p.afterRelease(v)) {
				p.countDropped(h)
				go p.leave(h, false)
			}
		} else if h.end(v) {
			p.countDropped(h)
			go p.discard(h, ErrDropped)
		}
	}
}

func (p *Pool[T]) countDropped(h *hold[T]) {
	p.counts.dropped.Add(1)
	var at string
	if p.log != nil {
		at = h.extra().trail.text()
	}
	p.logWarn("lease was dropped without Release", h.resource(), "acquired", at)
}

// end ends the lease that began with word v otherwise than by Release, and reports whether
// it still held. The seat then belongs to the caller, in state returning; for a
// shared seat, the lease's share of it.
func (h *hold[T]) end(v uint64) bool {
	if s := h.rec.sharing(); s != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.end(h, v)
	}
	return h.word.v.CompareAndSwap(v, with(v, ended))
}

// grant is what the holder of a joint leaves.
func (h *hold[T]) grant() Grant {
	e := h.extra()
	return Grant{Seat: h.rec.seat, Tenancy: e.tenancy.Load(), Joined: e.joined.Load()}
}

// sharing is what there is to know of a shared seat besides its record.
type sharing[T any] struct {
	mu    sync.Mutex
	holds []*hold[T] // the joints that exist
	free  []*hold[T] // those leased to nobody
	ended uint64     // leases that ended with their joint
	alone bool       // the first lease of the tenancy is over, under Nested: no joint stays free
}

// end is hold.end for a joint. The caller holds mu.
func (s *sharing[T]) end(h *hold[T], v uint64) bool {
	if !h.word.v.CompareAndSwap(v, with(v, ended)) {
		return false
	}
	s.drop(h)
	return true
}
