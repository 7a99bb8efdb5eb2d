package strategies_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

// Thousands who wait for two seats, and are canceled at once: all of them come back soon, with the cause, and
// whoever comes next is served at once. It is in real time, since how soon is the question.
func TestThousandsCanceledAtOnceComeBackAndLoseNoSeat(t *testing.T) {
	waiters := 10000
	if underRace {
		waiters = 1000
	}
	const soon = 5 * time.Second // far longer than the hundredths of a second it takes
	for _, fairness := range []strategies.Fairness{strategies.Strict, strategies.Bounded} {
		for _, ctxs := range []string{"a ctx for each", "one ctx for all", "one ctx that the line watches"} {
			for how, releasing := range map[string]bool{"while both are held": false, "while both come back": true} {
				t.Run(fmt.Sprintf("%s, %s, %s", fairness, ctxs, how), func(t *testing.T) {
					p := plain(t, strategies.Queue{Size: 2, Fairness: fairness})
					parent, cancel := context.WithCancelCause(t.Context())
					var all sync.WaitGroup
					if ctxs == "one ctx that the line watches" { // since it comes again and again
						for range 6 {
							all.Go(func() {
								for range 100 {
									if l, err := p.Acquire(parent); err == nil {
										runtime.Gosched()
										_ = l.Release()
									}
								}
							})
						}
						all.Wait()
					}
					var held []pool.Lease[int]
					for range 2 {
						l, err := p.Acquire(t.Context())
						if err != nil {
							t.Fatal(err)
						}
						held = append(held, l)
					}
					var served, refused atomic.Int32
					for range waiters {
						all.Go(func() {
							ctx := parent
							if ctxs == "a ctx for each" {
								var stop context.CancelFunc
								ctx, stop = context.WithCancel(parent)
								defer stop()
							}
							l, err := p.Acquire(ctx)
							switch {
							case err == nil:
								served.Add(1)
								_ = l.Release()
							case errors.Is(err, errGone) && errors.Is(err, context.Canceled):
								refused.Add(1)
							default:
								t.Errorf("a waiter that was canceled got %v, want the cause and context.Canceled", err)
							}
						})
					}
					for p.Stats().Waiting < waiters {
						runtime.Gosched()
					}
					release := func() {
						for _, l := range held {
							if err := l.Release(); err != nil {
								t.Errorf("Release: %v, want nil", err)
							}
						}
					}
					start := time.Now()
					if releasing {
						all.Go(release)
					}
					cancel(errGone)
					all.Wait()
					took := time.Since(start)
					t.Logf("%d waiters came back in %v, %d of them with a seat", waiters, took.Round(time.Microsecond), served.Load())
					if took > soon {
						t.Errorf("%d waiters came back %v after they were canceled, want it soon", waiters, took)
					}
					if n := served.Load(); n > 0 && !releasing {
						t.Errorf("%d waiters got a seat, with both held", n)
					}
					if s := p.Stats(); s.Waiting != 0 || s.Canceled != uint64(refused.Load()) {
						t.Errorf("afterwards: %d waiting, %d canceled; want none and %d", s.Waiting, s.Canceled, refused.Load())
					}
					if !releasing {
						release()
					}
					for i := range 2 { // both seats are there
						l, err := p.TryAcquire(t.Context())
						if err != nil {
							t.Fatalf("TryAcquire with both seats returned: %v, want a lease at once", err)
						}
						held[i] = l
					}
					// The next line is as good as the first.
					for range 5 {
						all.Go(func() {
							l, err := p.Acquire(t.Context())
							if err != nil {
								t.Errorf("Acquire of the next line: %v, want a lease", err)
							}
							_ = l.Release()
						})
					}
					for p.Stats().Waiting < 5 {
						runtime.Gosched()
					}
					release()
					all.Wait()
					if s := p.Stats(); s.Waiting+s.InUse != 0 || s.Idle != 2 {
						t.Errorf("at rest: %v, want 2 idle and nothing else", s)
					}
				})
			}
		}
	}
}

