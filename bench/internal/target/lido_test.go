package target_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/bench/internal/load"
	"github.com/lidopool/lido/bench/internal/target"
	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/strategies"
)

func TestEveryStrategyLendsAndCounts(t *testing.T) {
	for _, kind := range strategies.Kinds() {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := pooled(t, backend(t, "synthetic?open=5ms&use=2ms"), kind)
				if g := p.Gauges(); g != (load.Gauges{}) {
					t.Errorf("before anything was done the gauges are %+v, want zeros", g)
				}
				if err := p.Cycle(t.Context(), 3); err != nil {
					t.Error(err)
				}
				in(t, p, func(load.Conn) {
					if g := p.Gauges(); g.InUse != 1 || g.Open != 1 || g.Peak != 1 || g.Waiting != 0 || g.Sessions != 1 {
						t.Errorf("while one is lent the gauges are %+v", g)
					}
				})
				if err := use(p); err != nil {
					t.Error(err)
				}
				want := uint64(1)
				if kind == "null" {
					want = 5
				}
				if g := p.Gauges(); g.Opened != want || g.InUse != 0 {
					t.Errorf("at the end %+v, want %d opened and none in use", g, want)
				}
			})
		})
	}
}

// So that who ends a measurement also ends what waits within a visit.
func TestCtxWithoutADeadlineGoesOnWithinAVisit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pooled(t, backend(t, "synthetic"), long)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		begun := time.Now()
		err := p.Visit(ctx, func(ctx context.Context, _ load.Conn) error { // of the one resource
			return p.Visit(ctx, func(context.Context, load.Conn) error { return nil })
		})
		wantKind(t, p, err, "canceled")
		if took := time.Since(begun); took != time.Second {
			t.Errorf("the inner visit ended after %v, want 1s", took)
		}
	})
}

// A shared resource does one thing at a time, as a connection does.
func TestHoldersOfASharedResourceTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pooled(t, backend(t, "synthetic?use=10ms"), "static")
		begun := time.Now()
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				if err := use(p); err != nil {
					t.Error(err)
				}
			})
		}
		time.Sleep(time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Millisecond)
		defer cancel()
		wantKind(t, p, useCtx(ctx, p, false), "timeout") // it has the resource, but not its turn
		if took := time.Since(begun); took != 3*time.Millisecond {
			t.Errorf("who waits for a turn has left after %v, want 3ms", took)
		}
		all.Wait()
		if took := time.Since(begun); took != 40*time.Millisecond {
			t.Errorf("4 uses of 10 ms took %v, want 40ms", took)
		}
		if g := p.Gauges(); g.Opened != 1 {
			t.Errorf("%d were opened, want one for all", g.Opened)
		}
	})
}

func TestNestedVisitsOfASingletonShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pooled(t, backend(t, "synthetic?use=1ms"), "singleton?size=2")
		err := p.Visit(t.Context(), func(ctx context.Context, outer load.Conn) error {
			return p.Visit(ctx, func(ctx context.Context, inner load.Conn) error {
				if inner != outer {
					t.Error("a visit within a visit got another resource")
				}
				return errors.Join(inner.Use(ctx, false), outer.Use(ctx, true))
			})
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// So that a deadline of the wait does not end what is done after it.
func TestCtxWithinAVisitDoesNotEndWithThatOfTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pooled(t, backend(t, "synthetic?use=1s"), long)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := p.Visit(ctx, func(ctx context.Context, c load.Conn) error { return c.Use(ctx, false) }); err != nil {
			t.Errorf("a use of 1 s after a wait that was bounded by 1 ms: %v", err)
		}
	})
}

func TestErrorOfDuringComesBackAfterTheRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pooled(t, backend(t, "synthetic"), long)
		mine := errors.New("mine")
		err := p.Visit(t.Context(), func(context.Context, load.Conn) error { return mine })
		if g := p.Gauges(); err != mine || g.InUse != 0 || g.Open != 1 {
			t.Errorf("got %v, with %+v; want the error, none in use, and the resource kept", err, g)
		}
	})
}

