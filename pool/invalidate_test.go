package pool_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

func TestInvalidateOutdatesIdleAndLeasedAndClosesNothingYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, two, pool.Options{})
		idle, out := acquire(t, p), acquire(t, p)
		release(t, idle)
		p.Invalidate(errTest)
		if f.Closed() != 0 || p.Stats().Generation != 1 {
			t.Errorf("Invalidate closed %d, generation %d, want 0 and 1", f.Closed(), p.Stats().Generation)
		}
		out.Value().Use(t)
		release(t, out)
		a, b := acquire(t, p), acquire(t, p)
		if a.Value().ID <= 2 || b.Value().ID <= 2 {
			t.Errorf("after Invalidate: %v and %v, want fresh ones", a.Value(), b.Value())
		}
	})
}

func TestFailuresOfOneGenerationAreOneInvalidation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, strategies.Queue{Size: 3}, pool.Options{})
		a, b, c := acquire(t, p), acquire(t, p), acquire(t, p)
		_ = a.Fail(pooltest.ErrAllDead)
		fresh := acquire(t, p)
		want := fresh.Value()
		release(t, fresh)
		_ = b.Fail(pooltest.ErrAllDead)
		_ = c.Fail(pooltest.ErrAllDead)
		if got := p.Stats().Generation; got != 1 {
			t.Errorf("generation %d after three failures of one generation, want 1", got)
		}
		if got := acquire(t, p).Value(); got != want {
			t.Errorf("got %v, want %v, which was opened after the failure", got, want)
		}
	})
}

func TestResourceBeingOpenedAtInvalidateIsNotHandedOut(t *testing.T) {
	for _, s := range []pool.Strategy{one, strategies.Static{}, strategies.Null{Max: 1}, strategies.Singleton{Size: 1}} {
		t.Run(s.Kind(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := pooltest.NewFake()
				f.Next(pooltest.Open, pooltest.Slow(time.Second))
				p := open(t, f, s, pool.Options{})
				out := start(t.Context(), p)
				p.Invalidate(errTest)
				if r := <-out; r.err != nil || r.lease.Value().ID != 2 {
					t.Errorf("got %v, %v, want resource 2: the first was being opened when Invalidate came", r.lease.Value(), r.err)
				}
			})
		})
	}
}

func TestInvalidationsInOneInstantBothCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, pooltest.NewFake(), one, pool.Options{})
		for want := 1; want < 5; want++ { // no time passes in between
			l := acquire(t, p)
			if got := l.Value().ID; got != want {
				t.Errorf("got resource %d, want %d: generations are counted, not timed", got, want)
			}
			release(t, l)
			p.Invalidate(nil)
		}
	})
}

func TestDisposeClosesIdleNowAndLeasedAtTheirReturn(t *testing.T) {
	for _, shape := range shapes {
		t.Run(shape.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := pooltest.NewFake()
				p := open(t, f, shape.strategy, shape.opts, shape.hooks)
				release(t, acquire(t, p))
				p.Dispose()
				if f.Closed() != 1 || p.Stats().Open != 0 {
					t.Errorf("Dispose of an idle pool closed %d, want 1", f.Closed())
				}
				l := acquire(t, p)
				p.Dispose()
				l.Value().Use(t)
				if f.Closed() != 1 {
					t.Error("Dispose closed a resource under its holder")
				}
				release(t, l)
				if f.Closed() != 2 || p.Stats().Open != 0 {
					t.Errorf("closed %d, %v; want a resource that returns after Dispose closed", f.Closed(), p)
				}
				acquire(t, p)
			})
		})
	}
}

func TestDisposeMeansResourcesBeingOpenedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		f.Next(pooltest.Open, pooltest.Slow(time.Second))
		p := open(t, f, one, pool.Options{})
		out := start(t.Context(), p)
		p.Dispose()
		r := <-out
		if r.err != nil {
			t.Fatal(r.err)
		}
		if got := r.lease.Value().ID; got != 2 {
			t.Errorf("got resource %d, want 2: the first was being opened when Dispose came", got)
		}
	})
}

func TestDisposeWaitsForClosesButNotForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, two, pool.Options{CloseTimeout: 3 * time.Second})
		a, b := acquire(t, p), acquire(t, p)
		release(t, a)
		release(t, b)
		f.Next(pooltest.Close, pooltest.Stuck(time.Second), pooltest.Stuck(time.Minute))
		begin := time.Now()
		p.Dispose()
		if took := time.Since(begin); took != 3*time.Second {
			t.Errorf("Dispose took %v, want CloseTimeout, 3s: closes run side by side, and one hangs", took)
		}
		if s := p.Stats(); s.Overdue != 1 || s.Closing != 1 {
			t.Errorf("stats %+v, want one close overdue", s)
		}
		time.Sleep(time.Minute)
	})
}

