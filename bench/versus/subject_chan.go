package main

import (
	"context"

	"github.com/lidopool/lido/bench/internal/load"
)

// channel is the pool that people write themselves: a buffered channel, with ctx.
type channel struct {
	idle chan *resource
	open func(context.Context) (*resource, error)
}

func newChannel(s spec) (subject, error) {
	all, err := s.openAll()
	c := channel{make(chan *resource, s.seats), s.open}
	for _, r := range all {
		c.idle <- r
	}
	return c, err
}

func (c channel) Cycle(ctx context.Context, n int) error {
	for range n {
		select {
		case r := <-c.idle:
			r.uses++
			c.idle <- r
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (c channel) Visit(ctx context.Context, during func(context.Context, load.Conn) error) error {
	select {
	case r := <-c.idle:
		r.uses++
		err := r.lend(ctx, during)
		c.idle <- r.orNew(ctx, c.open)
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c channel) close() {
	for range len(c.idle) {
		(<-c.idle).close()
	}
}
