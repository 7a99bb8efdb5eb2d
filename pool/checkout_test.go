package pool_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

func TestPingSparesFreshResources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		f.Always(pooltest.Open, pooltest.Slow(time.Second))
		p := open(t, f, one, pool.Options{Ping: true})
		for n := range 4 {
			release(t, acquire(t, p))
			if got := f.Calls(pooltest.Ping); got != n {
				t.Errorf("after checkout %d: %d pings, want %d: one per checkout, none on the one that was opened for it", n+1, got, n)
			}
			time.Sleep(time.Nanosecond)
		}
	})
}

func TestPingIsOncePerCheckoutOfNestedHolders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, strategies.Singleton{Size: 1}, pool.Options{Ping: true})
		warm(t, p)
		a, b := acquire(t, p), acquire(t, p)
		if got := f.Calls(pooltest.Ping); got != 1 {
			t.Errorf("two nested Acquires pinged %d times, want 1", got)
		}
		release(t, a)
		release(t, b)
	})
}

func TestPingAfterIsExact(t *testing.T) {
	for _, tc := range []struct {
		idle time.Duration
		want int
	}{{time.Minute - 1, 0}, {time.Minute, 1}, {time.Hour, 1}} {
		synctest.Test(t, func(t *testing.T) {
			f := pooltest.NewFake()
			p := open(t, f, one, pool.Options{Ping: true, PingAfter: time.Minute})
			l := acquire(t, p)
			time.Sleep(time.Hour) // use is not idleness
			release(t, l)
			time.Sleep(tc.idle)
			acquire(t, p)
			if got := f.Calls(pooltest.Ping); got != tc.want {
				t.Errorf("idle for %v with PingAfter 1m: %d pings, want %d", tc.idle, got, tc.want)
			}
		})
	}
}

func TestPingThatFailsReplacesTheResource(t *testing.T) {
	for _, tc := range []struct {
		name    string
		err     error
		othersN uint64
	}{
		{"sound error", errTest, 0}, {"dead", pooltest.ErrDead, 0}, {"all dead", pooltest.ErrAllDead, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := pooltest.NewFake()
				p := open(t, f, one, pool.Options{Ping: true})
				warm(t, p)
				f.Next(pooltest.Ping, pooltest.Fail(tc.err))
				if got := acquire(t, p).Value().ID; got != 2 {
					t.Errorf("got resource %d, want a fresh one", got)
				}
				if s := p.Stats(); s.PingFailures != 1 || s.Generation != tc.othersN {
					t.Errorf("stats %+v, want 1 ping failure and generation %d", s, tc.othersN)
				}
			})
		})
	}
}

// A server restarts, and every idle resource is dead: how many Acquires fail, and how many pings does it take?
func TestRestartOfTheServerFailsNoAcquire(t *testing.T) {
	for _, tc := range []struct {
		name  string
		err   error
		pings int
	}{
		{"known to be the end of all", pooltest.ErrAllDead, 1},
		{"each found out by itself", pooltest.ErrDead, 10},
	} {
		for _, order := range []strategies.Order{strategies.LIFO, strategies.FIFO} {
			t.Run(tc.name+"/"+string(order), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					const n = 10
					f := pooltest.NewFake()
					p := open(t, f, strategies.Queue{Size: n, Order: order}, pool.Options{Ping: true})
					var leases []testLease
					for range n {
						leases = append(leases, acquire(t, p))
					}
					for _, l := range leases {
						release(t, l)
					}
					time.Sleep(time.Second)
					f.Always(pooltest.Ping, pooltest.Fail(tc.err))
					for range n {
						acquire(t, p)
					}
					if got := f.Calls(pooltest.Ping); got != tc.pings {
						t.Errorf("%d pings for %d dead resources, want %d", got, n, tc.pings)
					}
				})
			})
		}
	}
}

