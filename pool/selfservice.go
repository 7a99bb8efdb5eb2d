package pool

import (
	"math/bits"
	"runtime"
	"sync/atomic"
	"unsafe"
	"weak"
)

// Self-service: the fast path. A free seat is lent and taken back by one compare-and-swap
// each, on the word of its hold, without asking the seating; nothing else is written that
// another goroutine reads. It is right because of three things:
//
//   - Whoever swaps a word from free has the seat, and nobody else does. The swap back to
//     free counts the lease, so it fails for a lease that is over, however late it comes.
//   - The gate is one word that changes whenever the free way is barred: the pool is closed,
//     disposed of or invalidated, or the seating wants to be asked (SelfService.Suspend).
//     Each side writes its word first and looks at the other's afterwards: who swaps a seat
//     looks at the gate, who changes the gate looks at the seats. Both are sequentially
//     consistent, so at least one of the two sees the other, and what it then does (settle,
//     Suspend, sweep) takes the seat back by compare-and-swap, which only one can do.
//   - The gate is compared with fit, which is what the gate was when the resource was
//     opened, and marks. So the one comparison also finds resources that are retired,
//     outdated, or have something to do on return.
//
// The swap on acquire is preceded by a look at the gate too. Without it, who comes when a
// waiter stands in line already could take a seat that is on its way to it.

// gate: bit 0 is attended; bits 1 to 7, where fit has marks, are zero; then the number of
// disposals, and in the high half the generation.
const (
	attended      = 1
	oneDisposal   = 1 << 8
	oneGeneration = 1 << 32
	disposals     = oneGeneration - oneDisposal
)

// epochOf is a gate or fit without what is not of the resource: a resource of an older epoch
// is not lent any more, and if a disposal came between, not kept either.
func epochOf(v uint64) uint64 { return v &^ (attended | markBits) }

// What the swaps of Acquire and Release add to a word, so that each is one addition.
const (
	freeToLeased = uint64(leased) - uint64(free)
	leasedToFree = oneLease - freeToLeased
)

// secondLook is for an acquirer who has taken a seat that has no guard yet, or while the gate
// changed from g. If the resource is not to be lent any more, the lease, which nobody has
// seen yet, is undone.
func (p *Pool[T]) secondLook(l *Lease[T], g uint64) bool {
	if l.guard == nil {
		l.guard = l.hold.newGuard()
	}
	return p.gate.Load() == g || p.retake(*l)
}

// retake looks again at a lease made while the gate changed.
func (p *Pool[T]) retake(l Lease[T]) bool {
	h := l.hold
	if epochOf(p.gate.Load()) == h.epoch() {
		return true // it is the line that changed: this acquirer was here before
	}
	p.undo(l)
	return false
}

// undo takes back a lease that nobody has seen, so that it does not count as one. It does not
// wait: what is to be done to the seat is not the acquirer's business.
func (p *Pool[T]) undo(l Lease[T]) {
	h := l.hold
	h.keep(l.guard)
	if h.word.v.CompareAndSwap(l.word, p.afterRelease(l.word)-oneLease) {
		go p.leave(h, true)
	} // else Close has ended the lease
}

// near is how many seats are looked at in search of a free one. Arbitrary: about as many as
// cost what a lock does.
const near = 128

// find looks for a free seat where the hint did not know one, takes it to state to, and
// leaves a hint. It looks at no more than a few seats, lest it cost more than asking the
// seating, which can know.
func (p *Pool[T]) find(to state, at uintptr) *hold[T] {
	// Where to look when another goroutine uses the same hint: so the two keep apart.
	if h := p.hints.table[at^1].Load(); h != nil && p.fits(h) {
		if _, ok := h.word.claim(to); ok {
			return h
		}
	}
	n := Seat(p.seats.n.Load())
	for seat := range min(n, near) {
		if h := p.seats.at(seat).own.Load(); h != nil && p.fits(h) {
			if _, ok := h.word.claim(to); ok {
				p.hints.table[at].Store(h)
				p.stirred()
				return h
			}
		}
	}
	return nil
}

// fits reports whether nothing stands in the way of lending h.
func (p *Pool[T]) fits(h *hold[T]) bool { return h.fit.Load() == p.gate.Load() }

// settle is for whoever has set a seat free and finds that the gate has changed: the seat
// may be wanted in the line, or not at all any more.
func (p *Pool[T]) settle(h *hold[T]) {
	switch _, ok := h.word.claim(idle); {
	case !ok: // somebody else sees to it
	case p.sharer != nil:
		p.leave(h, true)
	default:
		p.hand(h.rec, h)
	}
}

