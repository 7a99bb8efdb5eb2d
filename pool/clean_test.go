package pool_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

// A pool that resets, of which some holders say that there is nothing to reset: each takes his own way
// back, while the pool is disposed of and invalidated. It looks for races, and so runs in real time.
func TestStressCleanReleasesBesideResets(t *testing.T) {
	for name, kind := range map[string]pool.Check{"unchecked": pool.NoCheck, "checked": pool.QuickCheck} {
		t.Run(name, func(t *testing.T) {
			var checks, resets atomic.Int64
			f := pooltest.NewFake()
			f.Always(pooltest.Reset, func(context.Context) error { resets.Add(1); return nil })
			b := checked{f, kind, func(context.Context, res) error { checks.Add(1); return nil }}
			p, err := pool.New[res](b, strategies.Queue{Size: 2, MaxOverflow: 1}, pool.Options{})
			if err != nil {
				t.Fatal(err)
			}
			var leases, dirty atomic.Int64
			until := time.Now().Add(stressFor(t) / 10)
			var all sync.WaitGroup
			for range 6 {
				all.Go(func() {
					for time.Now().Before(until) {
						l, err := p.Acquire(t.Context())
						if err != nil {
							t.Error(err)
							return
						}
						leases.Add(1)
						r := l.Value()
						r.Take(t)
						if rand.IntN(4) == 0 {
							runtime.Gosched()
						}
						r.Give(t)
						switch rand.IntN(50) {
						case 0:
							_ = l.Retire(errTest)
						case 1:
							p.Invalidate(errTest)
						case 2:
							p.Dispose()
						}
						back := l.ReleaseClean
						if rand.IntN(3) == 0 {
							dirty.Add(1)
							back = l.Release
						}
						if err := back(); err != nil {
							t.Errorf("the release: %v", err)
						}
						if back() == nil {
							t.Error("a second release was taken")
						}
					}
				})
			}
			all.Wait()
			if err := p.Shutdown(t.Context()); err != nil {
				t.Errorf("Shutdown: %v, want nil: every lease was ended", err)
			}
			atRest(t, p)
			f.Verify(t)
			if got, want := resets.Load(), dirty.Load(); got != want {
				t.Errorf("%d resets after %d releases that were not clean", got, want)
			}
			// Not of each: what was opened since the acquirer came needs none.
			if n := checks.Load(); n > leases.Load() || (n > 0) != (kind != pool.NoCheck) {
				t.Errorf("%d checks in %d checkouts, want at most one for each", n, leases.Load())
			}
		})
	}
}

// Holders who share and come and go, of whom some leave something. It looks for races, and so runs in real time.
func TestStressNobodyAfterTheLastHolderSeesWhatOneHasLeft(t *testing.T) {
	for _, s := range []pool.Strategy{strategies.Static{}, strategies.Singleton{Size: 2}} {
		t.Run(s.Kind(), func(t *testing.T) {
			type counter = *atomic.Int64 // of who has left something in it
			var clean, resets, unclean atomic.Int64
			b := pool.Funcs[counter]{
				OpenFunc:  func(context.Context) (counter, error) { return new(atomic.Int64), nil },
				ResetFunc: func(_ context.Context, left counter) error { resets.Add(1); left.Store(0); return nil },
			}
			p, err := pool.New[counter](b, s, pool.Options{}, pool.Hooks[counter]{Reset: func(_ context.Context, e pool.Event[counter]) error {
				if !e.Clean {
					unclean.Add(1)
					return nil
				}
				clean.Add(1)
				if n := e.Resource.Load(); n != 0 {
					t.Errorf("%d holders have left something in a resource that is taken back as clean", n)
				}
				return nil
			}})
			if err != nil {
				t.Fatal(err)
			}
			until := time.Now().Add(stressFor(t) / 10)
			var all sync.WaitGroup
			for range 2 {
				ctx, end := pool.WithScope(t.Context()) // two goroutines share one of singleton's
				defer end()
				for range 2 {
					all.Go(func() {
						for time.Now().Before(until) {
							l, err := p.Acquire(ctx)
							if err != nil {
								t.Error(err)
								return
							}
							back := l.ReleaseClean
							if rand.IntN(20) == 0 {
								l.Value().Add(1)
								back = l.Release
							}
							if rand.IntN(8) == 0 {
								runtime.Gosched() // so that another comes before this one leaves
							}
							if err := back(); err != nil {
								t.Error(err)
							}
							if rand.IntN(2) == 0 {
								runtime.Gosched() // so that nobody comes before the last leaves
							}
						}
					})
				}
			}
			all.Wait()
			if err := p.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			if clean.Load() == 0 || unclean.Load() == 0 || resets.Load() != unclean.Load() {
				t.Errorf("%d clean returns, %d others, %d resets; want some of each, and a reset for each of the others", clean.Load(), unclean.Load(), resets.Load())
			}
		})
	}
}

func TestACleanReleaseOfADisposedPoolClosesTheResource(t *testing.T) {
	for name, end := range map[string]func(*testPool){
		"Dispose": func(p *testPool) { p.Dispose() }, "Invalidate": func(p *testPool) { p.Invalidate(errTest) },
	} {
		f := pooltest.NewFake()
		p := open(t, f, one, pool.Options{})
		l := acquire(t, p)
		end(p)
		if err := l.ReleaseClean(); err != nil {
			t.Fatal(err)
		}
		old := l
		l = acquire(t, p)
		if f.Opened() != 2 || f.OpenNow() != 1 || f.Calls(pooltest.Reset) != 0 {
			t.Errorf("%s: %d were opened, %d are open, %d resets; want a new one in place of the old, and no reset", name, f.Opened(), f.OpenNow(), f.Calls(pooltest.Reset))
		}
		if err := old.ReleaseClean(); err == nil {
			t.Errorf("%s: a second clean release was taken", name)
		}
		release(t, l)
	}
}

func TestACleanReleaseAsksNobodyAlsoWhereThereIsAReset(t *testing.T) {
	resets := 0
	f, b := &flicker{seats: 1}, &ownedBackend{t: t}
	funcs := b.funcs()
	funcs.ResetFunc = func(context.Context, *owned) error { resets++; return nil }
	p, err := pool.New(funcs, f, pool.Options{ResetTimeout: pool.Inline})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	back(t, borrow(t, p)) // opens it
	f.started.resume()
	f.started.visits() // forgets those
	resets = 0
	for range 100 {
		if err := borrow(t, p).ReleaseClean(); err != nil {
			t.Fatal(err)
		}
	}
	acquires, releases := f.started.visits()
	if n := acquires + len(releases); n != 0 || resets != 0 {
		t.Errorf("100 clean releases came to the seating %d times and reset %d times, want never", n, resets)
	}
	back(t, borrow(t, p))
	if resets != 1 {
		t.Errorf("a release that is not clean reset %d times, want once", resets)
	}
}
