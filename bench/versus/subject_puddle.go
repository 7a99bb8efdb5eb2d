package main

import (
	"context"

	"github.com/jackc/puddle/v2"

	"github.com/lidopool/lido/bench/internal/load"
)

type puddlePool struct{ *puddle.Pool[*resource] }

func newPuddle(s spec) (subject, error) {
	p, err := puddle.NewPool(&puddle.Config[*resource]{
		Constructor: s.open,
		Destructor:  (*resource).close,
		MaxSize:     int32(s.seats),
	})
	return puddlePool{p}, err
}

func (p puddlePool) Cycle(ctx context.Context, n int) error {
	for range n {
		r, err := p.Acquire(ctx)
		if err != nil {
			return err
		}
		r.Value().uses++
		r.Release()
	}
	return nil
}

func (p puddlePool) Visit(ctx context.Context, during func(context.Context, load.Conn) error) error {
	r, err := p.Acquire(ctx)
	if err != nil {
		return err
	}
	r.Value().uses++
	if err = r.Value().lend(ctx, during); r.Value().broken {
		r.Destroy()
	} else {
		r.Release()
	}
	return err
}

func (p puddlePool) close() { p.Close() }
