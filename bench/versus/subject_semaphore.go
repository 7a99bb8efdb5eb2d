package main

import (
	"context"

	"golang.org/x/sync/semaphore"
)

// counted is a stack behind a semaphore: who may pass finds a resource on it.
type counted struct {
	*stack
	passes *semaphore.Weighted
}

func newSemaphore(s spec) (subject, error) {
	return counted{newStack(s), semaphore.NewWeighted(int64(s.seats))}, nil
}

func (p counted) cycle(ctx context.Context, n int) error {
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

func (p counted) visit(ctx context.Context, during func()) error {
	if err := p.passes.Acquire(ctx, 1); err != nil {
		return err
	}
	defer p.passes.Release(1)
	return p.stack.visit(ctx, during)
}
