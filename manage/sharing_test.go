package manage_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/backends/sqlite"
	"github.com/lidopool/lido/manage"
	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/strategies"
)

func TestNestedUseInOneGoroutineIsOnOneConnection(t *testing.T) {
	d := &fakeDriver{}
	db, _ := openFake(t, d, "pool_strategy=singleton&pool_size=1&pool_timeout=5s")
	rows, err := db.Query("rows 3")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for rows.Next() {
		if _, err := db.Exec("ok"); err != nil { // with one seat, another connection would never come
			t.Fatal(err)
		}
		n++
	}
	if err := rows.Err(); err != nil || n != 3 {
		t.Errorf("%d rows, %v", n, err)
	}
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("ok"); err != nil {
		t.Error(err)
	}
	if _, err := db.Begin(); err == nil || !strings.Contains(err.Error(), "open already") {
		t.Errorf("a transaction within the transaction: %v", err)
	}
	if err := tx.Commit(); err != nil {
		t.Error(err)
	}
	if d.opens() != 1 {
		t.Errorf("%d connections were opened, want 1", d.opens())
	}
	var other sync.WaitGroup
	other.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if _, err := db.ExecContext(ctx, "ok"); err != nil {
			t.Errorf("another goroutine afterwards: %v", err)
		}
	})
	other.Wait()
}