// Suspend implements SelfService.
func (h host[T]) Suspend(found func(Seat)) {
	h.gate.Or(attended)
	h.seats.all(func(r *record[T]) bool {
		if h.take1(r) {
			found(r.seat)
		}
		return true
	})
}

// Resume implements SelfService.
func (h host[T]) Resume() { h.gate.And(^uint64(attended)) }

// Look implements SelfService.
func (h host[T]) Look() { h.look = 63 * oneLease }

// Put implements SelfService.
func (h host[T]) Put(s Seat) {
	own := h.seats.at(s).own.Load()
	own.word.v.Store(with(own.word.v.Load(), free))
}

// Take implements SelfService.
func (h host[T]) Take(s Seat) bool {
	return int64(s) < h.seats.n.Load() && h.take1(h.seats.at(s))
}

func (h host[T]) take1(r *record[T]) bool {
	own := r.own.Load()
	if own == nil {
		return false
	}
	_, ok := own.word.claim(idle)
	return ok
}

// Free implements SelfService.
func (h host[T]) Free() (n int) {
	h.seats.all(func(r *record[T]) bool {
		if r.state() == free {
			n++
		}
		return true
	})
	return n
}

// hints remember where a goroutine found a seat last, so that it tends to get back the one
// whose cache lines it has. They are looked up by a hash of where its stack lies, which is
// the only thing that Go lets a goroutine know of itself for nothing. A hint may be wrong:
// what it leads to is claimed like any other seat. It is written only after a search, or when
// the seating lent a seat.
//
// Hints last until the next garbage collection, as what lies in a sync.Pool does. Then
// everyone searches once more, from the lowest seat up: so what low load does not need collects
// at the high end, falls idle and can age, also where many goroutines come seldom, each of
// which would otherwise keep a seat of its own warm. A program that does nothing is
// collected every two minutes, unless it has turned the collector off. To look for a lower
// seat now and then instead was measured: once in 64 leases makes the parallel cycle twice as
// slow, since goroutines that run take each other's seats.
type hints[T any] struct {
	table []atomic.Pointer[hold[T]]
	shift uint8
}

// newHints has room for several times as many goroutines as can run at once, so that those
// seldom share a hint.
func newHints[T any]() hints[T] {
	n := max(6, bits.Len(uint(16*max(runtime.GOMAXPROCS(0), runtime.NumCPU())-1)))
	return hints[T]{make([]atomic.Pointer[hold[T]], 1<<n), uint8(64 - n)}
}

// note leaves a hint to a seat that the seating has lent. Where there is a line, seats go from
// hand to hand, and only who has no hint notes one.
func (t *hints[T]) note(at uintptr, h *hold[T], gate uint64) {
	if old := t.table[at].Load(); old == nil || old != h && gate&attended == 0 {
		t.table[at].Store(h)
	}
}

// of is the hint for an owner that the seating has numbered.
func (t *hints[T]) of(owner uint64) *atomic.Pointer[hold[T]] {
	return &t.table[uintptr(owner*0x9e3779b97f4a7c15>>(t.shift&63))&uintptr(len(t.table)-1)]
}

// index is where the hint of the calling goroutine is. It is asked once for each Acquire, in its
// own frame, or what was found farther down the stack might be noted elsewhere. It hashes the
// address of a variable on the stack. Stacks are at least 2 KB long and
// aligned to that; the multiplier is Knuth's, 2⁶⁴ divided by the golden ratio.
func (t *hints[T]) index() uintptr {
	var here byte
	return uintptr(uint64(uintptr(unsafe.Pointer(&here)))>>11*0x9e3779b97f4a7c15>>(t.shift&63)) & uintptr(len(t.table)-1)
}

// forgetAtCollection forgets all hints at each garbage collection from now on.
func (p *Pool[T]) forgetAtCollection() {
	type sentinel struct{ _ *byte } // unreachable at once, so the next collection finds it
	runtime.AddCleanup(new(sentinel), func(self weak.Pointer[Pool[T]]) {
		if p := self.Value(); p != nil && !p.closed.Load() {
			p.hints.forgetAll()
			p.forgetAtCollection()
		}
	}, p.self)
}

func (t *hints[T]) forgetAll() {
	for i := range t.table {
		if t.table[i].Load() != nil {
			t.table[i].Store(nil)
		}
	}
}

// forget removes the hints to a hold that is not used any more, so that its resource can be
// collected.
func (t *hints[T]) forget(h *hold[T]) {
	for i := range t.table {
		if t.table[i].Load() == h {
			t.table[i].CompareAndSwap(h, nil)
		}
	}
}
