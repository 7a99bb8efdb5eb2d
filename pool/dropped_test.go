package pool_test

import (
	"context"
	"log/slog"
	"runtime"
	"runtime/metrics"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

// collect runs the garbage collector and waits until the cleanups it queued have run.
func collect() {
	samples := []metrics.Sample{{Name: "/gc/cleanups/queued:cleanups"}, {Name: "/gc/cleanups/executed:cleanups"}}
	runtime.GC()
	for {
		metrics.Read(samples)
		if samples[0].Value.Uint64() == samples[1].Value.Uint64() {
			return
		}
		runtime.Gosched() // the cleanups run outside any bubble: there is nothing else to wait for them by
	}
}

// comeBack collects and has the pool take back what was dropped. Only in a bubble does that need a
// verb of the pool's.
func comeBack(p *testPool) pool.Stats {
	collect()
	p.Stats()
	synctest.Wait()
	return p.Stats()
}

// drop acquires a lease and forgets it. It is a function of its own so that nothing of the
// lease is left on a stack.
//
//go:noinline
func drop(t testing.TB, p *testPool) { acquire(t, p) }

func TestDroppedLeaseComesBack(t *testing.T) {
	for _, tc := range []struct {
		policy pool.Dropped
		events string
		next   int // resource that the next holder gets
	}{
		{pool.DiscardDropped, "invalidate close checkin(None)", 2},
		{pool.KeepDropped, "reset checkin", 1},
	} {
		for _, s := range []pool.Strategy{one, strategies.Static{}, strategies.Singleton{Size: 1}, strategies.Assertion{}} {
			t.Run(s.Kind()+"/"+tc.events, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					rec := newRecorder()
					p := open(t, pooltest.NewFake(), s, pool.Options{Dropped: tc.policy}, rec.hooks())
					drop(t, p)
					rec.take()
					if got := comeBack(p); got.Dropped != 1 || got.Leases != 0 || got.InUse != 0 {
						t.Errorf("after a collection: %+v; want the dropped lease back", got)
					}
					if got := rec.take(); got != tc.events {
						t.Errorf("events %q, want %q", got, tc.events)
					}
					if got := acquire(t, p).Value().ID; got != tc.next {
						t.Errorf("the next holder got resource %d, want %d", got, tc.next)
					}
				})
			})
		}
	}
}

func TestDroppedLeaseServesTheNextAcquirer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, pooltest.NewFake(), one, pool.Options{})
		for range 3 {
			drop(t, p)
			collect()
			release(t, <-startOK(t, p))
		}
	})
}

func startOK(t *testing.T, p *testPool) <-chan testLease {
	out := make(chan testLease, 1)
	r := <-start(after(t, time.Second), p)
	if r.err != nil {
		t.Errorf("Acquire: %v", r.err)
	}
	out <- r.lease
	return out
}

// Outside a bubble nobody needs to call the pool: the cleanup itself sets the return going.
func TestDroppedLeaseServesWaiterThatStandsInLineAlready(t *testing.T) {
	f := pooltest.NewFake()
	p := open(t, f, one, pool.Options{})
	drop(t, p)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	out := make(chan error, 1)
	go func() {
		l, err := p.Acquire(ctx)
		if err == nil {
			err = l.Release()
		}
		out <- err
	}()
	for p.Stats().Waiting == 0 {
		runtime.Gosched()
	}
	collect()
	if err := <-out; err != nil {
		t.Errorf("a waiter behind a dropped lease: %v, want the seat", err)
	}
}

func TestDroppedLeaseIsIgnoredIfToldSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, one, pool.Options{Dropped: pool.IgnoreDropped})
		drop(t, p)
		collect()
		if s := p.Stats(); s.Leases != 1 || s.Dropped != 0 {
			t.Errorf("stats %+v, want the lease still out", s)
		}
		_, err := p.Acquire(after(t, time.Minute))
		is(t, "Acquire behind a lease that was dropped and ignored", err, pool.ErrTimeout)
		f.AllowForcedClose()
		if err := p.Close(); err != nil {
			t.Errorf("Close: %v, want nil: the pool's end takes back what the collector may not", err)
		}
	})
}

