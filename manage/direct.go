package manage

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"

	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/pool"
)

// DB has the methods of *sql.DB that most code uses, with the real *sql.Rows, *sql.Row, *sql.Tx and
// *sql.Stmt. Exec, Ping and Conn take a connection from the pool itself, without the
// lock of database/sql that all users of an *sql.DB share: a fourth of the cost of its Conn, and of its Exec where
// many want the few connections there are, with a driver that does nothing (make bench-sql). The others are those of an *sql.DB of the same pool.
// It is for code that knows its database by an interface, as that of sqlc does; for everything else
// there is OpenDB.
//
// Like an *sql.DB, it tries again twice what has met driver.ErrBadConn before it did anything.
//
// Under a strategy that shares connections, singleton and static, it is an *sql.DB in
// disguise.
//
// All methods may be called from any goroutine.
type DB struct {
	db        *sql.DB // for what has no way of its own here
	connector *connector
	exclusive bool
}

// Open is OpenDB for a DB. It is the caller's to close.
func (m *Manager) Open(name, dsn string) (*DB, error) {
	c, err := m.connector(name, dsn)
	if err != nil {
		return nil, err
	}
	d := &DB{db: sql.OpenDB(c), connector: c, exclusive: c.entry.Load().sharing == pool.Exclusive}
	d.db.SetMaxIdleConns(maxIdleProxies)
	return d, nil
}

// DB is the same pool as an *sql.DB, for code that must have one. It ends with d.
func (d *DB) DB() *sql.DB { return d.db }

// Close ends d. What was made of it before can be finished.
func (d *DB) Close() error { return d.db.Close() }

// pinned is an *sql.Conn of one connection, for good. database/sql gives it to one holder after the
// other without knowing.
type pinned struct {
	conn  *sql.Conn
	proxy *proxy
}

// pins is a connector that has no connections but what ctx carries.
type pins struct{}

func (pins) Connect(ctx context.Context) (driver.Conn, error) {
	switch v := ctx.Value(pins{}).(type) {
	case *proxy:
		return v.offer.wrap(v), nil
	case error:
		return nil, v
	}
	return nil, errors.New("manage: a connection that was not asked for")
}

func (pins) Driver() driver.Driver { return nil }

// rowOf is a row of which Scan returns err. Only database/sql can make one.
func rowOf(err error) *sql.Row {
	db := sql.OpenDB(pins{})
	defer db.Close()
	return db.QueryRowContext(context.WithValue(context.Background(), pins{}, err), "")
}

// pinDB is what all pinned connections of a pool are of.
func (e *entry) pinDB() *sql.DB {
	if db := e.pins.Load(); db != nil {
		return db
	}
	db := sql.OpenDB(pins{})
	db.SetMaxIdleConns(-1)
	if !e.pins.CompareAndSwap(nil, db) {
		_ = db.Close() // another was faster
	}
	if e.gone.Load() { // closeDB may have looked before there was one
		_ = e.pins.Load().Close()
	}
	return e.pins.Load()
}

// pin makes the pinned connection of a connection that the caller has leased.
func (e *entry) pin(ctx context.Context, c *connector, g *guard) (*pinned, error) {
	p := &proxy{connector: c, offer: g.offer, pinned: true}
	conn, err := e.pinDB().Conn(context.WithValue(context.WithoutCancel(ctx), pins{}, p))
	if err != nil {
		return nil, err
	}
	at := &pinned{conn, p}
	g.pinned.Store(at)
	return at, nil
}

// unpin lets go of the pinned connection of a connection that is closed.
func (g *guard) unpin() {
	if at := g.pinned.Swap(nil); at != nil {
		at.proxy.left.Store(at.conn)
		at.proxy.letGo()
	}
}

// letGo closes the *sql.Conn of a connection that is gone, unless somebody holds it: database/sql would wait
// for rows and transactions, which may never be closed. Who is last calls it again.
//
// Its goroutine is there because the last holder may be within database/sql, and have the lock that
// the close waits for. Nobody need wait for it: it ends when that holder has come back from there, and calls
// no driver.
func (p *proxy) letGo() {
	if p.tenancy.held() {
		return
	}
	if c := p.left.Load(); c != nil && p.left.CompareAndSwap(c, nil) {
		go c.Close()
	}
}

