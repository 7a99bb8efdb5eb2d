package sqlite

import (
	"context"
	"fmt"

	"github.com/mattn/go-sqlite3"

	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/pool"
)

// Conns opens, checks, resets and closes the connections to one database. It
// satisfies pool.Backend[*sqlite3.SQLiteConn] and pool.LimitChecker.
type Conns struct {
	// A function, of which fmt shows the address only. It does not ask a Conns in an unexported
	// field of some struct for its String.
	dsn     func() dsn
	driver  *sqlite3.SQLiteDriver
	reset   sqldriver.ResetMode
	private bool
}

var (
	_ pool.Backend[*sqlite3.SQLiteConn] = (*Conns)(nil)
	_ pool.LimitChecker                 = (*Conns)(nil)
)

// Open returns the backend of the connections to dsn, with the settings of the zero
// Backend. It opens nothing; see the package's text for what a DSN may be.
//
// It fails for a DSN that cannot work, and in a binary built without cgo.
func Open(dsn string) (*Conns, error) { return Backend{}.Conns(dsn) }

// Conns is Open with the settings of b.
func (b Backend) Conns(dsn string) (*Conns, error) {
	if err := available(); err != nil {
		return nil, err
	}
	d, err := parseDSN(dsn)
	if err != nil {
		return nil, err
	}
	reset, err := sqldriver.ParseResetMode(string(b.Reset))
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	c := &Conns{dsn: d.keep, driver: b.Driver, reset: reset, private: b.PrivateMemory}
	if c.driver == nil {
		c.driver = &sqlite3.SQLiteDriver{}
	}
	return c, nil
}

// String returns the DSN in canonical form, redacted.
func (c Conns) String() string {
	if c.dsn == nil {
		return "" // the zero Conns, which Open did not make
	}
	return redact(c.dsn().String())
}

// GoString keeps %#v, too, from showing secrets.
func (c Conns) GoString() string { return fmt.Sprintf("sqlite.Conns(%q)", c.String()) }

// Open opens a connection, and creates the database if it does not exist. The
// driver cannot be stopped by ctx: Open may wait as long as the busy
// timeout for others. Its error names the database, and satisfies errors.As
// for sqlite3.Error.
func (c *Conns) Open(ctx context.Context) (*sqlite3.SQLiteConn, error) {
	raw, err := c.connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("sqlite: open %s: %w", c, err)
	}
	return any(raw).(*sqlite3.SQLiteConn), nil // by way of any: without cgo it is no driver.Conn
}

// Ping reports whether the connection is open. It does no I/O, like the
// driver's.
func (c *Conns) Ping(ctx context.Context, conn *sqlite3.SQLiteConn) error { return ping(ctx, conn) }

// Reset ends an open transaction, whether begun by Begin or by an SQL text,
// as Backend.Reset says. If none is open it costs about 0.1 µs and no I/O.
func (c *Conns) Reset(ctx context.Context, conn *sqlite3.SQLiteConn) error {
	if c.reset == sqldriver.NoReset || !inTx(conn) {
		return nil
	}
	text := "ROLLBACK"
	if c.reset == sqldriver.Commit {
		text = "COMMIT"
	}
	if err := exec(ctx, conn, text); err != nil {
		return fmt.Errorf("sqlite: reset: %w", err)
	}
	if inTx(conn) {
		return fmt.Errorf("sqlite: reset: the transaction is still open after %s", text)
	}
	return nil
}

// Close closes the connection. ctx does not stop it. The last one to close
// brings a write-ahead log back into the database, which may take a while.
func (c *Conns) Close(_ context.Context, conn *sqlite3.SQLiteConn) error { return closeConn(conn) }

// Classify is the function Classify.
func (c *Conns) Classify(err error) pool.Fault { return Classify(err) }

// CheckLimits refuses a strategy under which the holders would not see the
// same in-memory database, or would lose it between two leases, unless
// Backend.PrivateMemory or the DSN parameter private_memory allows it.
func (c *Conns) CheckLimits(kind string, l pool.Limits) error {
	return c.dsn().checkLimits(c.private, kind, l)
}
