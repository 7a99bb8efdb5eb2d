package main

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"

	"github.com/lidopool/lido/bench/internal/load"
)

// one is a place for one resource: two atomic operations, which is the least that a
// resource with an owner costs.
type one struct {
	place atomic.Pointer[resource]
	open  func(context.Context) (*resource, error)
}

func newAtomic(s spec) (subject, error) {
	r, err := s.open(context.Background())
	if err != nil {
		return nil, err
	}
	p := &one{open: s.open}
	p.place.Store(r)
	return p, nil
}

var errNotMine = errors.New("versus: the place of a lent resource is taken")

func (p *one) Cycle(_ context.Context, n int) error {
	for range n {
		r := p.take()
		r.uses++
		if !p.place.CompareAndSwap(nil, r) {
			return errNotMine
		}
	}
	return nil
}

func (p *one) Visit(ctx context.Context, during func(context.Context, load.Conn) error) error {
	r := p.take()
	r.uses++
	err := r.lend(ctx, during)
	if !p.place.CompareAndSwap(nil, r.orNew(ctx, p.open)) {
		return errNotMine
	}
	return err
}

func (p *one) take() *resource {
	for {
		if r := p.place.Swap(nil); r != nil {
			return r
		}
		runtime.Gosched()
	}
}

func (p *one) close() { p.take().close() }
