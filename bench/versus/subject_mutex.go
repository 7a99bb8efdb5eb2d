package main

import (
	"context"
	"errors"
	"sync"

	"github.com/lidopool/lido/bench/internal/load"
)

// stack is a slice under a mutex. Whoever finds it empty is sent away.
type stack struct {
	open func(context.Context) (*resource, error)

	mu   sync.Mutex
	idle []*resource
}

func newStack(s spec) (*stack, error) {
	all, err := s.openAll()
	return &stack{open: s.open, idle: all}, err
}

func newMutex(s spec) (subject, error) { return newStack(s) }

var errEmpty = errors.New("versus: no idle resource")

func (p *stack) pop() (*resource, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) == 0 {
		return nil, errEmpty
	}
	r := p.idle[len(p.idle)-1]
	p.idle = p.idle[:len(p.idle)-1]
	return r, nil
}

func (p *stack) push(r *resource) {
	p.mu.Lock()
	p.idle = append(p.idle, r)
	p.mu.Unlock()
}

func (p *stack) Cycle(_ context.Context, n int) error {
	for range n {
		r, err := p.pop()
		if err != nil {
			return err
		}
		r.uses++
		p.push(r)
	}
	return nil
}

func (p *stack) Visit(ctx context.Context, during func(context.Context, load.Conn) error) error {
	r, err := p.pop()
	if err != nil {
		return err
	}
	r.uses++
	err = r.lend(ctx, during)
	p.push(r.orNew(ctx, p.open))
	return err
}

func (p *stack) close() { closeAll(p.idle) }
