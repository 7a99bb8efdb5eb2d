package pool_test

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

func TestOpenOutlivesTheCallerWhoAskedForIt(t *testing.T) {
	for _, s := range []pool.Strategy{one, strategies.Static{}, strategies.Singleton{Size: 1}} {
		t.Run(s.Kind(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := pooltest.NewFake()
				f.Always(pooltest.Open, pooltest.Slow(100*time.Millisecond))
				p := open(t, f, s, pool.Options{})
				// Callers with 20 ms of patience each: were the open theirs, nobody would ever get one.
				var served int
				for n := range 10 {
					r := <-start(after(t, 20*time.Millisecond), p)
					if r.err == nil {
						served++
						release(t, r.lease)
					} else if is(t, "impatient Acquire", r.err, pool.ErrTimeout, context.DeadlineExceeded); r.took != 20*time.Millisecond {
						t.Errorf("caller %d waited %v, want 20ms", n, r.took)
					}
				}
				// The fifth is served at the 100th ms, in the instant in which its ctx ends, or not.
				if served < 5 || f.Opened() != 1 {
					t.Errorf("%d of 10 impatient callers were served by %d opens, want 5 or more by 1", served, f.Opened())
				}
			})
		})
	}
}

func TestCanceledCallerLeavesAnOpenThatWarmsThePool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		f.Next(pooltest.Open, pooltest.Slow(time.Second))
		p := open(t, f, one, pool.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		out := start(ctx, p)
		cancel()
		is(t, "canceled Acquire", (<-out).err, context.Canceled)
		time.Sleep(time.Second)
		synctest.Wait()
		if s := p.Stats(); s.Idle != 1 || s.Canceled != 1 {
			t.Errorf("stats %+v, want the resource idle and 1 canceled", s)
		}
	})
}

func TestOpenThatHangsKeepsOneSeatAndServesTheLineFromTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		hung := make(chan struct{})
		f.Next(pooltest.Open, pooltest.Hang(hung))
		p := open(t, f, two, pool.Options{})
		first := start(after(t, time.Minute), p)
		second := start(after(t, time.Minute), p)
		a := <-first // by the second's open, since it came first
		if a.err != nil || a.took != 0 {
			t.Fatalf("the first in line: %v after %v, want what comes first, at once", a.err, a.took)
		}
		release(t, a.lease)
		if b := <-second; b.err != nil || b.took != 0 {
			t.Errorf("the second in line: %v after %v, want the returned resource at once", b.err, b.took)
		}
		close(hung)
		synctest.Wait()
	})
}

func TestOpenThatHangsForACallerWhoGaveUpBlocksNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		hung := make(chan struct{})
		f.Next(pooltest.Open, pooltest.Hang(hung))
		p := open(t, f, two, pool.Options{})
		<-start(after(t, 10*time.Second), p)
		if r := <-start(after(t, time.Minute), p); r.err != nil {
			t.Errorf("Acquire with a free seat, while the open of a caller who gave up hangs: %v after %v; want a resource", r.err, r.took)
		}
		close(hung)
		synctest.Wait()
	})
}

func TestReturnedResourceServesWhoWaitsForAnOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, two, pool.Options{})
		l := acquire(t, p)
		f.Next(pooltest.Open, pooltest.Slow(time.Hour))
		out := start(t.Context(), p)
		time.Sleep(time.Second)
		release(t, l)
		if r := <-out; r.err != nil || r.took != time.Second || r.lease.Value().ID != 1 {
			t.Errorf("the waiter got %v, %v after %v, want the returned resource after 1s", r.lease, r.err, r.took)
		}
	})
}

func TestOpenRunsUnderOpenTimeoutWithoutTheCallersCtx(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		f := pooltest.NewFake()
		f.Next(pooltest.Open, func(ctx context.Context) error {
			if at, ok := ctx.Deadline(); !ok || time.Until(at) != 7*time.Second {
				t.Errorf("ctx of Open ends in %v (%v), want OpenTimeout, 7s", time.Until(at), ok)
			}
			if ctx.Value(key{}) != nil {
				t.Error("ctx of Open carries the values of the caller, who may be gone")
			}
			return nil
		})
		p := open(t, f, one, pool.Options{OpenTimeout: 7 * time.Second})
		l, err := p.Acquire(context.WithValue(after(t, time.Second), key{}, 1))
		if err != nil {
			t.Fatal(err)
		}
		release(t, l)
	})
}

