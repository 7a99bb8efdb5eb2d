package manage

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"

	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/pool"
)

// OpenDB returns an *sql.DB whose connections come from the pool for dsn, which is made
// if there is none. It opens no connection. The DB's own Stats count what database/sql takes
// for connections; those of the pool are Manager.Stats. Of its limits, SetMaxOpenConns is
// better left alone: its line is not served in order, and a Conn that came by it may lease at its first use
// only. The others only cost time.
//
// It is the caller's to close. Once all the DBs of a pool are closed, and no Connect has used it,
// the manager disposes of the pool.
func (m *Manager) OpenDB(name, dsn string) (*sql.DB, error) {
	c, err := m.connector(name, dsn)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(c)
	db.SetMaxIdleConns(maxIdleProxies)
	return db, nil
}

// Driver returns a driver to be given to sql.Register, under any name that is free, so that
// code which knows only sql.Open is pooled by the manager. An unknown name is an error
// of sql.Open.
func (m *Manager) Driver(name string) driver.Driver { return &managedDriver{m, name} }

// managedDriver is a registered backend in the terms of database/sql/driver.
type managedDriver struct {
	manager *Manager
	name    string
}

var _ driver.DriverContext = (*managedDriver)(nil)

// Open leases one connection; database/sql does not call it.
func (d *managedDriver) Open(dsn string) (driver.Conn, error) {
	c, err := d.manager.connector(d.name, dsn)
	if err != nil {
		return nil, err
	}
	return c.Connect(context.Background())
}

// OpenConnector implements driver.DriverContext.
func (d *managedDriver) OpenConnector(dsn string) (driver.Connector, error) {
	c, err := d.manager.connector(d.name, dsn)
	if err != nil {
		return nil, err // not a nil *connector in an interface
	}
	return c, nil
}

func (d *managedDriver) String() string { return "manage.Driver(" + d.name + ")" }

// connector leases connections for an *sql.DB.
type connector struct {
	entry   atomic.Pointer[entry]
	owed    owed
	manager *Manager
	request *request                // a pointer, so that printing a connector shows no DSN
	offered atomic.Pointer[offer]   // by the connection that was last bound in Connect
	callers atomic.Pointer[callers] // of the last Connect
	closed  atomic.Bool
}

func (m *Manager) connector(name, dsn string) (*connector, error) {
	r, err := m.request(name, dsn)
	if err != nil {
		return nil, err
	}
	// Counted before the pool is made, lest it be disposed of at once because another
	// DB is closed.
	m.mu.Lock()
	m.users[r.key]++
	m.mu.Unlock()
	c := &connector{manager: m, request: r}
	e, err := m.entry(r)
	if err == nil {
		err = r.check(e)
	}
	if err != nil {
		_ = c.Close() // forgets the count, and fails in nothing
		return nil, err
	}
	c.entry.Store(e)
	return c, nil
}

// calledByOpener reports whether Connect was called by the goroutine that opens connections for a DB with a
// limit. What the stack says is remembered: mostly it is the same as before, and to read it costs more than to take it.
func (c *connector) calledByOpener() bool {
	var pcs [4]uintptr
	runtime.Callers(3, pcs[:])
	if last := c.callers.Load(); last != nil && last.pcs == pcs {
		return last.opener
	}
	opener := calledBy(5, "database/sql.(*DB).openNewConnection") != ""
	c.callers.Store(&callers{pcs, opener})
	return opener
}

// callers are who called Connect: database/sql needs one, the rest is for wrappers.
type callers struct {
	pcs    [4]uintptr
	opener bool
}

// Connect makes a proxy and binds it, on the caller's goroutine, for strategies that look at
// it.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	waited, err := c.owed.claim(ctx)
	if err != nil {
		return nil, err
	}
	p := &proxy{connector: c, fresh: true}
	known := c.offered.Load()
	opener := c.calledByOpener()
	if !opener || known == nil {
		if err := p.bindAfter(ctx, inLine, waited); err != nil {
			if a, ok := ctx.Value(answerKey{}).(*answer); ok {
				a.err = err
			}
			return nil, err
		}
		known = &p.guard.offer
		c.offered.Store(known)
	}
	if opener {
		// The DB has a limit, and this goes to whoever waits, or, if nobody does any more, into the free list:
		// a lease would lie there unused. It leases when it is used.
		p.unbind()
	}
	p.offer, p.made = *known, true
	return p.offer.wrap(p), nil
}

// errDBClosed is what database/sql says of a DB that is closed.
var errDBClosed = errors.New("sql: database is closed")

// wait says for how long one stands in line.
type wait uint8

const (
	inLine      wait = iota // as the strategy and ctx say
	whileMoving             // as long as others are served
	never
)

// lease leases a connection of the pool, or of the one that has taken its place.
func (c *connector) lease(ctx context.Context, w wait) (l pool.Lease[*sqldriver.Conn], e *entry, err error) {
	if e = c.entry.Load(); !e.gone.Load() {
		if l, err = e.lease(ctx, w); err == nil {
			return l, e, nil
		}
	}
	return c.leaseElsewhere(ctx, w, e, err)
}

// leaseElsewhere is lease where e is gone, or had nothing to lease because of err.
func (c *connector) leaseElsewhere(ctx context.Context, w wait, e *entry, err error) (l pool.Lease[*sqldriver.Conn], _ *entry, _ error) {
	for {
		switch {
		case err != nil && !errors.Is(err, pool.ErrClosed):
			return l, nil, err
		case !e.gone.Load(): // not disposed of: the manager itself is closed, or the user closed its pool
			return l, nil, fmt.Errorf("manage: %w", err) // which names the pool
		case c.closed.Load(): // with its last user: nobody would end a new one
			return l, nil, errDBClosed
		}
		if e, err = c.manager.entry(c.request); err != nil {
			return l, nil, err
		}
		if e.gone.Load() {
			continue
		}
		if l, err = e.lease(ctx, w); err == nil {
			c.entry.Store(e)
			return l, e, nil
		}
	}
}

// lease leases a connection of the pool.
func (e *entry) lease(ctx context.Context, w wait) (pool.Lease[*sqldriver.Conn], error) {
	switch w {
	case whileMoving:
		return e.pool.AcquireWhileMoving(ctx)
	case never:
		return e.pool.TryAcquire(ctx)
	}
	return e.pool.Acquire(ctx)
}

// Driver implements driver.Connector.
func (c *connector) Driver() driver.Driver {
	return &managedDriver{c.manager, c.request.backend.Name()}
}

// Close is called by sql.DB.Close. The last DB of a pool to close ends the pool.
func (c *connector) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	m, key := c.manager, c.request.key
	m.mu.Lock()
	m.users[key]--
	if m.users[key] > 0 {
		m.mu.Unlock()
		return nil
	}
	delete(m.users, key)
	m.mu.Unlock()
	m.Dispose(key)
	return nil
}

func (c *connector) String() string { return fmt.Sprintf("manage.Connector(%v)", c.request.key) }

// GoString keeps %#v from printing the fields.
func (c *connector) GoString() string { return c.String() }
