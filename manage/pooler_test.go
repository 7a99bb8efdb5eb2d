package manage_test

import (
	"database/sql"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lidopool/lido/backends/servertest"
	"github.com/lidopool/lido/manage"
)

// poolers are the ways to be behind a transaction pooler with 20 goroutines: 5 connections of the server are shared.
var poolers = []struct {
	name, settings string
	queries        int
}{
	{"small queue", "pool_preset=transaction-pooler&pool_strategy=queue&pool_size=8&pool_max_overflow=0", 100_000},
	{"null", "pool_preset=transaction-pooler", 5_000}, // each connects, which takes ten times as long
}

func TestNoQueryFailsBehindATransactionPoolerWithThePreset(t *testing.T) {
	pg := servertest.Postgres(t)
	for _, tt := range poolers {
		t.Run(tt.name, func(t *testing.T) {
			s := servertest.PgBouncer(t, pg, "pool_mode=transaction", "default_pool_size=5", "auth_type=trust") // a proof of the password takes most of a connect
			dsn := s.Database(t) + "&binary_parameters=yes"
			m, db := postgresql.open(t, dsn, tt.settings)
			mustExec(t, db, "CREATE TABLE t (worker INT, i INT)")
			stmt, err := db.Prepare("SELECT $1::int * $2::int")
			if err != nil {
				t.Fatal(err)
			}
			defer stmt.Close()
			const goroutines = 20
			times := tt.queries / goroutines
			if testing.Short() {
				times /= 20
			}
			start := time.Now()
			var inserted atomic.Int64
			atOnce(goroutines, times, func(worker, i int) {
				if t.Failed() {
					return
				}
				var got, want int
				var err error
				switch {
				case i%50 == 7:
					_, err = db.Exec("INSERT INTO t VALUES ($1, $2)", worker, i)
					inserted.Add(1)
				case i%50 == 8:
					var tx *sql.Tx
					if tx, err = db.Begin(); err != nil {
						break
					}
					want = i + 1
					if err = tx.QueryRow("SELECT $1::int + 1", i).Scan(&got); err == nil {
						_, err = tx.Exec("INSERT INTO t VALUES ($1, $2)", worker, i)
						inserted.Add(1)
					}
					if err == nil {
						err = tx.Commit()
					} else {
						_ = tx.Rollback()
					}
				case i%3 == 0:
					want = worker * i
					err = stmt.QueryRow(worker, i).Scan(&got)
				default:
					want = worker + i
					err = db.QueryRow("SELECT $1::int + $2::int", worker, i).Scan(&got)
				}
				if err != nil || got != want {
					t.Errorf("query %d of goroutine %d: %d, %v; want %d", i, worker, got, err, want)
				}
			})
			took := time.Since(start)
			if n := number(t, db, "SELECT count(*) FROM t"); n != inserted.Load() {
				t.Errorf("%d rows were inserted, want %d", n, inserted.Load())
			}
			admin := postgresql.plain(t, pg.DSN())
			if n := len(postgresql.sessionsOf(t, admin, dsn)); n > 5 {
				t.Errorf("the server has %d sessions, want the pooler's 5 at most", n)
			}
			stats := statsOf(t, m, "postgres", dsn)
			t.Logf("%d queries in %v; %d connections to the pooler", goroutines*times, took.Round(time.Millisecond), stats.Opened)
			postgresql.atRest(t, m, dsn, 20)
		})
	}
}

func TestThePresetForPoolersSaysWhatToChangeInTheDSN(t *testing.T) {
	m := newManager(t, manage.Options{})
	for _, k := range []database{postgresql, mariadb} {
		if err := m.Register(k.backend); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ name, dsn, want string }{
		{"postgres", "postgres://u:p@h/d?pool_preset=transaction-pooler", "say binary_parameters=yes"},
		{"postgres", "postgres://u:p@h/d?binary_parameters=yes&search_path=x&pool_preset=transaction-pooler", "search_path is given: leave it out"},
		{"postgres", "postgres://u:p@h/d?binary_parameters=yes&pool_preset=transaction-pooler&pool_ping=true", "pool_ping: not with pool_preset=transaction-pooler"},
		{"mysql", "u:p@tcp(h)/d?pool_preset=transaction-pooler", "add interpolateParams=true"},
	} {
		db, err := m.OpenDB(tt.name, tt.dsn)
		if err == nil {
			_ = db.Close()
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("OpenDB(%q): %v, want %q", tt.dsn, err, tt.want)
		}
	}
}

