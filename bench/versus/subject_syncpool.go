package main

import (
	"context"
	"sync"
)

// syncPool is sync.Pool as it is: it opens another whenever it has none at hand, and forgets
// them when memory is collected.
type syncPool struct{ sync.Pool }

func newSyncPool(s spec) (subject, error) {
	return &syncPool{sync.Pool{New: func() any { return s.open() }}}, nil
}

func (p *syncPool) cycle(_ context.Context, n int) error {
	for range n {
		r := p.Get().(*resource)
		r.uses++
		p.Put(r)
	}
	return nil
}

func (p *syncPool) visit(_ context.Context, during func()) error {
	r := p.Get().(*resource)
	r.uses++
	during()
	p.Put(r)
	return nil
}

func (p *syncPool) close() {}
