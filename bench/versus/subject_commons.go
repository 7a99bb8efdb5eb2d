package main

import (
	"context"
	"errors"

	commons "github.com/jolestar/go-commons-pool/v2"

	"github.com/lidopool/lido/bench/internal/load"
)

type commonsPool struct{ *commons.ObjectPool }

func newCommonsPool(s spec) (subject, error) {
	config := commons.NewDefaultPoolConfig()
	config.MaxTotal, config.MaxIdle = s.seats, s.seats
	factory := commons.NewPooledObjectFactory(
		func(ctx context.Context) (any, error) { return s.open(ctx) },
		func(_ context.Context, o *commons.PooledObject) error {
			o.Object.(*resource).close()
			return nil
		}, nil, nil, nil)
	return commonsPool{commons.NewObjectPool(context.Background(), factory, config)}, nil
}

func (p commonsPool) Cycle(ctx context.Context, n int) error {
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

func (p commonsPool) Visit(ctx context.Context, during func(context.Context, load.Conn) error) error {
	object, err := p.BorrowObject(ctx)
	if err != nil {
		return errors.Join(err, ctx.Err()) // the pool does not say that it is why
	}
	r := object.(*resource)
	r.uses++
	back := p.ReturnObject
	if err = r.lend(ctx, during); r.broken {
		back = p.InvalidateObject
	}
	return errors.Join(err, back(context.WithoutCancel(ctx), object))
}

func (p commonsPool) close() { p.Close(context.Background()) }