func TestRecreateKeepsEverythingButTheResources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, rec := pooltest.NewFake(), newRecorder()
		old := open(t, f, two, pool.Options{Name: "orders", MaxAge: time.Minute, Ping: true, PingAfter: time.Second, Attempts: 2}, rec.hooks())
		l := acquire(t, old)
		p, err := old.Recreate()
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if f.Opened() != 1 {
			t.Errorf("Recreate opened %d resources, want none", f.Opened()-1)
		}
		if p.Name() != "orders" || p.Strategy() != pool.Strategy(two) || p.Limits() != old.Limits() {
			t.Errorf("recreated: %q, %v, %+v", p.Name(), p.Strategy(), p.Limits())
		}
		rec.take()
		release(t, acquire(t, p))
		if got := rec.take(); got != "first_connect connect checkout reset checkin" {
			t.Errorf("the recreated pool's events: %q, want the hooks of the old one, first_connect among them", got)
		}
		time.Sleep(time.Second)
		release(t, acquire(t, p))
		if f.Calls(pooltest.Ping) != 1 {
			t.Error("the recreated pool does not ping")
		}
		time.Sleep(time.Hour)
		if got := acquire(t, p).Value().ID; got != 3 {
			t.Errorf("the recreated pool gave resource %d, want the third: MaxAge is kept", got)
		}
		l.Value().Use(t) // the old pool is as it was
		release(t, l)
	})
}

func TestDisposeReachesAResourceOnItsWayToRest(t *testing.T) {
	for _, tc := range []struct {
		name string
		busy func(t *testing.T, f *pooltest.Fake, p *testPool)
	}{
		{"being opened for nobody", func(t *testing.T, f *pooltest.Fake, p *testPool) {
			f.Next(pooltest.Open, pooltest.Slow(2*time.Second))
			<-start(after(t, time.Millisecond), p)
		}},
		{"being reset", func(t *testing.T, f *pooltest.Fake, p *testPool) {
			l := acquire(t, p)
			f.Next(pooltest.Reset, pooltest.Slow(2*time.Second))
			go l.Release()
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := pooltest.NewFake()
				p := open(t, f, one, pool.Options{})
				tc.busy(t, f, p)
				time.Sleep(time.Second)
				p.Dispose()
				time.Sleep(time.Minute)
				if f.Opened() != 1 || f.Closed() != 1 {
					t.Errorf("opened %d, closed %d a minute after Dispose, want 1 and 1", f.Opened(), f.Closed())
				}
			})
		})
	}
}

// invalidating starts an InvalidateAndWait that waits, or is done, when it returns.
func invalidating(ctx context.Context, p *testPool) <-chan error {
	out := make(chan error, 1)
	go func() { out <- p.InvalidateAndWait(ctx, errTest) }()
	synctest.Wait()
	return out
}

func TestInvalidateAndWaitClosesIdleNowAndWaitsForTheLeased(t *testing.T) {
	for _, shape := range shapes {
		t.Run(shape.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := pooltest.NewFake()
				p := open(t, f, shape.strategy, shape.opts, shape.hooks)
				if err := p.InvalidateAndWait(t.Context(), errTest); err != nil {
					t.Errorf("InvalidateAndWait with nothing open: %v, want nil", err)
				}
				release(t, acquire(t, p))
				f.Always(pooltest.Close, pooltest.Slow(time.Second))
				begin := time.Now()
				if err := p.InvalidateAndWait(t.Context(), errTest); err != nil || time.Since(begin) != time.Second || f.OpenNow() != 0 {
					t.Errorf("with one idle: %v after %v, %d open; want nil after the 1s that its close takes", err, time.Since(begin), f.OpenNow())
				}
				l := acquire(t, p)
				out := invalidating(t.Context(), p)
				time.Sleep(time.Minute)
				l.Value().Use(t)
				select {
				case err := <-out:
					t.Fatalf("it returned %v while an old resource is lent", err)
				default:
				}
				begin = time.Now()
				release(t, l)
				if err := <-out; err != nil || time.Since(begin) != time.Second || f.OpenNow() != 0 {
					t.Errorf("with one leased: %v %v after its return, %d open; want nil after 1s", err, time.Since(begin), f.OpenNow())
				}
				acquire(t, p)
			})
		})
	}
}

func TestInvalidateAndWaitClosesSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, strategies.Queue{Size: 30}, pool.Options{})
		if err := p.Warm(t.Context(), 30); err != nil {
			t.Fatal(err)
		}
		f.Always(pooltest.Close, pooltest.Slow(time.Second))
		begin := time.Now()
		if err := p.InvalidateAndWait(t.Context(), errTest); err != nil || time.Since(begin) != time.Second {
			t.Errorf("30 closes of 1s: %v after %v, want nil after 1s", err, time.Since(begin))
		}
	})
}

// Fault 49: reset during a dial.
func TestInvalidateAndWaitWaitsForResourcesBeingOpenedAndClosed(t *testing.T) {
	for _, s := range []pool.Strategy{two, strategies.Static{}, strategies.Null{Max: 2}, strategies.Singleton{Size: 2}} {
		t.Run(s.Kind(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := pooltest.NewFake()
				f.Next(pooltest.Open, pooltest.Slow(10*time.Second))
				p := open(t, f, s, pool.Options{})
				begin := time.Now()
				waiter := start(t.Context(), p)
				out := invalidating(t.Context(), p)
				f.Always(pooltest.Close, pooltest.Slow(time.Second))
				if err := <-out; err != nil || time.Since(begin) != 11*time.Second {
					t.Errorf("InvalidateAndWait: %v after %v, want nil after the open and the close, 11s", err, time.Since(begin))
				}
				if r := <-waiter; r.err != nil || r.lease.Value().ID != 2 {
					t.Errorf("the waiter got %v, want resource 2, opened afterwards", r.err)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, two, pool.Options{HungClose: pool.FreeSeat, CloseTimeout: time.Second})
		l := acquire(t, p)
		f.Next(pooltest.Close, pooltest.Stuck(time.Minute))
		go l.Discard(errTest)
		time.Sleep(10 * time.Second) // its close is abandoned now
		if err := p.InvalidateAndWait(t.Context(), errTest); err != nil {
			t.Errorf("InvalidateAndWait: %v", err)
		}
		if n := f.OpenNow(); n != 0 {
			t.Errorf("%d are open, want 0: a close that is abandoned counts until it has returned", n)
		}
	})
}

func TestInvalidateAndWaitDoesNotWaitForOpensThatBeginLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		f.Always(pooltest.Open, pooltest.Slow(time.Second))
		p := open(t, f, two, pool.Options{OpensAtOnce: 1})
		begin := time.Now()
		a, b := start(t.Context(), p), start(t.Context(), p)
		if err := p.InvalidateAndWait(t.Context(), errTest); err != nil || time.Since(begin) != time.Second {
			t.Errorf("InvalidateAndWait: %v after %v, want nil after 1s, when the open under way has ended", err, time.Since(begin))
		}
		<-a
		<-b
		if f.Opened() != 3 {
			t.Errorf("%d were opened, want 3: two that are lent, and the old one", f.Opened())
		}
	})
}

func TestDetachedResourcesAreNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, two, pool.Options{})
		a, b := acquire(t, p), acquire(t, p)
		d, err := a.Detach()
		if err != nil {
			t.Fatal(err)
		}
		out := invalidating(t.Context(), p)
		e, err := b.Detach()
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		select {
		case err := <-out:
			if err != nil {
				t.Errorf("InvalidateAndWait: %v, want nil", err)
			}
		default:
			t.Error("InvalidateAndWait waits for detached resources")
		}
		_, _ = d.Close(), e.Close()
	})
}

func TestAcquirersDuringInvalidateAndWaitGetFreshResources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, two, pool.Options{NoReset: true})
		old := acquire(t, p)
		release(t, acquire(t, p))
		out := invalidating(t.Context(), p)
		fresh := acquire(t, p)
		if fresh.Value().ID <= 2 {
			t.Errorf("got %v, want one opened after the call", fresh.Value())
		}
		waiter := start(t.Context(), p) // all seats are taken
		release(t, old)
		if r := <-waiter; r.err != nil || r.lease.Value().ID <= 2 {
			t.Errorf("the waiter got %v, want a fresh one, and not the old one that was returned", r.err)
		}
		if err := <-out; err != nil {
			t.Errorf("InvalidateAndWait: %v, want nil though fresh ones are lent", err)
		}
	})
}

