package manage

import (
	"context"
	"database/sql/driver"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/pool"
)

// slot is a lock that is waited for with a ctx.
type slot chan struct{}

func newSlot() slot { return make(slot, 1) }

func (s slot) try() bool {
	select {
	case s <- struct{}{}:
		return true
	default:
		return false
	}
}

func (s slot) unlock() { <-s }

// lock waits for the slot until the connection is gone, ctx ends, or, unless patience
// is 0, that is over.
func (g *guard) lock(ctx context.Context, s slot, patience time.Duration) error {
	if s.try() {
		return nil
	}
	var over <-chan time.Time
	if patience > 0 {
		t := time.NewTimer(patience)
		defer t.Stop()
		over = t.C
	}
	select {
	case s <- struct{}{}:
		return nil
	case <-g.gone:
		return lost(pool.ErrInvalidated)
	case <-over:
		return &waitError{[]error{pool.ErrTimeout, context.DeadlineExceeded}}
	case <-ctx.Done():
	}
	err := &waitError{[]error{ctx.Err()}}
	if cause := context.Cause(ctx); cause != ctx.Err() {
		err.is = append(err.is, cause)
	}
	if ctx.Err() == context.DeadlineExceeded {
		err.is = append(err.is, pool.ErrTimeout)
	}
	return err
}

// waitError is why a wait ended, for errors.Is what the pool's own waits end with.
type waitError struct{ is []error }

func (e *waitError) Error() string {
	if len(e.is) > 1 && e.is[1] != context.DeadlineExceeded && e.is[1] != pool.ErrTimeout {
		return e.is[1].Error() // the caller's own reason
	}
	return e.is[0].Error()
}

func (e *waitError) Unwrap() []error { return e.is }

// guard keeps the holders of one connection out of each other's way. A driver's connection
// must not be called by two at a time, but a strategy may give it to several holders, and
// database/sql ends rows and transactions whose ctx has ended on goroutines of its own.
type guard struct {
	call  slot  // held during every call of the driver
	turn  slot  // held by the one holder that may use a common connection
	offer offer // what the driver's connection can do

	gone chan struct{} // closed when the connection is about to be

	mu sync.Mutex
	// What closes the statements and rows that are open, by their wrappers, and those whose
	// holder could not wait for its turn. A connection that is closed under its holders
	// must have them closed first: go-sqlite3, for one, never lets go of its files
	// otherwise. Guarded by mu.
	open map[any]func() error
	left []func() error
}

func newGuard(c driver.Conn) *guard {
	return &guard{call: newSlot(), turn: newSlot(), offer: offerOf(c), gone: make(chan struct{}), open: map[any]func() error{}}
}

// opened remembers how to close something.
func (g *guard) opened(wrapper any, closeRaw func() error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open[wrapper] = closeRaw
}

// forget is the opposite of opened.
func (g *guard) forget(wrapper any) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.open, wrapper)
}

// leave leaves the closing of something to whoever has the turn next.
func (g *guard) leave(wrapper any) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if closeRaw, ok := g.open[wrapper]; ok { // else the connection's end was faster
		g.left = append(g.left, closeRaw)
		delete(g.open, wrapper)
	}
}

// sweep closes what was left. The caller has the call.
func (g *guard) sweep(all bool) {
	g.mu.Lock()
	left := g.left
	g.left = nil
	if all {
		left = slices.AppendSeq(left, maps.Values(g.open))
		clear(g.open)
	}
	g.mu.Unlock()
	for _, closeRaw := range left {
		_ = closeRaw() // nobody is there to be told
	}
}

// guarded is the backend of a pool. It keeps a guard beside every connection, and has
// Close wait for a call that is going on.
type guarded struct {
	pool.Backend[*sqldriver.Conn]

	mu     sync.Mutex
	guards map[*sqldriver.Conn]*guard // guarded by mu
}

var _ pool.LimitChecker = (*guarded)(nil)

func newGuarded(b pool.Backend[*sqldriver.Conn]) *guarded {
	return &guarded{Backend: b, guards: map[*sqldriver.Conn]*guard{}}
}

// Open implements pool.Backend.
func (g *guarded) Open(ctx context.Context) (*sqldriver.Conn, error) {
	c, err := g.Backend.Open(ctx)
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.guards[c] = newGuard(c.Raw())
	return c, nil
}

// Close implements pool.Backend. It closes even if the call that it waits for does
// not return before ctx ends.
func (g *guarded) Close(ctx context.Context, c *sqldriver.Conn) (err error) {
	defer func() { err = g.Backend.Close(ctx, c) }() // also if something below panics
	at := g.of(c)
	g.mu.Lock()
	delete(g.guards, c)
	g.mu.Unlock()
	if at == nil {
		return nil
	}
	close(at.gone)
	select {
	case at.call <- struct{}{}: // never given back: whoever comes finds it gone
		at.sweep(true)
	case <-ctx.Done():
	}
	return nil
}

// CheckLimits implements pool.LimitChecker for a backend that does.
func (g *guarded) CheckLimits(kind string, l pool.Limits) error {
	if c, ok := g.Backend.(pool.LimitChecker); ok {
		return c.CheckLimits(kind, l)
	}
	return nil
}

// of is the guard of a connection; nil once it is closed.
func (g *guarded) of(c *sqldriver.Conn) *guard {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.guards[c]
}
