package pool_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

var errCause = errors.New("test: the user closed the window")

// TestWaiterErrorsSayPhaseAndLoad has the messages of every way in which a wait ends in vain, and what they are to errors.Is.
func TestWaiterErrorsSayPhaseAndLoad(t *testing.T) {
	for _, tc := range []struct {
		name  string
		queue strategies.Queue
		ctx   func(context.Context) (context.Context, context.CancelFunc)
		want  string
		is    []error
		isNot []error
	}{
		{"deadline", strategies.Queue{Size: 1, MaxOverflow: 1},
			func(ctx context.Context) (context.Context, context.CancelFunc) {
				return context.WithTimeout(ctx, 3*time.Second)
			},
			"pool orders: acquire timed out after 3s waiting: 2 of 2 in use (1 overflow), 0 waiting",
			[]error{pool.ErrTimeout, context.DeadlineExceeded},
			[]error{context.Canceled, pool.ErrClosed, pool.ErrExhausted}},
		{"deadline with a cause", strategies.Queue{Size: 2},
			func(ctx context.Context) (context.Context, context.CancelFunc) {
				return context.WithTimeoutCause(ctx, 3*time.Second, errCause)
			},
			"pool orders: acquire timed out after 3s waiting: 2 of 2 in use, 0 waiting (test: the user closed the window)",
			[]error{pool.ErrTimeout, context.DeadlineExceeded, errCause},
			[]error{context.Canceled}},
		{"the strategy's timeout", strategies.Queue{Size: 2, Timeout: 2 * time.Second},
			context.WithCancel,
			"pool orders: acquire timed out after 2s waiting: 2 of 2 in use, 0 waiting",
			[]error{pool.ErrTimeout, context.DeadlineExceeded},
			[]error{context.Canceled}},
		{"canceled", strategies.Queue{Size: 2},
			func(ctx context.Context) (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancel(ctx)
				time.AfterFunc(time.Second, cancel)
				return ctx, cancel
			},
			"pool orders: acquire canceled after 1s waiting: 2 of 2 in use, 0 waiting",
			[]error{context.Canceled},
			[]error{pool.ErrTimeout, context.DeadlineExceeded}},
		{"canceled with a cause", strategies.Queue{Size: 2},
			func(ctx context.Context) (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancelCause(ctx)
				time.AfterFunc(time.Second, func() { cancel(errCause) })
				return ctx, func() { cancel(nil) }
			},
			"pool orders: acquire canceled after 1s waiting: 2 of 2 in use, 0 waiting (test: the user closed the window)",
			[]error{context.Canceled, errCause},
			[]error{pool.ErrTimeout, context.DeadlineExceeded}},
		{"not to stand in line", strategies.Queue{Size: 2, Timeout: strategies.NoWait},
			context.WithCancel,
			"pool orders: every seat is taken: 2 of 2 in use, 0 waiting",
			[]error{pool.ErrExhausted},
			[]error{pool.ErrTimeout, context.DeadlineExceeded, context.Canceled}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := open(t, pooltest.NewFake(), tc.queue, pool.Options{Name: "orders"})
				acquire(t, p)
				acquire(t, p)
				ctx, cancel := tc.ctx(t.Context())
				defer cancel()
				r := <-start(ctx, p)
				if r.err == nil || r.err.Error() != tc.want {
					t.Errorf("message\n%q, want\n%q", r.err, tc.want)
				}
				is(t, tc.name, r.err, tc.is...)
				isNot(t, tc.name, r.err, tc.isNot...)
				var e *pool.AcquireError
				if !asError(r.err, &e) {
					t.Fatalf("%#v is no AcquireError", r.err)
				}
				if timeout := errors.Is(r.err, pool.ErrTimeout); e.Timeout() != timeout {
					t.Errorf("Timeout() = %v, want %v", e.Timeout(), timeout)
				}
				if e.Pool != "orders" || e.Waited != r.took || e.Load.Lent != 2 || e.Limits.Seats != 2 {
					t.Errorf("AcquireError %+v, want pool orders, %v waited, 2 of 2 lent", e, r.took)
				}
			})
		})
	}
}

