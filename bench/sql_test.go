package main

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	sqldrivermysql "github.com/go-sql-driver/mysql"
	"github.com/lib/pq"
	"github.com/mattn/go-sqlite3"

	"github.com/lidopool/lido/backends/mysql"
	"github.com/lidopool/lido/backends/postgres"
	"github.com/lidopool/lido/backends/servertest"
	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/backends/sqlite"
	"github.com/lidopool/lido/manage"
	"github.com/lidopool/lido/pool"
)

// What an *sql.DB of Lido's costs beside one of database/sql, of the same driver with the same
// limits: make bench-sql.

// A database is one that the subjects are compared on.
type database struct {
	name    string
	backend manage.Backend
	driver  driver.Driver
	dsn     func(testing.TB) (plain, lido string)
}

var databases = []database{
	{"no-op", nopBackend{}, nopDriver{}, func(testing.TB) (string, string) { return "x", "x?" }},
	{"SQLite", sqlite.Backend{}, &sqlite3.SQLiteDriver{}, func(t testing.TB) (string, string) {
		// What the backend adds to a DSN is said to the plain driver too.
		dsn := "file:" + filepath.Join(t.TempDir(), "bench.db") + "?_journal_mode=WAL&_txlock=immediate&_busy_timeout=5000&_foreign_keys=1"
		return dsn, dsn + "&"
	}},
	{"PostgreSQL", postgres.Backend{}, pq.Driver{}, func(t testing.TB) (string, string) {
		dsn := servertest.Postgres(t).Database(t)
		return dsn, dsn + "&"
	}},
	{"MariaDB", mysql.Backend{}, &sqldrivermysql.MySQLDriver{}, func(t testing.TB) (string, string) {
		dsn := servertest.MySQL(t).Database(t)
		return dsn, dsn + "?"
	}},
}

// A client is what code calls: an *sql.DB, or a manage.DB.
type client interface {
	QueryRow(query string, args ...any) *sql.Row
	Exec(query string, args ...any) (sql.Result, error)
	Begin() (*sql.Tx, error)
	Prepare(query string) (*sql.Stmt, error)
}

type subject struct {
	name string
	db   client
}

