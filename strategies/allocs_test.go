package strategies_test

import (
	"context"
	"testing"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/strategies"
)

// plain is a pool of numbers that has nothing to do on checkout and return: what it
// costs is what the pool and its strategy cost.
func plain(t testing.TB, s pool.Strategy) *pool.Pool[int] {
	t.Helper()
	open := pool.Funcs[int]{OpenFunc: func(context.Context) (int, error) { return 1, nil }}
	p, err := pool.New(open, s, pool.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func cycle(t testing.TB, p *pool.Pool[int]) {
	l, err := p.Acquire(context.Background())
	if err != nil {
		t.Error(err)
		return
	}
	_ = l.Release()
}

func TestCycleDoesNotAllocate(t *testing.T) {
	if underRace {
		t.Skip("the race detector makes allocations of its own: run this without -race, as make test does")
	}
	for name, s := range map[string]pool.Strategy{
		"queue":     strategies.Queue{Size: 1},
		"static":    strategies.Static{},
		"singleton": strategies.Singleton{Size: 1},
		"assertion": strategies.Assertion{NoStack: true},
	} {
		t.Run(name, func(t *testing.T) {
			p := plain(t, s)
			cycle(t, p) // opens
			if n := testing.AllocsPerRun(1000, func() { cycle(t, p) }); n != 0 {
				t.Errorf("Acquire and Release of an idle resource: %v allocations, want 0", n)
			}
		})
	}
}

func TestACleanReturnDoesNotAllocate(t *testing.T) {
	if underRace {
		t.Skip("the race detector makes allocations of its own: run this without -race, as make test does")
	}
	for name, s := range map[string]pool.Strategy{
		"queue":     strategies.Queue{Size: 1},
		"static":    strategies.Static{},
		"singleton": strategies.Singleton{Size: 1},
		"assertion": strategies.Assertion{NoStack: true},
	} {
		t.Run(name, func(t *testing.T) {
			resets := 0
			p, err := pool.New(pool.Funcs[int]{
				OpenFunc:  func(context.Context) (int, error) { return 1, nil },
				ResetFunc: func(context.Context, int) error { resets++; return nil },
			}, s, pool.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			clean := func() {
				l, err := p.Acquire(context.Background())
				if err != nil {
					t.Error(err)
					return
				}
				_ = l.ReleaseClean()
			}
			clean() // opens
			if n := testing.AllocsPerRun(1000, clean); n != 0 || resets > 0 {
				t.Errorf("Acquire and ReleaseClean: %v allocations and %d resets, want none", n, resets)
			}
		})
	}
}

func TestNestedCycleDoesNotAllocate(t *testing.T) {
	if underRace {
		t.Skip("the race detector makes allocations of its own: run this without -race, as make test does")
	}
	for name, s := range map[string]pool.Strategy{
		"static":    strategies.Static{},
		"singleton": strategies.Singleton{Size: 1},
	} {
		t.Run(name, func(t *testing.T) {
			p := plain(t, s)
			outer, err := p.Acquire(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			defer outer.Release()
			cycle(t, p) // makes the second hold
			if n := testing.AllocsPerRun(1000, func() { cycle(t, p) }); n != 0 {
				t.Errorf("Acquire and Release within another lease: %v allocations, want 0", n)
			}
		})
	}
}
