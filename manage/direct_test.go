package manage_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/manage"
	"github.com/lidopool/lido/pool"
)

// openDirect opens a manage.DB of a fake driver.
func openDirect(t *testing.T, d *fakeDriver, query string) (*manage.DB, *manage.Manager) {
	t.Helper()
	m := withFake(t, d)
	db, err := m.Open("fake", "x?"+query)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db, m
}

// wantLeases asserts how many leases of the pool of a fake driver are out.
func wantLeases(t *testing.T, m *manage.Manager, what string, want int) {
	t.Helper()
	if s := statsOf(t, m, "fake", "x"); s.Leases != want {
		t.Errorf("%s: %d leases are out, want %d", what, s.Leases, want)
	}
}

func TestADBHoldsAConnectionAsLongAsAnSQLDB(t *testing.T) {
	for _, kind := range []string{"queue", "null", "assertion"} {
		t.Run(kind, func(t *testing.T) {
			ctx := t.Context()
			db, m := openDirect(t, &fakeDriver{}, "pool_strategy="+kind)
			must := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			must(db.Ping())
			_, err := db.Exec("ok")
			must(err)
			wantLeases(t, m, "after Exec", 0)

			rows, err := db.Query("rows 2")
			must(err)
			wantLeases(t, m, "rows open", 1)
			n := 0
			for rows.Next() {
				n++
			}
			must(rows.Err())
			if n != 2 {
				t.Errorf("%d rows, want 2", n)
			}
			wantLeases(t, m, "rows read to the end", 0)

			must(db.QueryRow("rows 1").Scan(&n))
			wantLeases(t, m, "row scanned", 0)
			row := db.QueryRow("rows 1")
			wantLeases(t, m, "row not scanned", 1)
			must(row.Scan(&n))

			tx, err := db.Begin()
			must(err)
			_, err = tx.Exec("ok")
			must(err)
			rows, err = tx.Query("rows 1")
			must(err)
			must(rows.Close())
			wantLeases(t, m, "transaction open", 1)
			must(tx.Commit())
			wantLeases(t, m, "committed", 0)
			if err := tx.Rollback(); !errors.Is(err, sql.ErrTxDone) {
				t.Errorf("Rollback after Commit: %v", err)
			}

			c, err := db.Conn(ctx)
			must(err)
			_, err = c.ExecContext(ctx, "ok")
			must(err)
			s, err := c.PrepareContext(ctx, "ok")
			must(err)
			wantLeases(t, m, "Conn open", 1)
			must(c.Close())
			wantLeases(t, m, "Conn closed", 0)
			for what, err := range map[string]error{
				"Close":    c.Close(),
				"Ping":     c.PingContext(ctx),
				"QueryRow": c.QueryRowContext(ctx, "rows 1").Scan(&n),
				"Raw":      c.Raw(func(driver.Conn) error { return nil }),
			} {
				if !errors.Is(err, sql.ErrConnDone) {
					t.Errorf("%s after Close: %v, want sql.ErrConnDone", what, err)
				}
			}
			other, err := db.Conn(ctx)
			must(err)
			if _, err := s.ExecContext(ctx); err == nil {
				t.Error("a statement of a Conn that was closed ran on the connection of another holder")
			}
			must(other.Close())

			prepared, err := db.Prepare("ok")
			must(err)
			_, err = prepared.Exec()
			must(err)
			must(prepared.Close())
			wantLeases(t, m, "prepared", 0)
		})
	}
}

func TestAnErrorOfADBGivesTheConnectionBack(t *testing.T) {
	d := &fakeDriver{}
	db, m := openDirect(t, d, "pool_size=1&pool_max_overflow=0")
	var n int
	_, execErr := db.Exec("wrong")
	_, queryErr := db.Query("wrong")
	_, beginErr := db.BeginTx(t.Context(), &sql.TxOptions{ReadOnly: true})
	for what, err := range map[string]error{
		"Exec": execErr, "Query": queryErr, "QueryRow": db.QueryRow("wrong").Scan(&n), "Begin": beginErr,
	} {
		if !errors.Is(err, errWrong) && !errors.Is(err, errReadOnly) {
			t.Errorf("%s: %v, want the driver's error", what, err)
		}
	}
	wantLeases(t, m, "after errors", 0)
	if d.opens() != 1 {
		t.Errorf("%d connections were opened for errors that say nothing against one", d.opens())
	}
	func() {
		defer func() { _ = recover() }()
		_, _ = db.Exec("panic")
	}()
	wantLeases(t, m, "after a panic", 0)
	if err := db.Ping(); err != nil || d.opens() != 2 {
		t.Errorf("after a panic: %v, %d connections opened; want another one", err, d.opens())
	}
}

