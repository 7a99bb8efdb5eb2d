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

func TestNullNeverLendsAResourceTwice(t *testing.T) {
	with(t, strategies.Null{Max: pool.Unlimited}, func(r *rig) {
		for id := range 10 {
			l := r.get()
			r.wants(l, id+1, "a fresh one each time")
			r.end(l)
			if n := r.fake.OpenNow(); n != 0 {
				r.Fatalf("%d resources are open after the release, want none", n)
			}
		}
		if s := r.Stats(); s.ClosedBy[pool.ReasonOverflow] != 10 {
			r.Errorf("closed %v, want 10 as overflow, never to be kept", s.ClosedBy)
		}
	})
}

func TestNullResetsBeforeItCloses(t *testing.T) {
	with(t, strategies.Null{Max: pool.Unlimited}, func(r *rig) {
		r.end(r.get())
		if got, want := r.fake.Story(), "open 1, reset 1, close 1"; got != want {
			r.Errorf("a cycle was %q, want %q", got, want)
		}
	})
}

func TestNullDoesNotHandAReturnedResourceToAWaiter(t *testing.T) {
	with(t, strategies.Null{Max: 1}, func(r *rig) {
		l := r.get()
		a, b := r.ask(r.Context()), r.ask(r.Context())
		if a.done() || b.done() {
			r.Fatal("served beyond the cap of 1")
		}
		r.end(l)
		synctest.Wait()
		if !a.done() || b.done() {
			r.Fatalf("first waiter served: %t, second: %t; want only the first", a.done(), b.done())
		}
		r.wants(a.lease, 2, "the first was closed")
		r.end(a.lease)
		synctest.Wait()
		r.wants(b.lease, 3, "the second was closed")
		r.end(b.lease)
		if n := r.fake.MaxOpen(); n != 1 {
			r.Errorf("%d were open at once, want the cap, 1", n)
		}
	})
}

func TestNullWaitsForTheCloseBeforeItOpensInTheSameSeat(t *testing.T) {
	with(t, strategies.Null{Max: 1}, func(r *rig) {
		r.fake.Always(pooltest.Close, pooltest.Slow(time.Second))
		l := r.get()
		a := r.ask(r.Context())
		r.end(l) // takes a second
		synctest.Wait()
		if !a.done() || a.at != time.Second {
			r.Fatalf("waiter served: %t, after %v; want 1 s, when the close is done", a.done(), a.at)
		}
		r.end(a.lease)
	})
}

func TestNullOpenOfACanceledCallerServesTheNextWaiter(t *testing.T) {
	with(t, strategies.Null{Max: 1}, func(r *rig) {
		r.fake.Next(pooltest.Open, pooltest.Slow(time.Second))
		ctx, cancel := context.WithCancel(r.Context())
		gone := r.ask(ctx)
		next := r.ask(r.Context())
		cancel()
		time.Sleep(time.Second)
		synctest.Wait()
		if !errors.Is(gone.err, context.Canceled) {
			r.Errorf("the canceled caller got %v, want context.Canceled", gone.err)
		}
		if !next.done() || next.at != time.Second {
			r.Fatalf("the next was served: %t, after %v; want 1 s, with the open of the first", next.done(), next.at)
		}
		r.wants(next.lease, 1, "the open of the canceled caller")
		r.end(next.lease)
	})
}

func TestNullClosesWhatNobodyWaitsForAnyMore(t *testing.T) {
	with(t, strategies.Null{Max: 1}, func(r *rig) {
		r.fake.Next(pooltest.Open, pooltest.Slow(time.Second))
		ctx, cancel := context.WithTimeout(r.Context(), time.Millisecond)
		defer cancel()
		r.ask(ctx)
		time.Sleep(time.Second)
		synctest.Wait()
		if s := r.Stats(); s.Open != 0 || s.ClosedBy[pool.ReasonUnwanted] != 1 {
			r.Errorf("after an open that nobody waited for: %v, closed %v; want none open and 1 closed as unwanted", s, s.ClosedBy)
		}
		r.end(r.get())
	})
}

func TestNullTimeoutEndsTheWait(t *testing.T) {
	with(t, strategies.Null{Max: 1, Timeout: 3 * time.Second}, func(r *rig) {
		l := r.get()
		if _, err := r.Acquire(r.Context()); !errors.Is(err, pool.ErrTimeout) || r.now() != 3*time.Second {
			r.Errorf("Acquire: %v after %v, want ErrTimeout after 3 s", err, r.now())
		}
		r.end(l)
	})
}
