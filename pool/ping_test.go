package pool_test

import (
	"context"
	"runtime"
	"strings"
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
					if want := "acquire ended while a resource was checked"; r.err == nil || !strings.Contains(r.err.Error(), want) {
						t.Errorf("error %v, want one that says %q", r.err, want)
					}
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
		acquirer := goroutine()
		f.Next(pooltest.Ping, func(ctx context.Context) error {
			if g := goroutine(); g != acquirer {
				t.Errorf("an inline Ping ran on %s, want the acquirer's, %s", g, acquirer)
			}
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

// goroutine names the calling goroutine.
func goroutine() string {
	buf := make([]byte, 64)
	name, _, _ := strings.Cut(string(buf[:runtime.Stack(buf, false)]), " [")
	return name
}

func TestPingThatHangsCountsAsStuckAlsoWhenItsAcquirerHasLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, one, pool.Options{Ping: true, PingTimeout: 5 * time.Second})
		warm(t, p)
		hung := make(chan struct{})
		f.Next(pooltest.Ping, pooltest.Hang(hung))
		r := <-start(after(t, time.Second), p)
		is(t, "the acquirer", r.err, pool.ErrTimeout)
		if s := p.Stats(); s.Stuck != 0 || s.Overdue != 0 {
			t.Errorf("before PingTimeout: %v, %d overdue; want nothing stuck", s, s.Overdue)
		}
		time.Sleep(4 * time.Second)
		synctest.Wait()
		if s := p.Stats(); s.Stuck != 1 || s.Overdue != 1 {
			t.Errorf("at PingTimeout: %v, %d overdue; want one seat stuck", s, s.Overdue)
		}
		close(hung)
		synctest.Wait()
		if s := p.Stats(); s.Stuck != 0 || s.Idle != 1 {
			t.Errorf("when the ping has returned at last, without an error: %v, want the resource idle", s)
		}
	})
}
