//go:build cgo

package sqlite_test

import (
	"database/sql/driver"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/mattn/go-sqlite3"

	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/backends/sqlite"
	"github.com/lidopool/lido/pool"
)

// file returns the path of a database that does not exist yet.
func file(t *testing.T) string { return filepath.Join(t.TempDir(), "test.db") }

func conns(t *testing.T, dsn string) *sqlite.Conns {
	t.Helper()
	b, err := sqlite.Open(dsn)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// connect opens a connection by b and closes it at the end of the test.
func connect(t *testing.T, b *sqlite.Conns) *sqlite3.SQLiteConn {
	t.Helper()
	c, err := b.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(t.Context(), c); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return c
}

// managed opens the backend that package manage gets, and a connection by it.
func managed(t *testing.T, dsn string, reset sqldriver.ResetMode) (pool.Backend[*sqldriver.Conn], *sqldriver.Conn) {
	t.Helper()
	b, err := sqlite.Backend{}.Open(dsn, reset)
	if err != nil {
		t.Fatal(err)
	}
	c, err := b.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(t.Context(), c); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return b, c
}

func exec(t *testing.T, c *sqlite3.SQLiteConn, text string) {
	t.Helper()
	if _, err := c.ExecContext(t.Context(), text, nil); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

// query returns the first column of the first row.
func query(t *testing.T, c *sqlite3.SQLiteConn, text string) string {
	t.Helper()
	rows, err := c.QueryContext(t.Context(), text, nil)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	defer rows.Close()
	row := make([]driver.Value, len(rows.Columns()))
	if err := rows.Next(row); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return fmt.Sprint(row[0])
}

func wantQuery(t *testing.T, c *sqlite3.SQLiteConn, text, want string) {
	t.Helper()
	if got := query(t, c, text); got != want {
		t.Errorf("%s: got %s, want %s", text, got, want)
	}
}
