package strategies_test

import (
	"context"
	"testing"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/strategies"
)

// The resource of all benchmarks is a number that costs nothing to open, so what is
// measured is the pool and the strategy alone: an upper bound of what anybody can see.

// kindsToMeasure are the five kinds, with as many seats as the benchmark wants.
func kindsToMeasure(seats int) []pool.Strategy {
	return []pool.Strategy{
		strategies.Queue{Size: seats},
		strategies.Singleton{Size: seats},
		strategies.Null{Max: seats},
		strategies.Static{},
		strategies.Assertion{NoStack: true},
	}
}

// BenchmarkCycle: one op is an Acquire and a Release by one goroutine, of a resource that is idle;
// for null, which keeps none, with its open and close.
func BenchmarkCycle(b *testing.B) {
	for _, s := range kindsToMeasure(1) {
		b.Run(s.Kind(), func(b *testing.B) {
			p := plain(b, s)
			cycle(b, p)
			b.ReportAllocs()
			for b.Loop() {
				cycle(b, p)
			}
		})
	}
}

// BenchmarkAssertionStack: one op is BenchmarkCycle's, with the holder's stack taken.
func BenchmarkAssertionStack(b *testing.B) {
	p := plain(b, strategies.Assertion{})
	cycle(b, p)
	b.ReportAllocs()
	for b.Loop() {
		cycle(b, p)
	}
}

// BenchmarkContended: one op is an Acquire and a Release by one of 8 goroutines for each core, on two seats, so
// that nearly every Acquire stands in line; static shares instead, and assertion is left out: it
// refuses.
func BenchmarkContended(b *testing.B) {
	for _, s := range kindsToMeasure(2) {
		if s.Kind() == "assertion" {
			continue
		}
		b.Run(s.Kind(), func(b *testing.B) {
			p := plain(b, s)
			b.ReportAllocs()
			b.SetParallelism(8)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					cycle(b, p)
				}
			})
		})
	}
}

// BenchmarkNested: one op is an Acquire and a Release while the same owner holds a lease already, so
// that the resource is shared.
func BenchmarkNested(b *testing.B) {
	scoped, end := pool.WithScope(context.Background())
	defer end()
	for _, c := range []struct {
		name     string
		strategy pool.Strategy
		ctx      context.Context
	}{
		{"singleton by goroutine", strategies.Singleton{Size: 1}, context.Background()},
		{"singleton by scope", strategies.Singleton{Size: 1}, scoped},
		{"static", strategies.Static{}, context.Background()},
	} {
		b.Run(c.name, func(b *testing.B) {
			p := plain(b, c.strategy)
			outer, err := p.Acquire(c.ctx)
			if err != nil {
				b.Fatal(err)
			}
			defer outer.Release()
			b.ReportAllocs()
			for b.Loop() {
				l, err := p.Acquire(c.ctx)
				if err != nil {
					b.Fatal(err)
				}
				_ = l.Release()
			}
		})
	}
}
