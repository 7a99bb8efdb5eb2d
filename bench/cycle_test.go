package main

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/strategies"
)

// resource is as large as a cache line and more, so that two of them are not slow only because
// they lie in one.
type resource struct {
	uses int
	_    [120]byte
}

// lender is what every competitor is reduced to: lend a resource, and take it back.
type lender interface {
	cycle(ctx context.Context) error
}

// lido is a pool of Lido's.
type lido struct{ *pool.Pool[*resource] }

func (p lido) cycle(ctx context.Context) error {
	l, err := p.Acquire(ctx)
	if err != nil {
		return err
	}
	l.Value().uses++
	return l.Release()
}

// channel is the pool that people write themselves: a buffered channel, with ctx.
type channel chan *resource

func (c channel) cycle(ctx context.Context) error {
	select {
	case r := <-c:
		r.uses++
		c <- r
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// free is sync.Pool: no limit, no owner, no error. What it costs is the least that can be
// asked.
type free struct{ sync.Pool }

func (f *free) cycle(context.Context) error {
	r := f.Get().(*resource)
	r.uses++
	f.Put(r)
	return nil
}

func newLido(tb testing.TB, s pool.Strategy) lender {
	tb.Helper()
	p, err := pool.New(pool.Funcs[*resource]{
		OpenFunc: func(context.Context) (*resource, error) { return new(resource), nil },
	}, s, pool.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = p.Close() })
	return lido{p}
}

func newChannel(size int) channel {
	c := make(channel, size)
	for range size {
		c <- new(resource)
	}
	return c
}

// BenchmarkCycle: one goroutine, and after the first op the resource is idle, but for null,
// which opens and closes one each time.
func BenchmarkCycle(b *testing.B) {
	run := func(name string, l lender) {
		b.Run(name, func(b *testing.B) {
			ctx := context.Background()
			b.ReportAllocs()
			for b.Loop() {
				if err := l.cycle(ctx); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	run("queue", newLido(b, strategies.Queue{Size: 10}))
	run("singleton", newLido(b, strategies.Singleton{Size: 10}))
	run("null", newLido(b, strategies.Null{Max: 10}))
	run("static", newLido(b, strategies.Static{}))
	run("assertion", newLido(b, strategies.Assertion{NoStack: true}))
	run("channel", newChannel(10))
	run("syncpool", &free{sync.Pool{New: func() any { return new(resource) }}})
}

// BenchmarkParallel: GOMAXPROCS goroutines and a seat for each.
func BenchmarkParallel(b *testing.B) {
	run := func(name string, l lender) {
		b.Run(name, func(b *testing.B) {
			ctx := context.Background()
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := l.cycle(ctx); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
	run("queue", newLido(b, strategies.Queue{Size: 64}))
	run("singleton", newLido(b, strategies.Singleton{Size: 64}))
	run("static", newLido(b, strategies.Static{}))
	run("channel", newChannel(64))
	run("syncpool", &free{sync.Pool{New: func() any { return new(resource) }}})
}

// BenchmarkContended: 64 goroutines share 10 seats, and whoever holds one yields the
// processor once, so that nearly every acquire has to wait.
func BenchmarkContended(b *testing.B) {
	const goroutines, seats = 64, 10
	work := func(name string, acquire func(context.Context) (func(), error)) {
		b.Run(name, func(b *testing.B) {
			ctx := context.Background()
			b.ReportAllocs()
			b.SetParallelism(goroutines / runtime.GOMAXPROCS(0))
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					release, err := acquire(ctx)
					if err != nil {
						b.Error(err)
						return
					}
					runtime.Gosched()
					release()
				}
			})
		})
	}
	for _, s := range []pool.Strategy{
		strategies.Queue{Size: seats}, strategies.Singleton{Size: seats}, strategies.Null{Max: seats}, strategies.Static{},
	} {
		p := newLido(b, s).(lido)
		work(s.Kind(), func(ctx context.Context) (func(), error) {
			l, err := p.Acquire(ctx)
			return func() { _ = l.Release() }, err
		})
	}
	c := newChannel(seats)
	work("channel", func(ctx context.Context) (func(), error) {
		select {
		case r := <-c:
			return func() { c <- r }, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	})
}

// BenchmarkOrder: BenchmarkCycle/queue and BenchmarkParallel/queue in each order of idle seats.
func BenchmarkOrder(b *testing.B) {
	for _, order := range []strategies.Order{strategies.Affine, strategies.LIFO, strategies.FIFO} {
		p := newLido(b, strategies.Queue{Size: 64, Order: order})
		ctx := context.Background()
		b.Run(string(order)+"/single", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := p.cycle(ctx); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(string(order)+"/parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := p.cycle(ctx); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// BenchmarkPrice: what an option adds to the cycle of BenchmarkCycle/queue.
func BenchmarkPrice(b *testing.B) {
	hook := func(context.Context, pool.Event[*resource]) error { return nil }
	for _, c := range []struct {
		name  string
		opts  pool.Options
		reset func(context.Context, *resource) error
		hooks pool.Hooks[*resource]
	}{
		{name: "nothing"},
		{name: "ignore-dropped", opts: pool.Options{Dropped: pool.IgnoreDropped}},
		{name: "max-age", opts: pool.Options{MaxAge: 1 << 60}},
		{name: "upkeep", opts: pool.Options{MaxAge: time.Hour, MaxIdle: time.Hour, KeepAlive: time.Minute, MinIdle: 1}},
		{name: "stacks", opts: pool.Options{Stacks: true}},
		{name: "checkout-hook", hooks: pool.Hooks[*resource]{Checkout: hook}},
		{name: "reset-inline", opts: pool.Options{ResetTimeout: pool.Inline}, reset: func(context.Context, *resource) error { return nil }},
		{name: "reset-bounded", reset: func(context.Context, *resource) error { return nil }},
	} {
		b.Run(c.name, func(b *testing.B) {
			p, err := pool.New(pool.Funcs[*resource]{
				OpenFunc:  func(context.Context) (*resource, error) { return new(resource), nil },
				ResetFunc: c.reset,
			}, strategies.Queue{Size: 10}, c.opts, c.hooks)
			if err != nil {
				b.Fatal(err)
			}
			defer p.Close()
			ctx := context.Background()
			b.ReportAllocs()
			for b.Loop() {
				if err := (lido{p}).cycle(ctx); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
