package strategies_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lidopool/lido/pool"
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
