//go:build !cgo

package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"

	"github.com/mattn/go-sqlite3"

	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/pool"
)

// Without cgo the driver is a stub, whose SQLiteConn is not even a driver.Conn.

// available reports whether there is an SQLite in this binary.
func available() error {
	return errors.New("sqlite: this binary was built without cgo, which SQLite needs: install a C compiler " +
		"(Debian, Ubuntu: apt-get install gcc libc6-dev), set CGO_ENABLED=1, and build again")
}

func (c *Conns) connect(context.Context) (driver.Conn, error) { return nil, available() }

func ping(context.Context, *sqlite3.SQLiteConn) error         { return available() }
func inTx(*sqlite3.SQLiteConn) bool                           { return false }
func exec(context.Context, *sqlite3.SQLiteConn, string) error { return available() }
func closeConn(*sqlite3.SQLiteConn) error                     { return available() }

// Classify says what an error means for its connection.
func Classify(err error) pool.Fault { return sqldriver.Classify(err) }