func TestWhenAllConnectionsOfADBGoStaleNoStatementFails(t *testing.T) {
	d := &fakeDriver{}
	db, m := openDirect(t, d, "pool_size=10&pool_max_overflow=0")
	var n int
	for name, statement := range map[string]func() error{
		"Exec":  func() error { _, err := db.Exec("ok"); return err },
		"Row":   func() error { return db.QueryRow("rows 1").Scan(&n) },
		"Begin": func() error { tx, err := db.Begin(); return errors.Join(err, tx.Commit()) },
	} {
		var conns []manage.DBConn
		for range 10 {
			c, err := db.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			conns = append(conns, c)
		}
		for _, c := range conns {
			_ = c.Close()
		}
		d.restart()
		for range 10 {
			if err := statement(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	wantLeases(t, m, "at the end", 0)
}

func TestADBThatMustWaitEndsWithThePoolsError(t *testing.T) {
	db, _ := openDirect(t, &fakeDriver{}, "pool_size=1&pool_max_overflow=0&pool_timeout=10ms")
	c, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var n int
	_, connErr := db.Conn(t.Context())
	for what, err := range map[string]error{"Ping": db.Ping(), "QueryRow": db.QueryRow("rows 1").Scan(&n), "Conn": connErr} {
		var load *pool.AcquireError
		if !errors.Is(err, pool.ErrTimeout) || !errors.As(err, &load) {
			t.Errorf("%s: %v, want an AcquireError", what, err)
		}
	}
}

func TestADBOfASharingStrategyIsAnSQLDB(t *testing.T) {
	for _, kind := range []string{"static", "singleton"} {
		db, m := openDirect(t, &fakeDriver{}, "pool_strategy="+kind)
		tx, err := db.Begin()
		if err != nil {
			t.Fatal(err)
		}
		if err := tx.Commit(); err != nil {
			t.Error(err)
		}
		c, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(c.PingContext(t.Context()), c.Close()); err != nil {
			t.Error(err)
		}
		wantLeases(t, m, kind, 0)
	}
}

// Real time, because a goroutine of database/sql closes rows and transactions when ctx ends.
func TestStressOfADB(t *testing.T) {
	d := &fakeDriver{}
	db, m := openDirect(t, d, "pool_size=3&pool_max_overflow=0")
	ends := time.Now().Add(300 * time.Millisecond)
	var all sync.WaitGroup
	for g := range 16 {
		all.Go(func() {
			for i := 0; time.Now().Before(ends); i++ {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i%7)*100*time.Microsecond)
				switch (g + i) % 5 {
				case 0:
					_, _ = db.ExecContext(ctx, []string{"ok", "wrong", "slow", "bad"}[i%4])
				case 1:
					if rows, err := db.QueryContext(ctx, "rows 5"); err == nil {
						for rows.Next() {
						}
						_ = rows.Close()
					}
				case 2:
					if tx, err := db.BeginTx(ctx, nil); err == nil {
						_, _ = tx.ExecContext(ctx, "ok")
						if i%2 == 0 {
							_ = tx.Commit()
						} else {
							_ = tx.Rollback()
						}
					}
				case 3:
					var n int
					_ = db.QueryRowContext(ctx, "rows 1").Scan(&n)
				case 4:
					if c, err := db.Conn(ctx); err == nil {
						if s, err := c.PrepareContext(ctx, "ok"); err == nil {
							_, _ = s.ExecContext(ctx)
							_ = s.Close()
						}
						_ = c.Close()
					}
				}
				cancel()
			}
		})
	}
	all.Wait()
	deadline := time.Now().Add(5 * time.Second) // goroutines of database/sql may be at it still
	for statsOf(t, m, "fake", "x").Leases > 0 && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	wantLeases(t, m, "at the end", 0)
	if n := d.live(); n > 3 {
		t.Errorf("%d connections are open, want 3 at most", n)
	}
}

// rawConn is what the next test uses of *sql.Conn, *manage.Conn and manage.DBConn.
type rawConn interface {
	PingContext(context.Context) error
	Close() error
}

// database/sql does not call f again. What f says of its connection says nothing of the others.
func TestAnErrorOfRawCostsItsConnectionAlone(t *testing.T) {
	type raw func(func(driver.Conn) error) error
	for how, connect := range map[string]func(*testing.T, *manage.Manager, *manage.DB) (rawConn, raw, error){
		"Raw": func(t *testing.T, _ *manage.Manager, db *manage.DB) (rawConn, raw, error) {
			c, err := db.DB().Conn(t.Context())
			return c, func(f func(driver.Conn) error) error { return manage.Raw(c, f) }, err
		},
		"Conn.Raw": func(t *testing.T, m *manage.Manager, _ *manage.DB) (rawConn, raw, error) {
			c, err := m.Connect(t.Context(), "fake", "x")
			return c, c.Raw, err
		},
		"DBConn.Raw": func(t *testing.T, _ *manage.Manager, db *manage.DB) (rawConn, raw, error) {
			c, err := db.Conn(t.Context())
			return c, c.Raw, err
		},
		"Raw of *sql.Conn": func(t *testing.T, _ *manage.Manager, db *manage.DB) (rawConn, raw, error) {
			c, err := db.DB().Conn(t.Context())
			return c, func(f func(driver.Conn) error) error {
				return c.Raw(func(x any) error { return f(x.(interface{ Raw() driver.Conn }).Raw()) })
			}, err
		},
	} {
		for _, of := range []struct {
			err  error
			kept bool // the connection is lent again
			open bool // and the Conn can be used on
		}{{driver.ErrBadConn, false, false}, {fmt.Errorf("user: %w", driver.ErrBadConn), false, false}, {io.EOF, false, true}, {errWrong, true, true}} {
			t.Run(how+"/"+of.err.Error(), func(t *testing.T) {
				d := &fakeDriver{}
				db, m := openDirect(t, d, "pool_size=2&pool_max_overflow=0")
				idle, err := db.Conn(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				c, call, err := connect(t, m, db)
				if err != nil {
					t.Fatal(err)
				}
				if err := idle.Close(); err != nil {
					t.Fatal(err)
				}
				calls := 0
				got := call(func(driver.Conn) error { calls++; return of.err })
				if got != of.err || calls != 1 {
					t.Errorf("Raw: %v after %d calls of f, want the error of f after one", got, calls)
				}
				if err := c.PingContext(t.Context()); (err == nil) != of.open {
					t.Errorf("the Conn after it: %v, want that it can be used: %v", err, of.open)
				}
				_ = c.Close() // may have been closed by its error
				wantLeases(t, m, "after all", 0)
				want := 1
				if of.kept || how == "Raw of *sql.Conn" && of.open { // which hides it from the pool
					want = 2
				}
				if _, err := db.Exec("ok"); err != nil || d.live() != want || d.opens() != 2 {
					t.Errorf("%d connections are open, and %d were opened, want %d and 2; %v", d.live(), d.opens(), want, err)
				}
			})
		}
	}
}

// A goroutine that waits for rows to be closed would wait for ever if they are forgotten, and in a bubble
// keep synctest.Wait and the end of the test waiting, since it waits for a lock.
func TestTheEndOfAManagerLeavesNoGoroutineToWaitForRows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, what := range []string{"rows", "a transaction", "a Conn"} {
			db, m := openDirect(t, &fakeDriver{}, "")
			c, err := db.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var rows *sql.Rows
			var tx *sql.Tx
			switch what {
			case "rows":
				rows, err = c.QueryContext(context.Background(), "rows 2")
			case "a transaction":
				tx, err = c.BeginTx(context.Background(), nil)
			}
			if err != nil {
				t.Fatal(err)
			}
			if what != "a Conn" {
				_ = c.Close()
			}
			if err := m.Close(); err != nil {
				t.Error(err)
			}
			if left := goroutinesOfTheBubble(); strings.Contains(left, "lidopool/lido/manage.") {
				t.Errorf("%s open: after Close of the manager there is\n%s", what, left)
			}
			if rows != nil {
				_ = rows.Close()
			}
			if tx != nil {
				_ = tx.Rollback()
			}
			_ = c.Close()
			synctest.Wait()
			if n := m.Pins(); n != 0 {
				t.Errorf("%s closed: database/sql still has %d connections", what, n)
			}
		}
	})
}

// goroutinesOfTheBubble returns the stacks of all goroutines of this bubble but those of the test.
func goroutinesOfTheBubble() string {
	text := make([]byte, 1<<20)
	text = text[:runtime.Stack(text, true)]
	var others []string
	for stack := range strings.SplitSeq(string(text), "\n\n") {
		if head, _, _ := strings.Cut(stack, "\n"); strings.Contains(head, "synctest bubble") && !strings.Contains(stack, "testing") {
			others = append(others, stack)
		}
	}
	return strings.Join(others, "\n\n")
}
