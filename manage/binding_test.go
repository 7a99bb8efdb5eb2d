package manage_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/manage"
	"github.com/lidopool/lido/pool"
)

// panicConn panics where the pool looks at it on its return.
type panicConn struct {
	modernConn
	panics *atomic.Bool
}

func (c panicConn) IsValid() bool {
	if c.panics.Load() {
		panic("fake")
	}
	return true
}

func TestAPanicOfTheDriverAtTheReturnLosesNoConnection(t *testing.T) {
	for _, kind := range []string{"queue", "static", "singleton"} {
		var panics atomic.Bool
		d := &fakeDriver{make: func(c *fakeConn) driver.Conn { return panicConn{modernConn{c}, &panics} }}
		db, m := openFake(t, d, "pool_strategy="+kind)
		c, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.ExecContext(t.Context(), "ok"); err != nil {
			t.Fatal(err)
		}
		panics.Store(true)
		func() {
			defer func() { _ = recover() }()
			_ = c.Close()
		}()
		panics.Store(false)
		if s := statsOf(t, m, "fake", "x"); s.InUse != 0 || s.Leases != 0 {
			t.Errorf("%s: after a panic of IsValid %d are in use", kind, s.InUse)
		}
		if _, err := db.Exec("ok"); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

type panicStmt struct{ modernStmt }

func (s panicStmt) Close() error { _ = s.modernStmt.Close(); panic("fake") }

type panicStmtConn struct{ modernConn }

func (c panicStmtConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	s, err := c.modernConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return panicStmt{s.(modernStmt)}, nil
}

func TestAPanicOfAStatementsCloseLosesNoConnection(t *testing.T) {
	for _, kind := range []string{"queue", "static", "singleton"} {
		d := &fakeDriver{make: func(c *fakeConn) driver.Conn { return panicStmtConn{modernConn{c}} }}
		db, m := openFake(t, d, "pool_statements=none&pool_strategy="+kind)
		c, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.PrepareContext(t.Context(), "ok"); err != nil {
			t.Fatal(err)
		}
		for _, use := range []func() error{c.Close, func() error { return begins(t.Context(), db) }} { // the static one is closed by who comes next
			func() {
				defer func() { _ = recover() }()
				_ = use()
			}()
			if s := statsOf(t, m, "fake", "x"); s.InUse != 0 || s.Leases != 0 {
				t.Errorf("%s: after a panic of a statement's Close %d are in use", kind, s.InUse)
			}
		}
		if _, err := db.Exec("ok"); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if d.opens() != 2 {
			t.Errorf("%s: %d connections were opened; want another after the panic", kind, d.opens())
		}
	}
}

func TestClosingAStatementWithinRawDoesNotWaitForItself(t *testing.T) {
	db, _ := openFake(t, &fakeDriver{}, "pool_strategy=singleton&pool_statements=none")
	finishes(t, 2*time.Second, "closing a statement of one Conn within Raw of another, which share a connection", func() {
		a, err := db.Conn(t.Context())
		if err != nil {
			t.Error(err)
			return
		}
		defer a.Close()
		b, err := db.Conn(t.Context())
		if err != nil {
			t.Error(err)
			return
		}
		s, err := b.PrepareContext(t.Context(), "ok")
		if err != nil {
			t.Error(err)
			return
		}
		_ = manage.Raw(a, func(driver.Conn) error { return errors.Join(s.Close(), b.Close()) })
	})
}

func begins(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	return tx.Commit()
}

// prepares makes a DB of one connection, two proxies, of which the one that lay idle longest has the
// statement prepared.
func prepares(t *testing.T, db *sql.DB) *sql.Stmt {
	t.Helper()
	s, err := db.Prepare("ok")
	if err != nil {
		t.Fatal(err)
	}
	c, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { _, err := db.Exec("ok"); served <- err }()
	for db.Stats().OpenConnections < 2 {
		time.Sleep(time.Millisecond) // database/sql counts it when it calls Connect
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-served; err != nil {
		t.Fatal(err)
	}
	return s
}

// It waits in real time: who is blocked by a mutex of database/sql is not seen to wait by synctest.
func TestClosingAStatementDoesNotWaitForWhoWaitsForAConnection(t *testing.T) {
	db, m := openFake(t, &fakeDriver{}, "pool_size=1&pool_max_overflow=0&pool_timeout=5s")
	s := prepares(t, db)
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { _, err := db.Exec("ok"); served <- err }()
	for statsOf(t, m, "fake", "x").Waiting == 0 {
		time.Sleep(time.Millisecond) // an event with a deadline: the pool's timeout
	}
	finishes(t, 2*time.Second, "Stmt.Close by the holder of the connection that another waits for", func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := tx.Commit(); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Errorf("who waited: %v", err)
	}
}

func TestClosingADBLeavesNoPoolToItsWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDriver{}
		db, m := openFake(t, d, "pool_size=1&pool_max_overflow=0")
		tx, err := db.Begin()
		if err != nil {
			t.Fatal(err)
		}
		waits := make(chan error, 2)
		go func() { _, err := db.Exec("ok"); waits <- err }()
		go func() {
			c, err := db.Conn(t.Context())
			if err == nil {
				_ = c.Close()
			}
			waits <- err
		}()
		synctest.Wait()
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		for range 2 {
			if err := <-waits; err == nil || err.Error() != "sql: database is closed" {
				t.Errorf("who waited while the DB was closed: %v, want what database/sql says of one that is closed", err)
			}
		}
		if err := tx.Commit(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if n := d.live(); n != 0 {
			t.Errorf("%d connections are open after the only DB was closed", n)
		}
		for k := range m.All() {
			t.Errorf("the pool %v is left behind", k)
		}
	})
}

func TestSetMaxOpenConnsParksNoLeaseInTheFreeList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, m := openFake(t, &fakeDriver{}, "pool_size=3&pool_max_overflow=0&pool_timeout=1s")
		db.SetMaxOpenConns(2)
		for range 20 {
			// Two have the connections, two stand in the line of database/sql. One connection goes bad, so that
			// database/sql opens another; the other is returned, and serves both.
			a, err := db.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			b, err := db.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				go func() {
					if _, err := db.Exec("ok"); err != nil {
						t.Errorf("in the line: %v", err)
					}
				}()
			}
			synctest.Wait()
			_ = a.Raw(func(any) error { return driver.ErrBadConn })
			_ = b.Close()
			synctest.Wait()
			if s := statsOf(t, m, "fake", "x"); s.InUse != 0 {
				t.Fatalf("at rest %d connections are in use", s.InUse)
			}
		}
	})
}

