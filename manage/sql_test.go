package manage_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mattn/go-sqlite3"

	"github.com/lidopool/lido/backends/sqlite"
	"github.com/lidopool/lido/manage"
	"github.com/lidopool/lido/strategies"
)

// sqliteManager returns a manager that knows SQLite.
func sqliteManager(t *testing.T) *manage.Manager {
	t.Helper()
	m := newManager(t, manage.Options{})
	if err := m.Register(sqlite.Backend{}); err != nil {
		t.Fatal(err)
	}
	return m
}

// openFile opens an SQLite file of its own, with settings such as "pool_size=3".
func openFile(t *testing.T, m *manage.Manager, query string) (db *sql.DB, dsn string) {
	t.Helper()
	dsn = "file:" + filepath.Join(t.TempDir(), "test.db")
	db, err := m.OpenDB("sqlite3", dsn+"?"+query)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db, dsn
}

func mustExec(t *testing.T, db interface {
	Exec(string, ...any) (sql.Result, error)
}, query string, args ...any) sql.Result {
	t.Helper()
	r, err := db.Exec(query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return r
}

// ledger is code that knows only database/sql, and uses much of it. It says what it saw.
func ledger(db *sql.DB) (saw []string, err error) {
	say := func(format string, args ...any) { saw = append(saw, fmt.Sprintf(format, args...)) }
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := db.PingContext(ctx); err != nil {
		return saw, err
	}
	if _, err := db.ExecContext(ctx, "CREATE TABLE entry (id INTEGER PRIMARY KEY, who TEXT, amount INT, at DATETIME, note BLOB)"); err != nil {
		return saw, err
	}
	insert, err := db.PrepareContext(ctx, "INSERT INTO entry (who, amount, at, note) VALUES (?, :amount, ?, ?)")
	if err != nil {
		return saw, err
	}
	defer insert.Close()
	for i := range 5 {
		r, err := insert.ExecContext(ctx, fmt.Sprint("w", i%2), sql.Named("amount", i*10),
			time.Date(2024, 1, i+1, 0, 0, 0, 0, time.UTC), []byte{byte(i)})
		if err != nil {
			return saw, err
		}
		id, _ := r.LastInsertId()
		n, _ := r.RowsAffected()
		say("inserted %d, %d", id, n)
	}

	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return saw, err
	}
	if _, err := tx.Stmt(insert).Exec("tx", sql.Named("amount", 7), nil, nil); err != nil {
		return saw, err
	}
	own, err := tx.Prepare("SELECT count(*) FROM entry WHERE who = ?")
	if err != nil {
		return saw, err
	}
	var n int
	if err := own.QueryRow("tx").Scan(&n); err != nil {
		return saw, err
	}
	say("within the transaction %d", n)
	if err := tx.Rollback(); err != nil {
		return saw, err
	}
	say("rolled back, then %v", tx.Commit())

	rows, err := db.QueryContext(ctx, "SELECT id, who, amount, at, note FROM entry WHERE amount >= ? ORDER BY id", 10)
	if err != nil {
		return saw, err
	}
	types, err := rows.ColumnTypes()
	if err != nil {
		return saw, err
	}
	for _, c := range types {
		length, hasLength := c.Length()
		nullable, hasNullable := c.Nullable()
		precision, scale, hasSize := c.DecimalSize()
		say("column %s %s %v %d %v %v %v %d %d %v", c.Name(), c.DatabaseTypeName(), c.ScanType(), length, hasLength, nullable, hasNullable, precision, scale, hasSize)
	}
	for rows.Next() {
		var id, amount int64
		var who string
		var at sql.NullTime
		var note sql.RawBytes
		if err := rows.Scan(&id, &who, &amount, &at, &note); err != nil {
			return saw, err
		}
		say("row %d %s %d %v %v", id, who, amount, at.Time, []byte(note))
	}
	say("next result set %v, err %v, close %v", rows.NextResultSet(), rows.Err(), rows.Close())

	conn, err := db.Conn(ctx)
	if err != nil {
		return saw, err
	}
	if err := conn.PingContext(ctx); err != nil {
		return saw, err
	}
	var sum int
	if err := conn.QueryRowContext(ctx, "SELECT sum(amount) FROM entry").Scan(&sum); err != nil {
		return saw, err
	}
	say("sum %d", sum)
	kept, err := conn.PrepareContext(ctx, "SELECT 1")
	if err != nil {
		return saw, err
	}
	if err := conn.Close(); err != nil {
		return saw, err
	}
	say("a statement that outlives its Conn: close %v; conn again %v", kept.Close(), conn.Close())

	_, wrong := db.Exec("SELECT nothing FROM nowhere")
	var failure sqlite3.Error
	say("an error is the driver's own: %v, %v", errors.As(wrong, &failure), failure.Code)
	_, missing := db.Exec("INSERT INTO entry (who) VALUES (?)", make(chan int))
	say("a value nobody can store: %v", missing)
	say("no rows: %v", db.QueryRow("SELECT 1 WHERE 0").Scan(&n))

	stop, cancelled := context.WithCancel(ctx)
	cancelled()
	_, err = db.ExecContext(stop, "SELECT 1")
	say("cancelled: %v", err)
	_, err = db.BeginTx(stop, nil)
	say("cancelled: %v", err)
	return saw, nil
}