func TestPingRunsUnderItsTimeoutAndTheCallersValues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		f := pooltest.NewFake()
		p := open(t, f, one, pool.Options{Ping: true, PingTimeout: 3 * time.Second})
		warm(t, p)
		f.Next(pooltest.Ping, func(ctx context.Context) error {
			if at, ok := ctx.Deadline(); !ok || time.Until(at) != 3*time.Second {
				t.Errorf("ctx of Ping ends in %v (%v), want 3s", time.Until(at), ok)
			}
			if ctx.Value(key{}) != "trace" {
				t.Error("ctx of Ping lacks the caller's values")
			}
			return nil
		})
		l, err := p.Acquire(context.WithValue(t.Context(), key{}, "trace"))
		if err != nil {
			t.Fatal(err)
		}
		release(t, l)
	})
}

func TestPingThatHangsKeepsItsSeatAndNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, two, pool.Options{Ping: true, PingTimeout: time.Second})
		warm(t, p)
		hung := make(chan struct{})
		f.Next(pooltest.Ping, pooltest.Hang(hung))
		r := <-start(t.Context(), p)
		if r.err != nil || r.took != time.Second || r.lease.Value().ID != 2 {
			t.Errorf("got %v, %v after %v, want a resource in the other seat after PingTimeout, 1s", r.lease, r.err, r.took)
		}
		_, err := p.Acquire(after(t, time.Minute))
		is(t, "Acquire while one seat hangs and the other is held", err, pool.ErrTimeout)
		close(hung)
		synctest.Wait()
		if got := f.Story(); got != "open 1, reset 1, ping 1, open 2, close 1" {
			t.Errorf("backend calls %q, want the hung one closed as soon as its ping returns", got)
		}
		acquire(t, p)
		if f.MaxOpen() != 2 {
			t.Errorf("%d resources were open at once, want at most 2", f.MaxOpen())
		}
	})
}

func TestPingsThatHangEndInAttemptsError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, two, pool.Options{Ping: true, PingTimeout: time.Second, Attempts: 2})
		a, b := acquire(t, p), acquire(t, p)
		release(t, a)
		release(t, b)
		time.Sleep(time.Nanosecond)
		f.Always(pooltest.Ping, pooltest.Stuck(time.Minute))
		r := <-start(t.Context(), p)
		var e *pool.AttemptsError
		if !asError(r.err, &e) || e.Attempts != 2 || r.took != 2*time.Second {
			t.Errorf("got %v after %v, want an AttemptsError of 2 after 2s", r.err, r.took)
		}
		time.Sleep(time.Hour)
	})
}

func TestAcquireReturnsWhenCtxEndsDuringPingAndTheSeatComesBack(t *testing.T) {
	for _, tc := range []struct {
		name string
		ping pooltest.Act
		want int // the resource that the next holder gets
	}{
		{"ping then succeeds", pooltest.Stuck(3 * time.Second), 1},
		{"ping then fails", pooltest.Stuck(3*time.Second, pooltest.Fail(errTest)), 2},
		{"ping heeds its ctx, which is not the caller's", pooltest.Slow(3 * time.Second), 1},
		{"ping outlasts its timeout", pooltest.Stuck(time.Minute), 1},
	} {
		for _, s := range []pool.Strategy{one, strategies.Static{}} {
			t.Run(tc.name+"/"+s.Kind(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := pooltest.NewFake()
					p := open(t, f, s, pool.Options{Ping: true})
					warm(t, p)
					f.Next(pooltest.Ping, tc.ping)
					r := <-start(after(t, time.Second), p)
					is(t, "Acquire whose ctx ends during the ping", r.err, pool.ErrTimeout, context.DeadlineExceeded)
					if r.took != time.Second {
						t.Errorf("it took %v, want 1s: ctx bounds the ping", r.took)
					}
					next := <-start(t.Context(), p)
					if next.err != nil || next.lease.Value().ID != tc.want {
						t.Errorf("the next Acquire got %v, %v, want resource %d", next.lease, next.err, tc.want)
					}
				})
			})
		}
	}
}

func TestPingInlineRunsOnTheCallersGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, one, pool.Options{Ping: true, PingTimeout: pool.Inline})
		warm(t, p)
		f.Next(pooltest.Ping, func(ctx context.Context) error {
			if at, ok := ctx.Deadline(); ok {
				t.Errorf("ctx of an inline Ping ends at %v, want no deadline", at)
			}
			return nil
		})
		acquire(t, p)
		if f.Calls(pooltest.Ping) != 1 {
			t.Error("no ping")
		}
	})
}

func TestFuncsWithoutPingHaveNothingToPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, err := pool.New[int](pool.Funcs[int]{OpenFunc: func(context.Context) (int, error) { return 7, nil }}, one, pool.Options{Ping: true})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		for range 2 {
			l, err := p.Acquire(t.Context())
			if err != nil || l.Value() != 7 {
				t.Fatalf("Acquire: %v, %v", l, err)
			}
			_ = l.Release()
			time.Sleep(time.Second)
		}
	})
}

func TestMaxAgeIsExact(t *testing.T) {
	for _, tc := range []struct {
		age  time.Duration
		want int
	}{{time.Minute, 1}, {time.Minute + 1, 2}} {
		synctest.Test(t, func(t *testing.T) {
			p := open(t, pooltest.NewFake(), one, pool.Options{MaxAge: time.Minute})
			release(t, acquire(t, p))
			time.Sleep(tc.age)
			if got := acquire(t, p).Value().ID; got != tc.want {
				t.Errorf("at the age of %v with MaxAge 1m: got resource %d, want %d: older is too old, as old is not", tc.age, got, tc.want)
			}
		})
	}
}

func TestMaxAgeCountsTheWaitForAResource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, pooltest.NewFake(), one, pool.Options{MaxAge: time.Minute})
		l := acquire(t, p)
		time.Sleep(time.Second)
		out := start(t.Context(), p)
		time.Sleep(time.Hour)
		release(t, l)
		if r := <-out; r.err != nil || r.lease.Value().ID != 2 {
			t.Errorf("a waiter of an hour got %v (%v), want a fresh one: nothing expired is handed out", r.lease.Value(), r.err)
		}
	})
}

func TestMaxAgeOfStaticIsCheckedWhenAHolderJoins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, strategies.Static{}, pool.Options{MaxAge: time.Minute})
		a := acquire(t, p)
		time.Sleep(time.Hour)
		out := start(t.Context(), p)
		a.Value().Use(t)
		release(t, a)
		if r := <-out; r.err != nil || r.lease.Value().ID != 2 {
			t.Errorf("the newcomer got %v, %v, want resource 2", r.lease, r.err)
		}
	})
}

func TestReplacedResourceIsClosedBeforeItsSuccessorIsOpened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, one, pool.Options{})
		warm(t, p)
		p.Invalidate(nil)
		f.Next(pooltest.Close, pooltest.Stuck(3*time.Second))
		r := <-start(t.Context(), p)
		if r.err != nil || r.took != 3*time.Second || f.MaxOpen() != 1 {
			t.Errorf("got %v after %v with %d open at once; want it after the close, 3s, and 1 open", r.err, r.took, f.MaxOpen())
		}
	})
}

func TestCloseThatHangsInAReplaceFailsTheAcquireSoonAfterCloseTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, one, pool.Options{CloseTimeout: 3 * time.Second})
		warm(t, p)
		p.Invalidate(nil)
		f.Next(pooltest.Close, pooltest.Stuck(time.Hour))
		r := <-start(t.Context(), p)
		var e *pool.OpenError
		if !asError(r.err, &e) || r.took < 3*time.Second || r.took > 4*time.Second {
			t.Errorf("got %v after %v; want an OpenError soon after CloseTimeout, 3s", r.err, r.took)
		}
		time.Sleep(time.Hour)
		acquire(t, p)
		if f.MaxOpen() != 1 {
			t.Errorf("%d were open at once, want 1: the seat is taken until the close returns", f.MaxOpen())
		}
	})
}

