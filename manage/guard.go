package manage

import (
	"context"
	"sync"

	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/pool"
)

// slot is a lock that is waited for with a ctx.
type slot chan struct{}

func newSlot() slot { return make(slot, 1) }

func (s slot) lock(ctx context.Context) error {
	select {
	case s <- struct{}{}:
		return nil
	default:
	}
	select {
	case s <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s slot) unlock() { <-s }

// guard keeps the holders of one connection out of each other's way. A driver's connection
// must not be called by two at a time, but a strategy may give it to several holders,
// and database/sql ends rows and transactions whose ctx has ended on
// goroutines of its own.
type guard struct {
	call  slot  // held during every call of the driver
	turn  slot  // held by the one holder that may use a common connection
	offer offer // what the driver's connection can do
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
	g.guards[c] = &guard{call: newSlot(), turn: newSlot(), offer: offerOf(c.Raw())}
	return c, nil
}

// Close implements pool.Backend. It closes even if the call that it waits for does
// not return before ctx ends.
func (g *guarded) Close(ctx context.Context, c *sqldriver.Conn) error {
	at := g.of(c)
	if at != nil && at.call.lock(ctx) == nil {
		defer at.call.unlock()
	}
	g.mu.Lock()
	delete(g.guards, c)
	g.mu.Unlock()
	return g.Backend.Close(ctx, c)
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
