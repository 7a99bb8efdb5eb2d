package main

import (
	"context"
	"database/sql/driver"
	"errors"
	"sync"
	"time"
)

// server is what the pools connect to. It takes its time, may be down, and counts.
type server struct {
	dial time.Duration // what a connection takes to set up, or to be refused

	mu      sync.Mutex
	down    bool
	dials   int
	dialing high // dials under way
	open    high // connections, from the beginning of the dial
}

// high is a count that remembers its highest.
type high struct{ now, most int }

func (h *high) add(n int) {
	h.now += n
	h.most = max(h.most, h.now)
}

var errDown = errors.New("connection refused")

// connect sets up a connection. It heeds ctx.
func (s *server) connect(ctx context.Context) (*conn, error) {
	s.count(func() {
		s.dials++
		s.dialing.add(1)
		s.open.add(1)
	})
	err := sleep(ctx, s.dial)
	s.count(func() {
		s.dialing.add(-1)
		if err == nil && s.down {
			err = errDown
		}
		if err != nil {
			s.open.add(-1)
		}
	})
	if err != nil {
		return nil, err
	}
	return &conn{s}, nil
}

func (s *server) count(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// conn is a connection that can do nothing, for either pool.
type conn struct{ *server }

func (c *conn) Close() error {
	c.count(func() { c.open.add(-1) })
	return nil
}

var errNothing = errors.New("this connection can do nothing")

func (*conn) Prepare(string) (driver.Stmt, error) { return nil, errNothing }
func (*conn) Begin() (driver.Tx, error)           { return nil, errNothing }

// connector is the server as database/sql wants to see it.
type connector struct{ *server }

func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.connect(ctx)
	if err != nil {
		return nil, err
	}
	return conn, nil
}

func (connector) Driver() driver.Driver { return nil }

// sleep waits, unless ctx ends before.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