func TestAProxyOfTheConnectionOpenerWorksForEverything(t *testing.T) {
	for name, use := range map[string]func(context.Context, *sql.DB) error{
		"Exec": func(ctx context.Context, db *sql.DB) error {
			_, err := db.ExecContext(ctx, "ok", struct{}{})
			return err
		},
		"Query": func(ctx context.Context, db *sql.DB) error {
			var n int
			return db.QueryRowContext(ctx, "rows 1").Scan(&n)
		},
		"Ping":    func(ctx context.Context, db *sql.DB) error { return db.PingContext(ctx) },
		"Begin":   func(ctx context.Context, db *sql.DB) error { return begins(ctx, db) },
		"Prepare": func(ctx context.Context, db *sql.DB) error { return prepareAndExec(ctx, db) },
		"Conn": func(ctx context.Context, db *sql.DB) error {
			c, err := db.Conn(ctx)
			if err != nil {
				return err
			}
			err = manage.Raw(c, func(raw driver.Conn) error { _ = raw.(modernConn); return nil })
			return errors.Join(err, c.Close())
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			db, m := openFake(t, &fakeDriver{}, "pool_size=5")
			db.SetMaxOpenConns(1)
			c, err := db.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() { done <- use(t.Context(), db) }()
			synctest.Wait()
			_ = c.Raw(func(any) error { return driver.ErrBadConn })
			if err := <-done; err != nil {
				t.Errorf("%s on what the opener of database/sql made: %v", name, err)
			}
			synctest.Wait()
			if s := statsOf(t, m, "fake", "x"); s.InUse != 0 || s.Idle != 1 {
				t.Errorf("%s: at rest %d in use, %d idle; want 0, 1", name, s.InUse, s.Idle)
			}
		})
	}
}

