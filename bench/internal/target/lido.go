package target

import (
	"context"

	"github.com/lidopool/lido/bench/internal/load"
	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/strategies"
)

// lido is a pool of Lido's as a load.Target, with the options that pool.New has by default.
type lido[T any] struct {
	pool *pool.Pool[T]
	origin[T]

	// life is the ctx within a visit whose wait had a deadline: one of its own for each would cost more than
	// an Acquire.
	life context.Context
	end  context.CancelFunc
}

// An origin is where the resources of one pool of Lido's come from.
type origin[T any] struct {
	backend  pool.Backend[T]
	meter    *Meter // counts what backend opens
	conn     func(T) load.Conn
	sessions func() int // for load.Gauges
	// shared is called before anything is opened if several will use a resource at the same time.
	shared func()
	// clean reports that a resource has nothing to reset, so that its lease may be ended by
	// ReleaseClean, as package manage does. False may also say that another is using it. Nil: backend resets
	// nothing, and the pool knows.
	clean func(T) bool
}

func newLido[T any](o origin[T], c strategies.Config) (load.Target, error) {
	s, err := strategies.New(c)
	if err != nil {
		return nil, err
	}
	p, err := pool.New(o.backend, s, pool.Options{Name: c.Kind})
	if err != nil {
		return nil, err
	}
	t := &lido[T]{pool: p, origin: o}
	if p.Limits().Sharing == pool.Common {
		t.shared()
	}
	t.life, t.end = context.WithCancel(context.Background())
	return t, nil
}

// Cycle implements load.Target.
func (t *lido[T]) Cycle(ctx context.Context, n int) error {
	if t.clean != nil {
		return t.cycleClean(ctx, n)
	}
	p := t.pool
	for range n {
		l, err := p.Acquire(ctx)
		if err != nil {
			return err
		}
		if err := l.Release(); err != nil {
			return err
		}
	}
	return nil
}

func (t *lido[T]) cycleClean(ctx context.Context, n int) error {
	p := t.pool
	for range n {
		l, err := p.Acquire(ctx)
		if err != nil {
			return err
		}
		if err := t.release(l); err != nil {
			return err
		}
	}
	return nil
}

func (t *lido[T]) release(l pool.Lease[T]) error {
	if t.clean != nil {
		if v, err := l.Get(); err == nil && t.clean(v) {
			return l.ReleaseClean()
		}
	}
	return l.Release()
}

// Visit implements load.Target. What the backend classifies as the death of the resource discards it. A ctx
// without a deadline goes on within: what ends it is the end of everything.
func (t *lido[T]) Visit(ctx context.Context, during func(ctx context.Context, c load.Conn) error) error {
	l, err := t.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	v, err := l.Get()
	if err == nil { // else another holder has discarded it at this moment
		within := ctx
		if _, bounded := ctx.Deadline(); bounded {
			within = t.life
		}
		err = during(within, t.conn(v))
	}
	if err != nil {
		_ = l.Fail(err)
		_ = l.Release() // of no effect if Fail has ended the lease
		return err
	}
	return t.release(l)
}

// Drop acquires a resource and forgets it, as a program does that leaks. The pool gets it back when the
// garbage collector finds it.
//
//go:noinline
func (t *lido[T]) Drop(ctx context.Context) error {
	_, err := t.pool.Acquire(ctx)
	return err
}

// Kind implements load.Target.
func (t *lido[T]) Kind(err error) string { return KindOf(err) }

// Gauges implements load.Target.
func (t *lido[T]) Gauges() load.Gauges {
	g, s := t.meter.Read(), t.pool.Stats()
	g.InUse, g.Waiting, g.Sessions = s.InUse, s.Waiting, t.sessions()
	return g
}

// Close implements load.Target.
func (t *lido[T]) Close(ctx context.Context) error {
	defer t.end()
	return t.pool.Shutdown(ctx)
}
