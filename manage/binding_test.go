package manage_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"sync/atomic"
	"testing"
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
