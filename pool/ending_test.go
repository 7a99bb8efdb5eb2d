package pool_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

func TestAcquireAfterTheEndIsErrClosed(t *testing.T) {
	for _, shape := range shapes {
		synctest.Test(t, func(t *testing.T) {
			p := open(t, pooltest.NewFake(), shape.strategy, shape.opts, shape.hooks)
			warm(t, p)
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
			for name, err := range map[string]error{
				"Acquire":       func() error { _, err := p.Acquire(t.Context()); return err }(),
				"TryAcquire":    func() error { _, err := p.TryAcquire(t.Context()); return err }(),
				"AcquireUnique": func() error { _, err := p.AcquireUnique(t.Context()); return err }(),
				"Do":            p.Do(t.Context(), func(context.Context, res) error { return nil }),
			} {
				if name == "AcquireUnique" && shape.name == "static" {
					continue // it never has one
				}
				is(t, shape.name+": "+name+" after Close", err, pool.ErrClosed)
				isNot(t, shape.name+": "+name+" after Close", err, pool.ErrTimeout)
				if err != nil && err.Error() != "pool: closed" {
					t.Errorf("%s: message %q", name, err)
				}
			}
		})
	}
}

func TestShutdownDrains(t *testing.T) {
	for _, s := range []pool.Strategy{two, strategies.Static{}, strategies.Null{Max: 2}, strategies.Singleton{Size: 2}} {
		t.Run(s.Kind(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := pooltest.NewFake()
				p := open(t, f, s, pool.Options{})
				a, b := acquire(t, p), acquire(t, p)
				release(t, a)
				begin := time.Now()
				done := make(chan error, 1)
				go func() { done <- p.Shutdown(t.Context()) }()
				synctest.Wait()
				b.Value().Use(t)
				time.Sleep(time.Hour)
				b.Value().Use(t)
				release(t, b)
				if err := <-done; err != nil || time.Since(begin) != time.Hour {
					t.Errorf("Shutdown: %v after %v, want nil when the holder has returned, after 1h", err, time.Since(begin))
				}
				if f.Closed() != f.Opened() {
					t.Errorf("opened %d, closed %d when Shutdown returned nil", f.Opened(), f.Closed())
				}
			})
		})
	}
}

func TestShutdownWakesWaitersAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, pooltest.NewFake(), one, pool.Options{})
		l := acquire(t, p)
		a, b := start(t.Context(), p), start(t.Context(), p)
		go p.Shutdown(t.Context())
		for _, out := range []<-chan result{a, b} {
			r := <-out
			is(t, "a waiter when the pool ends", r.err, pool.ErrClosed)
			if r.took != 0 {
				t.Errorf("it was woken after %v, want at once", r.took)
			}
		}
		release(t, l)
	})
}

func TestShutdownEndsByItsDeadlineAndNamesTheHolders(t *testing.T) {
	for _, stacks := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			f := pooltest.NewFake()
			f.AllowForcedClose()
			p := open(t, f, two, pool.Options{Name: "orders", Stacks: stacks})
			l := acquire(t, p)
			release(t, acquire(t, p))
			begin := time.Now()
			err := p.Shutdown(after(t, time.Minute))
			if took := time.Since(begin); took != time.Minute {
				t.Errorf("Shutdown took %v, want its deadline, 1m", took)
			}
			is(t, "Shutdown", err, context.DeadlineExceeded)
			var e *pool.ShutdownError
			if !asError(err, &e) || len(e.Held) != 1 || e.Held[0].Seat != 0 || e.Overdue != 0 || e.Pool != "orders" {
				t.Fatalf("Shutdown: %#v, want a ShutdownError with the one lease in seat 0", err)
			}
			text := err.Error()
			want := "pool orders: shutdown: context deadline exceeded; 1 lease still held was discarded\nseat 0, "
			if stacks {
				want += "for 1m0s, acquired at\n"
			}
			if !strings.HasPrefix(text, want) {
				t.Errorf("message %q, want it to begin with %q", text, want)
			}
			if has := strings.Contains(text, "ending_test.go"); has != stacks {
				t.Errorf("Stacks %v: the message names this file = %v:\n%s", stacks, has, text)
			}
			if !stacks && !strings.HasSuffix(text, "acquired at an unknown place (set Options.Stacks to see where)") {
				t.Errorf("message %q does not say how to see where", text)
			}
			synctest.Wait()
			_, err = l.Get()
			if err == nil {
				t.Error("the holder's Get gave a resource after the pool was ended under it")
			}
			if err := l.Release(); err != nil {
				t.Errorf("the holder's Release: %v, want nil", err)
			}
		})
	}
}

