package manage_test

import (
	"context"
	"database/sql"
	"sync"
	"testing"
	"time"

	"github.com/lidopool/lido/backends/backendtest"
	"github.com/lidopool/lido/manage"
)

// How long calls may take of a server that says nothing.
const (
	brief = 300 * time.Millisecond // what their ctx gives them
	soon  = 5 * time.Second        // what "on time" means on a busy machine: without a bound it would be minutes, or for ever
)

// silences are the ways in which a server stops to answer without closing a connection.
var silences = map[string]func(t *testing.T, k database) (dsn string, fall, end func()){
	"frozen": func(t *testing.T, k database) (string, func(), func()) {
		s := k.own(t)
		return s.DSN(), s.Freeze, s.Thaw
	},
	"half-open": func(t *testing.T, k database) (string, func(), func()) {
		s := k.shared(t)
		p := backendtest.NewProxy(t, s.Addr())
		return s.Through(p.Addr()), p.HalfOpen, p.Heal
	},
}

// onTime sees to it that a call which cannot succeed fails between the end of its ctx and soon.
func onTime(t *testing.T, what string, call func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), brief)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- call(ctx) }()
	select {
	case err := <-done:
		if err == nil {
			t.Errorf("%s went well, and nobody answers", what)
		}
		if ctx.Err() == nil {
			t.Errorf("%s ended before its ctx: %v", what, err)
		}
	case <-time.After(brief + grace + soon):
		t.Errorf("%s has not returned %v after its ctx has ended", what, grace+soon)
	}
}