func TestErrorsHaveKinds(t *testing.T) {
	forever := func() (context.Context, context.CancelFunc) { return context.WithCancel(context.Background()) }
	for _, tc := range []struct {
		strategy, kind string
		ctx            func() (context.Context, context.CancelFunc)
	}{
		{"queue?size=1&max_overflow=0&timeout=2s", "timeout", forever},
		{"queue?size=1&max_overflow=0", "timeout", func() (context.Context, context.CancelFunc) {
			return context.WithTimeout(context.Background(), time.Second)
		}},
		{"queue?size=1&max_overflow=0&max_waiters=1", "shed", forever},
		{"queue?size=1&max_overflow=0&timeout=0s", "refused", forever},
		{"null?max=1&timeout=0s", "refused", forever},
		{"assertion", "already acquired", forever},
		{"queue?size=1&max_overflow=0&timeout=1h", "canceled", func() (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancelCause(context.Background())
			time.AfterFunc(time.Second, func() { cancel(errors.New("no more patience")) })
			return ctx, func() {}
		}},
	} {
		t.Run(tc.kind+" "+tc.strategy, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := pooled(t, backend(t, "synthetic"), tc.strategy)
				release := make(chan struct{})
				var all sync.WaitGroup
				all.Go(func() { in(t, p, func(load.Conn) { <-release }) })
				synctest.Wait()
				if tc.kind == "shed" { // somebody is in line already
					all.Go(func() { in(t, p, func(load.Conn) {}) })
					synctest.Wait()
				}
				ctx, cancel := tc.ctx()
				defer cancel()
				wantKind(t, p, p.Cycle(ctx, 1), tc.kind)
				close(release)
				all.Wait()
			})
		})
	}
	p := pooled(t, backend(t, "synthetic"), long)
	shut(t, p)
	wantKind(t, p, use(p), "closed")
	wantKind(t, p, fmt.Errorf("wrapped: %w", &pool.AttemptsError{Err: errors.New("dead")}), "all dead")
	wantKind(t, p, pool.ErrInvalidated, "use failed")
	wantKind(t, p, errors.New("what else"), "other")
	// An open that failed by its own deadline is no timeout of who waited.
	wantKind(t, p, &pool.AcquireError{Err: &pool.OpenError{Err: context.DeadlineExceeded}}, "open failed")
}

func TestGaugesCountWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pooled(t, backend(t, "synthetic?open=1s"), long)
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() { in(t, p, func(load.Conn) {}) })
		}
		synctest.Wait()
		if g := p.Gauges(); g.Waiting != 3 || g.Open != 1 || g.Opened != 0 || g.InUse != 0 {
			t.Errorf("while 3 wait for an open the gauges are %+v; want 3 waiting, and the open counted as open already", g)
		}
		all.Wait()
	})
}

// Under the race detector: nothing that is not for beside is called beside.
func TestManyVisitorsWhileTheBackendFails(t *testing.T) {
	for _, kind := range strategies.Kinds() {
		t.Run(kind, func(t *testing.T) {
			b := backend(t, "synthetic?use=10us&open=20us&fail=0.05&openfail=0.05&capacity=2")
			p := pooled(t, b, kind)
			var done atomic.Int64
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					for i := range 50 {
						if err := useCtx(t.Context(), p, i%2 == 0); err == nil {
							done.Add(1)
						} else if k := p.Kind(err); k == "other" {
							t.Errorf("%v is of no kind", err)
						}
					}
				})
			}
			for range 10 {
				b.Faults().Kill(0.5)
				b.Faults().Down(true)
				b.Faults().Slow(2)
				p.Gauges()
				b.Faults().Down(false)
			}
			all.Wait()
			if done.Load() == 0 {
				t.Error("nobody was served")
			}
		})
	}
}

func TestEveryKindOfBackendHasAnExample(t *testing.T) {
	for _, k := range target.Kinds() {
		if k.Name == "" || !strings.HasPrefix(k.Example, k.Name) || !strings.HasSuffix(k.About, ".") {
			t.Errorf("%+v: want a name, an example of it and a sentence", k)
		}
	}
}

// BenchmarkCycle is what a cycle through load.Target costs; one op is an Acquire and a Release. Beside
// it is the same loop on the pool itself.
func BenchmarkCycle(b *testing.B) {
	b.Run("target", func(b *testing.B) {
		p := pooled(b, backend(b, "synthetic"), long)
		b.ReportAllocs()
		b.ResetTimer()
		if err := p.Cycle(context.Background(), b.N); err != nil {
			b.Fatal(err)
		}
	})
	b.Run("visit", func(b *testing.B) {
		p := pooled(b, backend(b, "synthetic"), long)
		nothing := func(context.Context, load.Conn) error { return nil }
		b.ReportAllocs()
		for b.Loop() {
			if err := p.Visit(context.Background(), nothing); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("pool", func(b *testing.B) {
		p, err := pool.New(pool.Funcs[*int]{OpenFunc: func(context.Context) (*int, error) { return new(int), nil }},
			strategies.Queue{Size: 1}, pool.Options{})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = p.Close() })
		ctx := context.Background()
		b.ReportAllocs()
		for b.Loop() {
			l, err := p.Acquire(ctx)
			if err != nil {
				b.Fatal(err)
			}
			if err := l.Release(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