// hold binds a pinned proxy, for one holder. Rows and transactions are holders too.
func (p *proxy) hold(e *entry, l pool.Lease[*sqldriver.Conn], c *sqldriver.Conn, g *guard) {
	p.bindTo(e, l, c, g)
	p.sound = true
	p.tenancy.begin()
}

// settle is the end of a holder. The last one gives the connection back.
func (p *proxy) settle() {
	if p.tenancy.leave() {
		p.vacate()
	}
}

// vacate gives the connection back, which nobody holds any more.
func (p *proxy) vacate() {
	p.unbind()
	p.letGo()
}

// lease leases a connection. It is held until settle.
func (d *DB) lease(ctx context.Context) (*pinned, error) {
	l, e, err := d.connector.lease(ctx, inLine)
	if err != nil {
		return nil, err
	}
	c, err := l.Get()
	if err != nil {
		_ = l.Release()
		return nil, lost(err)
	}
	g := guardOf(c)
	at := g.pinned.Load()
	if at == nil {
		if at, err = e.pin(ctx, d.connector, g); err != nil {
			_ = l.ReleaseClean() // it was not used
			if e.gone.Load() {   // Dispose came in between, and has closed what pins are of
				return d.lease(ctx)
			}
			return nil, err
		}
	}
	at.proxy.hold(e, l, c, g)
	return at, nil
}

// try calls f with a connection, and once more twice if that was found bad before it did anything. f leaves
// nothing behind if it fails.
func (d *DB) try(ctx context.Context, f func(*sql.Conn) error) error {
	const tries = 3 // as database/sql does; the last is on a new one if all others are as bad
	for n := 1; ; n++ {
		at, err := d.lease(ctx)
		if err == nil {
			err = at.call(f)
		}
		if n == tries || !errors.Is(err, driver.ErrBadConn) {
			return err
		}
	}
}

// call calls f, and gives the connection back unless rows or a transaction hold it now.
func (at *pinned) call(f func(*sql.Conn) error) error {
	defer at.proxy.settle()
	return f(at.conn)
}

// PingContext is that of *sql.DB.
func (d *DB) PingContext(ctx context.Context) error {
	if !d.exclusive {
		return d.db.PingContext(ctx)
	}
	return d.try(ctx, func(c *sql.Conn) error { return c.PingContext(ctx) })
}

// Ping is that of *sql.DB.
func (d *DB) Ping() error { return d.PingContext(context.Background()) }

// ExecContext is that of *sql.DB.
func (d *DB) ExecContext(ctx context.Context, query string, args ...any) (r sql.Result, err error) {
	if !d.exclusive {
		return d.db.ExecContext(ctx, query, args...)
	}
	err = d.try(ctx, func(c *sql.Conn) (err error) {
		r, err = c.ExecContext(ctx, query, args...)
		return err
	})
	return r, err
}

// Exec is that of *sql.DB.
func (d *DB) Exec(query string, args ...any) (sql.Result, error) {
	return d.ExecContext(context.Background(), query, args...)
}

// QueryContext is that of *sql.DB, by way of DB: rows of a pinned connection would be closed, and their
// connection lent on, within a lock that its next holder needs.
func (d *DB) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return d.db.QueryContext(ctx, query, args...)
}

// Query is that of *sql.DB.
func (d *DB) Query(query string, args ...any) (*sql.Rows, error) {
	return d.QueryContext(context.Background(), query, args...)
}

// QueryRowContext is that of *sql.DB, by way of DB too.
func (d *DB) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return d.db.QueryRowContext(ctx, query, args...)
}

// QueryRow is that of *sql.DB.
func (d *DB) QueryRow(query string, args ...any) *sql.Row {
	return d.QueryRowContext(context.Background(), query, args...)
}

