package main

import (
	"context"

	"github.com/gomodule/redigo/redis"
)

type redigo struct{ *redis.Pool }

func newRedigo(s spec) (subject, error) {
	return redigo{&redis.Pool{
		Dial:      func() (redis.Conn, error) { return redisConn{s.open()}, nil },
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
	return nil, nil
}

func (redisConn) Do(string, ...any) (any, error) { return nil, nil }
func (redisConn) Send(string, ...any) error      { return nil }
func (redisConn) Flush() error                   { return nil }
func (redisConn) Err() error                     { return nil }
func (redisConn) Close() error                   { return nil }

func (p redigo) cycle(ctx context.Context, n int) error {
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

func (p redigo) visit(ctx context.Context, during func()) error {
	c, err := p.GetContext(ctx)
	if err != nil {
		return err
	}
	if _, err := c.Receive(); err != nil {
		return err
	}
	during()
	return c.Close()
}

func (p redigo) close() { _ = p.Close() }
