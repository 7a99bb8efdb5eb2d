package pool

import (
	"context"
	"errors"
	"fmt"
	"runtime"
)

// Lease is the right to use a resource, from Acquire to its end by Release, Discard
// or Detach. It is a small value: copies stand for the same lease, which ends once.
// The zero Lease is one that has ended.
//
// A lease that is dropped without Release comes back when the garbage collector finds it
// unreachable (Options.Dropped). That is a safety net. It cannot see a resource that was
// taken out of its lease by Value and is used after the lease's last mention, nor a lease that is dropped while a
// copy of an earlier one of the same seat is kept, so release with defer, or use Pool.Do.
type Lease[T any] struct {
	hold  *hold[T]
	guard *guard
	word  uint64
}

// Get returns the resource, or an error that satisfies errors.Is for ErrReleased when the
// lease has ended, or for ErrInvalidated when the pool or another holder has discarded the
// resource. It is never another holder's resource.
func (l Lease[T]) Get() (T, error) {
	if h := l.hold; h != nil && h.word.v.Load() == l.word && !h.has(gone) {
		return h.value, nil
	}
	return l.none()
}

// Value is Get for holders who know that they hold: it panics with Get's error.
func (l Lease[T]) Value() T {
	v, err := l.Get()
	if err != nil {
		panic(err)
	}
	return v
}

// none says why there is no resource.
func (l Lease[T]) none() (zero T, err error) {
	switch h := l.hold; {
	case h == nil:
	case h.word.v.Load() == l.word, l.endedOtherwise() && h.rec.pool.closed.Load():
		return zero, ErrInvalidated
	}
	return zero, ErrReleased
}

// endedOtherwise reports whether the lease ended by Discard or Detach, or was ended by the
// pool.
func (l Lease[T]) endedOtherwise() bool {
	return l.hold != nil && l.hold.word.v.Load() == with(l.word, ended)
}

// Release gives the resource back: hooks and Backend.Reset run, bounded by
// Options.ResetTimeout, then the longest waiter gets it, or it is kept, or closed as
// overflow (bounded by Options.CloseTimeout). A reset that fails discards the resource,
// which is no error of Release.
//
// A second Release does nothing and returns ErrReleased; it is counted in Stats and
// logged. A Release after Discard, Detach or the pool's Close is harmless and returns nil.
func (l Lease[T]) Release() error {
	// The fast way; selfservice.go says why it is right.
	if h := l.hold; h != nil {
		p := h.rec.pool
		g := p.gate.Load()
		if h.fit.Load() == g && h.word.v.Load() == l.word && l.word&p.look != 0 {
			h.keep(l.guard)
			if h.word.v.CompareAndSwap(l.word, l.word+leasedToFree) {
				if p.gate.Load() != g || h.fit.Load() != g {
					p.settle(h)
				}
				return nil
			}
		}
	}
	return l.release(false)
}

// ReleaseClean is Release for a holder who knows that there is nothing to reset:
// Backend.Reset is skipped. Hooks are not. Without those, a logger and PingAfter it costs what
// Release costs where nothing is reset.
func (l Lease[T]) ReleaseClean() error {
	if h := l.hold; h != nil { // the fast way of Release
		p := h.rec.pool
		g := p.gate.Load()
		if h.fit.Load() == g && h.word.v.Load() == l.word && l.word&p.lookClean != 0 {
			h.keep(l.guard)
			if h.word.v.CompareAndSwap(l.word, l.word+leasedToFree) {
				if p.gate.Load() != g || h.fit.Load() != g {
					p.settle(h)
				}
				return nil
			}
		}
	}
	return l.release(true)
}

func (l Lease[T]) release(clean bool) error {
	h := l.hold
	if h == nil {
		return ErrReleased
	}
	// Looked at first, lest a stale lease touch the guard of the present one.
	if h.word.v.Load() != l.word {
		return l.misuse("Release")
	}
	h.keep(l.guard)
	p := h.rec.pool
	if (p.plainIn || clean && p.plainClean) && p.sharer == nil && h.fit.Load() == epochOf(p.gate.Load()) {
		if !h.word.v.CompareAndSwap(l.word, with(l.word+oneLease, idle)) {
			return l.misuse("Release")
		}
		p.hand(h.rec, h)
		return nil
	}
	if !h.word.v.CompareAndSwap(l.word, p.afterRelease(l.word)) {
		return l.misuse("Release")
	}
	p.leave(h, clean)
	return nil
}

