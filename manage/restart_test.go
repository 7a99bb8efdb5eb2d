package manage_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"testing"
)

// atOnce calls f by so many goroutines, each several times.
func atOnce(goroutines, times int, f func(worker, i int)) {
	var all sync.WaitGroup
	for worker := range goroutines {
		all.Go(func() {
			for i := range times {
				f(worker, i)
			}
		})
	}
	all.Wait()
}

// fill opens n connections of a pool and leaves them idle.
func fill(t *testing.T, db *sql.DB, n int) {
	t.Helper()
	var conns []*sql.Conn
	for range n {
		c, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	for _, c := range conns {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestNoStatementFailsThoughARestartLeftEveryIdleConnectionStale(t *testing.T) {
	eachDatabase(t, func(t *testing.T, k database) {
		s := k.own(t)
		m, db := k.open(t, s.DSN(), "pool_size=10&pool_max_overflow=0")
		mustExec(t, db, "CREATE TABLE t (n INT)")
		stmt, err := db.Prepare("SELECT COUNT(*) FROM t WHERE n < 0")
		if err != nil {
			t.Fatal(err)
		}
		defer stmt.Close()
		rows := int64(0)
		for name, restart := range map[string]func(){
			"killed":  func() { s.Kill(); s.Start() },
			"stopped": func() { s.Stop(); s.Start() },
			"all sessions killed": func() {
				admin := k.plain(t, k.elsewhere(s))
				if n := k.killAll(t, admin, s.DSN()); n != 10 {
					t.Errorf("%d sessions were killed, want 10", n)
				}
				until(t, "they are gone", func() bool { return len(k.sessionsOf(t, admin, s.DSN())) == 0 })
			},
		} {
			t.Run(name, func(t *testing.T) {
				fill(t, db, 10)
				before := statsOf(t, m, k.name, s.DSN())
				if before.Idle != 10 {
					t.Fatalf("%d connections are idle, want 10", before.Idle)
				}
				restart()
				atOnce(10, 10, func(worker, i int) {
					var err error
					switch i % 3 {
					case 0:
						_, err = db.Exec(fmt.Sprintf("INSERT INTO t VALUES (%d)", worker))
					case 1:
						err = db.QueryRow("SELECT COUNT(*) FROM t").Scan(new(int))
					case 2:
						err = stmt.QueryRow().Scan(new(int))
					}
					if err != nil {
						t.Errorf("statement %d of goroutine %d: %v", i, worker, err)
					}
				})
				rows += 40
				if n := number(t, db, "SELECT COUNT(*) FROM t"); n != rows {
					t.Errorf("%d rows were inserted, want %d", n, rows)
				}
				k.atRest(t, m, s.DSN(), 10)
			})
		}
	})
}

// The server counts.
func TestAServerPreparesAStatementOnceOnEachConnection(t *testing.T) {
	eachDatabase(t, func(t *testing.T, k database) {
		settings := map[string][]string{"postgres": {"log_min_duration_statement=0"}}[k.name] // which logs each parse
		s := k.own(t, settings...)
		const text = "SELECT 1 AS prepared_once"
		prepared := func() (n int64) {
			for line := range strings.Lines(s.Log()) {
				if strings.Contains(line, "parse ") && strings.Contains(line, text) {
					n++
				}
			}
			return n
		}
		if k.name == "mysql" {
			admin := k.plain(t, s.DSN())
			prepared = func() int64 {
				return number(t, admin, "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'COM_STMT_PREPARE'")
			}
		}
		m, db := k.open(t, s.DSN(), "pool_size=3&pool_max_overflow=0")
		before := prepared()
		stmt, err := db.Prepare(text)
		if err != nil {
			t.Fatal(err)
		}
		atOnce(10, 100, func(_, i int) {
			var n int
			if err := stmt.QueryRow().Scan(&n); err != nil || n != 1 {
				t.Errorf("execution %d: %d, %v", i, n, err)
			}
		})
		// The same text, prepared by others who do not know of each other.
		atOnce(4, 50, func(_, i int) {
			own, err := db.PrepareContext(context.Background(), text)
			if err == nil {
				err = own.QueryRow().Scan(new(int))
			}
			if err == nil {
				err = own.Close()
			}
			if err != nil {
				t.Errorf("preparation %d: %v", i, err)
			}
		})
		if err := stmt.Close(); err != nil {
			t.Error(err)
		}
		opened := int64(statsOf(t, m, k.name, s.DSN()).Opened)
		if n := prepared() - before; n > opened || n == 0 {
			t.Errorf("1,200 executions on %d connections: the server prepared %d times, want once on each", opened, n)
		}
		stats, _ := m.Stats(keyOf(t, m, k.name, s.DSN()))
		t.Logf("%d connections, %d preparations; %+v", opened, prepared()-before, stats.Statements)
	})
}
