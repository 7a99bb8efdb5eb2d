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
