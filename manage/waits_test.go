package manage_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/manage"
	"github.com/lidopool/lido/pool"
)

// operation is something that a program does with a DB and that needs a connection. s was prepared on db.
type operation struct {
	name string
	do   func(ctx context.Context, db *sql.DB, s *sql.Stmt) error
}

func operations() []operation {
	return []operation{
		{"Exec", func(ctx context.Context, db *sql.DB, _ *sql.Stmt) error {
			_, err := db.ExecContext(ctx, "ok")
			return err
		}},
		{"Query", func(ctx context.Context, db *sql.DB, _ *sql.Stmt) error {
			rows, err := db.QueryContext(ctx, "ok")
			if err != nil {
				return err
			}
			return rows.Close()
		}},
		{"Begin", func(ctx context.Context, db *sql.DB, _ *sql.Stmt) error { return begins(ctx, db) }},
		{"Prepare", func(ctx context.Context, db *sql.DB, _ *sql.Stmt) error {
			s, err := db.PrepareContext(ctx, "ok")
			if err != nil {
				return err
			}
			return s.Close()
		}},
		{"Stmt.Exec", func(ctx context.Context, _ *sql.DB, s *sql.Stmt) error { _, err := s.ExecContext(ctx); return err }},
		{"Stmt.Query", func(ctx context.Context, _ *sql.DB, s *sql.Stmt) error {
			rows, err := s.QueryContext(ctx)
			if err != nil {
				return err
			}
			return rows.Close()
		}},
		{"Ping", func(ctx context.Context, db *sql.DB, _ *sql.Stmt) error { return db.PingContext(ctx) }},
		{"Conn", func(ctx context.Context, db *sql.DB, _ *sql.Stmt) error {
			c, err := db.Conn(ctx)
			if err != nil {
				return err
			}
			return c.Close()
		}},
	}
}

// proxies says what lies in the free list of database/sql while one has the only connection.
var proxies = map[string]func(t *testing.T, db *sql.DB, m *manage.Manager) (s *sql.Stmt){
	"none": func(t *testing.T, db *sql.DB, _ *manage.Manager) *sql.Stmt { return prepare(t, db) },
	"some": func(t *testing.T, db *sql.DB, _ *manage.Manager) *sql.Stmt {
		return prepare(t, db, addProxy, addProxy, addProxy)
	},
	"with a statement": withStatements,
	"with a statement, outside a bubble": func(t *testing.T, db *sql.DB, m *manage.Manager) *sql.Stmt {
		m.LikeOutsideABubble()
		return withStatements(t, db, m)
	},
}

