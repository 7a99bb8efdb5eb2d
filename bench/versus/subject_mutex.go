package main

import (
	"context"
	"errors"
	"sync"
)

// stack is a slice under a mutex. Whoever finds it empty is sent away.
type stack struct {
	mu   sync.Mutex
	idle []*resource
}

func newStack(s spec) *stack {
	p := new(stack)
	for range s.seats {
		p.idle = append(p.idle, s.open())
	}
	return p
}

func newMutex(s spec) (subject, error) { return newStack(s), nil }

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

func (p *stack) cycle(_ context.Context, n int) error {
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

func (p *stack) visit(_ context.Context, during func()) error {
	r, err := p.pop()
	if err != nil {
		return err
	}
	r.uses++
	during()
	p.push(r)
	return nil
}

func (p *stack) close() {}
