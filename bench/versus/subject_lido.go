package main

import (
	"context"
	"errors"

	"github.com/lidopool/lido/bench/internal/load"
	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/strategies"
)

type lido struct{ *pool.Pool[*resource] }

func newLido(s spec) (subject, error) {
	q := strategies.Queue{Size: s.seats}
	if s.bounded {
		q.Fairness = strategies.Bounded
	}
	p, err := pool.New(pool.Funcs[*resource]{
		OpenFunc: s.open,
		CloseFunc: func(r *resource) error {
			r.close()
			return nil
		},
	}, q, pool.Options{})
	return lido{p}, err
}

func (p lido) Cycle(ctx context.Context, n int) error {
	for range n {
		l, err := p.Acquire(ctx)
		if err != nil {
			return err
		}
		l.Value().uses++
		if err := l.Release(); err != nil {
			return err
		}
	}
	return nil
}

func (p lido) Visit(ctx context.Context, during func(context.Context, load.Conn) error) error {
	l, err := p.Acquire(ctx)
	if err != nil {
		return err
	}
	r := l.Value()
	r.uses++
	if err = r.lend(ctx, during); r.broken {
		return errors.Join(err, l.Discard(errBroken))
	}
	return errors.Join(err, l.Release())
}

func (p lido) close() { _ = p.Close() }
