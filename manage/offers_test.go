package manage

import (
	"context"
	"database/sql/driver"
	"testing"
)

// The types are exact by their own words: asked what they offer, each says what it was made
// for.
func TestAProxyOffersExactlyTheInterfacesItWasMadeFor(t *testing.T) {
	for set := range 256 {
		if got := offerOf(offer(set).wrap(&proxy{})); got != offer(set) {
			t.Errorf("offer %08b: the proxy has the interfaces %08b", set, got)
		}
	}
}

func TestWhatAProxyOffersReachesTheDriversOwnMethod(t *testing.T) {
	called := ""
	m := New(Options{})
	defer m.Close()
	if _, err := m.Wrap("all", allDriver{&called}); err != nil {
		t.Fatal(err)
	}
	source, err := m.connector("all", "x?pool_statements=none")
	if err != nil {
		t.Fatal(err)
	}
	lease, e, err := source.lease(t.Context(), inLine)
	if err != nil {
		t.Fatal(err)
	}
	c := lease.Value()
	p := &proxy{entry: e, lease: lease, conn: c, guard: guardOf(c)}
	defer p.Close()
	ctx := t.Context()
	for set := range 256 {
		conn := offer(set).wrap(p)
		check := func(want string, err error) {
			t.Helper()
			if called != want || err != nil {
				t.Errorf("offer %08b: %s called the driver's %q, %v", set, want, called, err)
			}
			called = ""
		}
		if c, ok := conn.(driver.Pinger); ok {
			check("Ping", c.Ping(ctx))
		}
		if c, ok := conn.(driver.ExecerContext); ok {
			_, err := c.ExecContext(ctx, "", nil)
			check("ExecContext", err)
		}
		//lint:ignore SA1019 drivers that have only this must keep working
		if c, ok := conn.(driver.Execer); ok {
			_, err := c.Exec("", nil)
			check("Exec", err)
		}
		if c, ok := conn.(driver.QueryerContext); ok {
			_, err := c.QueryContext(ctx, "", nil)
			check("QueryContext", err)
		}
		//lint:ignore SA1019 drivers that have only this must keep working
		if c, ok := conn.(driver.Queryer); ok {
			_, err := c.Query("", nil)
			check("Query", err)
		}
		if c, ok := conn.(driver.ConnPrepareContext); ok {
			s, err := c.PrepareContext(ctx, "")
			check("PrepareContext", err)
			_ = s.Close()
		}
		if c, ok := conn.(driver.ConnBeginTx); ok {
			tx, err := c.BeginTx(ctx, driver.TxOptions{})
			check("BeginTx", err)
			_ = tx.Rollback()
		}
		if c, ok := conn.(driver.NamedValueChecker); ok {
			check("CheckNamedValue", c.CheckNamedValue(nil))
		}
	}
}

// allDriver has connections with every optional interface, which note what is called.
type allDriver struct{ called *string }

func (d allDriver) Open(string) (driver.Conn, error) { return allConn(d), nil }

type allConn struct{ called *string }

func (c allConn) note(name string) error { *c.called = name; return nil }

func (c allConn) Close() error                        { return nil }
func (c allConn) Begin() (driver.Tx, error)           { return allTx{}, c.note("Begin") }
func (c allConn) Prepare(string) (driver.Stmt, error) { return allStmt{}, c.note("Prepare") }
func (c allConn) Ping(context.Context) error          { return c.note("Ping") }
func (c allConn) ExecContext(context.Context, string, []driver.NamedValue) (driver.Result, error) {
	return nil, c.note("ExecContext")
}
func (c allConn) Exec(string, []driver.Value) (driver.Result, error) { return nil, c.note("Exec") }
func (c allConn) QueryContext(context.Context, string, []driver.NamedValue) (driver.Rows, error) {
	return nil, c.note("QueryContext")
}
func (c allConn) Query(string, []driver.Value) (driver.Rows, error) { return nil, c.note("Query") }
func (c allConn) PrepareContext(context.Context, string) (driver.Stmt, error) {
	return allStmt{}, c.note("PrepareContext")
}
func (c allConn) BeginTx(context.Context, driver.TxOptions) (driver.Tx, error) {
	return allTx{}, c.note("BeginTx")
}
func (c allConn) CheckNamedValue(*driver.NamedValue) error { return c.note("CheckNamedValue") }

type allTx struct{}

func (allTx) Commit() error   { return nil }
func (allTx) Rollback() error { return nil }

type allStmt struct{ driver.Stmt }

func (allStmt) Close() error  { return nil }
func (allStmt) NumInput() int { return 0 }