func TestShutdownErrorCountsEverySharedLeaseAndEverySeatOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		f.AllowForcedClose()
		p := open(t, f, strategies.Static{}, pool.Options{Stacks: true})
		for range 3 {
			acquire(t, p)
		}
		err := p.Shutdown(after(t, time.Minute))
		var e *pool.ShutdownError
		if !asError(err, &e) || len(e.Held) != 3 || e.Overdue != 0 {
			t.Fatalf("Shutdown: %#v, want 3 leases held and no seat overdue", err)
		}
		if got := strings.Count(err.Error(), "ending_test.go"); got != 3 {
			t.Errorf("message %q names this file %d times, want once for each lease", err, got)
		}
	})
}

func TestShutdownTellsOfSeatsThatHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		f.AllowForcedClose()
		p, err := pool.New[res](f, strategies.Queue{Size: 3}, pool.Options{})
		if err != nil {
			t.Fatal(err)
		}
		hung := make(chan struct{})
		a, b := acquire(t, p), acquire(t, p)
		f.Next(pooltest.Close, pooltest.Hang(hung))
		f.Next(pooltest.Open, pooltest.Hang(hung))
		out := start(t.Context(), p)
		release(t, b)
		begin := time.Now()
		<-out // it gets what b returned; the open goes on
		err = p.Shutdown(after(t, time.Second))
		var e *pool.ShutdownError
		if !asError(err, &e) || len(e.Held) != 2 || e.Overdue != 1 {
			t.Errorf("Shutdown: %#v, want 2 leases held and 1 seat overdue", err)
		}
		if want := "; 2 leases still held were discarded; 1 call of the backend has not returned\n"; !strings.Contains(err.Error(), want) {
			t.Errorf("message %q lacks %q", err, want)
		}
		synctest.Wait()
		if err := p.Close(); !asError(err, &e) || e.Overdue != 2 || errors.Is(err, pool.ErrTimeout) {
			t.Errorf("Close while a close and an open hang: %v, want 2 seats overdue, and no load to blame", err)
		}
		if took := time.Since(begin); took != 6*time.Second {
			t.Errorf("Shutdown and Close took %v, want 1s and CloseTimeout, 5s", took)
		}
		close(hung)
		if err := p.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown when all is well again: %v, want nil", err)
		}
		_ = a.Release()
		atRest(t, p)
		f.Verify(t)
	})
}

func TestShutdownWithEndedCtxDiscardsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		f.AllowForcedClose()
		p := open(t, f, two, pool.Options{})
		acquire(t, p)
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errTest)
		is(t, "Shutdown with an ended ctx", p.Shutdown(ctx), errTest)
	})
}

func TestShutdownOfAnEmptyPoolIsNilEvenWithEndedCtx(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		p := open(t, pooltest.NewFake(), two, pool.Options{})
		if err := p.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown of a pool that never opened anything: %v, want nil", err)
		}
	})
}