func TestNestedUseSeesItsOwnTransaction(t *testing.T) {
	m := sqliteManager(t)
	db, _ := openFile(t, m, "pool_strategy=singleton")
	mustExec(t, db, "CREATE TABLE t (x)")
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	mustExec(t, tx, "INSERT INTO t VALUES (1)")
	var n int
	if err := db.QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil || n != 1 {
		t.Errorf("code called within the transaction sees %d rows, %v; want 1", n, err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := db.QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil || n != 0 {
		t.Errorf("after the rollback: %d rows, %v", n, err)
	}
}

// What database/sql does when a ctx ends comes from goroutines of its own. The fake driver
// complains of two calls at a time.
func TestContextsThatEndDoNotMakeTwoCallsAtATime(t *testing.T) {
	for _, kind := range []string{"singleton", "static", "queue"} {
		d := &fakeDriver{}
		db, _ := openFake(t, d, "pool_timeout=20s&pool_strategy="+kind)
		var all sync.WaitGroup
		for g := range 4 {
			all.Go(func() {
				for i := range 60 {
					func() {
						ctx, cancel := context.WithTimeout(context.Background(), time.Duration(i%20)*20*time.Microsecond)
						defer cancel()
						if (i+g)%2 == 0 {
							tx, err := db.BeginTx(ctx, nil)
							if err == nil {
								_, _ = tx.Exec("ok")
								defer tx.Rollback()
							}
						} else if rows, err := db.QueryContext(ctx, "rows 5"); err == nil {
							defer rows.Close()
							rows.Next()
						}
						if kind == "singleton" {
							_, _ = db.Exec("ok") // beside what is open
						}
					}()
				}
			})
		}
		all.Wait()
	}
}

func TestHoldersOfAStaticConnectionTakeTurns(t *testing.T) {
	d := &fakeDriver{}
	db, m := openFake(t, d, "pool_strategy=static&pool_timeout=5s")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 20 {
				tx, err := db.Begin() // the fake complains of one within another
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := tx.Exec("ok"); err != nil {
					t.Error(err)
				}
				end := tx.Commit
				if i%2 == 0 {
					end = tx.Rollback
				}
				if err := end(); err != nil {
					t.Error(err)
				}
				rows, err := db.Query("rows 3")
				if err != nil {
					t.Error(err)
					return
				}
				for rows.Next() {
				}
				if _, err := db.Exec("ok"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if s := statsOf(t, m, "fake", "x"); d.opens() != 1 || s.InUse != 0 {
		t.Errorf("%d connections were opened, %d in use; want 1 and 0", d.opens(), s.InUse)
	}
}

func TestWaitingForTheStaticConnectionEndsAndSaysWhy(t *testing.T) {
	d := &fakeDriver{}
	db, m := openFake(t, d, "pool_name=orders&pool_strategy=static&pool_timeout=20ms")
	rows, err := db.Query("rows 3")
	if err != nil {
		t.Fatal(err)
	}
	if s := statsOf(t, m, "fake", "x"); s.Leases != 1 {
		t.Errorf("rows hold %d leases, want 1", s.Leases)
	}
	says := func(what string, err error, is error) {
		t.Helper()
		if !errors.Is(err, is) || !strings.HasPrefix(err.Error(), "manage: pool orders: another holder of the static connection") {
			t.Errorf("%s: error is %v, want %v and why", what, err, is)
		}
	}
	_, err = db.Exec("ok") // would wait for the rows of its own goroutine
	says("Exec beside open rows", err, pool.ErrTimeout)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err = db.ExecContext(ctx, "ok")
	says("ExecContext beside open rows", err, context.DeadlineExceeded)
	_, err = db.BeginTx(t.Context(), nil)
	says("Begin beside open rows", err, pool.ErrTimeout)
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("ok"); err != nil {
		t.Errorf("after the rows were closed: %v", err)
	}

	db, _ = openFake(t, &fakeDriver{}, "pool_name=orders&pool_strategy=static&pool_timeout=0s")
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec("ok")
	says("not waiting at all", err, pool.ErrTimeout)
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	db, _ = openFake(t, &fakeDriver{}, "pool_name=orders&pool_strategy=static&pool_timeout=unlimited")
	if _, err := db.Exec("ok"); err != nil {
		t.Error(err)
	}
}

func TestAHolderOfAStaticConnectionThatOnlyIdlesStopsNobody(t *testing.T) {
	d := &fakeDriver{}
	db, _ := openFake(t, d, "pool_strategy=static&pool_timeout=20ms")
	c, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := c.PrepareContext(t.Context(), "rows 2")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	rows, err := s.Query()
	if err != nil {
		t.Fatal(err)
	}
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("ok"); err != nil {
		t.Errorf("beside an idle Conn with a statement: %v", err)
	}
}

func TestATransactionLeftOpenOnAStaticConnectionDoesNotReachTheOthers(t *testing.T) {
	m := sqliteManager(t)
	db, _ := openFile(t, m, "pool_strategy=static&pool_timeout=500ms")
	mustExec(t, db, "CREATE TABLE t (x)")
	stays, err := db.Conn(t.Context()) // so that nobody is the last to return
	if err != nil {
		t.Fatal(err)
	}
	defer stays.Close()
	c, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.ExecContext(t.Context(), "BEGIN; INSERT INTO t VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	if _, err := stays.ExecContext(t.Context(), "SELECT 1"); !errors.Is(err, pool.ErrTimeout) {
		t.Errorf("within another's transaction: %v, want a wait in vain", err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := stays.QueryRowContext(t.Context(), "SELECT count(*) FROM t").Scan(&n); err != nil || n != 0 {
		t.Errorf("the other holder sees %d rows, %v; want none", n, err)
	}
	tx, err := stays.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatalf("a transaction of the other holder: %v", err)
	}
	if err := tx.Rollback(); err != nil {
		t.Error(err)
	}
}

// A reset has a goroutine and a deadline of its own, which cost as much as a query of SQLite.
func TestASharedConnectionIsResetIfAnyHolderMayHaveLeftSomething(t *testing.T) {
	conn := func(t *testing.T, db *sql.DB) *sql.Conn {
		t.Helper()
		c, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	do := func(t *testing.T, c *sql.Conn, text string) {
		t.Helper()
		if _, err := c.ExecContext(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	end := func(t *testing.T, c interface{ Close() error }) {
		t.Helper()
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	both := []string{"static", "singleton"}
	for _, tt := range []struct {
		name  string
		kinds []string
		clean bool // the pool is told that there is nothing to reset
		use   func(t *testing.T, db *sql.DB)
	}{
		{"one statement", both, true, func(t *testing.T, db *sql.DB) { mustExec(t, db, "INSERT INTO t VALUES (1)") }},
		{"two holders", both, true, func(t *testing.T, db *sql.DB) {
			a, b := conn(t, db), conn(t, db)
			do(t, a, "INSERT INTO t VALUES (1)")
			do(t, b, "INSERT INTO t VALUES (1)")
			end(t, a)
			do(t, b, "INSERT INTO t VALUES (1)")
			end(t, b)
		}},
		{"a transaction that is committed", both, true, func(t *testing.T, db *sql.DB) {
			tx, err := db.Begin()
			if err != nil {
				t.Fatal(err)
			}
			mustExec(t, tx, "INSERT INTO t VALUES (1)")
			if err := tx.Commit(); err != nil {
				t.Fatal(err)
			}
		}},
		{"a transaction left open", []string{"singleton"}, false, func(t *testing.T, db *sql.DB) {
			c := conn(t, db)
			do(t, c, "BEGIN; INSERT INTO t VALUES (2)")
			end(t, c)
		}},
		{"a transaction left open by the first of two", []string{"singleton"}, false, func(t *testing.T, db *sql.DB) {
			a, b := conn(t, db), conn(t, db)
			do(t, a, "BEGIN; INSERT INTO t VALUES (2)")
			end(t, a)
			end(t, b)
		}},
		{"a transaction left open behind Raw", []string{"singleton"}, false, func(t *testing.T, db *sql.DB) {
			a, b := conn(t, db), conn(t, db)
			if err := manage.Raw(a, func(c driver.Conn) error {
				_, err := c.(driver.ExecerContext).ExecContext(t.Context(), "BEGIN; INSERT INTO t VALUES (2)", nil)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			end(t, a)
			end(t, b)
		}},
		{"a transaction that begins behind Raw after another's return", []string{"singleton"}, false, func(t *testing.T, db *sql.DB) {
			a := conn(t, db)
			if err := a.Raw(func(x any) error {
				c := x.(interface{ Raw() driver.Conn }).Raw()
				mustExec(t, db, "INSERT INTO t VALUES (1)")
				_, err := c.(driver.ExecerContext).ExecContext(t.Context(), "BEGIN; INSERT INTO t VALUES (2)", nil)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			end(t, a)
		}},
		{"a transaction that its holder's return ends", []string{"static"}, true, func(t *testing.T, db *sql.DB) {
			a, b := conn(t, db), conn(t, db)
			do(t, a, "BEGIN; INSERT INTO t VALUES (2)")
			end(t, a)
			end(t, b)
		}},
		{"a return while another has a transaction open", both, false, func(t *testing.T, db *sql.DB) {
			a, b := conn(t, db), conn(t, db)
			tx, err := a.BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			end(t, b)
			if err := tx.Commit(); err != nil {
				t.Fatal(err)
			}
			end(t, a)
		}},
	} {
		for _, kind := range tt.kinds {
			t.Run(kind+" "+tt.name, func(t *testing.T) {
				var clean []bool
				m := newManager(t, manage.Options{Hooks: []pool.Hooks[*sqldriver.Conn]{{
					Reset: func(_ context.Context, e pool.Event[*sqldriver.Conn]) error {
						clean = append(clean, e.Clean)
						return nil
					},
				}}})
				if err := m.Register(sqlite.Backend{}); err != nil {
					t.Fatal(err)
				}
				db, _ := openFile(t, m, "pool_timeout=5s&pool_strategy="+kind)
				mustExec(t, db, "CREATE TABLE t (x)")
				clean = nil
				tt.use(t, db)
				if len(clean) != 1 || clean[0] != tt.clean {
					t.Errorf("the pool took the connection back as clean %v, want once, as %v", clean, tt.clean)
				}
				c := conn(t, db)
				defer c.Close()
				if _, err := c.ExecContext(t.Context(), "BEGIN; ROLLBACK"); err != nil {
					t.Errorf("the next holder is within a transaction: %v", err)
				}
				var left int
				if err := c.QueryRowContext(t.Context(), "SELECT count(*) FROM t WHERE x = 2").Scan(&left); err != nil || left != 0 {
					t.Errorf("the next holder sees %d rows of a transaction that was left open, %v", left, err)
				}
			})
		}
	}
}

func TestOneHolderThatFindsTheSharedConnectionDeadTellsTheOthers(t *testing.T) {
	for _, kind := range []string{"static", "singleton"} {
		d := &fakeDriver{}
		db, _ := openFake(t, d, "pool_strategy="+kind)
		stays, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		rows, err := stays.QueryContext(t.Context(), "rows 3")
		if err != nil {
			t.Fatal(err)
		}
		if kind == "static" {
			if err := rows.Close(); err != nil { // gives the turn
				t.Fatal(err)
			}
		}
		if _, err := db.Exec("dead"); err == nil {
			t.Fatal("the fake did not fail")
		}
		if kind == "singleton" {
			if rows.Next() || rows.Err() == nil {
				t.Errorf("rows go on on a connection that is closed: %v", rows.Err())
			}
			_ = rows.Close()
		}
		_, err = stays.ExecContext(t.Context(), "ok")
		if err == nil || kind == "static" && !strings.Contains(err.Error(), "closed under its holder") {
			t.Errorf("%s: the other holder's next statement: %v", kind, err)
		}
		_ = stays.Close()
		if _, err := db.Exec("ok"); err != nil || d.opens() != 2 {
			t.Errorf("%s: afterwards: %v, %d opens", kind, err, d.opens())
		}
	}
}

func TestAssertionShowsWhoHasTheConnection(t *testing.T) {
	db, _ := openFake(t, &fakeDriver{}, "pool_strategy=assertion")
	rows, err := theFirstHolder(db)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec("ok")
	var already *strategies.AlreadyAcquiredError
	if !asError(err, &already) || !strings.Contains(already.Stack, "theFirstHolder") {
		t.Errorf("a second use: %v, want one that shows the first", err)
	}
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("ok"); err != nil {
		t.Errorf("after the first use: %v", err)
	}
}

func theFirstHolder(db *sql.DB) (*sql.Rows, error) { return db.Query("rows 1") }

func TestAScopeSharesItsConnectionAmongGoroutines(t *testing.T) {
	d := &fakeDriver{}
	db, _ := openFake(t, d, "pool_strategy=singleton&pool_size=1&pool_timeout=5s")
	ctx, end := pool.WithScope(t.Context())
	defer end()
	c, err := db.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 20 {
				if _, err := db.ExecContext(ctx, "ok"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if d.opens() != 1 {
		t.Errorf("%d connections were opened, want 1", d.opens())
	}
}