func TestAttemptsCountsTheResourcesTried(t *testing.T) {
	for _, tc := range []struct{ attempts, want int }{{0, 3}, {1, 1}, {5, 5}} {
		for _, s := range []pool.Strategy{two, strategies.Static{}, strategies.Null{Max: 2}, strategies.Assertion{}} {
			synctest.Test(t, func(t *testing.T) {
				f, rec := pooltest.NewFake(), newRecorder()
				rec.on("checkout", func(_ context.Context, e pool.Event[res]) error {
					return &lastError{pool.ErrDisconnected, e.Resource.ID}
				})
				p := open(t, f, s, pool.Options{Attempts: tc.attempts, Name: "orders"}, rec.hooks())
				_, err := p.Acquire(t.Context())
				var e *pool.AttemptsError
				if !asError(err, &e) || e.Attempts != tc.want || e.Pool != "orders" {
					t.Fatalf("%s: Attempts %d: got %v, want an AttemptsError of %d", s.Kind(), tc.attempts, err, tc.want)
				}
				var last *lastError
				if !asError(err, &last) || last.id != tc.want {
					t.Errorf("%s: the error is of resource %d, want the last one, %d", s.Kind(), last.id, tc.want)
				}
				is(t, "AttemptsError", err, pool.ErrDisconnected)
				if f.Opened() != tc.want || f.Closed() != tc.want {
					t.Errorf("%s: opened %d, closed %d, want %d each", s.Kind(), f.Opened(), f.Closed(), tc.want)
				}
			})
		}
	}
}

// lastError tells the errors of several attempts apart.
type lastError struct {
	error
	id int
}

func (e *lastError) Unwrap() error { return e.error }

func TestCheckoutHookThatRefusesAJoiningHolderFailsItsAcquire(t *testing.T) {
	for _, tc := range []struct {
		name string
		err  error
		want int // resource that the Acquire gets; 0: none
	}{
		{"refused", errTest, 0},
		{"disconnected", pool.ErrDisconnected, 2},
		{"pool invalid", pool.ErrInvalidatePool, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, rec := pooltest.NewFake(), newRecorder()
				f.AllowForcedClose()
				p := open(t, f, strategies.Static{}, pool.Options{}, rec.hooks())
				acquire(t, p)
				nextHook("checkout", tc.err)(&scene{rec: rec})
				l, err := p.Acquire(after(t, time.Second))
				switch {
				case tc.want == 0:
					is(t, "Acquire", err, tc.err)
				case err != nil:
					t.Errorf("Acquire: %v, want resource %d", err, tc.want)
				case l.Value().ID != tc.want:
					t.Errorf("got %v, want resource %d", l.Value(), tc.want)
				}
			})
		})
	}
}

func TestInvalidateDuringPingIsHeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, one, pool.Options{Ping: true})
		warm(t, p)
		f.Next(pooltest.Ping, pooltest.Slow(2*time.Second))
		out := start(t.Context(), p)
		time.Sleep(time.Second)
		p.Invalidate(errTest)
		if r := <-out; r.err != nil || r.lease.Value().ID != 2 {
			t.Errorf("got %v (%v), want a fresh one: nothing of an old generation is handed out", r.lease.Value(), r.err)
		}
	})
}

func TestCloseDuringCheckoutLendsNothing(t *testing.T) {
	for _, end := range []struct {
		name string
		end  func(context.Context, *testPool) error
	}{
		{"Close", func(_ context.Context, p *testPool) error { return p.Close() }},
		{"Shutdown", func(ctx context.Context, p *testPool) error { return p.Shutdown(ctx) }},
	} {
		for _, where := range []string{"ping", "checkout hook"} {
			for _, s := range []pool.Strategy{one, strategies.Static{}} {
				t.Run(end.name+"/"+where+"/"+s.Kind(), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						f, rec := pooltest.NewFake(), newRecorder()
						p := open(t, f, s, pool.Options{Ping: true}, rec.hooks())
						warm(t, p)
						if where == "ping" {
							f.Next(pooltest.Ping, pooltest.Slow(2*time.Second))
						} else {
							rec.act("checkout", pooltest.Slow(2*time.Second))
						}
						out := start(t.Context(), p)
						time.Sleep(time.Second)
						done := make(chan error, 1)
						go func() { done <- end.end(t.Context(), p) }()
						r := <-out
						is(t, "Acquire in mid-"+where+" when the pool ends", r.err, pool.ErrClosed)
						if r.err == nil {
							_ = r.lease.Release()
						}
						if err := <-done; err != nil {
							t.Errorf("%s: %v, want nil", end.name, err)
						}
					})
				})
			}
		}
	}
}

