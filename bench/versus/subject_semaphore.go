package main

import (
	"context"

	"golang.org/x/sync/semaphore"

	"github.com/lidopool/lido/bench/internal/load"
)

// counted is a stack behind a semaphore: who may pass finds a resource on it.
type counted struct {
	*stack
	passes *semaphore.Weighted
}

func newSemaphore(s spec) (subject, error) {
	p, err := newStack(s)
	return counted{p, semaphore.NewWeighted(int64(s.seats))}, err
}

func (p counted) Cycle(ctx context.Context, n int) error {
	for range n {
		if err := p.passes.Acquire(ctx, 1); err != nil {
			return err
		}
		r, err := p.pop()
		if err != nil {
			return err
		}
		r.uses++
		p.push(r)
		p.passes.Release(1)
	}
	return nil
}

func (p counted) Visit(ctx context.Context, during func(context.Context, load.Conn) error) error {
	if err := p.passes.Acquire(ctx, 1); err != nil {
		return err
	}
	defer p.passes.Release(1)
	return p.stack.Visit(ctx, during)
}