func TestOpenBeyondItsTimeoutFailsTheAcquire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		f.Next(pooltest.Open, pooltest.Slow(time.Hour))
		p := open(t, f, one, pool.Options{OpenTimeout: 7 * time.Second})
		r := <-start(t.Context(), p)
		is(t, "Acquire whose open times out", r.err, context.DeadlineExceeded)
		if r.took != 7*time.Second {
			t.Errorf("it took %v, want 7s", r.took)
		}
	})
}

func TestOpenThatIgnoresItsCtxFailsTheAcquireSoonAfterOpenTimeout(t *testing.T) {
	for _, then := range []pooltest.Act{pooltest.OK, pooltest.Fail(errTest)} {
		synctest.Test(t, func(t *testing.T) {
			f := pooltest.NewFake()
			f.Next(pooltest.Open, pooltest.Stuck(time.Hour, then))
			p := open(t, f, one, pool.Options{OpenTimeout: 7 * time.Second})
			r := <-start(t.Context(), p)
			var e *pool.OpenError
			if !asError(r.err, &e) || r.took < 7*time.Second || r.took > 8*time.Second {
				t.Errorf("got %v after %v, want an OpenError soon after OpenTimeout, 7s", r.err, r.took)
			}
			out := start(t.Context(), p)
			time.Sleep(time.Minute)
			if s := p.Stats(); s.Opening != 1 || s.Waiting != 1 {
				t.Errorf("%v, want the seat taken until the open returns, and nobody told that there is one", p)
			}
			if r := <-out; r.err != nil {
				t.Errorf("the next acquirer: %v, want a resource once the open has returned", r.err)
			}
			if f.MaxOpen() != 1 {
				t.Errorf("%d were open at once, want 1", f.MaxOpen())
			}
		})
	}
}

// backendError is what a driver's error may look like.
type backendError struct{ code int }

func (e *backendError) Error() string { return "connection refused" }

func TestOpenErrorIsTheBackends(t *testing.T) {
	for _, s := range []pool.Strategy{one, strategies.Static{}, strategies.Null{Max: 1}, strategies.Singleton{Size: 1}, strategies.Assertion{}} {
		synctest.Test(t, func(t *testing.T) {
			f := pooltest.NewFake()
			f.Always(pooltest.Open, pooltest.Fail(&backendError{111}))
			p := open(t, f, s, pool.Options{Name: "orders"})
			_, err := p.Acquire(t.Context())
			var a *pool.AcquireError
			var o *pool.OpenError
			var b *backendError
			if !asError(err, &a) || !asError(err, &o) || !asError(err, &b) || b.code != 111 || o.Attempts != 1 || o.Pool != "orders" {
				t.Errorf("%s: Acquire: %#v, want an AcquireError with an OpenError with the backend's", s.Kind(), err)
			}
			if got := err.Error(); got != "pool orders: open: connection refused" {
				t.Errorf("%s: message %q", s.Kind(), got)
			}
			isNot(t, "a failed open", err, pool.ErrTimeout, pool.ErrClosed, context.Canceled)
		})
	}
}

func TestOpenErrorOfStaticFailsAllWhoReliedOnIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		f.Next(pooltest.Open, pooltest.Slow(time.Second, pooltest.Fail(errTest)))
		p := open(t, f, strategies.Static{}, pool.Options{})
		a, b := start(t.Context(), p), start(t.Context(), p)
		is(t, "the first", (<-a).err, errTest)
		is(t, "the second", (<-b).err, errTest)
		if f.Calls(pooltest.Open) != 1 {
			t.Errorf("%d opens for one shared resource, want 1", f.Calls(pooltest.Open))
		}
		acquire(t, p)
	})
}