func TestEachInvalidateAndWaitWaitsForWhatWasThereBeforeIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, two, pool.Options{})
		a := acquire(t, p)
		first := invalidating(t.Context(), p)
		b := acquire(t, p)
		second := invalidating(t.Context(), p)
		release(t, a)
		if err := <-first; err != nil {
			t.Errorf("the first: %v, want nil: b was opened after it", err)
		}
		synctest.Wait()
		select {
		case err := <-second:
			t.Errorf("the second returned %v while b is lent", err)
		default:
		}
		release(t, b)
		if err := <-second; err != nil {
			t.Errorf("the second: %v, want nil", err)
		}
	})
}

func TestInvalidateAndWaitNamesWhoHoldsAndStands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, strategies.Queue{Size: 3}, pool.Options{Name: "orders", Stacks: true})
		a, b := acquire(t, p), acquire(t, p)
		reason := errors.New("test: out of patience")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, reason)
		defer cancel()
		out := invalidating(ctx, p)
		fresh := acquire(t, p)
		err := <-out
		is(t, "InvalidateAndWait", err, reason)
		var invalidate *pool.InvalidateError
		if !asError(err, &invalidate) || invalidate.Left != 2 || len(invalidate.Held) != 2 {
			t.Fatalf("InvalidateAndWait: %#v, want an InvalidateError with the 2 leases of before", err)
		}
		for i, l := range []testLease{a, b} {
			if invalidate.Held[i].Seat != l.Seat() {
				t.Errorf("lease %d is of seat %d, want %d", i, invalidate.Held[i].Seat, l.Seat())
			}
		}
		want := fmt.Sprintf("pool orders: invalidate: %v; 2 of the old resources left\n%v\n%v", reason, invalidate.Held[0], invalidate.Held[1])
		if err.Error() != want {
			t.Errorf("message %q, want %q", err, want)
		}
		release(t, a)
		release(t, fresh)
		if f.Closed() != 1 || p.Stats().Idle != 1 {
			t.Errorf("%d closed, %v; want the old one closed when it came back, and the fresh one kept", f.Closed(), p)
		}
	})
}

func TestInvalidateAndWaitGoesOnWhenThePoolIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		f.AllowForcedClose()
		p := open(t, f, one, pool.Options{})
		acquire(t, p)
		out := invalidating(t.Context(), p)
		f.Always(pooltest.Close, pooltest.Slow(time.Second))
		begin := time.Now()
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if err := <-out; err != nil || time.Since(begin) != time.Second {
			t.Errorf("InvalidateAndWait: %v after %v, want nil when Close has closed what was lent, after 1s", err, time.Since(begin))
		}
		if err := p.InvalidateAndWait(t.Context(), errTest); err != nil {
			t.Errorf("InvalidateAndWait of a closed pool: %v, want nil", err)
		}
	})
}

// What a resource is opened with is looked up by the open: so after a switch and InvalidateAndWait nobody is
// connected to the old server.
func TestNothingOfBeforeIsOpenAfterInvalidateAndWait(t *testing.T) {
	for _, s := range []pool.Strategy{strategies.Queue{Size: 3}, strategies.Null{Max: 3}, strategies.Singleton{Size: 3}, strategies.Static{}} {
		t.Run(s.Kind(), func(t *testing.T) {
			var server atomic.Int64
			var mu sync.Mutex
			open := map[int64]int{} // by server
			count := func(server int64, n int) {
				mu.Lock()
				defer mu.Unlock()
				open[server] += n
			}
			p, err := pool.New(pool.Funcs[int64]{
				OpenFunc: func(context.Context) (int64, error) {
					at := server.Load()
					count(at, 1)
					return at, nil
				},
				CloseFunc: func(at int64) error { count(at, -1); return nil },
			}, s, pool.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			stop := make(chan struct{})
			var all sync.WaitGroup
			for range 4 {
				all.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
						}
						if l, err := p.Acquire(t.Context()); err == nil {
							if rand.IntN(2) == 0 {
								_ = l.Discard(nil)
							}
							_ = l.Release()
						}
					}
				})
			}
			for now := range int64(200) {
				server.Store(now)
				if err := p.InvalidateAndWait(t.Context(), nil); err != nil {
					t.Fatal(err)
				}
				mu.Lock()
				for at, n := range open {
					if at != now && n > 0 {
						t.Errorf("%d of server %d are open after the switch to %d", n, at, now)
					}
				}
				mu.Unlock()
			}
			close(stop)
			all.Wait()
		})
	}
}
