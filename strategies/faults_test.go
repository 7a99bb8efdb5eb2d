package strategies_test

import (
	"context"
	"errors"
	"math"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/strategies"
)

// The tests of this file are named after faults that other pools had: see docs/faults.md.

// To leave the line costs the same from anywhere in it, or a storm of time-outs takes the square of their number.
func TestFault10LeavingALongLineCostsNoMoreThanLeavingAShortOne(t *testing.T) {
	measured(t)
	const batch = 100 // who join at the end, and leave together
	lines := []int{10, 50_000}
	var measure []func() time.Duration
	for _, n := range lines {
		p := plain(t, strategies.Queue{Size: 1})
		held, err := p.Acquire(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		var waiting atomic.Int64
		join := func(ctx context.Context, n int) {
			for range n {
				waiting.Add(1)
				go func() {
					defer waiting.Add(-1)
					if _, err := p.Acquire(ctx); err == nil {
						t.Error("a waiter got the seat that is held")
					}
				}()
			}
			for int64(p.Stats().Waiting) < waiting.Load() {
				runtime.Gosched()
			}
		}
		all, cancel := context.WithCancel(context.Background())
		join(all, n)
		measure = append(measure, func() time.Duration {
			ctx, cancel := context.WithCancel(all)
			join(ctx, batch)
			start := time.Now()
			cancel()
			for waiting.Load() > int64(n) {
				runtime.Gosched()
			}
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
	got := costs(21, measure...)
	t.Logf("leaving a line of %v: %v", lines, got)
	if got[1] > 4*got[0] {
		t.Errorf("leaving a line of %d takes %v, of %d %v; want about the same", lines[1], got[1], lines[0], got[0])
	}
}

// On one processor, who is handed a seat runs before the releaser goes on, where hand-offs are rare.
func TestFault12WokenWaiterRunsThoughTheReleaserComputes(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	p := plain(t, strategies.Queue{Size: 1})
	ran := 0
	const rounds = 20
	for range rounds {
		l, err := p.Acquire(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		var has atomic.Bool
		done := make(chan struct{})
		go func() {
			defer close(done)
			l, err := p.Acquire(context.Background())
			has.Store(true)
			if err == nil {
				_ = l.Release()
			}
		}()
		for p.Stats().Waiting == 0 {
			runtime.Gosched()
		}
		for begin := time.Now(); time.Since(begin) < 100*time.Microsecond; { // rare, as the line sees it
		}
		_ = l.Release()
		if has.Load() {
			ran++
		}
		<-done
	}
	// The line learns in the first round that hand-offs are rare; the runtime may preempt in another.
	if ran < rounds/2 {
		t.Errorf("in %d of %d rounds the waiter had run when Release returned, want it in nearly all", ran, rounds)
	}
}

func TestFault32HugeNumbersOverflowNothing(t *testing.T) {
	for _, s := range []pool.Strategy{
		strategies.Queue{Size: math.MaxInt32}, strategies.Queue{Size: math.MaxInt, MaxOverflow: math.MaxInt},
		strategies.Queue{Size: 1, MaxOverflow: math.MaxInt}, strategies.Null{Max: math.MaxInt}, strategies.Singleton{Size: math.MaxInt},
	} {
		var e *pool.OptionError
		_, err := pool.New(pool.Funcs[int]{OpenFunc: func(context.Context) (int, error) { return 1, nil }}, s, pool.Options{})
		if err == nil {
			t.Errorf("%#v was accepted, want an error: so many seats are a mistake", s)
		} else if !errors.As(err, &e) {
			t.Errorf("%#v: %v, want an OptionError", s, err)
		}
	}
	const most = 1 << 20 // that the strategies take
	p := plain(t, strategies.Queue{Size: most, MaxOverflow: most})
	if got := p.Limits().Seats; got != 2*most {
		t.Errorf("Limits.Seats is %d, want %d", got, 2*most)
	}
	l, err := p.Acquire(t.Context())
	if err != nil {
		t.Fatalf("Acquire from a pool of %d: %v, want a lease", 2*most, err)
	}
	_ = l.Release()
}