// Who stands beside one that gives up, with the same ctx, leaves with it; nobody else does.
func TestNeighboursWithTheSameCtxLeaveTogether(t *testing.T) {
	end := func(ctx context.Context) (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancelCause(ctx)
		return ctx, func() { cancel(errGone) }
	}
	for _, tc := range []struct {
		name   string
		with   func(context.Context) (context.Context, context.CancelFunc)
		is     []error
		counts func(pool.Stats) uint64
	}{
		{"canceled", end, []error{errGone, context.Canceled}, func(s pool.Stats) uint64 { return s.Canceled }},
		{"expired", func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithDeadline(ctx, time.Now().Add(time.Second))
		}, []error{context.DeadlineExceeded, pool.ErrTimeout}, func(s pool.Stats) uint64 { return s.TimedOut }},
	} {
		for _, order := range []string{"a", "aaa", "baab", "abababa", strings.Repeat("a", 600), strings.Repeat("aab", 200)} {
			t.Run(tc.name+" "+order[:min(len(order), 8)], func(t *testing.T) {
				with(t, strategies.Queue{Size: 1}, func(r *rig) {
					held := r.get()
					a, cancel := tc.with(r.Context())
					defer cancel()
					gone := make(chan error, len(order))
					served := make(chan int, len(order))
					stay := 0
					for i, who := range order {
						ctx := a
						if who == 'b' {
							ctx = r.Context()
							stay++
						} else if i%3 == 2 {
							ctx = context.WithValue(a, key{}, i) // another ctx, but the same end
						}
						go func() {
							l, err := r.Acquire(ctx)
							if err != nil {
								gone <- err
								return
							}
							served <- i
							_ = l.Release()
						}()
						synctest.Wait()
					}
					time.Sleep(time.Second)
					synctest.Wait() // where it is time that ends ctx
					cancel()
					synctest.Wait()
					if got, want := len(gone), len(order)-stay; got != want {
						t.Fatalf("%d have left, want the %d whose ctx has ended", got, want)
					}
					for range len(gone) {
						err := <-gone
						var e *pool.AcquireError
						if !errors.As(err, &e) || e.Waited != time.Second || e.Load.Lent != 1 {
							t.Fatalf("Acquire: %#v, want an AcquireError that tells of a second in line, and of the lease that is held", err)
						}
						for _, is := range tc.is {
							if !errors.Is(err, is) {
								t.Errorf("Acquire: %v, want it to be %v", err, is)
							}
						}
						if errors.As(err, new(*pool.Refusal)) {
							t.Errorf("Acquire: %v tells what only strategies are to know", err)
						}
					}
					if s := r.Stats(); s.Waiting != stay || tc.counts(s) != uint64(len(order)-stay) || s.WaitTime != time.Duration(len(order)-stay)*time.Second {
						t.Errorf("%+v, want %d to wait, and %d to have left after a second each", s, stay, len(order)-stay)
					}
					_ = held.Release()
					synctest.Wait()
					last := -1
					for range stay {
						if i := <-served; i < last {
							t.Errorf("number %d was served after %d", i, last)
						} else {
							last = i
						}
					}
				})
			})
		}
	}
}

// A caller may end its ctx with an error of the pool's own.
func TestWhoeverGivesUpCountsOnceWhateverTheCause(t *testing.T) {
	with(t, strategies.Queue{Size: 1}, func(r *rig) {
		held := r.get()
		ctx, cancel := context.WithCancelCause(r.Context())
		a := r.ask(ctx)
		cancel(pool.ErrTimeout)
		if <-a.answered; !errors.Is(a.err, pool.ErrTimeout) || !errors.Is(a.err, context.Canceled) {
			r.Errorf("Acquire: %v, want the cause of its ctx", a.err)
		}
		if s := r.Stats(); s.Canceled != 1 || s.TimedOut != 0 {
			r.Errorf("%d canceled and %d timed out, want one that was canceled", s.Canceled, s.TimedOut)
		}
		r.end(held)
	})
}

// What frees the seat may find that a waiter's ctx has ended before the waiter does.
func TestWhoeverIsFoundToHaveGivenUpCountsToo(t *testing.T) {
	for _, s := range []pool.Strategy{strategies.Queue{Size: 1}, strategies.Singleton{Size: 1}, strategies.Static{}} {
		t.Run(s.Kind(), func(t *testing.T) {
			with(t, s, func(r *rig) {
				r.fake.Next(pooltest.Open, pooltest.Slow(time.Second))
				ctx := newWatchedCtx()
				a := r.ask(ctx)
				ctx.mu.Lock()
				ctx.err = context.Canceled
				ctx.mu.Unlock()
				if <-a.answered; !errors.Is(a.err, context.Canceled) {
					r.Errorf("Acquire: %v, want that its ctx has ended", a.err)
				}
				if s := r.Stats(); s.Canceled != 1 || s.TimedOut != 0 {
					r.Errorf("%d canceled and %d timed out, want one that was canceled", s.Canceled, s.TimedOut)
				}
			})
		})
	}
}

type key struct{}
