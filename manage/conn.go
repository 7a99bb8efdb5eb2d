package manage

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"runtime"
	"strings"

	"github.com/lidopool/lido/pool"
)

// Conn is one connection of a pool, leased until Close. It is an *sql.Conn and has its
// methods.
//
// A Conn that is dropped without Close comes back when the garbage collector
// finds it unreachable, as the pool's setting pool_dropped says; a safety
// net, counted in the Stats of Manager.All and logged. Rows and transactions that are still open then are
// waited for. A statement alone, or the embedded *sql.Conn taken out of its
// Conn, is not: keep the Conn as long as you use either.
type Conn struct {
	*sql.Conn
	net runtime.Cleanup
}

// Connect leases a connection from the pool for dsn, which is made if there is none. It
// waits as the pool's strategy does; ctx bounds it. The Conn must be closed.
func (m *Manager) Connect(ctx context.Context, name, dsn string) (*Conn, error) {
	r, err := m.request(name, dsn)
	if err != nil {
		return nil, err
	}
	for {
		e, err := m.entry(r)
		if err == nil {
			err = r.check(e)
		}
		if err != nil {
			return nil, err
		}
		db, err := m.dbOf(e, name, dsn)
		if err != nil {
			return nil, err
		}
		if db == nil {
			continue // Dispose came in between
		}
		var why answer
		c, err := db.Conn(context.WithValue(ctx, answerKey{}, &why))
		if err != nil && why.err != nil {
			err = why.err
		}
		switch {
		case err == nil:
			return m.catch(e, c), nil
		case e.gone.Load() && (why.err == nil || why.err == errDBClosed) && ctx.Err() == nil:
			continue // Dispose closed the DB in between
		}
		return nil, err
	}
}

// dbOf returns the DB of an entry that serves Connect; nil if the entry is gone, since nobody would
// close it.
func (m *Manager) dbOf(e *entry, name, dsn string) (*sql.DB, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.gone.Load() {
		return nil, nil
	}
	if e.db == nil {
		db, err := m.OpenDB(name, dsn)
		if err != nil {
			return nil, err
		}
		e.db = db
	}
	return e.db, nil
}

// catch hangs the safety net under a connection.
func (m *Manager) catch(e *entry, inner *sql.Conn) *Conn {
	c := &Conn{Conn: inner}
	if e.settings.Dropped == pool.IgnoreDropped {
		return c
	}
	d := &droppedConn{manager: m, entry: e, conn: inner}
	if e.settings.Stacks {
		d.stack = make([]uintptr, 16) // as deep as the pool's own
		d.stack = d.stack[:runtime.Callers(3, d.stack)]
	}
	// The runtime's goroutine for clean-ups must not wait. The one begun here ends when
	// the rows and transactions of the connection do; the manager's end cannot wait
	// for that, and takes the connection away from under it.
	c.net = runtime.AddCleanup(c, func(d *droppedConn) { go d.comeBack() }, d)
	return c
}

// Close returns the connection. It waits until its rows and transactions are closed. A second
// Close returns sql.ErrConnDone.
func (c *Conn) Close() error {
	c.net.Stop()
	err := c.Conn.Close()
	runtime.KeepAlive(c)
	return err
}

// Raw calls f with the driver's own connection, such as *sqlite3.SQLiteConn, which
// it must not keep. While f runs nobody else uses the connection, also if it is shared.
// An error of f is that of Raw, and may cost the connection: see the function Raw.
func (c *Conn) Raw(f func(driver.Conn) error) error {
	err := Raw(c.Conn, f)
	runtime.KeepAlive(c)
	return err
}

// Raw calls f with the driver's own connection behind c, which it must not keep. c is of
// an *sql.DB that comes from a Manager. (What c.Raw gives has a method Raw() driver.Conn, for code
// that cannot import this package.)
//
// An error of f is that of Raw. f is not called again, whatever it is. If it is driver.ErrBadConn, or f
// panics, c is closed, as database/sql does it, and the connection is not lent again. Of any other error the
// backend says what it means for the connection, as it does of the driver's.
func Raw(c *sql.Conn, f func(driver.Conn) error) error {
	return c.Raw(func(x any) error {
		p, ok := x.(interface {
			use(f func(driver.Conn) error) error
		})
		if !ok {
			return errors.New("manage: the connection is none of a Manager's: use its own Raw")
		}
		return p.use(f)
	})
}

// droppedConn is what is left of a Conn that was dropped.
type droppedConn struct {
	manager *Manager
	entry   *entry
	conn    *sql.Conn
	stack   []uintptr
}

// comeBack returns the connection.
func (d *droppedConn) comeBack() {
	if d.entry.settings.Dropped == pool.DiscardDropped {
		_ = d.conn.Raw(func(x any) error {
			if p, ok := x.(interface{ condemn(error) }); ok {
				p.condemn(pool.ErrDropped)
			}
			return nil
		})
	}
	if d.conn.Close() != nil {
		return // it was closed by way of the embedded *sql.Conn
	}
	d.entry.dropped.Add(1)
	if log := d.manager.options.Logger; log != nil {
		log.Warn("connection was dropped without Close", "pool", d.entry.pool.Name(), "acquired", d.where())
	}
}

func (d *droppedConn) where() string {
	if d.stack == nil {
		return "unknown (set pool_stacks to see where)"
	}
	var b strings.Builder
	for frames := runtime.CallersFrames(d.stack); ; {
		f, more := frames.Next()
		fmt.Fprintf(&b, "%s\n\t%s:%d\n", f.Function, f.File, f.Line)
		if !more {
			return b.String()
		}
	}
}