// What the preset is for. Two clients take turns on the one connection that the pooler has to the server, so it happens
// every time: the second finds the statement that the first has prepared under the same name, or the first
// does not find its own.
func TestWithoutThePresetAPreparedStatementMeetsAnotherConnection(t *testing.T) {
	pg := servertest.Postgres(t)
	s := servertest.PgBouncer(t, pg, "pool_mode=transaction", "default_pool_size=1")
	dsn := s.Database(t) + "&binary_parameters=yes"
	for settings, fails := range map[string]bool{"pool_size=2": true, "pool_size=2&pool_preset=transaction-pooler&pool_strategy=queue": false} {
		_, db := postgresql.open(t, dsn, settings)
		one, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		other, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		failed := error(nil)
		for i, c := range []*sql.Conn{one, other} {
			stmt, err := c.PrepareContext(t.Context(), []string{"SELECT 1", "SELECT 2"}[i])
			if err == nil {
				err = stmt.QueryRow().Scan(new(int))
			}
			if err != nil {
				failed = err
			}
		}
		if (failed != nil) != fails || fails && !strings.Contains(failed.Error(), "42P05") {
			t.Errorf("%s: %v, want a statement that exists already (42P05): %v", settings, failed, fails)
		}
		_ = one.Close()
		_ = other.Close()
	}
}

func TestRowsAreCopiedInWherePreparedStatementsGoAsTexts(t *testing.T) {
	s := servertest.PgBouncer(t, servertest.Postgres(t), "pool_mode=transaction", "default_pool_size=1")
	_, db := postgresql.open(t, s.Database(t)+"&binary_parameters=yes", "pool_preset=transaction-pooler")
	mustExec(t, db, "CREATE TABLE t (n INT)")
	for range 2 {
		tx, err := db.Begin()
		if err != nil {
			t.Fatal(err)
		}
		stmt, err := tx.Prepare("/* from a file */ COPY t (n) FROM STDIN")
		if err != nil {
			t.Fatal(err)
		}
		for i := range 5 {
			if _, err := stmt.Exec(i); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(stmt.Close(), tx.Commit()); err != nil {
			t.Error(err)
		}
	}
	if n := number(t, db, "SELECT count(*) FROM t"); n != 10 {
		t.Errorf("%d rows are there, want 10", n)
	}
}

func TestAConnectionInTheMiddleOfACopyIsNotLentToTheNext(t *testing.T) {
	dsn := servertest.Postgres(t).Database(t)
	m, db := postgresql.open(t, dsn, "pool_size=1&pool_max_overflow=0&pool_reset=none")
	mustExec(t, db, "CREATE TABLE t (n INT)")
	c, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	mustExecOn(t, c, "BEGIN") // else lib/pq refuses it
	stmt, err := c.PrepareContext(t.Context(), "COPY t (n) FROM STDIN")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if n := number(t, db, "SELECT count(*) FROM t"); n != 0 {
		t.Errorf("%d rows are there, want none", n)
	}
	if s := statsOf(t, m, "postgres", dsn); s.Opened != 2 {
		t.Errorf("%d connections were opened, want 2", s.Opened)
	}
	if _, err := stmt.Exec(1); err == nil {
		t.Error("a row was copied in by way of a connection that is somebody else's")
	}
	if err := stmt.Close(); err != nil {
		t.Errorf("close of the statement: %v", err)
	}
}

// The rows of a COPY are sent in pieces: what is wrong with the last of them is told at its end, by Close if
// nobody asks before.
func TestAnErrorOfTheLastRowsThatAreCopiedInIsTold(t *testing.T) {
	_, db := postgresql.open(t, servertest.Postgres(t).Database(t), "")
	mustExec(t, db, "CREATE TABLE t (n INT)")
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	stmt, err := tx.Prepare("COPY t (n) FROM STDIN")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stmt.Exec("no number"); err != nil {
		t.Fatal(err)
	}
	if err := stmt.Close(); err == nil || !strings.Contains(err.Error(), "no number") {
		t.Errorf("Close: %v, want the server's refusal", err)
	}
	if err := tx.Commit(); err == nil {
		t.Error("the transaction was committed, and its rows are not there")
	}
}
