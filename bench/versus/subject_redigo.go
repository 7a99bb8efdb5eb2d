package main

import (
	"context"
	"errors"

	"github.com/gomodule/redigo/redis"

	"github.com/lidopool/lido/bench/internal/load"
)

type redigo struct{ *redis.Pool }

func newRedigo(s spec) (subject, error) {
	return redigo{&redis.Pool{
		DialContext: func(ctx context.Context) (redis.Conn, error) {
			r, err := s.open(ctx)
			return redisConn{r}, err
		},
		MaxIdle:   s.seats,
		MaxActive: s.seats,
		Wait:      true,
	}}, nil
}

// redisConn is a connection that does nothing. The pool lends it in a wrapper that passes
// Receive on as it is, but looks the command of a Do up in a table: so Receive is the use.
type redisConn struct{ *resource }

func (c redisConn) Receive() (any, error) {
	c.uses++
	return c.resource, nil
}

// Err is asked when the connection comes back: one with an error is closed.
func (c redisConn) Err() error {
	if c.broken {
		return errBroken
	}
	return nil
}

func (c redisConn) Close() error {
	c.close()
	return nil
}

func (redisConn) Do(string, ...any) (any, error) { return nil, nil }
func (redisConn) Send(string, ...any) error      { return nil }
func (redisConn) Flush() error                   { return nil }

func (p redigo) Cycle(ctx context.Context, n int) error {
	for range n {
		c, err := p.GetContext(ctx)
		if err != nil {
			return err
		}
		if _, err := c.Receive(); err != nil {
			return err
		}
		if err := c.Close(); err != nil {
			return err
		}
	}
	return nil
}

func (p redigo) Visit(ctx context.Context, during func(context.Context, load.Conn) error) error {
	c, err := p.GetContext(ctx)
	if err != nil {
		return err
	}
	r, err := c.Receive()
	if err == nil {
		err = r.(*resource).lend(ctx, during)
	}
	return errors.Join(err, c.Close())
}

func (p redigo) close() { _ = p.Close() }
