package strategies_test

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/strategies"
)

// What a verb costs must not depend on how many seats there are, nor on how many wait. The limits are generous, as
// other things go on where tests run: what grows with the number, grows a thousandfold here.

// measured has a test skipped where it would measure something else, or take too long.
func measured(t *testing.T) {
	t.Helper()
	if underRace {
		t.Skip("the race detector has memory and time of its own: run this without -race, as make test does")
	}
	if testing.Short() {
		t.Skip("it takes a second: run this without -short")
	}
}

// costs measures several things in turn, again and again, so that a busy moment meets all of them. The cost of
// each is the median.
func costs(rounds int, measure ...func() time.Duration) (medians []time.Duration) {
	all := make([][]time.Duration, len(measure))
	for range rounds {
		for i, m := range measure {
			all[i] = append(all[i], m())
		}
	}
	for _, one := range all {
		slices.Sort(one)
		medians = append(medians, one[len(one)/2])
	}
	return medians
}

// holdAll holds every seat of a pool at once, and gives all of them back but the first few.
func holdAll[T any](t *testing.T, p *pool.Pool[T], but int) (held []pool.Lease[T]) {
	t.Helper()
	const goroutines = 8 // each open is done by another: so it is sooner done
	held = make([]pool.Lease[T], p.Limits().Seats)
	var all sync.WaitGroup
	for g := range goroutines {
		all.Go(func() {
			for i := g; i < len(held); i += goroutines {
				var err error
				if held[i], err = p.Acquire(context.Background()); err != nil {
					t.Errorf("Acquire: %v, want a lease", err)
				}
			}
		})
	}
	all.Wait()
	for _, l := range held[but:] {
		_ = l.Release()
	}
	return held[:but]
}

// flat is how many times as long many may take as few. Memory that is in no cache makes it three on a busy
// machine; a look at each of 1,000 would make it fifty.
const flat = 10

func TestCostDoesNotGrowWithTheNumberOfSeats(t *testing.T) {
	measured(t)
	const cycles = 500
	sizes := []int{1, 10, 128, 1000, 100_000}
	cycle := func(p *pool.Pool[int], acquire func(context.Context) (pool.Lease[int], error)) func() time.Duration {
		return func() time.Duration {
			start := time.Now()
			for range cycles {
				l, err := acquire(context.Background())
				if err != nil {
					t.Errorf("with %v: %v, want a lease", p, err)
					return 0
				}
				_ = l.Release()
			}
			return time.Since(start) / cycles
		}
	}
	var pools []*pool.Pool[int]
	var acquire, try, acquireLast, tryLast []func() time.Duration
	for _, size := range sizes {
		p := plain(t, strategies.Queue{Size: size})
		pools = append(pools, p)
		holdAll(t, p, 0)
		acquire, try = append(acquire, cycle(p, p.Acquire)), append(try, cycle(p, p.TryAcquire))
	}
	compare := func(what string, base time.Duration, got []time.Duration) {
		t.Logf("%s of %v: %v", what, sizes, got)
		for i, cost := range got {
			if cost > flat*base {
				t.Errorf("%s of %d takes %v, want %v at most, %d times as long as of few", what, sizes[i], cost, flat*base, flat)
			}
		}
	}
	got := costs(21, append(acquire, try...)...)
	compare("Acquire and Release with all idle", got[0], got[:len(sizes)])
	compare("TryAcquire and Release with all idle", got[len(sizes)], got[len(sizes):])

	for _, p := range pools {
		held := make([]pool.Lease[int], p.Limits().Seats-1)
		for i := range held {
			held[i], _ = p.TryAcquire(context.Background())
		}
		defer func() {
			for _, l := range held {
				_ = l.Release()
			}
		}()
		acquireLast, tryLast = append(acquireLast, cycle(p, p.Acquire)), append(tryLast, cycle(p, p.TryAcquire))
	}
	// Where the last one is not where it was before, the pool looks at 128 seats before it asks.
	got = costs(21, append(tryLast, acquireLast...)...)
	compare("TryAcquire and Release of the last idle one", got[2], got[:len(sizes)])
	compare("Acquire and Release of the last idle one", got[2], got[len(sizes):])
}

func TestCostOfAHandOffDoesNotGrowWithTheLine(t *testing.T) {
	measured(t)
	const batch = 200 // hand-offs that are measured together; so many more wait than is said
	lines := []int{1, 10, 1000, 100_000}
	var measure []func() time.Duration
	for _, n := range lines {
		p := plain(t, strategies.Queue{Size: 1})
		ctx, cancel := context.WithCancel(context.Background())
		held, err := p.Acquire(ctx)
		if err != nil {
			t.Fatal(err)
		}
		back := make(chan pool.Lease[int])
		var served, waiting atomic.Int64
		join := func(n int) {
			for range n {
				waiting.Add(1)
				go func() {
					l, err := p.Acquire(ctx)
					waiting.Add(-1)
					switch {
					case err != nil: // it was canceled, in the end
					case served.Add(1)%batch == 0:
						back <- l
					default:
						_ = l.Release()
					}
				}()
			}
			for int64(p.Stats().Waiting) < waiting.Load() {
				runtime.Gosched()
			}
		}
		join(n)
		measure = append(measure, func() time.Duration {
			join(batch)
			start := time.Now()
			_ = held.Release()
			held = <-back
			return time.Since(start) / batch
		})
		defer func() {
			cancel()
			for waiting.Load() > 0 {
				runtime.Gosched()
			}
			_ = held.Release()
		}()
	}
	got := costs(15, measure...)
	t.Logf("a hand-off with %v waiting: %v", lines, got)
	for i, cost := range got {
		if base := slices.Max(got[:2]); cost > flat*base {
			t.Errorf("a hand-off with %d waiting takes %v, want %v at most, %d times as long as with few", lines[i], cost, flat*base, flat)
		}
	}
}
