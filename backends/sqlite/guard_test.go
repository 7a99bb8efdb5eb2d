//go:build cgo

package sqlite_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/mattn/go-sqlite3"

	"github.com/lidopool/lido/backends/sqlite"
)

func TestGuardTurnsAPanicIntoAnErrorAndLeavesTheConnectionUsable(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context()) // with it the driver runs Exec on a goroutine of its own
	defer cancel()
	for name, run := range map[string]func(*sqlite3.SQLiteConn) error{
		"query": func(c *sqlite3.SQLiteConn) error {
			_, err := c.QueryContext(ctx, "SELECT boom(1)", nil)
			return err
		},
		"exec": func(c *sqlite3.SQLiteConn) error {
			_, err := c.ExecContext(ctx, "INSERT INTO t VALUES (boom(1))", nil)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := conns(t, file(t))
			c := connect(t, b)
			if err := c.RegisterFunc("boom", sqlite.Guard(func(int64) int64 { panic("too much") }), false); err != nil {
				t.Fatal(err)
			}
			exec(t, c, "CREATE TABLE t(x); BEGIN; INSERT INTO t VALUES (1)")
			if err := run(c); err == nil || !strings.Contains(err.Error(), "too much") {
				t.Errorf("got %v, want an error with the panic's value", err)
			}
			if err := b.Reset(t.Context(), c); err != nil {
				t.Errorf("reset: %v", err)
			}
			wantQuery(t, c, "SELECT count(*) FROM t", "0")
		})
	}
}

func TestGuardKeepsWhatTheFunctionDoes(t *testing.T) {
	c := connect(t, conns(t, ":memory:"))
	for name, fn := range map[string]any{
		"one":  func(x int64) int64 { return x + 1 },
		"two":  func(x int64) (int64, error) { return x + 2, nil },
		"fail": func(int64) (int64, error) { return 0, errors.New("no such luck") },
		"sum": func(xs ...int64) (n int64) {
			for _, x := range xs {
				n += x
			}
			return n
		},
	} {
		if err := c.RegisterFunc(name, sqlite.Guard(fn), true); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	wantQuery(t, c, "SELECT one(1) || two(1) || sum() || sum(1,2,3)", "2306")
	if _, err := c.QueryContext(t.Context(), "SELECT fail(1)", nil); err == nil || !strings.Contains(err.Error(), "no such luck") {
		t.Errorf("got %v, want the function's own error", err)
	}
}

func TestGuardLeavesItToTheDriverToRefuseWhatIsNoFunction(t *testing.T) {
	c := connect(t, conns(t, ":memory:"))
	for name, fn := range map[string]any{
		"number": 1, "no result": func() {}, "three results": func() (int, int, error) { return 0, 0, nil },
		"two values": func() (int, int) { return 0, 0 },
	} {
		if err := c.RegisterFunc("f", sqlite.Guard(fn), true); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}
