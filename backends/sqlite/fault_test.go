//go:build cgo

package sqlite_test

import (
	"bytes"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/mattn/go-sqlite3"

	"github.com/lidopool/lido/backends/sqlite"
	"github.com/lidopool/lido/pool"
)

// try runs a text and returns its error.
func try(c *sqlite3.SQLiteConn, text string) error {
	_, err := c.Exec(text, nil)
	return err
}

func TestClassifyOfProvokedErrors(t *testing.T) {
	for _, tt := range []struct {
		name    string
		code    sqlite3.ErrNo
		want    pool.Fault
		provoke func(t *testing.T) error
	}{
		{"busy", sqlite3.ErrBusy, pool.Sound, func(t *testing.T) error {
			b := conns(t, file(t)+"?_timeout=0")
			exec(t, connect(t, b), "BEGIN IMMEDIATE")
			return try(connect(t, b), "BEGIN IMMEDIATE")
		}},
		{"busy snapshot", sqlite3.ErrBusy, pool.Sound, func(t *testing.T) error {
			b := conns(t, file(t)+"?_timeout=0")
			first, second := connect(t, b), connect(t, b)
			exec(t, first, "CREATE TABLE t(x); BEGIN")
			query(t, first, "SELECT count(*) FROM t")
			exec(t, second, "INSERT INTO t VALUES (1)")
			return try(first, "INSERT INTO t VALUES (2)")
		}},
		{"locked", sqlite3.ErrLocked, pool.Sound, func(t *testing.T) error {
			c := connect(t, conns(t, file(t)))
			exec(t, c, "CREATE TABLE t(x); INSERT INTO t VALUES (1),(2)")
			rows, err := c.QueryContext(t.Context(), "SELECT * FROM t", nil)
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close()
			return try(c, "DROP TABLE t")
		}},
		{"constraint", sqlite3.ErrConstraint, pool.Sound, func(t *testing.T) error {
			return try(connect(t, conns(t, file(t))), "CREATE TABLE t(x UNIQUE); INSERT INTO t VALUES (1),(1)")
		}},
		{"syntax", sqlite3.ErrError, pool.Sound, func(t *testing.T) error {
			return try(connect(t, conns(t, file(t))), "SELEKT")
		}},
		{"full", sqlite3.ErrFull, pool.Sound, func(t *testing.T) error {
			return try(connect(t, conns(t, file(t))), "PRAGMA max_page_count=2; CREATE TABLE t(x); INSERT INTO t VALUES (zeroblob(100000))")
		}},
		{"read-only", sqlite3.ErrReadonly, pool.Sound, func(t *testing.T) error {
			path := file(t)
			exec(t, connect(t, conns(t, path)), "CREATE TABLE t(x)")
			return try(connect(t, conns(t, path+"?mode=ro")), "INSERT INTO t VALUES (1)")
		}},
		{"file replaced", sqlite3.ErrReadonly, pool.AllDead, func(t *testing.T) error {
			path := file(t)
			c := connect(t, conns(t, path+"?_journal=DELETE"))
			exec(t, c, "CREATE TABLE t(x)")
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			return try(c, "INSERT INTO t VALUES (1)")
		}},
		{"corrupt", sqlite3.ErrCorrupt, pool.Dead, func(t *testing.T) error {
			path := file(t)
			b := conns(t, path+"?_journal=DELETE")
			c, err := b.Open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			exec(t, c, "CREATE TABLE t(x); INSERT INTO t VALUES (1)")
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			copy(raw[4096:], bytes.Repeat([]byte{0xff}, 200)) // the table's page
			if err := os.WriteFile(path, raw, 0o600); err != nil {
				t.Fatal(err)
			}
			return try(connect(t, b), "INSERT INTO t VALUES (2)")
		}},
		{"not a database", sqlite3.ErrNotADB, pool.Dead, func(t *testing.T) error {
			path := file(t)
			if err := os.WriteFile(path, bytes.Repeat([]byte("x"), 5000), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := conns(t, path).Open(t.Context())
			return err
		}},
		{"missing directory", sqlite3.ErrCantOpen, pool.Sound, func(t *testing.T) error {
			_, err := conns(t, filepath.Join(t.TempDir(), "no", "x.db")).Open(t.Context())
			return err
		}},
		{"unreadable journal", sqlite3.ErrIoErr, pool.Dead, func(t *testing.T) error {
			// SQLite cannot read a journal that is a directory.
			path := file(t)
			c := connect(t, conns(t, path+"?_journal=PERSIST"))
			exec(t, c, "CREATE TABLE t(x)")
			if err := os.Remove(path + "-journal"); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(path+"-journal", 0o700); err != nil {
				t.Fatal(err)
			}
			return try(c, "INSERT INTO t VALUES (1)")
		}},
		{"closed", sqlite3.ErrNomem, pool.Dead, func(t *testing.T) error {
			c := connect(t, conns(t, file(t)))
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			return try(c, "SELECT 1")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.provoke(t)
			e, ok := errors.AsType[sqlite3.Error](err)
			if !ok || e.Code != tt.code {
				t.Fatalf("provoked %v (code %d), want code %d", err, e.Code, tt.code)
			}
			for _, err := range []error{err, fmt.Errorf("wrapped: %w", err)} {
				if got := sqlite.Classify(err); got != tt.want {
					t.Errorf("Classify(%v) = %v, want %v", err, got, tt.want)
				}
			}
		})
	}
}

func TestClassifyOfCodesThatCannotBeProvoked(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want pool.Fault
	}{
		{nil, pool.Sound},
		{sqlite3.Error{Code: sqlite3.ErrInterrupt}, pool.Sound},
		{sqlite3.Error{Code: sqlite3.ErrSchema}, pool.Sound},
		{sqlite3.Error{Code: sqlite3.ErrReadonly, ExtendedCode: sqlite3.ErrReadonlyRecovery}, pool.Sound},
		{sqlite3.Error{Code: sqlite3.ErrCorrupt, ExtendedCode: sqlite3.ErrCorruptVTab}, pool.Dead},
		{sqlite3.Error{Code: sqlite3.ErrIoErr, ExtendedCode: sqlite3.ErrIoErrFsync}, pool.Dead},
		{sqlite3.Error{Code: sqlite3.ErrMisuse}, pool.Dead},
		{sqlite3.Error{Code: sqlite3.ErrInternal}, pool.Dead},
		{sqlite3.Error{Code: sqlite3.ErrProtocol}, pool.Dead},
		{errors.New("something else"), pool.Sound},
		{driver.ErrBadConn, pool.Dead},
		{io.EOF, pool.Dead},
	} {
		if got := sqlite.Classify(tt.err); got != tt.want {
			t.Errorf("Classify(%v) = %v, want %v", tt.err, got, tt.want)
		}
	}
}