func TestTryAcquireNeverStandsInLineForHeldSeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		f.Always(pooltest.Open, pooltest.Slow(time.Second))
		p := open(t, f, two, pool.Options{})
		a, err := p.TryAcquire(t.Context()) // opens
		if err != nil {
			t.Fatalf("TryAcquire with a free seat: %v, want a resource", err)
		}
		release(t, a)
		begin := time.Now()
		if a, err = p.TryAcquire(t.Context()); err != nil || time.Since(begin) != 0 {
			t.Fatalf("TryAcquire with an idle resource: %v after %v", err, time.Since(begin))
		}
		acquire(t, p)
		begin = time.Now()
		_, err = p.TryAcquire(t.Context())
		is(t, "TryAcquire of a full pool", err, pool.ErrExhausted)
		isNot(t, "TryAcquire of a full pool", err, pool.ErrTimeout)
		if took := time.Since(begin); took != 0 {
			t.Errorf("TryAcquire of a full pool took %v, want no time", took)
		}
		release(t, a)
	})
}

// Closing what was refused takes its time, but not that of the acquirer.
func TestAcquireDoesNotWaitForTheCloseOfARefusedResource(t *testing.T) {
	for _, tc := range []struct {
		name string
		err  error
	}{{"refused", errTest}, {"last attempt", pool.ErrDisconnected}} {
		for _, s := range []pool.Strategy{one, strategies.Static{}} {
			t.Run(tc.name+"/"+s.Kind(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f, rec := pooltest.NewFake(), newRecorder()
					rec.act("checkout", pooltest.Fail(tc.err))
					f.Always(pooltest.Close, pooltest.Stuck(4*time.Second))
					p := open(t, f, s, pool.Options{Attempts: 1}, rec.hooks())
					r := <-start(after(t, time.Second), p)
					is(t, "Acquire", r.err, tc.err)
					if r.took > time.Second {
						t.Errorf("Acquire under a deadline of 1s took %v, while the resource was closed", r.took)
					}
					time.Sleep(time.Minute)
				})
			})
		}
	}
}

func TestResourcesThatAreOutdatedAtOnceEndInAttemptsError(t *testing.T) {
	for _, tc := range []struct {
		name string
		opts pool.Options
		hook func(*testPool)
	}{
		{"by age", pool.Options{MaxAge: time.Nanosecond}, func(*testPool) { time.Sleep(time.Second) }},
		{"by a connect hook", pool.Options{}, func(p *testPool) { p.Invalidate(errTest) }},
	} {
		synctest.Test(t, func(t *testing.T) {
			f, rec := pooltest.NewFake(), newRecorder()
			var p *testPool
			rec.on("connect", func(context.Context, pool.Event[res]) error { tc.hook(p); return nil })
			p = open(t, f, one, tc.opts, rec.hooks())
			_, err := p.Acquire(after(t, time.Hour))
			var e *pool.AttemptsError
			if !asError(err, &e) || f.Opened() > 4 {
				t.Errorf("%s: Acquire: %v after %d opens, want an AttemptsError after some three", tc.name, err, f.Opened())
			}
		})
	}
}

func TestTimeoutOfTheStrategyBoundsTheWholeWait(t *testing.T) {
	for _, make := range []func(time.Duration) pool.Strategy{
		func(d time.Duration) pool.Strategy { return strategies.Queue{Size: 1, Timeout: d} },
		func(d time.Duration) pool.Strategy { return strategies.Static{Timeout: d} },
	} {
		synctest.Test(t, func(t *testing.T) {
			f := pooltest.NewFake()
			p := open(t, f, make(time.Second), pool.Options{})
			l := acquire(t, p)
			_ = l.Retire(nil)
			out := start(t.Context(), p)
			time.Sleep(800 * time.Millisecond)
			f.Next(pooltest.Open, pooltest.Slow(time.Minute))
			release(t, l)
			r := <-out
			is(t, "Acquire", r.err, pool.ErrTimeout)
			if r.took != time.Second {
				t.Errorf("Acquire waited %v in line and for a replacement, want the Timeout, 1s, for both", r.took)
			}
		})
	}
}
