package mysql_test

import (
	"context"
	"database/sql/driver"
	"fmt"
	"io"

	"testing"
	"time"

	"github.com/lidopool/lido/backends/mysql"
	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/manage"
	"github.com/lidopool/lido/pool"
)

var _ manage.Backend = mysql.Backend{}

// patience bounds what talks to a server that answers. Far more than any of it takes.
const patience = 20 * time.Second

func backend(t testing.TB, b mysql.Backend, dsn string) pool.Backend[*sqldriver.Conn] {
	t.Helper()
	opened, err := b.Open(dsn, "")
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

// connect opens a connection by b and closes it at the end of the test.
func connect(t testing.TB, b pool.Backend[*sqldriver.Conn]) *sqldriver.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := b.Open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = b.Close(ctx, c) // fails if the server is gone
	})
	return c
}

// try executes a text, as somebody who tells the connection which one.
func try(c *sqldriver.Conn, text string) error {
	return tryCtx(context.Background(), c, text)
}

func tryCtx(ctx context.Context, c *sqldriver.Conn, text string) error {
	_, err := c.For(text).(driver.ExecerContext).ExecContext(ctx, text, nil)
	return err
}

func exec(t testing.TB, c *sqldriver.Conn, text string) {
	t.Helper()
	if err := try(c, text); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

// query returns the first column of the first row, or "no row".
func query(t testing.TB, c *sqldriver.Conn, text string) string {
	t.Helper()
	return column(t, c, text, 0)
}

// column returns a column of the first row, or "no row".
func column(t testing.TB, c *sqldriver.Conn, text string, n int) string {
	t.Helper()
	rows, err := c.For(text).(driver.QueryerContext).QueryContext(context.Background(), text, nil)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	defer rows.Close()
	row := make([]driver.Value, len(rows.Columns()))
	switch err := rows.Next(row); err {
	case nil:
		if b, ok := row[n].([]byte); ok {
			return string(b)
		}
		return fmt.Sprint(row[n])
	case io.EOF:
		return "no row"
	default:
		t.Fatalf("%s: %v", text, err)
		return ""
	}
}

func wantQuery(t testing.TB, c *sqldriver.Conn, text, want string) {
	t.Helper()
	if got := query(t, c, text); got != want {
		t.Errorf("%s: got %s, want %s", text, got, want)
	}
}

// thousand is a query of a thousand rows of a kilobyte.
const thousand = "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM s WHERE n < 1000) SELECT REPEAT('x', 1000) FROM s"

// inTransaction asks the server whether a transaction is open. MariaDB has a variable for it, MySQL has none,
// and both refuse to change what kind a transaction is that goes on.
func inTransaction(t testing.TB, c *sqldriver.Conn) bool {
	t.Helper()
	err := try(c, "SET TRANSACTION READ WRITE")
	switch number(err) {
	case 1568, 1399: // 1399: of XA
		return true
	}
	if err != nil {
		t.Fatal(err)
	}
	return false
}

// until waits for what a server does on its own account.
func until(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v in vain: %s", patience, what)
		}
		time.Sleep(time.Millisecond) // a server tells nobody when it is done
	}
}
