package main

import "context"

// channel is the pool that people write themselves: a buffered channel, with ctx.
type channel chan *resource

func newChannel(s spec) (subject, error) {
	c := make(channel, s.seats)
	for range s.seats {
		c <- s.open()
	}
	return c, nil
}

func (c channel) cycle(ctx context.Context, n int) error {
	for range n {
		select {
		case r := <-c:
			r.uses++
			c <- r
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (c channel) visit(ctx context.Context, during func()) error {
	select {
	case r := <-c:
		r.uses++
		during()
		c <- r
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c channel) close() {}
