package pooltest

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing/synctest"

	"github.com/lidopool/lido/pool"
)

// The promises of a Seating to the pool, tested without one: so every step is the test's own.

// granted is the grant that a new owner gets when an open succeeds.
func (k *kit) granted(h *host, ctx context.Context) pool.Grant {
	k.Helper()
	a := h.ask(ctx, pool.Wait)
	synctest.Wait()
	if !a.done() {
		h.opened(nil)
		synctest.Wait()
	}
	if !a.done() || a.err != nil {
		k.Fatalf("Acquire with a free seat and an open that succeeds: done %t, error %v; want a grant", a.done(), a.err)
	}
	return a.grant
}

func seatsAreInOnePairOfHands(k *kit) {
	h := k.seat()
	stop := make(chan struct{})
	var server, workers sync.WaitGroup
	server.Go(func() {
		h.serve(stop, func() error {
			switch rand.IntN(20) {
			case 0, 1:
				return errDown
			case 2:
				return errLate
			}
			return nil
		})
	})
	for range 8 {
		workers.Go(func() {
			for i := range races / 4 {
				if i == races/5 {
					h.askAlways()
				}
				k.handle(h)
			}
		})
	}
	workers.Wait()
	synctest.Wait()
	close(stop)
	server.Wait()
	if n := h.seating.Load(); n.Lent+n.Opening+n.Waiting != 0 {
		k.Errorf("at rest Load is %+v, want nothing lent, opening or waiting", n)
	} else if open := h.astray(); n.Idle != open {
		k.Errorf("at rest Load is %+v with %d resources open, want as many idle", n, open)
	}
	h.seating.Close()
}

// handle gets a seat and does one of the things that pools do with it.
func (k *kit) handle(h *host) {
	if k.Failed() {
		return // one report of a lost seat is enough
	}
	switch rand.IntN(16) {
	case 0:
		if s := pool.Seat(rand.IntN(k.many())); h.claim(s) { // as the pool does for its own care
			if open := rand.IntN(4) > 0; !open || !h.hand(s, true) {
				h.hand(s, false)
			}
		}
	case 1:
		if n := h.seating.Load(); n.Lent < 0 || n.Idle < 0 || n.Opening < 0 || n.Waiting < 0 {
			k.Errorf("Load is %+v, want nothing below zero", n)
		}
	}
	ctx, cancel := context.WithTimeout(k.stranger(), patience)
	defer cancel()
	if rand.IntN(4) == 0 {
		go cancel() // at any moment from now on
	}
	g, err := h.acquire(ctx, []pool.Mode{pool.Wait, pool.NoWait, pool.WhileMoving}[rand.IntN(3)])
	if err == nil && !g.Joined && rand.IntN(8) == 0 {
		g, err = h.replace(ctx, g)
	}
	switch {
	case errors.Is(err, pool.ErrTimeout) || errors.Is(err, context.DeadlineExceeded):
		k.Errorf("Acquire: %v with all seats in use for a moment only; a waiter was forgotten", err)
	case err != nil:
		return
	case !k.shares() && rand.IntN(8) == 0:
		h.release(g.Seat, false)
	default:
		h.ready(g)
		h.leave(g)
	}
}

func claimTakesOnlyIdleSeats(k *kit) {
	h := k.seat()
	g := k.granted(h, k.stranger())
	if h.seating.Claim(g.Seat) {
		k.Errorf("Claim(%d) = true for a seat that is lent", g.Seat)
	}
	if never := pool.Seat(1 << 20); h.seating.Claim(never) {
		k.Errorf("Claim(%d) = true for a seat that was never used", never)
	}
	h.ready(g)
	h.leave(g)
	idle := h.seating.Load().Idle == 1
	if got := h.claim(g.Seat); got != idle {
		k.Errorf("Claim(%d) = %t of a returned seat, Load.Idle == 1 is %t; want the same", g.Seat, got, idle)
	}
	if idle {
		if h.seating.Claim(g.Seat) {
			k.Errorf("Claim(%d) = true for a seat that is claimed", g.Seat)
		}
		a := h.ask(k.stranger(), pool.Wait)
		synctest.Wait()
		if a.done() && a.err == nil && a.grant.Seat == g.Seat {
			k.Errorf("seat %d was granted while claimed", g.Seat)
		}
		h.hand(g.Seat, true)
		h.opened(nil)
		synctest.Wait()
		if !a.done() || a.err != nil {
			k.Errorf("Acquire after a claimed seat came back: done %t, error %v; want a grant", a.done(), a.err)
		} else {
			h.ready(a.grant)
			h.leave(a.grant)
		}
	}
	h.seating.Close()
}

