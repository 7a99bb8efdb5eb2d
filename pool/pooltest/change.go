package pooltest

import (
	"context"
	"errors"
	"testing/synctest"

	"github.com/lidopool/lido/pool"
)

// The promises about what is opened for nobody, or not at all, and about changes at run time.

func unneededOpenIsNotBegun(k *kit) {
	h := k.seat()
	ctx, cancel := context.WithCancel(k.stranger())
	a := h.ask(ctx, pool.Wait)
	synctest.Wait()
	if n := h.wishes(); n != 1 {
		k.Fatalf("an acquirer with nothing open asked for %d opens, want 1", n)
	}
	cancel()
	synctest.Wait()
	if !a.done() {
		k.Fatal("an acquirer whose ctx has ended is not answered")
	}
	if s, begun := h.begin(); begun {
		k.Errorf("Begin(%d) = true though its acquirer has left, want false", s)
	}
	if n := h.seating.Load(); n.Lent+n.Idle+n.Opening+n.Waiting != 0 {
		k.Errorf("after an open that was not begun Load is %+v, want nothing", n)
	}
	g := k.granted(h, k.stranger())
	h.ready(g)
	h.leave(g)
	h.seating.Close()
}

func stockOpensForNobody(k *kit) {
	h := k.seat()
	n := k.many()
	if k.Keep != pool.Unlimited {
		n = min(n, k.Keep)
	}
	if open := h.seating.Stock(n); open != 0 || h.wishes() != n {
		k.Fatalf("Stock(%d) of an empty seating = %d with %d opens asked for, want 0 and %d", n, open, h.wishes(), n)
	}
	if h.seating.Stock(n); h.wishes() != n {
		k.Errorf("Stock(%d) again: %d opens asked for, want no more than the %d that are", n, h.wishes(), n)
	}
	for range n {
		if wished, taken := h.opened(nil); !wished || !taken {
			k.Fatalf("an open of Stock: begun %t, taken %t; want both, though nobody waits", wished, taken)
		}
	}
	if open, l := h.seating.Stock(n), h.seating.Load(); open != n || l.Idle != n || h.wishes() != 0 {
		k.Errorf("Stock(%d) of %d idle = %d with %d opens asked for, and Load %+v; want %d, none, and all idle", n, n, open, h.wishes(), l, n)
	}
	if h.seating.Stock(n + 100); k.bounded() && h.wishes() > k.Seats-n {
		k.Errorf("Stock(%d) with %d open of %d seats asked for %d opens, want no more than there are seats", n+100, n, k.Seats, h.wishes())
	}
	h.seating.Close()
	asked := h.wishes()
	if open := h.seating.Stock(n); open != 0 || h.wishes() != asked {
		k.Errorf("Stock after Close = %d with %d more opens asked for, want 0 and none", open, h.wishes()-asked)
	}
}

func pausedSeatingLendsNothing(k *kit) {
	h := k.seat()
	owner := k.stranger()
	g := k.granted(h, owner)
	h.ready(g)
	h.seating.Pause(true)
	h.seating.Pause(true)
	if h.goesOn() && !k.shares() && k.plain {
		k.Error("self-service goes on while the seating is paused")
	}
	if _, err := h.acquire(k.stranger(), pool.NoWait); !errors.Is(err, pool.ErrSuspended) && !k.refused(err) {
		k.Errorf("Acquire under NoWait of a paused seating: %v, want ErrSuspended", err)
	}
	if k.Sharing == pool.Nested {
		joined := h.ask(owner, pool.Wait)
		synctest.Wait()
		if !joined.done() || joined.err != nil || !joined.grant.Joined {
			k.Fatalf("a holder that joins its own tenancy while paused: done %t, %v; want it to join, or it could never end", joined.done(), joined.err)
		}
		h.leave(joined.grant)
	}
	h.leave(g) // is taken
	a := h.ask(k.stranger(), pool.Wait)
	k.settle()
	if a.done() || h.wishes() != 0 {
		k.Fatalf("Acquire of a paused seating: done %t (%v), with %d opens asked for; want it to wait, and none", a.done(), a.err, h.wishes())
	}
	if n := h.seating.Load(); !n.Paused || n.Lent != 0 || n.Waiting != 1 {
		k.Errorf("Load of a paused seating is %+v, want it Paused, nothing lent, one waiting", n)
	}
	h.seating.Pause(false)
	synctest.Wait()
	if !a.done() {
		h.opened(nil) // nothing was kept
		synctest.Wait()
	}
	if !a.done() || a.err != nil {
		k.Fatalf("who waited, after Pause(false): done %t, %v; want a grant", a.done(), a.err)
	}
	h.ready(a.grant)
	h.leave(a.grant)
	h.seating.Close()
}

// otherKind is a strategy that no seating can be resized to.
type otherKind struct{}

func (otherKind) Kind() string                          { return "another kind" }
func (otherKind) Start(pool.Host) (pool.Seating, error) { return struct{ pool.Seating }{}, nil }

func resizeChangesNumbersOnly(k *kit) {
	h := k.seat()
	r, ok := h.seating.(pool.Resizer)
	if !ok {
		k.Log("does not apply: the Seating is no pool.Resizer")
		return
	}
	g := k.granted(h, k.stranger())
	h.ready(g)
	if err := r.Resize(otherKind{}); err == nil {
		k.Error("Resize to a strategy of another kind: nil, want an error")
	}
	if err := r.Resize(k.newStrategy()); err != nil {
		k.Errorf("Resize to what it is: %v, want nil", err)
	}
	if l := h.seating.Limits(); l != k.Limits {
		k.Errorf("Limits are %+v after that, want %+v still", l, k.Limits)
	}
	h.leave(g)
	g = k.granted(h, k.stranger())
	h.ready(g)
	h.leave(g)
	h.seating.Close()
	if err := r.Resize(k.newStrategy()); h.wishes() != 0 {
		k.Errorf("Resize of a closed seating (%v) asked for %d opens, want none", err, h.wishes())
	}
}