func prepareAndExec(ctx context.Context, db *sql.DB) error {
	s, err := db.PrepareContext(ctx, "ok")
	if err != nil {
		return err
	}
	_, err = s.ExecContext(ctx)
	return errors.Join(err, s.Close())
}

func TestADriverWhoseConnectionsDifferIsServed(t *testing.T) {
	d := &fakeDriver{make: func(c *fakeConn) driver.Conn {
		if c.id%2 == 1 { // the free list of database/sql ends with a proxy of one that has more
			return c
		}
		return modernConn{c}
	}}
	db, m := openFake(t, d, "pool_size=4&pool_order=fifo")
	onConns(t, db, 4, func() {})
	for range 20 {
		if err := db.Ping(); err != nil {
			t.Error(err)
		}
		if _, err := db.Exec("ok"); err != nil {
			t.Error(err)
		}
	}
	if s := statsOf(t, m, "fake", "x"); s.InUse != 0 || s.Misused != 0 {
		t.Errorf("afterwards %+v", s)
	}
}

func TestWhatIsKeptOfAConnBeyondItsCloseLeasesNothing(t *testing.T) {
	for _, kind := range []string{"queue", "static", "singleton"} {
		db, m := openFake(t, &fakeDriver{}, "pool_strategy="+kind)
		c, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var kept any
		if err := c.Raw(func(x any) error { kept = x; return nil }); err != nil {
			t.Fatal(err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if err := kept.(driver.Pinger).Ping(t.Context()); !errors.Is(err, driver.ErrBadConn) {
			t.Errorf("%s: Ping of a connection that was returned: %v, want driver.ErrBadConn", kind, err)
		}
		if raw := kept.(interface{ Raw() driver.Conn }).Raw(); raw != nil {
			t.Errorf("%s: Raw gives %v of a connection that was returned", kind, raw)
		}
		if s := statsOf(t, m, "fake", "x"); s.InUse != 0 {
			t.Errorf("%s: %d are in use", kind, s.InUse)
		}
	}
}

func TestRowsOfAStatementThatIsClosedStayTheirOwn(t *testing.T) {
	m := sqliteManager(t)
	db, _ := openFile(t, m, "")
	mustExec(t, db, "CREATE TABLE t (x); INSERT INTO t VALUES (1), (2), (3)")
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	open := func() *sql.Rows {
		s, err := tx.Prepare("SELECT x FROM t")
		if err != nil {
			t.Fatal(err)
		}
		rows, err := s.Query()
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil { // database/sql closes it at once
			t.Fatal(err)
		}
		return rows
	}
	a, b := open(), open()
	for _, rows := range []*sql.Rows{a, b} {
		n := 0
		for rows.Next() {
			n++
		}
		if n != 3 || rows.Err() != nil {
			t.Errorf("%d rows, %v; want the 3 that there are", n, rows.Err())
		}
	}
}

func TestSingletonThatMayNotWaitDoesNotWaitForItselfInRaw(t *testing.T) {
	db, _ := openFake(t, &fakeDriver{}, "pool_strategy=singleton&pool_timeout=0s")
	finishes(t, 5*time.Second, "Exec within Raw on the same goroutine", func() {
		c, err := db.Conn(t.Context())
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		_ = manage.Raw(c, func(driver.Conn) error {
			if _, err := db.Exec("ok"); !errors.Is(err, pool.ErrTimeout) {
				t.Errorf("Exec within Raw: %v, want a wait in vain", err)
			}
			return nil
		})
	})
}