// BeginTx is that of *sql.DB, by way of DB too.
func (d *DB) BeginTx(ctx context.Context, o *sql.TxOptions) (*sql.Tx, error) {
	return d.db.BeginTx(ctx, o)
}

// Begin is that of *sql.DB.
func (d *DB) Begin() (*sql.Tx, error) { return d.BeginTx(context.Background(), nil) }

// PrepareContext is that of *sql.DB: what it prepares runs on whatever connection is free, by
// way of DB.
func (d *DB) PrepareContext(ctx context.Context, query string) (*sql.Stmt, error) {
	return d.db.PrepareContext(ctx, query)
}

// Prepare is that of *sql.DB.
func (d *DB) Prepare(query string) (*sql.Stmt, error) {
	return d.PrepareContext(context.Background(), query)
}

// Conn leases one connection, until its Close.
func (d *DB) Conn(ctx context.Context) (DBConn, error) {
	if !d.exclusive {
		c, err := d.db.Conn(ctx)
		return DBConn{conn: c}, err
	}
	at, err := d.lease(ctx)
	if err != nil {
		return DBConn{}, err
	}
	return DBConn{at: at, tenancy: at.proxy.tenancy.number()}, nil
}

// DBConn is one connection of a DB, leased until Close. It is a value of which copies are the same
// lease. After Close all its methods return sql.ErrConnDone. Rows, transactions and statements
// of it that are still open go on to hold the connection until they are closed.
//
// Unlike a Conn, it does not come back by itself when it is forgotten.
type DBConn struct {
	conn    *sql.Conn // of an *sql.DB; else
	at      *pinned
	tenancy uint64
}

// on is the *sql.Conn while it is this lease's.
func (c DBConn) on() (*sql.Conn, error) {
	switch {
	case c.conn != nil:
		return c.conn, nil
	case c.at == nil || c.at.proxy.tenancy.number() != c.tenancy:
		return nil, sql.ErrConnDone
	}
	return c.at.conn, nil
}

// Close returns the connection. A second Close returns sql.ErrConnDone.
func (c DBConn) Close() error {
	if c.conn != nil {
		return c.conn.Close()
	}
	if c.at == nil {
		return sql.ErrConnDone
	}
	last, ok := c.at.proxy.tenancy.end(c.tenancy)
	if !ok {
		return sql.ErrConnDone
	}
	if last {
		c.at.proxy.vacate()
	}
	return nil
}

// PingContext is that of *sql.Conn.
func (c DBConn) PingContext(ctx context.Context) error {
	on, err := c.on()
	if err != nil {
		return err
	}
	return on.PingContext(ctx)
}

// ExecContext is that of *sql.Conn.
func (c DBConn) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	on, err := c.on()
	if err != nil {
		return nil, err
	}
	return on.ExecContext(ctx, query, args...)
}

// QueryContext is that of *sql.Conn.
func (c DBConn) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	on, err := c.on()
	if err != nil {
		return nil, err
	}
	return on.QueryContext(ctx, query, args...)
}

// QueryRowContext is that of *sql.Conn.
func (c DBConn) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	on, err := c.on()
	if err != nil {
		return rowOf(err)
	}
	return on.QueryRowContext(ctx, query, args...)
}

// PrepareContext is that of *sql.Conn.
func (c DBConn) PrepareContext(ctx context.Context, query string) (*sql.Stmt, error) {
	on, err := c.on()
	if err != nil {
		return nil, err
	}
	return on.PrepareContext(ctx, query)
}

// BeginTx is that of *sql.Conn.
func (c DBConn) BeginTx(ctx context.Context, o *sql.TxOptions) (*sql.Tx, error) {
	on, err := c.on()
	if err != nil {
		return nil, err
	}
	return on.BeginTx(ctx, o)
}

// Raw calls f with the driver's own connection, which it must not keep.
func (c DBConn) Raw(f func(driver.Conn) error) error {
	on, err := c.on()
	if err != nil {
		return err
	}
	return Raw(on, f)
}
