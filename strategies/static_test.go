package strategies_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

func TestStaticOpensOnceForAllWhoComeTogether(t *testing.T) {
	with(t, strategies.Static{}, func(r *rig) {
		r.fake.Next(pooltest.Open, pooltest.Slow(100*time.Millisecond))
		var all []*asker
		for range 50 {
			all = append(all, r.ask(r.Context()))
		}
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		for i, a := range all {
			if !a.done() || a.err != nil || a.at != 100*time.Millisecond {
				r.Fatalf("acquirer %d of 50: done %t after %v, error %v; want the resource after 100 ms", i+1, a.done(), a.at, a.err)
			}
			r.wants(a.lease, 1, "there is one for all")
		}
		if n := r.fake.Calls(pooltest.Open); n != 1 {
			r.Errorf("50 first acquires made %d opens, want 1", n)
		}
		if s := r.Stats(); s.Leases != 50 || s.InUse != 1 {
			r.Errorf("Stats: %d leases, %d seats in use; want 50 and 1", s.Leases, s.InUse)
		}
		for _, a := range all {
			r.end(a.lease)
		}
	})
}

func TestStaticFailedOpenFailsAllWhoWaitedForIt(t *testing.T) {
	with(t, strategies.Static{}, func(r *rig) {
		r.fake.Next(pooltest.Open, pooltest.Slow(100*time.Millisecond, pooltest.Fail(errDown)))
		var all []*asker
		for range 50 {
			all = append(all, r.ask(r.Context()))
		}
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		for i, a := range all {
			if !a.done() || !errors.Is(a.err, errDown) || a.at != 100*time.Millisecond {
				r.Fatalf("acquirer %d of 50: done %t after %v, error %v; want the error of the open after 100 ms", i+1, a.done(), a.at, a.err)
			}
		}
		l := r.get()
		r.wants(l, 1, "the next Acquire opens again")
		r.end(l)
		if n := r.fake.Calls(pooltest.Open); n != 2 {
			r.Errorf("%d opens, want 2: the failed one and the next", n)
		}
	})
}

func TestStaticResetsOnlyOnTheLastReturn(t *testing.T) {
	with(t, strategies.Static{}, func(r *rig) {
		a, b, c := r.get(), r.get(), r.get()
		r.end(b, a)
		if got, want := r.fake.Story(), "open 1"; got != want {
			r.Errorf("with one of three holders left: %q, want %q: a reset would pull the rug from under it", got, want)
		}
		r.end(c)
		r.end(r.get())
		if got, want := r.fake.Story(), "open 1, reset 1, reset 1"; got != want {
			r.Errorf("after the last return, twice: %q, want %q", got, want)
		}
	})
}

func TestStaticStaysOpenWhenNobodyHoldsIt(t *testing.T) {
	with(t, strategies.Static{}, func(r *rig) {
		for range 5 {
			l := r.get()
			r.wants(l, 1, "it is kept")
			r.end(l)
		}
	})
}

func TestStaticIsReplacedOnceItsHoldersHaveLeft(t *testing.T) {
	for name, outdate := range map[string]func(r *rig, l lease){
		"Retire":     func(r *rig, l lease) { _ = l.Retire(nil) },
		"Invalidate": func(r *rig, _ lease) { r.Invalidate(nil) },
	} {
		t.Run(name, func(t *testing.T) {
			with(t, strategies.Static{}, func(r *rig) {
				a, b := r.get(), r.get()
				outdate(r, a)
				late := r.ask(r.Context())
				if late.done() {
					r.Fatalf("after %s the old resource was joined (%v), want a wait for its replacement", name, late.err)
				}
				if _, err := b.Get(); err != nil {
					r.Errorf("Get of a lease that began before %s: %v, want its resource", name, err)
				}
				r.end(a)
				synctest.Wait()
				if late.done() {
					r.Fatal("replaced while a holder is left")
				}
				r.end(b)
				synctest.Wait()
				if !late.done() {
					r.Fatal("the last holder has left and the waiter is not served")
				}
				r.wants(late.lease, 2, "the first was outdated by "+name)
				r.end(late.lease)
				if got, want := r.fake.Story(), "open 1, reset 1, close 1, open 2, reset 2"; got != want {
					r.Errorf("it went %q, want %q: one at a time", got, want)
				}
			})
		})
	}
}

