package manage_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lidopool/lido/backends/sqlite"
	"github.com/lidopool/lido/manage"
)

type boom struct{}

func (boom) Value() (driver.Value, error) { panic("valuer") }
func (*boom) Scan(any) error              { return errWrong } // a panic here hangs database/sql itself: Scan keeps closemu

// stressFor is how long each strategy is stressed: LIDO_STRESS, or a moment.
func stressFor(t *testing.T) time.Duration {
	t.Helper()
	s := os.Getenv("LIDO_STRESS")
	if s == "" {
		return 200 * time.Millisecond
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatalf("LIDO_STRESS: %v", err)
	}
	return d
}

// Everything at random that a program can do to its connections, and some of what it should not. Its
// oracle: at rest no lease is held, and after Close no connection and no goroutine is left. It runs in
// real time because SQLite does.
func TestStressAllStrategies(t *testing.T) {
	for _, backend := range []string{"fake", "sqlite3"} {
		for _, q := range []string{"pool_strategy=queue&pool_size=2&pool_max_overflow=1", "pool_strategy=singleton&pool_size=3", "pool_strategy=null&pool_max=3", "pool_strategy=static&pool_timeout=2s", "pool_strategy=assertion"} {
			t.Run(backend+"/"+q, func(t *testing.T) {
				before := runtime.NumGoroutine()
				d := &fakeDriver{t: t}
				m := manage.New(manage.Options{})
				_, _ = m.Wrap("fake", d)
				_ = m.Register(sqlite.Backend{})
				dsn := filepath.Join(t.TempDir(), "a.db") + "?pool_dropped=discard&" + q
				db, err := m.OpenDB(backend, dsn)
				if err != nil {
					t.Fatal(err)
				}
				limited, err := m.OpenDB(backend, dsn) // the same pool, by a DB with a limit of its own
				if err != nil {
					t.Fatal(err)
				}
				limited.SetMaxOpenConns(2)
				limited.SetConnMaxLifetime(10 * time.Millisecond)
				query := "rows 4"
				if backend == "sqlite3" {
					mustExec(t, db, "CREATE TABLE t (x); INSERT INTO t VALUES (1), (2), (3)")
					query = "SELECT x FROM t"
				}
				end := time.Now().Add(stressFor(t))
				var all sync.WaitGroup
				for i := range 8 {
					of := db
					if i < 3 {
						of = limited
					}
					all.Go(func() {
						for time.Now().Before(end) {
							stressOnce(m, of, backend, dsn, query)
						}
					})
				}
				all.Go(func() {
					k := keyOf(t, m, backend, dsn)
					for time.Now().Before(end) {
						time.Sleep(20 * time.Millisecond)
						switch rand.IntN(4) {
						case 3:
							d.restart()
						case 0:
							m.Dispose(k)
						case 1:
							if p, ok := m.Pool(k); ok {
								p.Invalidate(nil)
							}
						case 2:
							for range m.All() {
							}
						}
					}
				})
				all.Wait()
				for range 50 {
					runtime.GC()
					time.Sleep(10 * time.Millisecond)
					if p, ok := m.Pool(keyOf(t, m, backend, dsn)); !ok || p.Stats().Leases == 0 {
						break
					}
				}
				if p, ok := m.Pool(keyOf(t, m, backend, dsn)); ok {
					if s := p.Stats(); s.Leases != 0 || s.InUse != 0 || s.Waiting != 0 {
						t.Errorf("at rest: %+v", s)
					}
				}
				_, _ = db.Close(), limited.Close()
				if err := m.Close(); err != nil {
					t.Error(err)
				}
				if backend == "fake" && d.live() != 0 {
					t.Errorf("%d live", d.live())
				}
				if d.unclosed != 0 {
					t.Errorf("%d statements were never closed", d.unclosed)
				}
				for i := 0; runtime.NumGoroutine() > before+1 && i < 100; i++ {
					time.Sleep(10 * time.Millisecond)
				}
				if n := runtime.NumGoroutine(); n > before+1 {
					buf := make([]byte, 1<<18)
					buf = buf[:runtime.Stack(buf, true)]
					t.Errorf("%d goroutines, were %d\n%.6000s", n, before, buf)
				}
			})
		}
	}
}

func stressOnce(m *manage.Manager, db *sql.DB, backend, dsn, query string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rand.IntN(3000))*time.Microsecond)
	defer cancel()
	defer func() {
		if v := recover(); v != nil && v != "valuer" && v != "scanner" && v != "raw" && v != "fake" {
			panic(v)
		}
	}()
	switch rand.IntN(10) {
	case 9:
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return
		}
		defer tx.Rollback()
		for range 2 { // of one text, closed while rows of it are open
			s, err := tx.PrepareContext(ctx, query)
			if err != nil {
				return
			}
			rows, err := s.QueryContext(ctx)
			if err == nil {
				rows.Next()
			}
			_ = s.Close()
		}
		_ = tx.Commit()
	case 0:
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return
		}
		if rows, err := tx.QueryContext(ctx, query); err == nil && rand.IntN(2) == 0 {
			rows.Next()
		}
		if rand.IntN(2) == 0 {
			_ = tx.Commit()
		} // else its ctx ends it
	case 1:
		if rows, err := db.QueryContext(ctx, query); err == nil {
			rows.Next() // left open: its ctx closes it
		}
	case 2:
		_, _ = db.ExecContext(ctx, query, boom{})
	case 3:
		rows, err := db.QueryContext(ctx, query)
		if err != nil {
			return
		}
		defer rows.Close()
		if rows.Next() {
			var b boom
			_ = rows.Scan(&b)
		}
	case 4:
		c, err := m.Connect(ctx, backend, dsn)
		if err != nil {
			return
		}
		defer c.Close()
		_ = c.Raw(func(driver.Conn) error { panic("raw") })
	case 5:
		c, err := m.Connect(ctx, backend, dsn)
		if err != nil {
			return
		}
		if rand.IntN(4) > 0 {
			defer c.Close()
		} // else dropped
		if s, err := c.PrepareContext(ctx, query); err == nil && rand.IntN(2) == 0 {
			_ = s.Close()
		}
		if backend == "sqlite3" {
			_, _ = c.ExecContext(ctx, "BEGIN")
		}
	case 6:
		s, err := db.PrepareContext(ctx, query)
		if err != nil {
			return
		}
		defer s.Close()
		if rows, err := s.QueryContext(ctx); err == nil {
			for rows.Next() {
			}
			_ = rows.Close()
		}
	case 7:
		if backend == "fake" {
			_, _ = db.ExecContext(ctx, []string{"bad", "dead", "wrong", "slow", "panic"}[rand.IntN(5)])
		} else {
			_, _ = db.ExecContext(ctx, "INSERT INTO t VALUES (9)")
		}
	case 8:
		var x int
		row := db.QueryRowContext(ctx, query)
		_ = row.Scan(&x)
	}
	_ = strings.TrimSpace
}