func withStatements(t *testing.T, db *sql.DB, _ *manage.Manager) *sql.Stmt {
	t.Helper()
	s := prepare(t, db, addProxy, addProxy, addProxy)
	for range 4 {
		addProxy(t, db) // moves one to the bottom of the free list
		if _, err := s.Exec(); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func prepare(t *testing.T, db *sql.DB, also ...func(*testing.T, *sql.DB)) *sql.Stmt {
	t.Helper()
	for _, f := range also {
		f(t, db)
	}
	s, err := db.Prepare("ok")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// addProxy has as many wait for the only connection as there are proxies.
func addProxy(t *testing.T, db *sql.DB) {
	t.Helper()
	n := db.Stats().OpenConnections
	c, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, n)
	for range n {
		go func() { _, err := db.Exec("ok"); served <- err }()
	}
	synctest.Wait()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	for range n {
		if err := <-served; err != nil {
			t.Fatal(err)
		}
	}
}

func TestEveryWaitEndsOnTimeWithTheReason(t *testing.T) {
	cause := errors.New("the caller's reason")
	for driverName, make := range map[string]func(*fakeConn) driver.Conn{"with Pinger": nil, "without": bare} {
		for lying, with := range proxies {
			for _, op := range operations() {
				synctest.Test(t, func(t *testing.T) {
					db, m := openFake(t, &fakeDriver{make: make}, "pool_size=1&pool_max_overflow=0&pool_timeout=1s")
					s := with(t, db, m)
					c, err := db.Conn(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					says := func(what string, ctx context.Context, after time.Duration, is ...error) {
						t.Helper()
						start := time.Now()
						err := op.do(ctx, db, s)
						for _, want := range is {
							if !errors.Is(err, want) {
								t.Errorf("%s, driver %s, proxies %s, %s: error is %v, want one that is %q", op.name, driverName, lying, what, err, want)
							}
						}
						if took := time.Since(start); took != after {
							t.Errorf("%s, driver %s, proxies %s, %s: waited %v, want %v", op.name, driverName, lying, what, took, after)
						}
					}
					// What has nothing to fail with once it has a connection loses the pool's words if ctx ends:
					// database/sql answers by itself.
					mute := op.name == "Conn" || op.name == "Ping" && make != nil
					for range 2 {
						says("pool_timeout", t.Context(), time.Second, pool.ErrTimeout, context.DeadlineExceeded)

						ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
						says("a deadline", ctx, 300*time.Millisecond, context.DeadlineExceeded)
						cancel()

						ctx, stop := context.WithCancelCause(t.Context())
						time.AfterFunc(200*time.Millisecond, func() { stop(cause) })
						if want := []error{context.Canceled, cause}; mute {
							says("canceled", ctx, 200*time.Millisecond, want[0])
						} else {
							says("canceled", ctx, 200*time.Millisecond, want...)
						}

						ctx, cancel = context.WithCancel(t.Context())
						cancel()
						says("ended before", ctx, 0, context.Canceled)
					}
					if s := statsOf(t, m, "fake", "x"); s.InUse != 1 || s.Waiting != 0 {
						t.Errorf("%s: %d in use, %d waiting; want the one that is held", op.name, s.InUse, s.Waiting)
					}
					if err := c.Close(); err != nil {
						t.Fatal(err)
					}
					says("free again", t.Context(), 0)
					if err := op.do(t.Context(), db, s); err != nil {
						t.Errorf("%s, driver %s, proxies %s: free again: %v", op.name, driverName, lying, err)
					}
					if s := statsOf(t, m, "fake", "x"); s.InUse != 0 || s.Misused != 0 {
						t.Errorf("%s: at rest %d in use, %d misused", op.name, s.InUse, s.Misused)
					}
				})
			}
		}
	}
}

func TestTheLineIsServedInOrderOfArrival(t *testing.T) {
	for lying, with := range proxies {
		synctest.Test(t, func(t *testing.T) {
			db, m := openFake(t, &fakeDriver{}, "pool_size=1&pool_max_overflow=0")
			s := with(t, db, m)
			c, err := db.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			const n = 40
			served := make(chan int, n)
			for i := range n {
				go func() {
					if i%2 == 0 {
						c, err := db.Conn(t.Context())
						if err != nil {
							t.Error(err)
							return
						}
						served <- i
						_ = c.Close()
						return
					}
					tx, err := db.Begin()
					if err != nil {
						t.Error(err)
						return
					}
					served <- i
					_ = tx.Commit()
				}()
				synctest.Wait() // it stands in line
			}
			_ = c.Close()
			var order []int
			for range n {
				order = append(order, <-served)
			}
			if !slices.IsSorted(order) {
				t.Errorf("proxies %s: served in the order %v", lying, order)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestConnectTellsTheLoadAlsoIfItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := withFake(t, &fakeDriver{})
		const dsn = "x?pool_name=orders&pool_size=1&pool_max_overflow=0&pool_timeout=5s"
		c, err := m.Connect(t.Context(), "fake", dsn)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for _, of := range []struct {
			ctx  context.Context
			want string
		}{
			{ctx, "pool orders: acquire timed out after 1s waiting: 1 of 1 in use, 0 waiting"},
			{t.Context(), "pool orders: acquire timed out after 5s waiting: 1 of 1 in use, 0 waiting"},
		} {
			_, err := m.Connect(of.ctx, "fake", dsn)
			if err == nil || !strings.HasPrefix(err.Error(), of.want) || !errors.Is(err, pool.ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error is %v, want %s", err, of.want)
			}
		}
	})
}

func TestWhoWaitsInConnectGoesOnAfterADispose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDriver{}
		m := withFake(t, d)
		const dsn = "x?pool_size=1&pool_max_overflow=0&pool_timeout=5s"
		held, err := m.Connect(t.Context(), "fake", dsn)
		if err != nil {
			t.Fatal(err)
		}
		waits := make(chan error, 1)
		go func() {
			c, err := m.Connect(t.Context(), "fake", dsn)
			if err == nil {
				err = c.Close()
			}
			waits <- err
		}()
		synctest.Wait()
		start := time.Now()
		if !m.Dispose(keyOf(t, m, "fake", "x")) {
			t.Fatal("there was no pool")
		}
		if err := <-waits; err != nil || time.Since(start) != 0 {
			t.Errorf("who waited: %v after %v; want a connection of the new pool at once", err, time.Since(start))
		}
		if err := held.Close(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if d.live() != 1 {
			t.Errorf("%d connections are open, want the one of the new pool", d.live())
		}
	})
}

// sessionConn counts what is asked of it at a checkout.
type sessionConn struct{ modernConn }

func (c sessionConn) ResetSession(context.Context) error { c.call("ResetSession")(); return nil }

func (c sessionConn) IsValid() bool { c.call("IsValid")(); return true }

func TestTheDriversOwnChecksAreMadeOnceForEachCheckout(t *testing.T) {
	for _, kind := range []string{"queue", "static", "singleton"} {
		d := &fakeDriver{make: func(c *fakeConn) driver.Conn { return sessionConn{modernConn{c}} }}
		db, _ := openFake(t, d, "pool_strategy="+kind)
		for range 5 {
			if _, err := db.Exec("ok"); err != nil {
				t.Fatal(err)
			}
		}
		c, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for range 5 { // within one checkout
			if _, err := c.ExecContext(t.Context(), "ok"); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if n := countOf(d, "ResetSession"); n != 5 { // the first of 6 checkouts was of a new connection
			t.Errorf("%s: ResetSession was called %d times in 6 checkouts, the first of a new connection; want 5", kind, n)
		}
		if d.opens() != 1 {
			t.Errorf("%s: %d connections were opened", kind, d.opens())
		}
		// Asked after ResetSession, and by Clean when the connection comes back.
		if n := countOf(d, "IsValid"); n != 5+6 {
			t.Errorf("%s: IsValid was called %d times in 6 checkouts, want %d", kind, n, 5+6)
		}
	}
}

var _ manage.Backend = poolerBackend{}