func TestEndsMayBeCalledFromAnywhereAnyNumberOfTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		f.Always(pooltest.Close, pooltest.Slow(time.Second))
		p := open(t, f, two, pool.Options{})
		a, b := acquire(t, p), acquire(t, p)
		release(t, a)
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() {
				if err := p.Shutdown(t.Context()); err != nil {
					t.Errorf("Shutdown: %v, want nil", err)
				}
			})
		}
		time.Sleep(time.Minute)
		release(t, b)
		all.Wait()
		for range 2 {
			if err := errors.Join(p.Close(), p.Shutdown(t.Context())); err != nil {
				t.Errorf("ending an ended pool: %v, want nil", err)
			}
		}
		p.Dispose()
		p.Invalidate(nil)
	})
}

func TestShutdownDuringOpenClosesWhatIsOpened(t *testing.T) {
	for _, tc := range []struct {
		name string
		open pooltest.Act
		want int // opened
		took time.Duration
	}{
		{"heeds ctx", pooltest.Slow(time.Hour), 0, 0},
		{"does not", pooltest.Stuck(2 * time.Second), 1, 2 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := pooltest.NewFake()
				f.Next(pooltest.Open, tc.open)
				p := open(t, f, one, pool.Options{OpenAttempts: 3})
				out := start(t.Context(), p)
				begin := time.Now()
				if err := p.Shutdown(after(t, time.Minute)); err != nil || time.Since(begin) != tc.took {
					t.Errorf("Shutdown: %v after %v, want nil after %v", err, time.Since(begin), tc.took)
				}
				is(t, "the waiter", (<-out).err, pool.ErrClosed)
				if f.Opened() != tc.want || f.Closed() != tc.want || f.Calls(pooltest.Open) != 1 {
					t.Errorf("opened %d, closed %d in %d attempts; want %d in 1: nobody wants it any more", f.Opened(), f.Closed(), f.Calls(pooltest.Open), tc.want)
				}
			})
		})
	}
}

func TestShutdownDuringPingThatNobodyWaitsForClosesTheResource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, one, pool.Options{Ping: true})
		warm(t, p)
		f.Next(pooltest.Ping, pooltest.Stuck(3*time.Second))
		<-start(after(t, time.Second), p)
		if err := p.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown: %v, want nil when the ping has returned", err)
		}
		if s := p.Stats(); s.ClosedBy[pool.ReasonDisposed] != 1 {
			t.Errorf("closed by %v, want 1 disposed", s.ClosedBy)
		}
	})
}

func TestShutdownDuringReplaceLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, one, pool.Options{})
		warm(t, p)
		p.Invalidate(nil)
		f.Next(pooltest.Close, pooltest.Slow(time.Second))
		out := start(t.Context(), p)
		if err := p.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown: %v, want nil", err)
		}
		is(t, "the acquirer whose resource was being replaced", (<-out).err, pool.ErrClosed)
	})
}

func TestCloseDiscardsWhatIsLeasedAndItsReleaseIsHarmless(t *testing.T) {
	for _, shape := range shapes {
		t.Run(shape.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := pooltest.NewFake()
				f.AllowForcedClose()
				p := open(t, f, shape.strategy, shape.opts, shape.hooks)
				l := acquire(t, p)
				if err := p.Close(); err != nil {
					t.Errorf("Close: %v, want nil", err)
				}
				if f.Closed() != 1 {
					t.Errorf("closed %d when Close returned, want 1", f.Closed())
				}
				_, err := l.Get()
				if err == nil {
					t.Error("Get gave a closed resource")
				}
				release(t, l)
				if got := f.Calls(pooltest.Reset); got != 0 {
					t.Errorf("the late Release reset %d resources, want 0", got)
				}
			})
		})
	}
}

