//go:build cgo

package sqlite_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"testing"
	"time"

	"github.com/mattn/go-sqlite3"

	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/backends/sqlite"
	"github.com/lidopool/lido/pool"
)

// endless runs until it is interrupted.
const endless = "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM r LIMIT 100000000) SELECT count(*) FROM r"

// begins are the ways to open a transaction on the driver's own connection.
var begins = map[string]func(*testing.T, *sqlite3.SQLiteConn){
	"by Begin": func(t *testing.T, c *sqlite3.SQLiteConn) {
		if _, err := c.Begin(); err != nil {
			t.Fatal(err)
		}
	},
	"by text":      func(t *testing.T, c *sqlite3.SQLiteConn) { exec(t, c, "BEGIN") },
	"by savepoint": func(t *testing.T, c *sqlite3.SQLiteConn) { exec(t, c, "SAVEPOINT s") },
}

// modes are the reset modes and how many rows another connection then sees.
var modes = map[sqldriver.ResetMode]string{"": "0", sqldriver.Rollback: "0", sqldriver.Commit: "1", sqldriver.NoReset: "0"}

func TestResetEndsATransactionSoThatOthersSeeIt(t *testing.T) {
	for _, dsn := range []string{file(t), sqlite.Memory(t.Name())} {
		other := connect(t, conns(t, dsn))
		exec(t, other, "CREATE TABLE t(x)")
		for mode, want := range modes {
			for how, begin := range begins {
				t.Run("mode "+string(mode)+" "+how, func(t *testing.T) {
					exec(t, other, "DELETE FROM t")
					b, err := sqlite.Backend{Reset: mode}.Conns(dsn)
					if err != nil {
						t.Fatal(err)
					}
					c := connect(t, b)
					begin(t, c)
					exec(t, c, "INSERT INTO t VALUES (1)")
					if err := b.Reset(t.Context(), c); err != nil {
						t.Fatal(err)
					}
					if got, want := c.AutoCommit(), mode != sqldriver.NoReset; got != want {
						t.Errorf("autocommit after reset: got %v, want %v", got, want)
					}
					if mode == sqldriver.NoReset {
						exec(t, c, "ROLLBACK")
					}
					wantQuery(t, other, "SELECT count(*) FROM t", want)
				})
			}
		}
	}
}

func TestResetOfAManagedConnectionEndsATransactionHoweverBegun(t *testing.T) {
	dsn := file(t)
	other := connect(t, conns(t, dsn))
	exec(t, other, "CREATE TABLE t(x)")
	begins := map[string]func(*sqldriver.Conn) error{
		"BeginTx": func(c *sqldriver.Conn) error {
			_, err := c.BeginTx(context.Background(), driver.TxOptions{})
			return err
		},
		"text": func(c *sqldriver.Conn) error {
			_, err := c.Raw().(driver.ExecerContext).ExecContext(context.Background(), "BEGIN", nil)
			return err
		},
	}
	for mode, want := range modes {
		for how, begin := range begins {
			t.Run("mode "+string(mode)+" "+how, func(t *testing.T) {
				exec(t, other, "DELETE FROM t")
				b, c := managed(t, dsn, mode)
				if err := begin(c); err != nil {
					t.Fatal(err)
				}
				exec(t, c.Raw().(*sqlite3.SQLiteConn), "INSERT INTO t VALUES (1)")
				if !c.InTx() {
					t.Error("InTx is false in a transaction")
				}
				if err := b.Reset(t.Context(), c); err != nil {
					t.Fatal(err)
				}
				if got, want := c.InTx(), mode == sqldriver.NoReset; got != want {
					t.Errorf("InTx after reset: got %v, want %v", got, want)
				}
				if mode == sqldriver.NoReset {
					exec(t, c.Raw().(*sqlite3.SQLiteConn), "ROLLBACK")
				}
				wantQuery(t, other, "SELECT count(*) FROM t", want)
			})
		}
	}
}

func TestResetOfACleanConnectionSucceeds(t *testing.T) {
	b, c := managed(t, file(t), "")
	tx, err := c.BeginTx(t.Context(), driver.TxOptions{})
	if err != nil {
		t.Fatal(err)
	}
	exec(t, c.Raw().(*sqlite3.SQLiteConn), "COMMIT") // behind the back of tx
	if err := b.Reset(t.Context(), c); err != nil {
		t.Errorf("reset after a commit by text: %v", err)
	}
	if err := tx.Commit(); err == nil {
		t.Error("a transaction that is over could be committed")
	}
	if err := b.Ping(t.Context(), c); err != nil {
		t.Errorf("ping: %v", err)
	}
}

func TestResetEndsATransactionUnderOpenRows(t *testing.T) {
	b := conns(t, file(t))
	c := connect(t, b)
	exec(t, c, "CREATE TABLE t(x); INSERT INTO t VALUES (1),(2),(3); BEGIN; INSERT INTO t VALUES (4)")
	rows, err := c.QueryContext(t.Context(), "SELECT x FROM t", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := rows.Next(make([]driver.Value, 1)); err != nil {
		t.Fatal(err)
	}
	if err := b.Reset(t.Context(), c); err != nil {
		t.Errorf("reset: %v", err)
	}
	rows.Close()
	wantQuery(t, c, "SELECT count(*) FROM t", "3")
}

func TestConnectionStaysUsableAfterACanceledQuery(t *testing.T) {
	for name, run := range map[string]func(context.Context, *sqlite3.SQLiteConn) error{
		"query": func(ctx context.Context, c *sqlite3.SQLiteConn) error {
			rows, err := c.QueryContext(ctx, endless, nil)
			if err == nil {
				rows.Close()
			}
			return err
		},
		"exec": func(ctx context.Context, c *sqlite3.SQLiteConn) error {
			_, err := c.ExecContext(ctx, "INSERT INTO t "+endless, nil)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := conns(t, file(t))
			c := connect(t, b)
			exec(t, c, "CREATE TABLE t(x); BEGIN IMMEDIATE; INSERT INTO t VALUES (1)")
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond) // real: SQLite must be in mid-work
			defer cancel()
			err := run(ctx, c)
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want the end of the context", err)
			}
			if got := b.Classify(err); got != pool.Sound {
				t.Errorf("Classify(%v) = %v, want Sound", err, got)
			}
			if err := b.Reset(t.Context(), c); err != nil {
				t.Errorf("reset after a canceled %s: %v", name, err)
			}
			wantQuery(t, c, "SELECT count(*) FROM t", "0")
			exec(t, c, "INSERT INTO t VALUES (1)")
		})
	}
}

func TestResetOfAClosedConnectionFails(t *testing.T) {
	b := conns(t, file(t))
	c, err := b.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{"reset": b.Reset(t.Context(), c), "ping": b.Ping(t.Context(), c)} {
		if err == nil || b.Classify(err) != pool.Dead {
			t.Errorf("%s of a closed connection: got %v, class %v, want an error that means dead", name, err, b.Classify(err))
		}
	}
}
