//go:build cgo

package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/mattn/go-sqlite3"

	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/pool"
)

// available reports whether there is an SQLite in this binary.
func available() error { return nil }

// createTries bounds how often one Open starts anew because others were just
// creating the database. One is enough unless it is created again in between.
const createTries = 5

// connect opens a connection.
//
// The change of a new database to WAL is the one moment when SQLite answers SQLITE_BUSY at
// once, without regard to the busy timeout: when two connections make it together (seen in
// 1 of 200 opens by 16 goroutines). Then it waits, as SQLite does for a writer, until the
// other is done.
func (c *Conns) connect(ctx context.Context) (driver.Conn, error) {
	for try := 1; ; try++ {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		raw, err := c.driver.Open(c.dsn().forDriver())
		if err == nil {
			return raw, nil
		}
		if code(err) == sqlite3.ErrBusy && try < createTries && c.dsn().params["_journal_mode"] == "WAL" {
			if err = c.awaitWriter(); err == nil {
				continue
			}
		}
		return nil, fmt.Errorf("%w%s", err, remedy(err))
	}
}

// awaitWriter returns when nobody writes to the database, or with SQLITE_BUSY
// when the busy timeout has passed.
func (c *Conns) awaitWriter() error {
	conn, err := (&sqlite3.SQLiteDriver{}).Open(c.dsn().withoutJournal())
	if err != nil {
		return err
	}
	err = exec(context.Background(), conn.(*sqlite3.SQLiteConn), "BEGIN IMMEDIATE; ROLLBACK")
	return errors.Join(err, conn.Close())
}

// remedy is what to do about an error of open, after the error's own text.
func remedy(err error) string {
	switch code(err) {
	case sqlite3.ErrCantOpen:
		return " (its directory must exist and be writable)"
	case sqlite3.ErrReadonly:
		return " (say mode=ro to read only, or make the file and its directory writable)"
	case sqlite3.ErrBusy:
		return " (another process holds it locked for longer than _busy_timeout)"
	case sqlite3.ErrNotADB:
		return " (it is another kind of file, or encrypted)"
	}
	return ""
}

func ping(ctx context.Context, c *sqlite3.SQLiteConn) error { return c.Ping(ctx) }

func inTx(c *sqlite3.SQLiteConn) bool { return !c.AutoCommit() }

func exec(ctx context.Context, c *sqlite3.SQLiteConn, text string) error {
	_, err := c.ExecContext(ctx, text, nil)
	return err
}

func closeConn(c *sqlite3.SQLiteConn) error { return c.Close() }

// code returns SQLite's primary result code, or 0 if err has none.
func code(err error) sqlite3.ErrNo {
	e, _ := errors.AsType[sqlite3.Error](err)
	return e.Code
}

// Classify says what an error means for its connection.
//
// pool.Dead: CORRUPT, NOTADB, IOERR, PROTOCOL, INTERNAL, MISUSE and NOMEM, which is also
// the driver's answer on a closed connection; and what sqldriver.Classify says.
//
// pool.AllDead: READONLY_DBMOVED. The file was removed or replaced under the
// connection, and so under all that were opened before.
//
// pool.Sound: all others, among them BUSY, LOCKED, CONSTRAINT, INTERRUPT, FULL,
// CANTOPEN (an ATTACH of a file that is not there) and the other READONLY: they end a
// statement or a transaction.
func Classify(err error) pool.Fault {
	e, ok := errors.AsType[sqlite3.Error](err)
	if !ok {
		return sqldriver.Classify(err)
	}
	switch e.Code {
	case sqlite3.ErrCorrupt, sqlite3.ErrNotADB, sqlite3.ErrIoErr,
		sqlite3.ErrProtocol, sqlite3.ErrInternal, sqlite3.ErrMisuse, sqlite3.ErrNomem:
		return pool.Dead
	}
	if e.ExtendedCode == sqlite3.ErrReadonlyDbMoved {
		return pool.AllDead
	}
	return sqldriver.Classify(err)
}
