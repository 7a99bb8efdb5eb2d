package main

import (
	"context"

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
		OpenFunc: func(context.Context) (*resource, error) { return s.open(), nil },
	}, q, pool.Options{})
	return lido{p}, err
}

func (p lido) cycle(ctx context.Context, n int) error {
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

func (p lido) visit(ctx context.Context, during func()) error {
	l, err := p.Acquire(ctx)
	if err != nil {
		return err
	}
	l.Value().uses++
	during()
	return l.Release()
}

func (p lido) close() { _ = p.Close() }
