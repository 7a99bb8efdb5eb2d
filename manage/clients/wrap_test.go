package clients_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/lidopool/lido/backends/servertest"
	"github.com/lidopool/lido/manage"
)

// conn takes one connection, until the end of the test or its Close.
func conn(t *testing.T, db *sql.DB) *sql.Conn {
	t.Helper()
	c, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func mustExec(t *testing.T, db handle, query string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

func mustQuery[T any](t *testing.T, db handle, query string, args ...any) (v T) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), query, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return v
}

// interfaces names those optional ones that a driver's connection has.
func interfaces(t *testing.T, db *sql.DB) (all []string) {
	t.Helper()
	err := conn(t, db).Raw(func(c any) error {
		is := func(name string, ok bool) {
			if ok {
				all = append(all, name)
			}
		}
		_, ok := c.(driver.Pinger)
		is("Pinger", ok)
		_, ok = c.(driver.ExecerContext)
		is("ExecerContext", ok)
		_, ok = c.(driver.QueryerContext)
		is("QueryerContext", ok)
		_, ok = c.(driver.ConnPrepareContext)
		is("ConnPrepareContext", ok)
		_, ok = c.(driver.ConnBeginTx)
		is("ConnBeginTx", ok)
		_, ok = c.(driver.NamedValueChecker)
		is("NamedValueChecker", ok)
		//lint:ignore SA1019 that a driver has none is what is asked
		_, ok = c.(driver.Execer)
		is("Execer", ok)
		//lint:ignore SA1019 that a driver has none is what is asked
		_, ok = c.(driver.Queryer)
		is("Queryer", ok)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestConnectionsHaveExactlyTheInterfacesOfTheirDrivers(t *testing.T) {
	for _, d := range []database{sqlite3, postgreSQL, mariaDB, pgxPostgreSQL, modernSQLite} {
		t.Run(d.driver, func(t *testing.T) {
			want := interfaces(t, plain(t, d))
			if got := interfaces(t, pool(t, d).openDB(t)); !slices.Equal(got, want) || len(got) == 0 {
				t.Errorf("a connection has %v, want what the driver's has: %v", got, want)
			}
		})
	}
}

// Only the ResetSession of pgx can see a transaction that was begun by a text: that nobody meets it
// shows that the pool asks.
func TestATransactionLeftOpenIsSeenByTheResetSessionOfPgx(t *testing.T) {
	p := pool(t, pgxPostgreSQL)
	db := p.openDB(t)
	mustExec(t, db, "CREATE TABLE t (n int)")
	one := conn(t, db)
	for _, begin := range []string{"BEGIN", "BEGIN; SELECT 1/0"} { // open, and failed
		left := mustQuery[int](t, one, "SELECT pg_backend_pid()")
		_, _ = one.ExecContext(t.Context(), begin)
		_, _ = one.ExecContext(t.Context(), "INSERT INTO t VALUES (1)")
		if err := one.Close(); err != nil {
			t.Fatal(err)
		}
		one = conn(t, db)
		if mustQuery[int](t, one, "SELECT pg_backend_pid()") == left {
			t.Errorf("after %q the connection was lent again", begin)
		}
	}
	if n := mustQuery[int](t, one, "SELECT count(*) FROM t"); n != 0 {
		t.Errorf("%d rows of a transaction that nobody committed", n)
	}
	if err := one.Close(); err != nil {
		t.Fatal(err)
	}
	p.mustRest(t)
}

func TestATransactionWhoseCtxEndsIsRolledBack(t *testing.T) {
	for _, d := range []database{pgxPostgreSQL, modernSQLite} {
		t.Run(d.driver, func(t *testing.T) {
			p := pool(t, d)
			db := p.openDB(t)
			mustExec(t, db, "CREATE TABLE t (n int)")
			ctx, cancel := context.WithCancel(t.Context())
			tx, err := db.BeginTx(ctx, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tx.Exec("INSERT INTO t VALUES (1)"); err != nil {
				t.Fatal(err)
			}
			cancel()
			if err := tx.Commit(); !errors.Is(err, context.Canceled) && !errors.Is(err, sql.ErrTxDone) {
				t.Errorf("Commit after the end of ctx: %v", err)
			}
			if n := mustQuery[int](t, db, "SELECT count(*) FROM t"); n != 0 {
				t.Errorf("%d rows of a transaction that was canceled", n)
			}
			// database/sql rolls back on a goroutine of its own, in real time.
			for deadline := time.Now().Add(5 * time.Second); p.stats(t).Leases > 0 && time.Now().Before(deadline); {
				time.Sleep(time.Millisecond)
			}
			p.mustRest(t)
		})
	}
}

// pgxThatLooks is pgx with its option to look at a connection before each use. By default it does so
// after a second, which this test need not wait for.
type pgxThatLooks struct{ driver.Driver }

func (pgxThatLooks) OpenConnector(dsn string) (driver.Connector, error) {
	c, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	return stdlib.GetConnector(*c, stdlib.OptionShouldPing(func(context.Context, stdlib.ShouldPingParams) bool { return true })), nil
}

// Without a look, a statement of pgx that meets a session which was ended a moment ago fails, and says that it
// did: whether it was executed pgx does not know, and so nobody tries it again.
func TestNoStatementOfPgxFailsWhenTheServerHasEndedEverySession(t *testing.T) {
	const size = 8 // more than the pool's attempts, and than database/sql tries
	for _, c := range []struct{ name, driver, settings string }{
		{"the pool looks", "pgx", "&pool_ping=true"},
		{"pgx looks", "looks", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := pool(t, pgxPostgreSQL)
			if _, err := p.Wrap("looks", pgxThatLooks{stdlib.GetDefaultDriver()}); err != nil {
				t.Fatal(err)
			}
			p.name = c.driver
			p.dsn = strings.ReplaceAll(p.dsn, "&pool_size=2", fmt.Sprintf("&pool_size=%d", size)) + c.settings
			db := p.openDB(t)
			stmt, err := db.PrepareContext(t.Context(), "SELECT $1::int + 1")
			if err != nil {
				t.Fatal(err)
			}
			defer stmt.Close()
			var open []*sql.Conn
			for range size {
				open = append(open, conn(t, db))
			}
			for _, c := range open {
				_ = c.Close()
			}
			endSessions(t, plain(t, pgxPostgreSQL), p.dsn, size)

			var all sync.WaitGroup
			for w := range 2 * size {
				all.Go(func() {
					for i := range 20 {
						ask := func() *sql.Row { return db.QueryRowContext(t.Context(), "SELECT $1::int + 1", i) }
						if w%2 == 0 {
							ask = func() *sql.Row { return stmt.QueryRowContext(t.Context(), i) }
						}
						var got int
						if err := ask().Scan(&got); err != nil || got != i+1 {
							t.Errorf("%d + 1 is %d, %v", i, got, err)
						}
					}
				})
			}
			all.Wait()
			p.mustRest(t)
		})
	}
}

// endSessions ends the sessions of a database, of which there must be n, and waits until they are gone. db is another
// database of the same server.
func endSessions(t *testing.T, db *sql.DB, dsn string, n int) {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	// Real time, because the server does it; 10 s at most.
	const query = "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid, 10000)) FROM pg_stat_activity WHERE datname = $1"
	if ended := mustQuery[int](t, db, query, strings.TrimPrefix(u.Path, "/")); ended != n {
		t.Fatalf("the server has ended %d sessions, want %d", ended, n)
	}
}

func TestCopyFromOfPgxIsReachedByRaw(t *testing.T) {
	p := pool(t, pgxPostgreSQL)
	db := p.openDB(t)
	mustExec(t, db, "CREATE TABLE t (n int, s text)")
	one := conn(t, db)
	rows := [][]any{{1, "a"}, {2, "b"}, {3, nil}}
	err := manage.Raw(one, func(c driver.Conn) error {
		n, err := c.(*stdlib.Conn).Conn().CopyFrom(t.Context(), pgx.Identifier{"t"}, []string{"n", "s"}, pgx.CopyFromRows(rows))
		if n != 3 && err == nil {
			err = fmt.Errorf("%d rows were copied", n)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := one.Close(); err != nil {
		t.Fatal(err)
	}
	if got := mustQuery[string](t, db, "SELECT string_agg(n || coalesce(s, '-'), ' ' ORDER BY n) FROM t"); got != "1a 2b 3-" {
		t.Errorf("the table has %q", got)
	}
	p.mustRest(t)
}

func TestAWrappedDriverPreparesOncePerConnection(t *testing.T) {
	for _, d := range []database{pgxPostgreSQL, modernSQLite} {
		t.Run(d.driver, func(t *testing.T) {
			p := pool(t, d)
			db := p.openDB(t)
			const n = 1000
			for range n {
				stmt, err := db.PrepareContext(t.Context(), "SELECT 1")
				if err != nil {
					t.Fatal(err)
				}
				if got := mustQueryStmt(t, stmt); got != 1 {
					t.Errorf("got %d", got)
				}
				if err := stmt.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if s := p.stats(t); s.Statements.Misses != s.Opened || s.Statements.Hits+s.Statements.Misses < n {
				t.Errorf("prepared %d times on %d connections, %d uses found it prepared", s.Statements.Misses, s.Opened, s.Statements.Hits)
			}
			if !d.gives {
				return
			}
			// The server's word for it.
			if got := mustQuery[int](t, db, "SELECT count(*) FROM pg_prepared_statements WHERE statement = 'SELECT 1'"); got != 1 {
				t.Errorf("the session has %d statements of this text, want 1", got)
			}
		})
	}
}

func mustQueryStmt(t *testing.T, stmt *sql.Stmt) (n int) {
	t.Helper()
	if err := stmt.QueryRowContext(t.Context()).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAWrappedDriverShowsNoSecret(t *testing.T) {
	const secret = "tr0ub4dor"
	addr := servertest.Postgres(t).Addr()
	file := "file:" + filepath.Join(t.TempDir(), "x.db")
	for _, c := range []struct {
		d    database
		dsns []string
	}{
		{pgxPostgreSQL, []string{
			"postgres://lido:" + secret + "@" + addr + "/lido?sslmode=disable",
			"postgres://lido:" + secret + "@" + addr + "/lido?sslmode=no-such",
			"postgres://lido:" + secret + "@127.0.0.1:bad/lido",
			"postgres://" + secret + ":x@" + addr + "/" + secret,
			"password=" + secret + " host=127.0.0.1 port=1",
			"password='" + secret + " host=127.0.0.1",
		}},
		{modernSQLite, []string{
			"file:/no/such/" + secret + "/x.db",
			file + "?_pragma=key(" + secret + ")&_txlock=" + secret,
			file + "?vfs=" + secret,
		}},
	} {
		p := pool(t, c.d)
		for _, dsn := range c.dsns {
			var texts []string
			show := func(v any) {
				texts = append(texts, fmt.Sprint(v), fmt.Sprintf("%+v", v), fmt.Sprintf("%#v", v))
			}
			db, err := p.OpenDB(p.name, dsn)
			show(err)
			if err == nil {
				t.Cleanup(func() { _ = db.Close() })
				// Real time, since pgx dials; nothing here waits for a server that does not answer.
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				err = db.PingContext(ctx)
				cancel()
				if err == nil {
					t.Errorf("%s: %q is no error", p.name, dsn)
				}
				texts = append(texts, fmt.Sprint(err)) // of its parts, errors.As gives the driver's own
			}
			if k, err := p.Key(p.name, dsn); err == nil {
				show(k)
				if s, ok := p.Stats(k); ok {
					show(s)
				}
			}
			for _, text := range texts {
				if strings.Contains(text, secret) {
					t.Errorf("%s shows the secret: %s", p.name, text)
				}
			}
		}
	}
}
