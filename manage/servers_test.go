package manage_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lidopool/lido/backends/mysql"
	"github.com/lidopool/lido/backends/postgres"
	"github.com/lidopool/lido/backends/servertest"
	"github.com/lidopool/lido/manage"
)

// Time is real in the tests against servers, which have no other.

// patience bounds what talks to a server that answers. Far more than any of it takes.
const patience = 20 * time.Second

// grace is how long a query, or the end of a transaction, may go on after its ctx has ended, where the server does not answer.
const grace = 200 * time.Millisecond

// A database is a kind of server that the tests run against. The names of its driver and of its
// backend are the same.
type database struct {
	name    string
	backend manage.Backend
	shared  func(testing.TB) *servertest.Server
	own     func(testing.TB, ...string) *servertest.Server

	insert   string // id and part into the table ledger
	sessions string // the numbers of the sessions of a database
	kill     string // ends the session with a number
	self     string // the number of the session that asks
	slow     string // a query that takes a minute
}

var (
	postgresql = database{
		"postgres", postgres.Backend{Grace: grace}, servertest.Postgres, servertest.OwnPostgres,
		"INSERT INTO ledger VALUES ($1, $2)",
		"SELECT pid FROM pg_stat_activity WHERE datname = '%s'",
		"SELECT pg_terminate_backend(%d)", "SELECT pg_backend_pid()", "SELECT pg_sleep(60)",
	}
	mariadb = database{
		"mysql", mysql.Backend{Grace: grace}, servertest.MySQL, servertest.OwnMySQL,
		"INSERT INTO ledger VALUES (?, ?)",
		"SELECT ID FROM information_schema.PROCESSLIST WHERE DB = '%s'",
		"KILL %d", "SELECT CONNECTION_ID()", "SELECT SLEEP(60)",
	}
)

// patient is k with the grace that a user's backend has, for tests whose server answers.
func (k database) patient() database {
	if k.name == "postgres" {
		k.backend = postgres.Backend{}
	} else {
		k.backend = mysql.Backend{}
	}
	return k
}

// eachDatabase runs a test against both servers.
func eachDatabase(t *testing.T, test func(t *testing.T, k database)) {
	for _, k := range []database{postgresql, mariadb} {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel() // much of the time is spent waiting
			test(t, k)
		})
	}
}

// with adds parameters to a DSN.
func with(dsn, params string) string {
	if strings.Contains(dsn, "?") {
		return dsn + "&" + params
	}
	return dsn + "?" + params
}

// open returns a DB of a new manager, with settings such as "pool_size=3".
func (k database) open(t *testing.T, dsn, settings string) (*manage.Manager, *sql.DB) {
	t.Helper()
	return k.openAs(t, k.backend, dsn, settings)
}

// openAs is open with another backend of the same name.
func (k database) openAs(t *testing.T, b manage.Backend, dsn, settings string) (*manage.Manager, *sql.DB) {
	t.Helper()
	m := newManager(t, manage.Options{})
	if err := m.Register(b); err != nil {
		t.Fatal(err)
	}
	db, err := m.OpenDB(k.name, with(dsn, settings))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return m, db
}

// nameIn returns the name of the database of a DSN.
func nameIn(dsn string) string {
	name, _, _ := strings.Cut(dsn[strings.LastIndex(dsn, "/")+1:], "?")
	return name
}

// plain returns an *sql.DB without a Manager, of one connection, that looks on.
func (k database) plain(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(k.name, dsn)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

type querier interface {
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}

// numbers returns the first column of all rows.
func numbers(t *testing.T, db querier, query string) (all []int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	for rows.Next() {
		var n int64
		if err := rows.Scan(&n); err != nil {
			t.Fatal(err)
		}
		all = append(all, n)
	}
	if err := rows.Err(); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return all
}

// number returns the first column of the only row.
func number(t *testing.T, db querier, query string) int64 {
	t.Helper()
	all := numbers(t, db, query)
	if len(all) != 1 {
		t.Fatalf("%s: %d rows, want 1", query, len(all))
	}
	return all[0]
}

// until waits for what a server, or a goroutine of database/sql, does on its own account.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v in vain: %s", patience, what)
		}
		time.Sleep(time.Millisecond) // neither tells anybody when it is done
	}
}

// atRest waits until nobody holds a connection of the pool, and sees to it that there are no more than max.
func (k database) atRest(t *testing.T, m *manage.Manager, dsn string, max int) {
	t.Helper()
	until(t, "all connections are returned", func() bool {
		s := statsOf(t, m, k.name, dsn)
		return s.Leases == 0 && s.InUse == 0 && s.Waiting == 0
	})
	if s := statsOf(t, m, k.name, dsn); s.Open > max || s.Misused != 0 {
		t.Errorf("at rest: %+v, want no more than %d open", s, max)
	}
}

// elsewhere is a DSN of a server that leads to another database than its own, so that who
// looks on is not counted.
func (k database) elsewhere(s *servertest.Server) string {
	other := map[string]string{"postgres": "/template1", "mysql": "/mysql"}[k.name]
	i := strings.LastIndex(s.DSN(), "/")
	return s.DSN()[:i] + other + strings.TrimPrefix(s.DSN()[i+1:], nameIn(s.DSN()))
}

// sessionsOf returns the numbers of the sessions in the database of dsn. admin is in another one.
func (k database) sessionsOf(t *testing.T, admin *sql.DB, dsn string) []int64 {
	t.Helper()
	return numbers(t, admin, fmt.Sprintf(k.sessions, nameIn(dsn)))
}

// killAll ends all sessions in the database of dsn, and returns how many they were.
func (k database) killAll(t *testing.T, admin *sql.DB, dsn string) (killed int) {
	t.Helper()
	for _, id := range k.sessionsOf(t, admin, dsn) {
		if _, err := admin.Exec(fmt.Sprintf(k.kill, id)); err == nil { // else it has ended by itself
			killed++
		}
	}
	return killed
}
