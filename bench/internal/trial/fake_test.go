package trial_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/lidopool/lido/bench/internal/load"
	"github.com/lidopool/lido/bench/internal/trial"
)

// A record is what was done to the pools of a trial, in order.
type record struct {
	opened []string // "queue 4": each new pool
	open   int      // now
	most   int      // at once
}

// A fake is a pool of one resource per size, whose use takes a fixed time.
type fake struct {
	r              *record
	conns          chan struct{}
	cost           time.Duration
	fail           error // of Close
	inUse, waiting atomic.Int64
}

// subject makes fakes whose cost may depend on how many there have been of it: on the round.
func (r *record) subject(name string, cost func(round int) time.Duration) trial.Subject {
	round := -1
	return trial.Subject{
		Name: name, Sized: true,
		Config: func(size int) string { return fmt.Sprintf("%s?size=%d", name, size) },
		Open: func(_ context.Context, size int) (load.Target, error) {
			round++
			r.opened = append(r.opened, fmt.Sprint(name, " ", size))
			r.open++
			r.most = max(r.most, r.open)
			f := &fake{r: r, conns: make(chan struct{}, max(size, 1)), cost: cost(round)}
			for range cap(f.conns) {
				f.conns <- struct{}{}
			}
			return f, nil
		},
	}
}

func always(d time.Duration) func(int) time.Duration { return func(int) time.Duration { return d } }

func (f *fake) Use(ctx context.Context, _ bool) error {
	time.Sleep(f.cost)
	return ctx.Err()
}

func (f *fake) Cycle(ctx context.Context, n int) error {
	for range n {
		if err := f.Visit(ctx, f.use); err != nil {
			return err
		}
	}
	return nil
}

func (f *fake) use(ctx context.Context, c load.Conn) error { return c.Use(ctx, false) }

func (f *fake) Visit(ctx context.Context, during func(context.Context, load.Conn) error) error {
	f.waiting.Add(1)
	select {
	case <-f.conns:
		f.waiting.Add(-1)
	case <-ctx.Done():
		f.waiting.Add(-1)
		return context.Cause(ctx)
	}
	f.inUse.Add(1)
	err := during(context.WithoutCancel(ctx), f)
	f.inUse.Add(-1)
	f.conns <- struct{}{}
	return err
}

func (f *fake) Kind(error) string { return "other" }

func (f *fake) Gauges() load.Gauges {
	return load.Gauges{Open: cap(f.conns), Peak: cap(f.conns), Opened: uint64(cap(f.conns)), InUse: int(f.inUse.Load()), Waiting: int(f.waiting.Load()), Sessions: -1}
}

func (f *fake) Close(ctx context.Context) error {
	if ctx.Err() != nil {
		return ctx.Err() // and what it has open stays so
	}
	f.r.open--
	return f.fail
}
