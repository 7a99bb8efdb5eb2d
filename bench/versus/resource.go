package main

import (
	"context"
	"errors"

	"github.com/lidopool/lido/bench/internal/load"
)

// A resource is what every pool lends. In works it costs nothing to open and to close, and
// r.uses++ is all that is done with it; in workloads it is what a backend opened. It fills two
// cache lines, as processors fetch them in pairs: a connection would not share its line with the
// next one either.
type resource struct {
	uses   int
	conn   load.Conn       // of a backend. Nil: nothing
	end    func() error    // closes conn
	life   context.Context // that of the pool
	broken bool            // nobody should get it any more
	_      [72]byte
}

// nothing opens a resource that costs nothing.
func nothing(context.Context) (*resource, error) { return &resource{life: context.Background()}, nil }

// lend calls during with r, once a pool has lent it to who waited with ctx. A ctx with a deadline is for
// the wait alone; one without ends with everything.
func (r *resource) lend(ctx context.Context, during func(context.Context, load.Conn) error) error {
	if _, bounded := ctx.Deadline(); bounded {
		ctx = r.life
	}
	return during(ctx, r)
}

// Use implements load.Conn. A resource that fails is broken, unless its holder gave up.
func (r *resource) Use(ctx context.Context, write bool) error {
	err := r.conn.Use(ctx, write)
	if err != nil && ctx.Err() == nil {
		r.broken = true
	}
	return err
}

func (r *resource) close() {
	if r.end != nil {
		_ = r.end()
	}
}

var errBroken = errors.New("versus: the resource is broken")

// orNew is r, or if it is broken another one in its place: what a pool does that people write
// themselves. If none can be opened it is the broken one, so that whoever gets it next tries again.
func (r *resource) orNew(ctx context.Context, open func(context.Context) (*resource, error)) *resource {
	if !r.broken {
		return r
	}
	r.close()
	next, err := open(context.WithoutCancel(ctx)) // not for the caller, whose time may be up
	if err != nil {
		r.end = nil
		return r
	}
	return next
}

// openAll opens a resource for each seat, or none.
func (s spec) openAll() ([]*resource, error) {
	var all []*resource
	for range s.seats {
		r, err := s.open(context.Background())
		if err != nil {
			closeAll(all)
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

func closeAll(all []*resource) {
	for _, r := range all {
		r.close()
	}
}
