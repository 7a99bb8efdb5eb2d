package main

import (
	"context"

	commons "github.com/jolestar/go-commons-pool/v2"
)

type commonsPool struct{ *commons.ObjectPool }

func newCommonsPool(s spec) (subject, error) {
	config := commons.NewDefaultPoolConfig()
	config.MaxTotal, config.MaxIdle = s.seats, s.seats
	factory := commons.NewPooledObjectFactorySimple(func(context.Context) (any, error) { return s.open(), nil })
	return commonsPool{commons.NewObjectPool(context.Background(), factory, config)}, nil
}

func (p commonsPool) cycle(ctx context.Context, n int) error {
	for range n {
		r, err := p.BorrowObject(ctx)
		if err != nil {
			return err
		}
		r.(*resource).uses++
		if err := p.ReturnObject(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

func (p commonsPool) visit(ctx context.Context, during func()) error {
	r, err := p.BorrowObject(ctx)
	if err != nil {
		return err
	}
	r.(*resource).uses++
	during()
	return p.ReturnObject(ctx, r)
}

func (p commonsPool) close() { p.Close(context.Background()) }