func TestCloseIsBounded(t *testing.T) {
	for _, tc := range []struct{ timeout, want time.Duration }{{3 * time.Second, 3 * time.Second}, {pool.Inline, 5 * time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			f := pooltest.NewFake()
			p := open(t, f, one, pool.Options{CloseTimeout: tc.timeout})
			release(t, acquire(t, p))
			f.Next(pooltest.Close, pooltest.Stuck(time.Minute))
			begin := time.Now()
			err := p.Close()
			var e *pool.ShutdownError
			if !asError(err, &e) || e.Overdue != 1 || len(e.Held) != 0 {
				t.Errorf("Close while Backend.Close hangs: %v, want one seat overdue", err)
			}
			if want := "pool: shutdown: not all resources were closed within Options.CloseTimeout; 1 call of the backend has not returned"; err == nil || err.Error() != want {
				t.Errorf("Close: %v, want %q", err, want)
			}
			if took := time.Since(begin); took != tc.want {
				t.Errorf("Close took %v, want %v", took, tc.want)
			}
			time.Sleep(time.Minute)
		})
	}
}

// The last close returns at the moment in which Close gives up: it says so, or that one has not returned, but
// never that something is amiss and nothing is.
func TestCloseTellsNothingOfWhatReturnsAtTheLastMoment(t *testing.T) {
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			f := pooltest.NewFake()
			p := open(t, f, one, pool.Options{CloseTimeout: time.Second})
			release(t, acquire(t, p))
			f.Next(pooltest.Close, pooltest.Stuck(time.Second))
			var e *pool.ShutdownError
			if err := p.Close(); err != nil && (!asError(err, &e) || e.Overdue != 1) {
				t.Errorf("Close: %v, want nil, or one call that has not returned", err)
			}
			synctest.Wait()
		})
	}
}

// Close and a verb that ends the lease come together: one of them wins, and the resource is
// closed once.
func TestStressCloseRacesWithEveryEndOfALease(t *testing.T) {
	ends := []func(testLease){
		func(l testLease) { _ = l.Release() },
		func(l testLease) { _ = l.Discard(nil) },
		func(l testLease) { _ = l.Fail(pooltest.ErrDead) },
		func(l testLease) {
			if d, err := l.Detach(); err == nil {
				_ = d.Close()
			}
		},
	}
	until := time.Now().Add(stressFor(t)) // real time: races are looked for
	for n := 0; time.Now().Before(until); n++ {
		f := pooltest.NewFake()
		f.AllowForcedClose()
		p, err := pool.New[res](f, []pool.Strategy{two, strategies.Static{}}[n%2], pool.Options{NoReset: n%4 < 2})
		if err != nil {
			t.Fatal(err)
		}
		a, b := acquire(t, p), acquire(t, p)
		var all sync.WaitGroup
		all.Go(func() { ends[n%len(ends)](a) })
		all.Go(func() { ends[n/len(ends)%len(ends)](b) })
		all.Go(func() {
			if l, err := p.Acquire(t.Context()); err == nil {
				_ = l.Release()
			}
		})
		all.Go(func() {
			if err := p.Close(); err != nil {
				t.Errorf("Close: %v, want nil", err)
			}
		})
		all.Wait()
		if err := p.Close(); err != nil {
			t.Errorf("Close again: %v, want nil", err)
		}
		atRest(t, p)
		f.Verify(t)
		if t.Failed() {
			t.Fatalf("in round %d", n)
		}
	}
}

func TestShutdownWhileAHolderJoinsLeavesTheOthersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, rec := pooltest.NewFake(), newRecorder()
		p := open(t, f, strategies.Static{}, pool.Options{}, rec.hooks())
		l := acquire(t, p)
		rec.act("checkout", pooltest.Slow(2*time.Second))
		out := start(t.Context(), p)
		time.Sleep(time.Second)
		done := make(chan error, 1)
		go func() { done <- p.Shutdown(t.Context()) }()
		is(t, "the holder that was about to join", (<-out).err, pool.ErrClosed)
		l.Value().Use(t)
		release(t, l)
		if err := <-done; err != nil {
			t.Errorf("Shutdown: %v, want nil", err)
		}
	})
}

func TestShutdownErrorCountsAResetThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, one, pool.Options{ResetTimeout: time.Second})
		l := acquire(t, p)
		f.Next(pooltest.Reset, pooltest.Stuck(time.Minute))
		release(t, l)
		var e *pool.ShutdownError
		if err := p.Shutdown(after(t, time.Second)); !asError(err, &e) || e.Overdue != 1 || len(e.Held) != 0 {
			t.Errorf("Shutdown while a reset hangs: %#v, want one seat overdue", err)
		}
		time.Sleep(time.Hour)
	})
}

// poolEnds are the two ends, with time enough for both.
var poolEnds = []struct {
	name string
	end  func(context.Context, *testPool) error
}{
	{"Shutdown", func(ctx context.Context, p *testPool) error { return p.Shutdown(ctx) }},
	{"Close", func(_ context.Context, p *testPool) error { return p.Close() }},
}

func TestEndsWakeTheWholeLineAtTheSameInstant(t *testing.T) {
	for _, end := range poolEnds {
		for _, s := range []pool.Strategy{one, strategies.Null{Max: 1}, strategies.Singleton{Size: 1}} {
			t.Run(end.name+"/"+s.Kind(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := pooltest.NewFake()
					f.AllowForcedClose()
					p := open(t, f, s, pool.Options{})
					l := acquire(t, p)
					var line []<-chan result
					for range 100 {
						line = append(line, start(t.Context(), p))
					}
					time.Sleep(time.Second)
					done := make(chan error, 1)
					go func() { done <- end.end(t.Context(), p) }()
					for n, out := range line {
						r := <-out
						is(t, "a waiter when the pool ends", r.err, pool.ErrClosed)
						if r.took != time.Second {
							t.Errorf("waiter %d was woken after %v, want at the end, after 1s", n, r.took)
						}
					}
					release(t, l)
					if err := <-done; err != nil {
						t.Errorf("%s: %v, want nil", end.name, err)
					}
				})
			})
		}
	}
}

func TestEndsDoNotWaitForOpensThatWaitForTheirTurn(t *testing.T) {
	for _, end := range poolEnds {
		for _, tc := range []struct {
			name  string
			opts  pool.Options
			calls int // of Backend.Open
		}{
			{"Backoff", pool.Options{Backoff: 1000 * time.Hour, OnOpenFailure: pool.KeepWaiting}, 2},
			{"Backoff between attempts", pool.Options{Backoff: 1000 * time.Hour, OpenAttempts: 3}, 2},
			{"OpenInterval", pool.Options{OpenInterval: time.Hour}, 1},
		} {
			t.Run(end.name+"/"+tc.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := pooltest.NewFake()
					p := open(t, f, two, tc.opts)
					l := acquire(t, p)
					f.Always(pooltest.Open, pooltest.Fail(errTest))
					out := start(t.Context(), p)
					if s := p.Stats(); s.Pending != 1 || f.Calls(pooltest.Open) != tc.calls {
						t.Fatalf("%d pending after %d opens; want 1 after %d", s.Pending, f.Calls(pooltest.Open), tc.calls)
					}
					begin := time.Now()
					done := make(chan error, 1)
					go func() { done <- end.end(t.Context(), p) }()
					r := <-out
					is(t, "the waiter", r.err, pool.ErrClosed)
					_ = l.Release()
					if err := <-done; err != nil || time.Since(begin) != 0 || r.took != 0 {
						t.Errorf("%s: %v after %v, the waiter after %v; want nil, both at once", end.name, err, time.Since(begin), r.took)
					}
					if got := f.Calls(pooltest.Open); got != tc.calls {
						t.Errorf("%d opens, want %d: nobody wants one any more", got, tc.calls)
					}
				})
			})
		}
	}
}

