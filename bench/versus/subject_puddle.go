package main

import (
	"context"

	"github.com/jackc/puddle/v2"
)

type puddlePool struct{ *puddle.Pool[*resource] }

func newPuddle(s spec) (subject, error) {
	p, err := puddle.NewPool(&puddle.Config[*resource]{
		Constructor: func(context.Context) (*resource, error) { return s.open(), nil },
		Destructor:  func(*resource) {},
		MaxSize:     int32(s.seats),
	})
	return puddlePool{p}, err
}

func (p puddlePool) cycle(ctx context.Context, n int) error {
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

func (p puddlePool) visit(ctx context.Context, during func()) error {
	r, err := p.Acquire(ctx)
	if err != nil {
		return err
	}
	r.Value().uses++
	during()
	r.Release()
	return nil
}

func (p puddlePool) close() { p.Close() }