func TestOpenAttemptsAreCountedAndTheLastErrorIsReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		f.Next(pooltest.Open, pooltest.Fail(errors.New("first")), pooltest.Panic("second"), pooltest.Fail(errTest))
		p := open(t, f, one, pool.Options{OpenAttempts: 3})
		_, err := p.Acquire(t.Context())
		var o *pool.OpenError
		if !asError(err, &o) || o.Attempts != 3 {
			t.Errorf("Acquire: %v, want an OpenError of 3 attempts", err)
		}
		is(t, "Acquire", err, errTest)
		if got, want := err.Error(), "pool: open failed 3 times: "+errTest.Error(); got != want {
			t.Errorf("message %q, want %q", got, want)
		}
		f.Next(pooltest.Open, pooltest.Fail(errTest), pooltest.Fail(errTest))
		acquire(t, p)
		if s := p.Stats(); s.OpenFailures != 5 || s.Opened != 1 {
			t.Errorf("stats %+v, want 5 failed opens and 1 that succeeded", s)
		}
	})
}

func TestConnectHookThatFailsIsAnAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, rec := pooltest.NewFake(), newRecorder()
		p := open(t, f, one, pool.Options{OpenAttempts: 2}, rec.hooks())
		nextHook("connect", errTest)(&scene{rec: rec})
		if got := acquire(t, p).Value().ID; got != 2 || f.Closed() != 1 {
			t.Errorf("got resource %d with %d closed, want the second after the first was closed", got, f.Closed())
		}
	})
}

func TestFailedOpenIsFollowedByTheNextWaitersAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		f.Next(pooltest.Open, pooltest.Slow(300*time.Millisecond, pooltest.Fail(errTest)))
		p := open(t, f, one, pool.Options{Backoff: pool.NoBackoff})
		a := start(t.Context(), p)
		b := start(after(t, 3*time.Second), p)
		is(t, "the waiter whose open failed", (<-a).err, errTest)
		if r := <-b; r.err != nil || r.took != 300*time.Millisecond {
			t.Errorf("the next waiter: %v after %v, want a resource after 300ms: a failed open wakes the line", r.err, r.took)
		}
	})
}

func TestPanicInOpenIsAnErrorWithItsStack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		f.Next(pooltest.Open, pooltest.Panic(errTest))
		p := open(t, f, one, pool.Options{})
		_, err := p.Acquire(t.Context())
		var e *pool.PanicError
		if !asError(err, &e) || e.Op != "Backend.Open" || e.Value != errTest || len(e.Stack) == 0 {
			t.Errorf("Acquire: %#v, want a PanicError of Backend.Open with value and stack", err)
		}
		is(t, "a panic with an error", err, errTest)
		f.Next(pooltest.Open, pooltest.Goexit)
		_, err = p.Acquire(t.Context())
		is(t, "Acquire whose open exits", err, pool.ErrGoexit)
		acquire(t, p)
	})
}

func TestTimeoutsMayBeAsGoodAsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const never = 1<<63 - 1
		f := pooltest.NewFake()
		f.Always(pooltest.Open, pooltest.Slow(time.Second))
		p := open(t, f, one, pool.Options{OpenTimeout: never, ResetTimeout: never, CloseTimeout: never})
		l, err := p.Acquire(after(t, time.Minute))
		if err != nil {
			t.Fatalf("Acquire with an open of 1 s and no bound to speak of: %v, want a lease", err)
		}
		d, err := l.Detach()
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Close(); err != nil {
			t.Errorf("Close of a detached resource: %v, want nil", err)
		}
	})
}

func TestOpenThatRunsIntoOpenTimeoutSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		f.Always(pooltest.Open, pooltest.Slow(time.Hour))
		p := open(t, f, one, pool.Options{OpenTimeout: 7 * time.Second})
		_, err := p.Acquire(t.Context())
		if want := "pool: open: not done within OpenTimeout, 7s: context deadline exceeded"; err == nil || err.Error() != want {
			t.Errorf("Acquire: %v, want %q, which no caller takes for its own deadline", err, want)
		}
	})
}