func TestShutdownDuringAResetWaitsForItAndClosesTheResource(t *testing.T) {
	for _, end := range poolEnds {
		synctest.Test(t, func(t *testing.T) {
			f := pooltest.NewFake()
			p := open(t, f, one, pool.Options{})
			l := acquire(t, p)
			f.Next(pooltest.Reset, pooltest.Slow(2*time.Second))
			go l.Release()
			time.Sleep(time.Second)
			begin := time.Now()
			if err := end.end(t.Context(), p); err != nil || time.Since(begin) != time.Second {
				t.Errorf("%s: %v after %v, want nil when the reset has returned, after 1s", end.name, err, time.Since(begin))
			}
			if got := f.Story(); got != "open 1, reset 1, close 1" {
				t.Errorf("backend calls %q, want the reset and one close", got)
			}
		})
	}
}

func TestSecondShutdownWaitsForWhatTheFirstGaveUpOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		f.AllowForcedClose()
		p := open(t, f, two, pool.Options{})
		f.Always(pooltest.Close, pooltest.Stuck(time.Minute))
		l := acquire(t, p)
		begin := time.Now()
		var e *pool.ShutdownError
		if err := p.Shutdown(after(t, time.Second)); !asError(err, &e) || len(e.Held) != 1 || e.Overdue != 0 {
			t.Errorf("the first Shutdown: %v, want the one lease", err)
		}
		if err := p.Shutdown(after(t, time.Second)); !asError(err, &e) || len(e.Held) != 0 || e.Overdue != 1 {
			t.Errorf("the second Shutdown: %v, want no lease, since it was discarded, and the close that has not returned", err)
		}
		if err := p.Shutdown(after(t, time.Hour)); err != nil || time.Since(begin) != time.Minute+time.Second {
			t.Errorf("the third Shutdown: %v after %v, want nil when all is closed, after 1m1s", err, time.Since(begin))
		}
		release(t, l)
		if f.Closed() != 1 {
			t.Errorf("closed %d, want 1: the late Release closes nothing", f.Closed())
		}
	})
}

func TestCloseOrAShorterShutdownEndsTheWaitOfAnother(t *testing.T) {
	for _, tc := range []struct {
		name string
		end  func(*testing.T, *testPool) error
	}{
		{"Close", func(_ *testing.T, p *testPool) error { return p.Close() }},
		{"Shutdown", func(t *testing.T, p *testPool) error {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			var e *pool.ShutdownError
			if err := p.Shutdown(ctx); !asError(err, &e) || len(e.Held) != 1 {
				t.Errorf("the second Shutdown: %v, want the one lease", err)
			}
			return nil
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := pooltest.NewFake()
				f.AllowForcedClose()
				p := open(t, f, two, pool.Options{})
				l := acquire(t, p)
				begin := time.Now()
				done := make(chan error, 1)
				go func() { done <- p.Shutdown(after(t, time.Hour)) }()
				time.Sleep(time.Minute)
				l.Value().Use(t)
				if err := tc.end(t, p); err != nil {
					t.Errorf("%s: %v, want nil", tc.name, err)
				}
				if err := <-done; err != nil || time.Since(begin) != time.Minute {
					t.Errorf("the Shutdown that waited: %v after %v, want nil at the same moment, after 1m", err, time.Since(begin))
				}
				_, err := l.Get()
				is(t, "the holder's Get", err, pool.ErrInvalidated)
				release(t, l)
				if f.Closed() != 1 {
					t.Errorf("closed %d, want 1", f.Closed())
				}
			})
		})
	}
}

func TestShutdownOfIdlePoolWithEndedCtxTellsWhatIsNotClosedYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, two, pool.Options{})
		a, b := acquire(t, p), acquire(t, p)
		release(t, a)
		release(t, b)
		f.Always(pooltest.Close, pooltest.Slow(time.Second))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		var e *pool.ShutdownError
		if err := p.Shutdown(ctx); !asError(err, &e) || len(e.Held) != 0 || e.Overdue != 2 {
			t.Errorf("Shutdown with an ended ctx, before the closes have returned: %v, want 2 calls", err)
		}
		begin := time.Now()
		if err := p.Close(); err != nil || time.Since(begin) != time.Second {
			t.Errorf("Close: %v after %v, want nil when both are closed, after 1s", err, time.Since(begin))
		}
	})
}
