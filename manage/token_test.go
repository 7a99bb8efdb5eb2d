package manage_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	gomysql "github.com/go-sql-driver/mysql"
	"github.com/lib/pq"

	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/manage"
	"github.com/lidopool/lido/pool"
)

// What the guide shows of passwords that change, with servers that change them.
func TestAPasswordThatChangesIsAskedForAtEachOpen(t *testing.T) {
	eachDatabase(t, func(t *testing.T, k database) {
		dsn := k.shared(t).Database(t)
		admin := k.plain(t, dsn)
		exec := func(text string) {
			t.Helper()
			if _, err := admin.Exec(text); err != nil {
				t.Fatal(err)
			}
		}
		user := "lido_" + strings.ToLower(rand.Text()[:10])
		passwords := []string{`one:two\three`, "four"} // in a passfile the first must be escaped
		var at atomic.Int32
		var asked atomic.Int32
		password := func(context.Context) (string, error) {
			asked.Add(1)
			return passwords[at.Load()], nil
		}
		var change string // with the password after it
		var refused func(error) bool
		b, o := k.backend, manage.Options{}
		switch k.name {
		case "postgres":
			exec("CREATE ROLE " + user + " LOGIN PASSWORD '" + passwords[0] + "'")
			t.Cleanup(func() { exec("DROP ROLE " + user) })
			change = "ALTER ROLE " + user + " PASSWORD "
			file := filepath.Join(t.TempDir(), "pgpass")
			o.Hooks = []pool.Hooks[*sqldriver.Conn]{passfile(file, password)}
			dsn = strings.Replace(dsn, dsn[strings.Index(dsn, "://"):strings.LastIndex(dsn, "@")], "://"+user, 1) + "&passfile=" + file
			refused = func(err error) bool { e, ok := errors.AsType[*pq.Error](err); return ok && e.Code == "28P01" }
		case "mysql":
			exec("CREATE USER " + user + " IDENTIFIED BY '" + strings.ReplaceAll(passwords[0], `\`, `\\`) + "'")
			t.Cleanup(func() { exec("DROP USER " + user) })
			exec("GRANT ALL ON " + nameIn(dsn) + ".* TO " + user)
			change = "ALTER USER " + user + " IDENTIFIED BY "
			b = rotating{password: password}
			dsn = user + dsn[strings.LastIndex(dsn, "@"):]
			refused = func(err error) bool { e, ok := errors.AsType[*gomysql.MySQLError](err); return ok && e.Number == 1045 }
		}
		m := newManager(t, o)
		if err := m.Register(b); err != nil {
			t.Fatal(err)
		}
		db, err := m.OpenDB(k.name, with(dsn, "pool_size=3"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })

		first := connOf(t, db) // stays in use, so that whoever comes next needs an open
		exec(change + "'" + passwords[1] + "'")
		if _, err := first.ExecContext(t.Context(), "SELECT 1"); err != nil {
			t.Errorf("an open connection after the change: %v", err)
		}
		if err := db.PingContext(t.Context()); !refused(err) {
			t.Errorf("an open with the old password: %v, want that it is refused", err)
		}
		at.Store(1)
		connOf(t, db)
		if n := asked.Load(); n != 3 {
			t.Errorf("the password was asked for %d times, want once for each of 3 opens", n)
		}
	})
}

// connOf leases a connection until the end of the test.
func connOf(t *testing.T, db *sql.DB) *sql.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := db.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}