// afterRelease is the word that follows v when its lease is released.
func (p *Pool[T]) afterRelease(v uint64) uint64 {
	if p.sharer != nil {
		return with(v+oneLease, idle)
	}
	return with(v+oneLease, returning)
}

// misuse answers a verb on a lease that has ended.
func (l Lease[T]) misuse(verb string) error {
	switch {
	case l.hold == nil:
		return ErrReleased
	case l.endedOtherwise() && verb == "Release":
		return nil
	case l.endedOtherwise():
		return ErrReleased
	}
	p := l.hold.rec.pool
	p.counts.misused.Add(1)
	if p.opts.Stacks {
		p.logWarn(verb+" of a lease that is over", nil, "seat", l.hold.rec.seat, "called", stack(nil).callers())
	} else {
		p.logWarn(verb+" of a lease that is over", nil, "seat", l.hold.rec.seat)
	}
	return ErrReleased
}

// Discard ends the lease and closes the resource now (hard invalidation), bounded by
// Options.CloseTimeout. Its seat is empty afterwards. Other holders that share the resource
// find their leases invalidated. cause is told to the hooks and the log; it may be nil.
func (l Lease[T]) Discard(cause error) error {
	h := l.hold
	defer runtime.KeepAlive(l.guard) // lest it be taken for dropped on its last mention
	if h == nil || !h.end(l.word) {
		return l.misuse("Discard")
	}
	h.rec.pool.discard(h, cause)
	return nil
}

// Retire marks the resource for replacement (soft invalidation): the lease goes on, and
// whoever would get the resource next gets a fresh one instead. cause is told to the hooks
// and the log; it may be nil.
func (l Lease[T]) Retire(cause error) error {
	h := l.hold
	defer runtime.KeepAlive(l.guard)
	if h == nil || h.word.v.Load() != l.word {
		return l.misuse("Retire")
	}
	h.rec.pool.retire(h, cause)
	return nil
}

// Fail tells the pool of an error met while using the resource, and returns it. What
// Backend.Classify takes for Dead discards the resource and ends the lease; AllDead does
// that and invalidates all resources of the same generation.
func (l Lease[T]) Fail(err error) error {
	if err == nil || l.hold == nil {
		return err
	}
	if fault := l.hold.rec.pool.classify(err); fault != Sound {
		l.fail(fault, err)
	}
	return err
}

func (l Lease[T]) fail(f Fault, err error) {
	h := l.hold
	defer runtime.KeepAlive(l.guard)
	if !h.end(l.word) {
		return
	}
	if f == AllDead {
		h.rec.pool.invalidateEpoch(h.epoch(), err)
	}
	h.rec.pool.discard(h, err)
}

// OnReturn has f called once, with the resource, when it is returned: after Backend.Reset,
// the last one given first, before the Checkin hooks. It is not called if the resource is
// discarded or detached instead. An error discards the resource.
func (l Lease[T]) OnReturn(f func(ctx context.Context, res T) error) error {
	h := l.hold
	if h == nil || h.word.v.Load() != l.word {
		return l.misuse("OnReturn")
	}
	res := h.resource()
	e := res.extra()
	e.mu.Lock()
	e.once = append(e.once, f)
	e.mu.Unlock()
	res.mark(onReturn)
	if s := h.rec.sharing(); s != nil { // so that none of its joints stays free
		s.mu.Lock()
		defer s.mu.Unlock()
		s.markAll(res, onReturn)
	}
	return nil
}

// Info is the resource's own store, empty again once the resource is replaced. Nil
// if the lease has ended.
func (l Lease[T]) Info() *Info {
	if _, err := l.Get(); err != nil {
		return nil
	}
	return &l.hold.resource().extra().info
}

// SeatInfo is the seat's store, which outlasts the resources in it. Nil if the lease
// has ended.
func (l Lease[T]) SeatInfo() *Info {
	if _, err := l.Get(); err != nil {
		return nil
	}
	return l.hold.rec.pool.seats.info(l.hold.rec.seat)
}

// Seat is the seat's number. Of the zero Lease it means nothing.
func (l Lease[T]) Seat() Seat {
	if l.hold == nil {
		return 0
	}
	return l.hold.rec.seat
}

func (l Lease[T]) String() string {
	if l.hold == nil {
		return "lease (none)"
	}
	if _, err := l.Get(); errors.Is(err, ErrReleased) {
		return fmt.Sprintf("lease of seat %d (ended)", l.hold.rec.seat)
	}
	return fmt.Sprintf("lease of seat %d", l.hold.rec.seat)
}