func TestCodeThatKnowsOnlyDatabaseSQLSeesNoDifference(t *testing.T) {
	plain, err := sql.Open("sqlite3", "file:"+filepath.Join(t.TempDir(), "plain.db")+"?_busy_timeout=5000&_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	want, err := ledger(plain)
	if err != nil {
		t.Fatal(err)
	}
	if len(want) < 20 {
		t.Fatalf("the ledger saw only %d things", len(want))
	}

	m := sqliteManager(t)
	if _, err := m.Wrap("wrapped", &sqlite3.SQLiteDriver{}); err != nil {
		t.Fatal(err)
	}
	name := register(m.Driver("sqlite3"))
	for _, backend := range []string{"sqlite3", "wrapped"} {
		for _, kind := range strategies.Kinds() {
			t.Run(backend+" "+kind, func(t *testing.T) {
				dsn := "file:" + filepath.Join(t.TempDir(), "x.db") + "?_busy_timeout=5000&_txlock=immediate&pool_strategy=" + kind
				db, err := m.OpenDB(backend, dsn)
				if backend == "sqlite3" && kind == "queue" {
					db, err = sql.Open(name, dsn)
				}
				if err != nil {
					t.Fatal(err)
				}
				defer db.Close()
				got, err := ledger(db)
				if err != nil {
					t.Fatalf("%v, after\n%s", err, strings.Join(got, "\n"))
				}
				if !slices.Equal(got, want) {
					t.Errorf("the ledger saw\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
				}
				k, err := m.Key(backend, dsn)
				if err != nil {
					t.Fatal(err)
				}
				p, _ := m.Pool(k)
				if s := p.Stats(); s.InUse != 0 || s.Acquired < 14 || s.Misused != 0 || s.Strategy != kind {
					t.Errorf("stats afterwards: %+v", s)
				}
			})
		}
	}
}

func TestRowsAndTransactionsHoldTheLeaseUntilTheyAreClosed(t *testing.T) {
	m := sqliteManager(t)
	db, dsn := openFile(t, m, "pool_size=3")
	mustExec(t, db, "CREATE TABLE t (x); INSERT INTO t VALUES (1), (2)")
	inUse := func() int { return statsOf(t, m, "sqlite3", dsn).InUse }
	expect := func(what string, want int) {
		t.Helper()
		if got := inUse(); got != want {
			t.Errorf("%s: %d connections in use, want %d", what, got, want)
		}
	}
	expect("at rest", 0)
	rows, err := db.Query("SELECT x FROM t")
	if err != nil {
		t.Fatal(err)
	}
	expect("rows open", 1)
	for rows.Next() {
		expect("rows half read", 1)
	}
	expect("rows read to the end", 0)

	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	expect("transaction open", 1)
	mustExec(t, tx, "INSERT INTO t VALUES (3)")
	in, err := tx.Query("SELECT x FROM t")
	if err != nil {
		t.Fatal(err)
	}
	expect("rows open in the transaction", 1)
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	expect("rows closed in the transaction", 1)
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	expect("transaction ended", 0)

	stmt, err := db.Prepare("SELECT x FROM t")
	if err != nil {
		t.Fatal(err)
	}
	expect("statement at rest", 0)
	ctx, cancel := context.WithCancel(t.Context())
	if rows, err = stmt.QueryContext(ctx); err != nil {
		t.Fatal(err)
	}
	expect("statement's rows open", 1)
	cancel()
	for rows.Next() {
	}
	_ = rows.Close() // waits for the goroutine of database/sql that ctx has started
	expect("statement's rows ended by ctx", 0)
	if err := stmt.Close(); err != nil {
		t.Fatal(err)
	}
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	expect("conn open", 1)
	_ = conn.Close()
	expect("conn closed", 0)
	if s := statsOf(t, m, "sqlite3", dsn); s.Opened != 1 || s.Idle != 1 {
		t.Errorf("%d connections were opened, %d are idle; want 1 and 1", s.Opened, s.Idle)
	}
}

func TestATransactionWhoseContextEndsIsRolledBackAndItsConnectionKept(t *testing.T) {
	m := sqliteManager(t)
	db, dsn := openFile(t, m, "pool_size=1&pool_max_overflow=0")
	mustExec(t, db, "CREATE TABLE t (x)")
	ctx, cancel := context.WithCancel(t.Context())
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	mustExec(t, tx, "INSERT INTO t VALUES (1)")
	cancel()
	var n int
	if err := db.QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil || n != 0 { // waits for the only connection
		t.Errorf("after the rollback there are %d rows, %v; want none", n, err)
	}
	if s := statsOf(t, m, "sqlite3", dsn); s.Opened != 1 {
		t.Errorf("%d connections were opened, want 1", s.Opened)
	}
}

func TestAStatementIsInterruptedByItsContext(t *testing.T) {
	m := sqliteManager(t)
	db, _ := openFile(t, m, "")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	start := time.Now()
	// It has an end, because go-sqlite3 may lose an interrupt that comes before the first step.
	_, err := db.ExecContext(ctx, "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c LIMIT 100000000) SELECT count(*) FROM c")
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 5*time.Second {
		t.Errorf("an endless query ended with %v after %v", err, time.Since(start))
	}
}

func TestATransactionLeftOpenByTextIsRolledBackOnReturn(t *testing.T) {
	m := sqliteManager(t)
	for mode, want := range map[string]int{"rollback": 0, "commit": 1} {
		db, _ := openFile(t, m, "pool_size=1&pool_max_overflow=0&pool_reset="+mode)
		mustExec(t, db, "CREATE TABLE t (x)")
		mustExec(t, db, "BEGIN; INSERT INTO t VALUES (1)")
		var n int
		if err := db.QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil || n != want {
			t.Errorf("%s: %d rows, %v; want %d", mode, n, err, want)
		}
	}
}

func TestEveryStrategyKeepsItsDataUnderLoad(t *testing.T) {
	const workers, times = 8, 25
	m := sqliteManager(t)
	for _, query := range []string{
		"pool_strategy=queue&pool_size=3&pool_max_overflow=2", "pool_strategy=singleton&pool_size=4",
		"pool_strategy=null&pool_max=4", "pool_strategy=static", "pool_strategy=assertion",
	} {
		t.Run(query, func(t *testing.T) {
			db, dsn := openFile(t, m, query)
			mustExec(t, db, "CREATE TABLE account (id INTEGER PRIMARY KEY, amount INT); INSERT INTO account VALUES (1, 0), (2, 0)")
			var all sync.WaitGroup
			var only sync.Mutex // assertion serves one at a time, by definition
			for range workers {
				all.Go(func() {
					for i := range times {
						if strings.Contains(query, "assertion") {
							only.Lock()
						}
						err := transfer(db, i%3 == 0)
						if strings.Contains(query, "assertion") {
							only.Unlock()
						}
						if err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			all.Wait()
			var one, two int
			if err := db.QueryRow("SELECT (SELECT amount FROM account WHERE id=1), (SELECT amount FROM account WHERE id=2)").Scan(&one, &two); err != nil {
				t.Fatal(err)
			}
			if want := workers * (times - (times+2)/3); one != -want || two != want {
				t.Errorf("amounts are %d and %d, want %d and %d", one, two, -want, want)
			}
			if s := statsOf(t, m, "sqlite3", dsn); s.InUse != 0 || s.Waiting != 0 || s.Leases != 0 {
				t.Errorf("at rest: %+v", s)
			}
		})
	}
}

// transfer moves 1 from one account to the other, or changes its mind, and reads rows on its way.
func transfer(db *sql.DB, back bool) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if _, err := tx.Exec("UPDATE account SET amount = amount - 1 WHERE id = 1"); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	rows, err := tx.Query("SELECT id FROM account")
	if err != nil {
		return errors.Join(err, tx.Rollback())
	}
	for rows.Next() {
	}
	if err := rows.Close(); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	if _, err := tx.Exec("UPDATE account SET amount = amount + 1 WHERE id = ?", 2); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	if back {
		return tx.Rollback()
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	var n int
	return db.QueryRow("SELECT count(*) FROM account").Scan(&n)
}
