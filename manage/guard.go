package manage

import (
	"context"
	"database/sql/driver"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/pool"
)

// slot is a lock that is waited for with a ctx, in order of arrival. Where nobody waits it costs two
// atomic operations, which a channel alone does not.
type slot struct {
	taken   atomic.Bool
	waiting atomic.Int32
	handed  chan struct{} // the slot itself, on its way from one holder to the next
}

func newSlot() slot { return slot{handed: make(chan struct{}, 1)} }

// try takes the slot if it is free, and not on its way to somebody.
func (s *slot) try() bool { return s.taken.CompareAndSwap(false, true) }

// unlock hands the slot to who waits longest. It looks for waiters after it has freed the slot too, and
// they count themselves before they look at the slot: so one of the two sees the other.
func (s *slot) unlock() {
	if s.waiting.Load() == 0 {
		s.taken.Store(false)
		if s.waiting.Load() == 0 || !s.try() {
			return
		}
	}
	// Never waits: while the slot is in the channel nobody has it to put it there again. If the waiter
	// has just given up it stays there for the next, who finds it taken and waits.
	s.handed <- struct{}{}
}

// lock waits for the slot until the connection is gone, ctx ends, or, unless patience
// is 0, that is over.
func (g *guard) lock(ctx context.Context, s *slot, patience time.Duration) error {
	if s.try() {
		return nil
	}
	var over <-chan time.Time
	if patience > 0 {
		t := time.NewTimer(patience)
		defer t.Stop()
		over = t.C
	}
	return s.wait(ctx, g.gone, over)
}

// wait is lock for a slot that was taken.
func (s *slot) wait(ctx context.Context, gone <-chan struct{}, over <-chan time.Time) error {
	s.waiting.Add(1)
	defer s.waiting.Add(-1)
	if s.try() {
		return nil
	}
	select {
	case <-s.handed:
		return nil
	case <-gone:
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

	pinned atomic.Pointer[pinned] // of a DB; nil before its first use

	gone   chan struct{} // closed when the connection is about to be
	closed atomic.Bool   // then, too
	due    atomic.Bool   // there may be statements to reap
	keeps  atomic.Int32  // statements that are prepared

	mu sync.Mutex
	// A connection that is closed under its holders must have its rows and statements closed
	// first: go-sqlite3, for one, never lets go of its files otherwise. Guarded by mu.
	rows  map[*rows]struct{} // that are open, where several holders may have some
	shelf shelf
}

func newGuard(offer offer, room int, counts *statementCounts) *guard {
	return &guard{
		call: newSlot(), turn: newSlot(), offer: offer, gone: make(chan struct{}),
		rows: map[*rows]struct{}{}, shelf: counts.newShelf(room),
	}
}

// opened remembers rows that are open.
func (g *guard) opened(r *rows) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.rows[r] = struct{}{}
}

// forget is the opposite of opened.
func (g *guard) forget(r *rows) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.rows, r)
}

// take takes the statement of a text off the shelf; nil if none is there.
func (g *guard) take(query string, last *prepared) *prepared {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.shelf.take(query, last)
}

// add is for a statement that was just prepared, and is in use.
func (g *guard) add(query string, raw driver.Stmt) *prepared {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.keeps.Add(1)
	return g.shelf.add(query, raw)
}

// give puts a statement on the shelf, or has the next reap close it.
func (g *guard) give(p *prepared) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shelf.give(p)
	if len(g.shelf.over) > 0 {
		g.due.Store(true)
	}
}

// reap closes the statements that are over. The caller may call the driver. It reports whether all
// went well: a panic is not let through, since the statement may have been somebody else's.
func (g *guard) reap() (sound bool) {
	for sound = true; g.due.Load(); {
		if raw := g.over(); raw != nil && !closeQuietly(raw) {
			sound = false
		}
	}
	return sound
}

// closeQuietly closes a statement. It reports whether that ended without a panic; nobody is there to be told of
// an error.
func closeQuietly(raw driver.Stmt) (ended bool) {
	defer func() { _ = recover() }()
	_ = raw.Close()
	return true
}

// over is the next statement to close; nil if there is none.
func (g *guard) over() (raw driver.Stmt) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if n := len(g.shelf.over); n > 0 {
		raw = g.shelf.over[n-1]
		g.shelf.over[n-1] = nil
		g.shelf.over = g.shelf.over[:n-1]
		g.keeps.Add(-1)
	}
	g.due.Store(len(g.shelf.over) > 0)
	return raw
}

// drop has every statement closed that nobody uses, by the next reap.
func (g *guard) drop() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shelf.clear()
	g.due.Store(len(g.shelf.over) > 0)
}

