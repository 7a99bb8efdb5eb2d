package main

import (
	"context"
	"sync"

	"github.com/lidopool/lido/bench/internal/load"
)

// syncPool is sync.Pool as it is: it opens another whenever it has none at hand, and forgets
// them when memory is collected. What it forgets stays open, as nobody closes it, until the end.
type syncPool struct {
	sync.Pool
	open func(context.Context) (*resource, error)

	mu  sync.Mutex
	all []*resource
}

func newSyncPool(s spec) (subject, error) { return &syncPool{open: s.open}, nil }

func (p *syncPool) another(ctx context.Context) (*resource, error) {
	r, err := p.open(ctx)
	if err == nil {
		p.mu.Lock()
		p.all = append(p.all, r)
		p.mu.Unlock()
	}
	return r, err
}

func (p *syncPool) Cycle(ctx context.Context, n int) (err error) {
	for range n {
		r, ok := p.Get().(*resource)
		if !ok {
			if r, err = p.another(ctx); err != nil {
				return err
			}
		}
		r.uses++
		p.Put(r)
	}
	return nil
}

func (p *syncPool) Visit(ctx context.Context, during func(context.Context, load.Conn) error) (err error) {
	r, ok := p.Get().(*resource)
	if !ok {
		if r, err = p.another(ctx); err != nil {
			return err
		}
	}
	r.uses++
	err = r.lend(ctx, during)
	if !r.broken {
		p.Put(r)
		return err
	}
	r.close()
	r.end = nil
	return err
}

func (p *syncPool) close() { closeAll(p.all) }