func TestStaticDiscardByOneHolderInvalidatesTheOthers(t *testing.T) {
	with(t, strategies.Static{}, func(r *rig) {
		a, b := r.get(), r.get()
		if err := a.Discard(errDown); err != nil {
			r.Errorf("Discard: %v, want nil", err)
		}
		if _, err := b.Get(); !errors.Is(err, pool.ErrInvalidated) {
			r.Errorf("Get of another holder after Discard: %v, want ErrInvalidated", err)
		}
		c := r.get()
		r.wants(c, 2, "the first was discarded")
		if _, err := b.Get(); !errors.Is(err, pool.ErrInvalidated) {
			r.Errorf("Get of the old holder after the reopen: %v, want ErrInvalidated still", err)
		}
		r.end(b) // harmless
		if _, err := c.Get(); err != nil {
			r.Errorf("Get of the new holder after the old one's Release: %v, want its resource", err)
		}
		if s := r.Stats(); s.InUse != 1 || s.Leases != 1 {
			r.Errorf("Stats: %d in use, %d leases; want 1 and 1", s.InUse, s.Leases)
		}
		r.end(c)
	})
}

func TestStaticDiscardByAllHoldersClosesOnce(t *testing.T) {
	with(t, strategies.Static{}, func(r *rig) {
		a, b := r.get(), r.get()
		_ = a.Discard(errDown)
		_ = b.Discard(errDown)
		r.end(r.get())
		if n := r.fake.Closed(); n != 1 {
			r.Errorf("two holders discarded one resource, %d were closed, want 1", n)
		}
	})
}

func TestStaticSharesWithEverybodyOrNobody(t *testing.T) {
	with(t, strategies.Static{}, func(r *rig) {
		if _, err := r.AcquireUnique(r.Context()); !errors.Is(err, pool.ErrUnshareable) {
			r.Errorf("AcquireUnique: %v, want ErrUnshareable", err)
		}
		a, b := r.get(), r.get()
		if _, err := a.Detach(); !errors.Is(err, pool.ErrUnshareable) {
			r.Errorf("Detach with another holder: %v, want ErrUnshareable", err)
		}
		r.end(b)
		d, err := a.Detach()
		if err != nil {
			r.Fatalf("Detach by the only holder: %v, want nil", err)
		}
		l := r.get()
		r.wants(l, 2, "the first has left the pool")
		r.end(l)
		if err := d.Close(); err != nil {
			r.Errorf("Detached.Close: %v, want nil", err)
		}
	})
}

func TestStaticTryAcquireJoins(t *testing.T) {
	with(t, strategies.Static{}, func(r *rig) {
		a := r.get()
		b, err := r.TryAcquire(r.Context())
		if err != nil {
			r.Fatalf("TryAcquire of a held resource: %v, want a share", err)
		}
		_ = a.Retire(nil)
		if _, err := r.TryAcquire(r.Context()); !errors.Is(err, pool.ErrExhausted) {
			r.Errorf("TryAcquire of a retired resource with holders: %v, want ErrExhausted", err)
		}
		r.end(a, b)
	})
}

func TestStaticTimeoutEndsTheWaitForTheReplacement(t *testing.T) {
	with(t, strategies.Static{Timeout: 3 * time.Second}, func(r *rig) {
		l := r.get()
		r.Invalidate(nil)
		if _, err := r.Acquire(r.Context()); !errors.Is(err, pool.ErrTimeout) || r.now() != 3*time.Second {
			r.Errorf("Acquire by who still holds the old one: %v after %v, want ErrTimeout after 3 s", err, r.now())
		}
		r.end(l)
		l = r.get()
		r.wants(l, 2, "the first was invalidated")
		r.end(l)
	})
}

func TestStaticCanceledFirstAcquirerLeavesTheOpenToTheOthers(t *testing.T) {
	with(t, strategies.Static{Timeout: time.Minute}, func(r *rig) {
		r.fake.Next(pooltest.Open, pooltest.Slow(time.Second))
		ctx, cancel := context.WithCancel(r.Context())
		first, second := r.ask(ctx), r.ask(r.Context())
		cancel()
		time.Sleep(time.Second)
		synctest.Wait()
		if !first.done() || first.err == nil {
			r.Errorf("the canceled acquirer: done %t, error %v; want context.Canceled", first.done(), first.err)
		}
		if !second.done() || second.at != time.Second {
			r.Fatalf("the second acquirer: done %t after %v, error %v; want the first one's open after 1 s", second.done(), second.at, second.err)
		}
		r.end(second.lease)
	})
}
