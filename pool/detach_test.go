package pool_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

// detach detaches and closes at the test's end what the test has not closed.
func detach(t *testing.T, l testLease) *pool.Detached[res] {
	t.Helper()
	d, err := l.Detach()
	if err != nil {
		t.Fatalf("Detach: %v", err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func TestDetachFreesTheSeatAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, one, pool.Options{})
		l := acquire(t, p)
		out := start(t.Context(), p)
		d := detach(t, l)
		r := <-out
		if r.err != nil || r.took != 0 || r.lease.Value().ID != 2 {
			t.Errorf("the waiter got %v, %v after %v, want resource 2 at once", r.lease, r.err, r.took)
		}
		d.Value().Use(t)
		if f.OpenNow() != 2 || p.Stats().Open != 1 || p.Stats().Detached != 1 {
			t.Errorf("%d live, stats %+v; want 2 live of which the pool owns 1", f.OpenNow(), p.Stats())
		}
	})
}

func TestDetachedKeepsACopyOfInfo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := pool.NewKey[int]("n")
		rec := newRecorder()
		rec.on("detach", func(_ context.Context, e pool.Event[res]) error {
			if v, _ := key.Get(e.Info()); v != 1 {
				t.Errorf("Info of the detach event holds %d, want 1", v)
			}
			return nil
		})
		p := open(t, pooltest.NewFake(), one, pool.Options{}, rec.hooks())
		l := acquire(t, p)
		old := l.Info()
		key.Set(old, 1)
		d := detach(t, l)
		key.Set(old, 2)
		if v, _ := key.Get(d.Info()); v != 1 {
			t.Errorf("Detached.Info holds %d, want 1: it is a copy", v)
		}
		if l.Info() != nil || l.SeatInfo() != nil {
			t.Error("the detached lease still shows the pool's stores")
		}
	})
}

func TestDetachedCloseReturnsTheBackendsErrorOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, one, pool.Options{})
		d := detach(t, acquire(t, p))
		f.Next(pooltest.Reset, pooltest.Fail(errTest))
		f.Next(pooltest.Close, pooltest.Fail(errTest))
		is(t, "Detached.Close", d.Close(), errTest)
		if err := d.Close(); err != nil {
			t.Errorf("second Detached.Close: %v, want nil", err)
		}
		if got := f.Story(); got != "open 1, reset 1, close 1" {
			t.Errorf("backend calls %q, want one reset and one close", got)
		}
	})
}

func TestDetachedCloseIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, one, pool.Options{ResetTimeout: time.Second, CloseTimeout: 2 * time.Second})
		d := detach(t, acquire(t, p))
		hung := make(chan struct{})
		f.Next(pooltest.Close, pooltest.Hang(hung))
		begin := time.Now()
		err := d.Close()
		is(t, "Detached.Close while Backend.Close hangs", err, context.DeadlineExceeded)
		if took := time.Since(begin); took != 3*time.Second {
			t.Errorf("Detached.Close took %v, want ResetTimeout + CloseTimeout, 3s", took)
		}
		if got := p.Stats().Overdue; got != 1 {
			t.Errorf("Stats.Overdue = %d, want 1", got)
		}
		close(hung)
		synctest.Wait()
	})
}

func TestDetachedWithNothingToCloseIsClosedAllTheSame(t *testing.T) {
	p, err := pool.New[int](pool.Funcs[int]{OpenFunc: openInt}, one, pool.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	l, err := p.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d, err := l.Detach()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Errorf("Detached.Close: %v, want nil", err)
	}
	if s := p.Stats(); s.Closed != 1 || s.ClosedBy[pool.ReasonDetached] != 1 {
		t.Errorf("stats %+v, want 1 closed as detached", s)
	}
}

func TestDetachedOutlivesItsPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, one, pool.Options{})
		d := detach(t, acquire(t, p))
		if err := p.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown: %v, want nil: a detached resource is none of its business", err)
		}
		d.Value().Use(t)
		if err := d.Close(); err != nil {
			t.Errorf("Detached.Close after the pool's end: %v", err)
		}
	})
}

func TestSharedResourceIsDetachedOnlyByItsOnlyHolder(t *testing.T) {
	for _, s := range []pool.Strategy{strategies.Static{}, strategies.Singleton{Size: 1}} {
		t.Run(s.Kind(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := pooltest.NewFake()
				p := open(t, f, s, pool.Options{})
				a, b := acquire(t, p), acquire(t, p)
				_, err := a.Detach()
				is(t, "Detach while another holds it too", err, pool.ErrUnshareable)
				a.Value().Use(t)
				release(t, b)
				d := detach(t, a)
				d.Value().Use(t)
				if got := acquire(t, p).Value().ID; got != 2 {
					t.Errorf("the next holder got resource %d, want 2", got)
				}
			})
		})
	}
}

func TestDetachOfDiscardedSharedResourceFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, pooltest.NewFake(), strategies.Static{}, pool.Options{})
		a, b := acquire(t, p), acquire(t, p)
		_ = a.Discard(nil)
		if d, err := b.Detach(); err == nil {
			t.Errorf("Detach of a discarded resource gave %v, want an error", d.Value())
		}
		release(t, b)
	})
}

// Two copies of a lease are ended at once by different verbs: one of them wins, and nothing is lost.
func TestStressEndsOfOneLeaseThatRaceLoseNoSeat(t *testing.T) {
	ends := []func(testLease, *testPool){
		func(l testLease, _ *testPool) { _ = l.Release() },
		func(l testLease, _ *testPool) { _ = l.Discard(nil) },
		func(l testLease, _ *testPool) { _ = l.Fail(pooltest.ErrDead) },
		func(l testLease, _ *testPool) {
			if d, err := l.Detach(); err == nil {
				_ = d.Close()
			}
		},
	}
	for _, s := range []pool.Strategy{one, strategies.Static{}} {
		t.Run(s.Kind(), func(t *testing.T) {
			until := time.Now().Add(stressFor(t) / 2) // real time: races are looked for
			f := pooltest.NewFake()
			p := open(t, f, s, pool.Options{})
			for n := 0; time.Now().Before(until); n++ {
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				l, err := p.Acquire(ctx)
				cancel()
				if err != nil {
					t.Fatalf("Acquire after %d rounds: %v; a seat was lost when two verbs ended one lease", n, err)
				}
				var both sync.WaitGroup
				both.Go(func() { ends[n%len(ends)](l, p) })
				both.Go(func() { ends[n/len(ends)%len(ends)](l, p) })
				both.Wait()
			}
		})
	}
}
