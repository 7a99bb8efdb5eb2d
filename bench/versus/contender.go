package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/lidopool/lido/bench/internal/load"
	"github.com/lidopool/lido/bench/internal/target"
)

// A contender is a peer over a backend: the load.Target that the workloads of lidobench run on.
type contender struct {
	subject
	meter target.Meter
	end   context.CancelFunc // of the life of its resources
}

// over makes a pool of a peer's with so many seats, over b.
func (p peer) over(b target.Backend, seats int, bounded bool) (load.Target, error) {
	life, end := context.WithCancel(context.Background())
	c := &contender{end: end}
	var err error
	c.subject, err = p.subject(spec{seats, bounded, func(ctx context.Context) (*resource, error) {
		conn, hangUp, err := b.Dial(ctx, &c.meter)
		if err != nil {
			return nil, &openError{err}
		}
		return &resource{conn: conn, end: hangUp, life: life}, nil
	}})
	if err != nil {
		end()
		return nil, err
	}
	return c, nil
}

// An openError is why a resource could not be opened.
type openError struct{ err error }

func (e *openError) Error() string { return "open: " + e.err.Error() }
func (e *openError) Unwrap() error { return e.err }

// Kind implements load.Target. What the errors of peers are is seen from the contexts' and the backend's
// in them.
func (c *contender) Kind(err error) string {
	if _, open := errors.AsType[*openError](err); open {
		return "open failed"
	}
	return target.KindOf(err)
}

// Gauges implements load.Target. Peers are not asked: few of them know who waits.
func (c *contender) Gauges() load.Gauges { return c.meter.Read() }

// Close implements load.Target.
func (c *contender) Close(ctx context.Context) error {
	defer c.end()
	closed := make(chan struct{})
	go func() {
		c.close()
		close(closed)
	}()
	select {
	case <-closed:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("versus: a pool does not close, with %d resources open: %w", c.meter.Read().Open, context.Cause(ctx))
	}
}

// unfit says why p cannot do w, or nothing.
func (p peer) unfit(w load.Workload, goroutines, seats int) string {
	wanted := goroutines * (1 + w.Nested) // at the same time, at worst
	if !p.waits && wanted > seats || p.most > 0 && wanted > p.most {
		return p.lacks
	}
	return ""
}