func replaceKeepsItsPlace(k *kit) {
	h := k.seat()
	g := k.granted(h, k.stranger())
	var next *asker
	if k.waits() {
		for range k.Seats - 1 {
			k.granted(h, k.stranger())
		}
		next = h.ask(k.stranger(), pool.Wait)
	}
	for _, fate := range []error{nil, errDown} {
		a := asking(func() (pool.Grant, error) { return h.replace(k.Context(), g) })
		synctest.Wait()
		if a.done() {
			k.Fatalf("Replace returned %v before its open was done", a.err)
		}
		if n := h.wishes(); n != 1 {
			k.Fatalf("Replace asked for %d opens, want 1", n)
		}
		h.opened(fate)
		synctest.Wait()
		if !a.done() || !errors.Is(a.err, fate) {
			k.Fatalf("Replace whose open ended with %v: done %t, error %v", fate, a.done(), a.err)
		}
		g = a.grant
		if fate == nil && next != nil && next.done() {
			k.Errorf("a waiter was answered (%v) before the holder that replaces", next.err)
		}
	}
	if next != nil {
		h.opened(nil)
		k.settle()
		if !next.done() || next.err != nil {
			k.Errorf("after a failed Replace left its seat, the waiter has no grant (done: %t, %v)", next.done(), next.err)
		}
	} else {
		k.granted(h, k.stranger())
	}
	h.seating.Close()
}

func overdueOpenKeepsItsSeat(k *kit) {
	h := k.seat()
	if k.bounded() && k.apart() {
		for range k.Seats - 1 {
			k.granted(h, k.stranger())
		}
	}
	a := h.ask(k.stranger(), pool.Wait)
	synctest.Wait()
	s := h.overdue(errDown)
	synctest.Wait()
	if !a.done() || !errors.Is(a.err, errDown) {
		k.Fatalf("a waiter whose open is overdue: done %t, error %v; want the error that Overdue gave", a.done(), a.err)
	}
	next := h.ask(k.stranger(), pool.Wait)
	synctest.Wait()
	if n := h.wishes(); k.bounded() && (n != 0 || next.done()) {
		k.Errorf("while the pool has the last seat, for an open that is overdue, the next acquirer is done: %t, with %d opens asked for; want it to wait", next.done(), n)
	}
	if !h.release(s, true) {
		h.release(s, false)
	}
	h.opened(nil)
	synctest.Wait()
	if !next.done() || next.err != nil {
		k.Errorf("after an overdue open came back, the next acquirer has no grant (done: %t, %v)", next.done(), next.err)
	}
	h.seating.Close()
}

func closedSeatingTakesNothing(k *kit) {
	h := k.seat()
	g := k.granted(h, k.stranger())
	var a *asker
	var s pool.Seat
	if k.apart() && k.many() > 1 {
		a = h.ask(k.stranger(), pool.Wait)
		synctest.Wait()
		var begun bool
		if s, begun = h.begin(); !begun {
			k.Fatal("the seating has no need for the open that a waiter asked for")
		}
	}
	h.close()
	h.close()
	if _, err := h.acquire(k.stranger(), pool.Wait); !errors.Is(err, pool.ErrClosed) && !k.refused(err) {
		k.Errorf("Acquire after Close: %v, want ErrClosed", err)
	}
	if a != nil {
		synctest.Wait()
		if !a.done() || !errors.Is(a.err, pool.ErrClosed) {
			k.Errorf("a waiter at Close: done %t, error %v; want ErrClosed", a.done(), a.err)
		}
		if h.answer(s, nil) {
			k.Error("Opened after Close = true, want an open resource to be refused")
		}
	}
	if sharer, ok := h.seating.(pool.Sharer); ok && !sharer.Leave(g) {
		k.Error("Leave of the only holder = false after Close, want true")
	}
	if h.release(g.Seat, true) {
		k.Error("Release(s, true) = true after Close, want an open resource to be refused")
	} else {
		h.release(g.Seat, false)
	}
	if n := h.seating.Load(); n.Lent+n.Idle+n.Opening+n.Waiting != 0 {
		k.Errorf("after Close, with every seat returned, Load is %+v, want nothing", n)
	}
}