func TestTimeoutErrorTellsOfTheLastFailedOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, two, pool.Options{})
		acquire(t, p)
		f.Next(pooltest.Open, pooltest.Fail(errTest))
		_, err := p.Acquire(t.Context())
		is(t, "the acquirer whose open failed", err, errTest)
		f.Next(pooltest.Open, pooltest.Slow(time.Hour))
		_, err = p.Acquire(after(t, time.Second))
		if got, want := err.Error(), "pool: acquire timed out after 1s waiting: 1 of 2 in use, 1 opening, 0 waiting; last open error: "+errTest.Error(); got != want {
			t.Errorf("message\n%q, want\n%q", got, want)
		}
		isNot(t, "a timeout that tells of an open error", err, errTest)
	})
}

func TestErrorOfUnlimitedPoolSaysNoNumberOfSeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, strategies.Queue{Size: pool.Unlimited}, pool.Options{})
		acquire(t, p)
		f.Next(pooltest.Open, pooltest.Slow(time.Minute))
		_, err := p.Acquire(after(t, time.Second))
		if got, want := err.Error(), "pool: acquire timed out after 1s waiting: 1 in use, 1 opening, 0 waiting"; got != want {
			t.Errorf("message %q, want %q", got, want)
		}
	})
}

func TestAcquireWithEndedCtxFailsAtOnceAndTakesNothing(t *testing.T) {
	for _, s := range []pool.Strategy{one, strategies.Static{}} {
		synctest.Test(t, func(t *testing.T) {
			f := pooltest.NewFake()
			p := open(t, f, s, pool.Options{})
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(errCause)
			_, err := p.Acquire(ctx)
			is(t, "Acquire with an ended ctx", err, errCause, context.Canceled)
			release(t, acquire(t, p))
			_, err = p.Acquire(ctx)
			is(t, "Acquire with an ended ctx and an idle resource", err, errCause, context.Canceled)
			if f.Opened() != 1 {
				t.Errorf("%d opens, want 1", f.Opened())
			}
		})
	}
}

func TestAssertionErrorPassesThroughWithTheFirstHoldersStack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, pooltest.NewFake(), strategies.Assertion{}, pool.Options{})
		acquire(t, p)
		_, err := p.Acquire(t.Context())
		is(t, "the second Acquire", err, strategies.ErrAlreadyAcquired)
		if !strings.Contains(err.Error(), "errors_test.go") {
			t.Errorf("message %q does not show where the first holder acquired", err)
		}
	})
}

func TestAttemptsErrorSaysHowManyAndWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := newRecorder().act("checkout", pooltest.Fail(pool.ErrInvalidatePool))
		p := open(t, pooltest.NewFake(), one, pool.Options{}, rec.hooks())
		_, err := p.Acquire(t.Context())
		if want := "pool: 3 resources in a row were dead: pool: resource is disconnected, and so are all of its generation"; err == nil || err.Error() != want {
			t.Errorf("message %q, want %q", err, want)
		}
		is(t, "it", err, pool.ErrInvalidatePool, pool.ErrDisconnected)
	})
}

func TestPanicErrorNamesTheCallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := newRecorder().act("checkout", pooltest.Panic("boom"))
		p := open(t, pooltest.NewFake(), one, pool.Options{}, rec.hooks())
		_, err := p.Acquire(t.Context())
		if want := "pool: checkout hook panicked: boom"; err == nil || err.Error() != want {
			t.Errorf("message %q, want %q", err, want)
		}
		var e *pool.PanicError
		if !asError(err, &e) || e.Unwrap() != nil || !strings.Contains(string(e.Stack), "act.go") {
			t.Errorf("%#v, want a PanicError with the stack of the panic", err)
		}
	})
}

func TestOpenErrorNamesItsPool(t *testing.T) {
	err := error(&pool.OpenError{Pool: "orders", Attempts: 2, Err: errTest})
	if got, want := err.Error(), "pool orders: open failed 2 times: "+errTest.Error(); got != want {
		t.Errorf("message %q, want %q", got, want)
	}
}