func TestDroppedLeaseIsReportedWithItsStack(t *testing.T) {
	for _, stacks := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			var log logged
			p := open(t, pooltest.NewFake(), one, pool.Options{Name: "orders", Stacks: stacks, Logger: slog.New(&log)})
			drop(t, p)
			comeBack(p)
			got := strings.Join(log.at(slog.LevelWarn), "\n")
			if !strings.Contains(got, "dropped without Release") || !strings.Contains(got, "pool=orders") {
				t.Errorf("logged at Warn: %q, want that a lease of the pool was dropped", got)
			}
			if has := strings.Contains(got, "dropped_test.go"); has != stacks {
				t.Errorf("Stacks %v: the report names this file = %v:\n%s", stacks, has, got)
			}
			if first := firstFrame(got); stacks && strings.HasPrefix(first, "github.com/lidopool/lido/pool.") {
				t.Errorf("the stack begins with the pool's own frame %q, want the caller's", first)
			}
		})
	}
}

func firstFrame(report string) string {
	_, stack, _ := strings.Cut(report, "acquired=")
	first, _, _ := strings.Cut(stack, "\n")
	return first
}

func TestStaleCopyHidesADroppedLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, pooltest.NewFake(), one, pool.Options{})
		stale := acquire(t, p)
		release(t, stale)
		drop(t, p)
		collect()
		if got := p.Stats().Dropped; got != 0 {
			t.Errorf("Stats.Dropped = %d while a stale copy lives, want 0: the price told in the design", got)
		}
		runtime.KeepAlive(stale)
		stale = testLease{}
		if got := comeBack(p).Dropped; got != 1 {
			t.Errorf("Stats.Dropped = %d after the stale copy is gone, want 1", got)
		}
	})
}

// A guard outlasts its resource: it is a microsecond dearer than all else that null does.
func TestDroppedLeaseComesBackThoughEarlierResourcesInItsSeatWereClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, pooltest.NewFake(), strategies.Null{Max: 1}, pool.Options{})
		for range 3 {
			release(t, acquire(t, p))
		}
		drop(t, p)
		if got := comeBack(p); got.Dropped != 1 || got.Leases != 0 {
			t.Errorf("after a collection: %+v; want the dropped lease back", got)
		}
		for range 2 { // once more, with a guard of its own
			release(t, acquire(t, p))
		}
		drop(t, p)
		if got := comeBack(p); got.Dropped != 2 || got.Leases != 0 {
			t.Errorf("after the second: %+v; want that back too", got)
		}
	})
}

func TestGuardOfALeaseThatEndedOtherwiseMeansNothingToTheNextInItsSeat(t *testing.T) {
	for verb, end := range map[string]func(testLease) error{
		"Discard": func(l testLease) error { return l.Discard(nil) },
		"Detach": func(l testLease) error {
			d, err := l.Detach()
			if err == nil {
				err = d.Close()
			}
			return err
		},
		"Fail": func(l testLease) error {
			_ = l.Fail(pool.ErrDisconnected)
			return nil
		},
	} {
		t.Run(verb, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := open(t, pooltest.NewFake(), strategies.Null{Max: 1}, pool.Options{})
				func() {
					if err := end(acquire(t, p)); err != nil {
						t.Errorf("%s: %v", verb, err)
					}
				}()
				synctest.Wait()
				next := acquire(t, p)
				if got := comeBack(p); got.Dropped != 0 || got.Leases != 1 {
					t.Errorf("%+v; want that the lease after it is not taken for dropped", got)
				}
				release(t, next)
			})
		})
	}
}

func TestDroppedLeaseOfEndedPoolOrLeaseIsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		f.AllowForcedClose()
		p := open(t, f, two, pool.Options{})
		func() {
			_ = acquire(t, p).Discard(nil)
			acquire(t, p)
			_ = p.Close()
		}()
		if s := comeBack(p); s.Dropped != 0 {
			t.Errorf("Stats.Dropped = %d, want 0: one lease was ended, the other discarded by Close", s.Dropped)
		}
	})
}

// A resource in use is never taken back, whatever the collector does: with defer Release the lease
// is alive to the end, and Do holds it.
func TestStressResourceInUseIsNotTakenBackInAGCStorm(t *testing.T) {
	const workers = 4
	f := pooltest.NewFake()
	p := open(t, f, strategies.Queue{Size: 2}, pool.Options{Dropped: pool.KeepDropped})
	until := time.Now().Add(stressFor(t)) // real time: the collector knows no other
	var all sync.WaitGroup
	all.Go(func() {
		for time.Now().Before(until) {
			runtime.GC()
		}
	})
	work := func(r res) {
		r.Take(t)
		runtime.Gosched()
		r.Use(t)
		r.Give(t)
	}
	for n := range workers {
		all.Go(func() {
			for time.Now().Before(until) {
				if n%2 == 0 {
					_ = p.Do(t.Context(), func(_ context.Context, r res) error { work(r); return nil })
					continue
				}
				func() {
					l, err := p.Acquire(t.Context())
					if err != nil {
						t.Errorf("Acquire: %v", err)
						return
					}
					defer l.Release()
					work(l.Value())
				}()
			}
		})
	}
	all.Wait()
	if got := p.Stats().Dropped; got != 0 {
		t.Errorf("Stats.Dropped = %d, want 0: nobody dropped a lease", got)
	}
}

func TestDroppedLeaseWhoseCloseHangsDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, two, pool.Options{CloseTimeout: time.Minute})
		hung := make(chan struct{})
		drop(t, p)
		f.Next(pooltest.Close, pooltest.Hang(hung))
		collect()
		begin := time.Now()
		l, err := p.Acquire(after(t, time.Second))
		if took := time.Since(begin); err != nil || took > 0 {
			t.Errorf("Acquire with a free seat, while the close of a dropped lease hangs: %v after %v, want a resource at once", err, took)
		}
		close(hung)
		if err == nil {
			release(t, l)
		}
	})
}

func TestAcquireAndReleaseAllocateNothing(t *testing.T) {
	if raceEnabled() {
		t.Skip("the race detector allocates: run this without -race, as make test does")
	}
	for _, tc := range []struct {
		name     string
		strategy pool.Strategy
		opts     pool.Options
	}{
		{"queue", one, pool.Options{NoReset: true}},
		{"queue that ignores drops", one, pool.Options{NoReset: true, Dropped: pool.IgnoreDropped}},
		{"queue with MaxAge", one, pool.Options{NoReset: true, MaxAge: time.Hour}},
		{"queue with stacks", one, pool.Options{NoReset: true, Stacks: true}},
		{"queue with an inline reset", one, pool.Options{ResetTimeout: pool.Inline}},
		{"static", strategies.Static{}, pool.Options{NoReset: true}},
		{"singleton", strategies.Singleton{Size: 1}, pool.Options{NoReset: true}},
		{"assertion without stacks", strategies.Assertion{NoStack: true}, pool.Options{NoReset: true}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, err := pool.New[int](pool.Funcs[int]{
				OpenFunc:  func(context.Context) (int, error) { return 1, nil },
				ResetFunc: func(context.Context, int) error { return nil },
			}, tc.strategy, tc.opts)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			cycle := func() {
				l, err := p.Acquire(context.Background())
				if err != nil {
					t.Fatal(err)
				}
				_ = l.Release()
			}
			cycle()
			if kind := tc.strategy.Kind(); kind == "static" || kind == "singleton" {
				// The inner one of two nested leases.
				outer, err := p.Acquire(context.Background())
				if err != nil {
					t.Fatal(err)
				}
				defer outer.Release()
				cycle()
			}
			if n := testing.AllocsPerRun(1000, cycle); n != 0 {
				t.Errorf("Acquire and Release of an idle resource: %v allocations, want 0", n)
			}
		})
	}
}

// What the safety net costs the first lease of a seat must cost nothing where it is off.
func TestIgnoredDropsCostNoAllocationFromTheFirstLeaseOn(t *testing.T) {
	if raceEnabled() {
		t.Skip("the race detector allocates: run this without -race, as make test does")
	}
	firstLease := func(policy pool.Dropped) float64 {
		const seats = 500
		p, err := pool.New[int](pool.Funcs[int]{OpenFunc: func(context.Context) (int, error) { return 1, nil }},
			strategies.Queue{Size: seats}, pool.Options{Dropped: policy})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		return testing.AllocsPerRun(seats-1, func() {
			if _, err := p.Acquire(context.Background()); err != nil {
				t.Fatal(err)
			}
		})
	}
	ignored, armed := firstLease(pool.IgnoreDropped), firstLease(pool.DiscardDropped)
	if ignored > armed-2 {
		t.Errorf("the first lease of a seat: %v allocations when drops are ignored, %v when not; want at least the guard and its cleanup less", ignored, armed)
	}
}

// The collector must not be kept from a pool by what watches over its leases.
func TestClosedPoolIsGarbage(t *testing.T) {
	for _, s := range []pool.Strategy{one, strategies.Static{}} {
		gone := make(chan struct{})
		func() {
			p, err := pool.New[res](pooltest.NewFake(), s, pool.Options{})
			if err != nil {
				t.Fatal(err)
			}
			release(t, acquire(t, p))
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
			runtime.AddCleanup(p, func(gone chan struct{}) { close(gone) }, gone)
		}()
		for range 10 { // its goroutines may be a moment behind
			collect()
			select {
			case <-gone:
				return
			default:
				runtime.Gosched()
			}
		}
		t.Errorf("%s: a pool that was used, closed and forgotten is still there after ten collections", s.Kind())
	}
}