func TestWhatIsAskedOfASilentServerEndsWithItsContext(t *testing.T) {
	eachDatabase(t, func(t *testing.T, k database) {
		for name, silence := range silences {
			t.Run(name, func(t *testing.T) {
				dsn, fall, end := silence(t, k)
				m, db := k.open(t, dsn, "pool_size=9&pool_max_overflow=0&pool_close_timeout=300ms&pool_reset_timeout=300ms")
				stmt, err := db.Prepare("SELECT 1")
				if err != nil {
					t.Fatal(err)
				}
				defer stmt.Close()
				ready := func() *sql.Conn { // whose statement is prepared
					c, err := db.Conn(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					number(t, c, "SELECT 1")
					return c
				}
				idle := []*sql.Conn{ready(), ready(), ready(), ready()}
				within, statement, single, left := ready(), ready(), ready(), ready()
				for _, c := range idle {
					_ = c.Close()
				}
				begin := func(ctx context.Context, c *sql.Conn) *sql.Tx {
					tx, err := c.BeginTx(ctx, nil)
					if err != nil {
						t.Fatal(err)
					}
					return tx
				}
				mustExecOn(t, left, "BEGIN")
				commitCtx, endCommit := context.WithCancel(context.Background())
				defer endCommit()
				commit := begin(commitCtx, within)
				fall()

				var all sync.WaitGroup
				run := func(what string, call func(ctx context.Context) error) {
					all.Go(func() { onTime(t, what, call) })
				}
				run("DB.QueryContext", func(ctx context.Context) error {
					rows, err := db.QueryContext(ctx, "SELECT 1")
					if err == nil {
						err = rows.Close()
					}
					return err
				})
				run("DB.ExecContext", func(ctx context.Context) error { _, err := db.ExecContext(ctx, "SELECT 1"); return err })
				run("Stmt.QueryRowContext", func(ctx context.Context) error { return stmt.QueryRowContext(ctx).Scan(new(int)) })
				run("DB.PingContext", db.PingContext)
				run("DB.BeginTx", func(ctx context.Context) error { _, err := db.BeginTx(ctx, nil); return err })
				run("Conn.ExecContext", func(ctx context.Context) error { _, err := single.ExecContext(ctx, "SELECT 1"); return err })
				run("Conn.PrepareContext", func(ctx context.Context) error {
					_, err := statement.PrepareContext(ctx, "SELECT 2")
					return err
				})
				run("Commit", func(ctx context.Context) error {
					defer context.AfterFunc(ctx, endCommit)()
					return commit.Commit()
				})
				all.Wait()

				// What is returned is reset within ResetTimeout, and closed within CloseTimeout.
				start := time.Now()
				for _, c := range []*sql.Conn{within, statement, single, left} {
					_ = c.Close() // some have failed
				}
				if took := time.Since(start); took > soon {
					t.Errorf("to return four connections took %v", took)
				}
				k.atRest(t, m, dsn, 9)
				end()
				until(t, "the server is in use again", func() bool { return db.PingContext(t.Context()) == nil })
			})
		}
	})
}

func mustExecOn(t *testing.T, c *sql.Conn, query string) {
	t.Helper()
	if _, err := c.ExecContext(t.Context(), query); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// database/sql rolls back, by a goroutine of its own, when the ctx of a transaction ends.
func TestATransactionWhoseContextEndsGivesItsConnectionBackWhileTheServerIsSilent(t *testing.T) {
	eachDatabase(t, func(t *testing.T, k database) {
		for name, silence := range silences {
			t.Run(name, func(t *testing.T) {
				dsn, fall, end := silence(t, k)
				m, db := k.open(t, dsn, "pool_size=1&pool_max_overflow=0&pool_close_timeout=300ms&pool_reset_timeout=300ms")
				ctx, cancel := context.WithCancel(t.Context())
				tx, err := db.BeginTx(ctx, nil)
				if err != nil {
					t.Fatal(err)
				}
				mustExec(t, tx, "SELECT 1")
				fall()
				start := time.Now()
				cancel()
				k.atRest(t, m, dsn, 1)
				if took := time.Since(start); took > soon {
					t.Errorf("the connection came back %v after the end of the ctx", took)
				}
				end()
				until(t, "the server is in use again", func() bool { return db.PingContext(t.Context()) == nil })
			})
		}
	})
}

func TestTheManagerEndsOnTimeWhileTheServerIsSilent(t *testing.T) {
	eachDatabase(t, func(t *testing.T, k database) {
		for name, silence := range silences {
			for how, finish := range map[string]func(ctx context.Context, m *manage.Manager) error{
				"Close":    func(_ context.Context, m *manage.Manager) error { return m.Close() },
				"Shutdown": func(ctx context.Context, m *manage.Manager) error { return m.Shutdown(ctx) },
			} {
				t.Run(name+" "+how, func(t *testing.T) {
					dsn, fall, _ := silence(t, k)
					m := manage.New(manage.Options{})
					if err := m.Register(k.backend); err != nil {
						t.Fatal(err)
					}
					db, err := m.OpenDB(k.name, with(dsn, "pool_size=4&pool_max_overflow=0&pool_close_timeout=300ms&pool_reset_timeout=300ms"))
					if err != nil {
						t.Fatal(err)
					}
					defer db.Close()
					tx, err := db.Begin()
					if err != nil {
						t.Fatal(err)
					}
					mustExec(t, tx, "SELECT 1")
					number(t, db, "SELECT 1")
					var asking sync.WaitGroup
					fall()
					asking.Go(func() { // without a ctx: a statement that nobody stops
						if _, err := db.Exec("SELECT 1"); err == nil {
							t.Error("a statement went well on a silent server")
						}
					})
					until(t, "the statement is under way", func() bool { return statsOf(t, m, k.name, dsn).InUse == 2 })
					start := time.Now()
					ctx, cancel := context.WithTimeout(t.Context(), brief)
					defer cancel()
					_ = finish(ctx, m) // tells whom it did not wait for
					if took := time.Since(start); took > soon {
						t.Errorf("it took %v", took)
					}
					if tx.Commit() == nil {
						t.Error("a transaction was committed after the end of the manager, on a server that says nothing")
					}
					asking.Wait()
				})
			}
		}
	})
}
