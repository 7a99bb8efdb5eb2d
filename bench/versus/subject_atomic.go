package main

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
)

// one is a place for one resource: two atomic operations, which is the least that a
// resource with an owner costs.
type one struct{ place atomic.Pointer[resource] }

func newAtomic(s spec) (subject, error) {
	p := new(one)
	p.place.Store(s.open())
	return p, nil
}

var errNotMine = errors.New("versus: the place of a lent resource is taken")

func (p *one) cycle(_ context.Context, n int) error {
	for range n {
		r := p.take()
		r.uses++
		if !p.place.CompareAndSwap(nil, r) {
			return errNotMine
		}
	}
	return nil
}

func (p *one) visit(_ context.Context, during func()) error {
	r := p.take()
	r.uses++
	during()
	if !p.place.CompareAndSwap(nil, r) {
		return errNotMine
	}
	return nil
}

func (p *one) take() *resource {
	for {
		if r := p.place.Swap(nil); r != nil {
			return r
		}
		runtime.Gosched()
	}
}

func (p *one) close() {}