// clear closes every statement that nobody uses. The caller may call the driver.
func (g *guard) clear() error {
	g.drop()
	if !g.reap() {
		return errUnfinished
	}
	return nil
}

// closeAll closes all there is. The caller may call the driver, and nobody will after it.
func (g *guard) closeAll() {
	g.mu.Lock()
	open := slices.Collect(maps.Keys(g.rows))
	clear(g.rows)
	g.shelf.empty()
	g.due.Store(len(g.shelf.over) > 0)
	g.mu.Unlock()
	for _, r := range open {
		_ = r.raw.Close()
	}
	g.reap()
}

// guarded is the backend of a pool. It keeps a guard beside every connection, and has
// Close wait for a call that is going on.
type guarded struct {
	pool.Backend[*sqldriver.Conn]
	open   func(context.Context) (*sqldriver.Conn, error)
	room   int             // of the shelf of each connection
	counts statementCounts // of all shelves
	full   bool            // the reset is a full one
}

var (
	_ pool.LimitChecker             = (*guarded)(nil)
	_ pool.Checker[*sqldriver.Conn] = (*guarded)(nil)
)

func newGuarded(b pool.Backend[*sqldriver.Conn], s Settings) *guarded {
	g := &guarded{Backend: b, open: b.Open, room: max(s.Statements, 0), full: s.Reset == sqldriver.Full}
	if u, ok := b.(unnamedOpener); ok && s.Name == "" { // then the pool's name says the DSN
		g.open = u.OpenUnnamed
	}
	return g
}

// unnamedOpener is a backend that can leave the DSN out of the error of an open.
type unnamedOpener interface {
	OpenUnnamed(context.Context) (*sqldriver.Conn, error)
}

// Open implements pool.Backend.
func (g *guarded) Open(ctx context.Context) (*sqldriver.Conn, error) {
	c, err := g.open(ctx)
	if err != nil {
		return nil, err
	}
	c.Keep(newGuard(offerOf(c.For("")), g.room, &g.counts))
	return c, nil
}

// Reset implements pool.Backend. A full reset may end the prepared statements of the session,
// so they are given up first.
func (g *guarded) Reset(ctx context.Context, c *sqldriver.Conn) error {
	if g.full {
		if d, ok := g.Backend.(statementDropper); !ok || d.FullDropsStatements() {
			if err := c.Within(ctx, guardOf(c).clear); err != nil {
				return err
			}
		}
	}
	return g.Backend.Reset(ctx, c)
}

// statementDropper is a backend that knows whether prepared statements survive its full reset.
type statementDropper interface{ FullDropsStatements() bool }

// Close implements pool.Backend. It closes even if the call that it waits for does
// not return before ctx ends: where it can, by cutting that call short, and else beside it.
func (g *guarded) Close(ctx context.Context, c *sqldriver.Conn) (err error) {
	defer func() { err = g.Backend.Close(ctx, c) }() // also if something below panics
	at := guardOf(c)
	if at == nil {
		return nil // never opened by this
	}
	at.closed.Store(true)
	close(at.gone)
	defer at.unpin()
	defer g.counts.forget(&at.shelf)
	if at.call.try() || at.call.wait(ctx, nil, nil) == nil || c.Cut() && at.calm() {
		// Never given back: whoever comes finds it gone.
		_ = c.Within(ctx, func() error { at.closeAll(); return nil })
	}
	return nil
}

// calm waits for the end of a call whose socket was cut. It reports whether that came.
func (g *guard) calm() bool {
	const ample = time.Second // arbitrary: longer than a call takes to fail that can neither read nor write
	ctx, cancel := context.WithTimeout(context.Background(), ample)
	defer cancel()
	return g.call.wait(ctx, nil, nil) == nil
}

// Checks implements pool.Checker for a backend that does.
func (g *guarded) Checks() pool.Check {
	if c, ok := g.Backend.(pool.Checker[*sqldriver.Conn]); ok {
		return c.Checks()
	}
	return pool.NoCheck
}

// Check implements pool.Checker.
func (g *guarded) Check(ctx context.Context, c *sqldriver.Conn) error {
	return g.Backend.(pool.Checker[*sqldriver.Conn]).Check(ctx, c)
}

// CheckLimits implements pool.LimitChecker for a backend that does.
func (g *guarded) CheckLimits(kind string, l pool.Limits) error {
	if c, ok := g.Backend.(pool.LimitChecker); ok {
		return c.CheckLimits(kind, l)
	}
	return nil
}

// guardOf is the guard of a connection.
func guardOf(c *sqldriver.Conn) *guard {
	g, _ := c.Kept().(*guard)
	return g
}
