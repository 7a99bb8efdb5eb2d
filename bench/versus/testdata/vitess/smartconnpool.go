package main

import (
	"context"
	"errors"

	"vitess.io/vitess/go/pools/smartconnpool"

	"github.com/lidopool/lido/bench/internal/load"
)

var vitess = []peer{{name: "smartconnpool", subject: newSmartConnPool, capped: true, waits: true, module: "vitess.io/vitess"}}

type smartConnPool struct {
	*smartconnpool.ConnPool[*smartConn]
}

func newSmartConnPool(s spec) (subject, error) {
	p := smartconnpool.NewPool(&smartconnpool.Config[*smartConn]{Capacity: int64(s.seats)})
	p.Open(func(ctx context.Context) (*smartConn, error) {
		r, err := s.open(ctx)
		return &smartConn{resource: r}, err
	}, nil)
	return smartConnPool{p}, nil
}

// smartConn is a connection that has no settings and is never broken.
type smartConn struct {
	*resource
	closed bool
}

func (*smartConn) ApplySetting(context.Context, *smartconnpool.Setting) error { return nil }
func (*smartConn) ResetSetting(context.Context) error                         { return nil }
func (*smartConn) Setting() *smartconnpool.Setting                            { return nil }
func (c *smartConn) IsClosed() bool                                           { return c.closed }

func (c *smartConn) Close() {
	c.closed = true
	c.close()
}

func (p smartConnPool) Cycle(ctx context.Context, n int) error {
	for range n {
		c, err := p.Get(ctx, nil)
		if err != nil {
			return err
		}
		c.Conn.uses++
		c.Recycle()
	}
	return nil
}

func (p smartConnPool) Visit(ctx context.Context, during func(context.Context, load.Conn) error) error {
	c, err := p.Get(ctx, nil)
	if err != nil {
		return errors.Join(err, ctx.Err()) // the pool does not say that it is why
	}
	c.Conn.uses++
	if err = c.Conn.resource.lend(ctx, during); c.Conn.broken {
		c.Conn.Close() // so that the pool does not keep it
	}
	c.Recycle()
	return err
}

func (p smartConnPool) close() { p.Close() }