func closedSeatingGivesUpWhatIsIdle(k *kit) {
	h := k.seat()
	g := k.granted(h, k.stranger())
	h.ready(g)
	h.leave(g)
	idle := h.seating.Load().Idle
	h.close()
	if _, err := h.acquire(k.stranger(), pool.Wait); !errors.Is(err, pool.ErrClosed) && !k.refused(err) {
		k.Errorf("Acquire after Close, with %d idle: %v, want ErrClosed", idle, err)
	}
	if got := h.claim(g.Seat); got != (idle == 1) {
		k.Errorf("Claim(%d) after Close = %t with %d idle, want what is idle, and nothing else", g.Seat, got, idle)
	} else if got {
		h.hand(g.Seat, false)
	}
	if n := h.seating.Load(); n.Lent+n.Idle+n.Opening+n.Waiting != 0 {
		k.Errorf("after Close, with every resource closed, Load is %+v, want nothing", n)
	}
	h.astray()
}

func joiningNeedsReady(k *kit) {
	h := k.seat()
	owner := k.stranger()
	first := k.granted(h, owner)
	if first.Joined {
		k.Fatal("the first grant is Joined")
	}
	b := h.ask(owner, pool.Wait)
	synctest.Wait()
	if b.done() {
		k.Errorf("a second holder was answered (%v) before the first was Ready", b.err)
	}
	h.ready(first)
	synctest.Wait()
	if !b.done() || b.err != nil || !b.grant.Joined || b.grant.Seat != first.Seat || b.grant.Tenancy != first.Tenancy {
		k.Fatalf("after Ready of %+v the second holder got %+v (done: %t, %v), want to join", first, b.grant, b.done(), b.err)
	}
	h.leave(first)
	h.leave(b.grant)
	h.seating.Close()
}

func onlyTheLastLeaves(k *kit) {
	h := k.seat()
	sharer := h.seating.(pool.Sharer)
	owner := k.stranger()
	for range races / 4 {
		grants := []pool.Grant{k.granted(h, owner)}
		h.ready(grants[0])
		for range 7 {
			grants = append(grants, k.granted(h, owner))
		}
		var last atomic.Int32
		var wg sync.WaitGroup
		for _, g := range grants {
			if !sharer.Current(g) {
				k.Fatalf("Current(%+v) = false before anybody left", g)
			}
			wg.Go(func() {
				if sharer.Leave(g) {
					last.Add(1)
				}
			})
		}
		wg.Wait()
		if n := last.Load(); n != 1 {
			k.Fatalf("%d of %d holders who left at once were told to be the last, want 1", n, len(grants))
		}
		h.release(grants[0].Seat, true)
		for _, g := range grants {
			if sharer.Current(g) || sharer.Leave(g) {
				k.Fatalf("grant %+v still counts after its tenancy ended", g)
			}
		}
	}
	h.seating.Close()
}

func nobodyJoinsADrainedTenancy(k *kit) {
	h := k.seat()
	owner := k.stranger()
	old := k.granted(h, owner)
	h.ready(old)
	also := k.granted(h, owner)
	h.seating.(pool.Sharer).Drain(also)
	next := h.ask(owner, pool.Wait)
	synctest.Wait()
	if next.done() {
		k.Errorf("a drained tenancy was joined: %+v, %v", next.grant, next.err)
	}
	if h.leave(old) || !h.leave(also) {
		k.Error("of the two holders of a drained tenancy not exactly the second was the last")
	}
	h.opened(nil) // in case it is replaced right away
	synctest.Wait()
	if !next.done() || next.err != nil || next.grant.Joined || next.grant.Tenancy == old.Tenancy {
		k.Errorf("after the tenancy of %+v ended the next is %+v (done: %t, %v), want one of its own", old, next.grant, next.done(), next.err)
	}
	h.seating.Close()
}