// subjects opens a database in each of the ways, with a number of connections.
func (d database) subjects(t testing.TB, size int) []subject {
	plain, lido := d.dsn(t)
	connector, err := sqldriver.ConnectorOf(d.driver, plain)
	if err != nil {
		t.Fatal(err)
	}
	theirs := sql.OpenDB(connector)
	theirs.SetMaxOpenConns(size)
	theirs.SetMaxIdleConns(size)
	m := manage.New(manage.Options{})
	if err := m.Register(d.backend); err != nil {
		t.Fatal(err)
	}
	dsn := lido + fmt.Sprintf("pool_size=%d&pool_max_overflow=0&pool_timeout=unlimited", size)
	ours, err := m.OpenDB(d.backend.Name(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	direct, err := m.Open(d.backend.Name(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, c := range []io.Closer{theirs, ours, direct, m} {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	return []subject{{"database/sql", theirs}, {"OpenDB", ours}, {"DB", direct}}
}

// An op is what is measured.
type op struct {
	name string
	make func(testing.TB, client) func() error
}

var ops = []op{
	{"Conn+Close", func(_ testing.TB, db client) func() error {
		ctx := context.Background()
		if db, ok := db.(*manage.DB); ok {
			return func() error {
				c, err := db.Conn(ctx)
				if err != nil {
					return err
				}
				return c.Close()
			}
		}
		return func() error {
			c, err := db.(*sql.DB).Conn(ctx)
			if err != nil {
				return err
			}
			return c.Close()
		}
	}},
	{"Exec", func(_ testing.TB, db client) func() error {
		return func() error {
			_, err := db.Exec("SELECT 1")
			return err
		}
	}},
	{"SELECT 1", func(_ testing.TB, db client) func() error {
		return func() error {
			var n int
			return db.QueryRow("SELECT 1").Scan(&n)
		}
	}},
	{"prepared", func(t testing.TB, db client) func() error {
		s, err := db.Prepare("SELECT 1")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return func() error {
			var n int
			return s.QueryRow().Scan(&n)
		}
	}},
	{"prepared anew", func(_ testing.TB, db client) func() error { // as code does that keeps no statements
		return func() error {
			s, err := db.Prepare("SELECT 1")
			if err != nil {
				return err
			}
			var n int
			if err := s.QueryRow().Scan(&n); err != nil {
				return err
			}
			return s.Close()
		}
	}},
	{"Tx", func(_ testing.TB, db client) func() error {
		return func() error {
			tx, err := db.Begin()
			if err != nil {
				return err
			}
			return tx.Commit()
		}
	}},
}

// BenchmarkSQL is for benchstat. Its subjects are measured one after the other: for ratios see
// TestSQLTable.
func BenchmarkSQL(b *testing.B) {
	for _, d := range databases {
		b.Run(d.name, func(b *testing.B) {
			for _, s := range d.subjects(b, 10) {
				for _, o := range ops {
					f := o.make(b, s.db)
					for _, goroutines := range []int{1, 64} {
						b.Run(fmt.Sprintf("%s/goroutines=%d/%s", o.name, goroutines, s.name), func(b *testing.B) {
							b.ReportAllocs()
							if err := spread(goroutines, func(n int64) bool { return n <= int64(b.N) }, f); err != nil {
								b.Fatal(err)
							}
						})
					}
				}
			}
		})
	}
}

// spread calls f on goroutines while more says so of the number of the call.
func spread(goroutines int, more func(int64) bool, f func() error) error {
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			for more(next.Add(1)) {
				if err := f(); err != nil {
					failed.Store(&err)
					return
				}
			}
		})
	}
	all.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// TestSQLTable prints what each op costs, as medians of rounds in which the subjects take
// turns, and as ratios to database/sql in the same round. It takes minutes, and measures nothing that could
// fail: LIDO_BENCH_SQL asks for it, a pattern of the rows, such as "MariaDB/prepared", or a dot for all.
func TestSQLTable(t *testing.T) {
	wanted := os.Getenv("LIDO_BENCH_SQL")
	if wanted == "" {
		t.Skip("a table for people: LIDO_BENCH_SQL=., or make bench-sql")
	}
	rows, err := regexp.Compile(wanted)
	if err != nil {
		t.Fatalf("LIDO_BENCH_SQL: %v", err)
	}
	const (
		rounds = 15
		slice  = 100 * time.Millisecond
	)
	fmt.Printf("| database | op | goroutines | database/sql | OpenDB | | DB | |\n|---|---|---|---|---|---|---|---|\n")
	for _, d := range databases {
		ops := slices.DeleteFunc(slices.Clone(ops), func(o op) bool { return !rows.MatchString(d.name + "/" + o.name) })
		if len(ops) == 0 {
			continue
		}
		subjects := d.subjects(t, 10)
		for _, o := range ops {
			var calls []func() error
			for _, s := range subjects {
				calls = append(calls, o.make(t, s.db))
			}
			for _, goroutines := range []int{1, 64} {
				costs := make([][]float64, len(subjects))
				ratios := make([][]float64, len(subjects))
				for round := range rounds + 1 {
					took := make([]float64, len(subjects))
					for i := range subjects {
						i = (i + round) % len(subjects) // nobody is always the first
						took[i] = perOp(t, goroutines, slice, calls[i])
					}
					if round == 0 {
						continue // warm-up
					}
					for i, cost := range took {
						costs[i], ratios[i] = append(costs[i], cost), append(ratios[i], cost/took[0])
					}
				}
				fmt.Printf("| %s | %s | %d | %s |", d.name, o.name, goroutines, nanos(median(costs[0])))
				for i := 1; i < len(subjects); i++ {
					fmt.Printf(" %s | %.2f |", nanos(median(costs[i])), median(ratios[i]))
				}
				fmt.Println()
			}
		}
	}
	if rows.MatchString("tail") {
		tail(t)
	}
}

// perOp is the time of a window by the calls of all goroutines in it. They share no counter, and look at
// the clock every 16 calls: both cost as much as the calls that are compared.
func perOp(t testing.TB, goroutines int, d time.Duration, f func() error) float64 {
	var n atomic.Int64
	begun := time.Now()
	err := spread(goroutines, func(turn int64) bool { return turn <= int64(goroutines) }, func() error {
		calls := int64(0)
		defer func() { n.Add(calls) }()
		for time.Since(begun) < d {
			for range 16 {
				if err := f(); err != nil {
					return err
				}
			}
			calls += 16
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return float64(time.Since(begun)) / float64(n.Load())
}

// tail prints how long 32 goroutines wait for 2 connections, each for 0.2 ms.
func tail(t *testing.T) {
	fmt.Printf("\n| 32 goroutines, 2 connections, 0.2 ms | p50 | p99 | longest |\n|---|---|---|---|\n")
	for _, d := range databases[:1] {
		for _, s := range d.subjects(t, 2) {
			var mu sync.Mutex
			var waits []time.Duration
			begun := time.Now()
			err := spread(32, func(int64) bool { return time.Since(begun) < 3*time.Second }, func() error {
				start := time.Now()
				_, err := s.db.Exec("work")
				mu.Lock()
				defer mu.Unlock()
				waits = append(waits, time.Since(start))
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			slices.Sort(waits)
			at := func(q float64) time.Duration {
				return waits[min(len(waits)-1, int(q*float64(len(waits))))].Round(10 * time.Microsecond)
			}
			fmt.Printf("| %s | %v | %v | %v |\n", s.name, at(.5), at(.99), at(1))
		}
	}
}

func median[T cmp.Ordered](s []T) T {
	s = slices.Sorted(slices.Values(s))
	return s[len(s)/2]
}

func nanos(ns float64) string {
	if ns < 1e4 {
		return fmt.Sprintf("%.0f ns", ns)
	}
	return fmt.Sprintf("%.1f µs", ns/1e3)
}

// nopDriver has a database that does nothing, except that the text "work" takes 0.2 ms.
type nopDriver struct{}

func (nopDriver) Open(string) (driver.Conn, error) { return nopConn{}, nil }

type nopConn struct{}

func (nopConn) Prepare(string) (driver.Stmt, error)                          { return nopStmt{}, nil }
func (nopConn) Close() error                                                 { return nil }
func (nopConn) Begin() (driver.Tx, error)                                    { return nopTx{}, nil }
func (nopConn) BeginTx(context.Context, driver.TxOptions) (driver.Tx, error) { return nopTx{}, nil }
func (nopConn) QueryContext(context.Context, string, []driver.NamedValue) (driver.Rows, error) {
	return &nopRows{}, nil
}

func (nopConn) ExecContext(_ context.Context, query string, _ []driver.NamedValue) (driver.Result, error) {
	if query == "work" {
		time.Sleep(200 * time.Microsecond)
	}
	return driver.RowsAffected(1), nil
}

type nopTx struct{}

func (nopTx) Commit() error   { return nil }
func (nopTx) Rollback() error { return nil }

type nopStmt struct{}

func (nopStmt) Close() error                               { return nil }
func (nopStmt) NumInput() int                              { return 0 }
func (nopStmt) Exec([]driver.Value) (driver.Result, error) { return driver.RowsAffected(1), nil }
func (nopStmt) Query([]driver.Value) (driver.Rows, error)  { return &nopRows{}, nil }

type nopRows struct{ read bool }

func (*nopRows) Columns() []string { return []string{"n"} }
func (*nopRows) Close() error      { return nil }

func (r *nopRows) Next(dest []driver.Value) error {
	if r.read {
		return io.EOF
	}
	r.read = true
	dest[0] = int64(1)
	return nil
}

// nopBackend is the backend of nopDriver, which has nothing to be checked.
type nopBackend struct{}

func (nopBackend) Name() string                         { return "nop" }
func (nopBackend) Canonical(dsn string) (string, error) { return dsn, nil }
func (nopBackend) Redact(dsn string) string             { return dsn }

func (nopBackend) Open(dsn string, reset sqldriver.ResetMode) (pool.Backend[*sqldriver.Conn], error) {
	c, err := sqldriver.ConnectorOf(nopDriver{}, dsn)
	if err != nil {
		return nil, err
	}
	b, err := sqldriver.New(c, sqldriver.Options{Reset: reset})
	return unchecked{b}, err
}

type unchecked struct{ *sqldriver.Backend }

func (unchecked) Checks() pool.Check { return pool.NoCheck }
