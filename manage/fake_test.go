package manage_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lidopool/lido/manage"
)

// fakeDriver is a driver without a database. A query is one word of a script:
//
//	ok        does nothing
//	bad       fails with driver.ErrBadConn
//	dead      fails with io.ErrUnexpectedEOF
//	wrong     fails with an error that says nothing against the connection
//	rows N    gives N rows of one number
//	slow      returns when its ctx ends
//	nap       takes a millisecond
//	panic     panics
//
// It complains of two calls at a time on one connection, and of a call after Close.
type fakeDriver struct {
	t    *testing.T
	make func(*fakeConn) driver.Conn // which interfaces connections have; nil: modern

	openErr  func(dsn string) error
	mu       sync.Mutex
	conns    []*fakeConn
	prepared int
	unclosed int          // statements
	met      atomic.Int64 // calls of connections that are stale
	asked    atomic.Int64 // for the number of a statement's inputs
}

func (d *fakeDriver) Open(dsn string) (driver.Conn, error) {
	if d.openErr != nil {
		if err := d.openErr(dsn); err != nil {
			return nil, err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	c := &fakeConn{d: d, id: len(d.conns) + 1}
	d.conns = append(d.conns, c)
	if d.make == nil {
		return modernConn{c}, nil
	}
	return d.make(c), nil
}

func (d *fakeDriver) opens() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.conns)
}

// live is how many connections are open.
func (d *fakeDriver) live() (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.conns {
		if !c.closed.Load() {
			n++
		}
	}
	return n
}

// isStale reports whether the connection is from before a restart, and counts that somebody met it.
func (c *fakeConn) isStale() bool {
	if !c.stale.Load() {
		return false
	}
	c.d.met.Add(1)
	return true
}

// restart makes every connection there is fail with driver.ErrBadConn from now on.
func (d *fakeDriver) restart() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.conns {
		c.stale.Store(true)
	}
}

func (d *fakeDriver) log() (all []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.conns {
		all = append(all, c.calls...)
	}
	return all
}

type fakeConn struct {
	d      *fakeDriver
	id     int
	busy   atomic.Bool
	stale  atomic.Bool
	closed atomic.Bool
	inTx   bool
	calls  []string // guarded by d.mu
}

// call is around every call of the connection.
func (c *fakeConn) call(name string) func() {
	if !c.busy.CompareAndSwap(false, true) {
		c.d.t.Errorf("%s on connection %d while another call is going on", name, c.id)
		return func() {}
	}
	if c.closed.Load() {
		c.d.t.Errorf("%s on connection %d, which is closed", name, c.id)
	}
	c.d.mu.Lock()
	c.calls = append(c.calls, name)
	c.d.mu.Unlock()
	return func() { c.busy.Store(false) }
}

func (c *fakeConn) run(ctx context.Context, query string) error {
	if c.isStale() {
		return driver.ErrBadConn
	}
	word, _, _ := strings.Cut(query, " ")
	switch word {
	case "bad":
		return driver.ErrBadConn
	case "dead":
		return io.ErrUnexpectedEOF
	case "wrong":
		return errWrong
	case "slow":
		<-ctx.Done()
		return ctx.Err()
	case "nap":
		time.Sleep(time.Millisecond)
	case "panic":
		panic("fake")
	}
	return nil
}

var errWrong = errors.New("fake: no such table")

func (c *fakeConn) Prepare(query string) (driver.Stmt, error) {
	defer c.call("Prepare")()
	if c.isStale() {
		return nil, driver.ErrBadConn
	}
	c.d.mu.Lock()
	defer c.d.mu.Unlock()
	c.d.prepared++
	c.d.unclosed++
	return &fakeStmt{c: c, query: query}, nil
}

func (c *fakeConn) Begin() (driver.Tx, error) {
	defer c.call("Begin")()
	return c.begin()
}

func (c *fakeConn) begin() (driver.Tx, error) {
	if c.isStale() {
		return nil, driver.ErrBadConn
	}
	if c.inTx {
		c.d.t.Errorf("connection %d: Begin within a transaction", c.id)
	}
	c.inTx = true
	return &fakeTx{c}, nil
}

func (c *fakeConn) Close() error {
	defer c.call("Close")()
	c.closed.Store(true)
	return nil
}

type fakeTx struct{ c *fakeConn }

func (t *fakeTx) Commit() error   { return t.end("Commit") }
func (t *fakeTx) Rollback() error { return t.end("Rollback") }

func (t *fakeTx) end(name string) error {
	defer t.c.call(name)()
	t.c.inTx = false
	if t.c.isStale() {
		return driver.ErrBadConn
	}
	return nil
}

type fakeStmt struct {
	c      *fakeConn
	query  string
	closed bool
}

// NumInput is asked once by each proxy that a statement is prepared on.
func (s *fakeStmt) NumInput() int {
	s.c.d.asked.Add(1)
	return -1
}

func (s *fakeStmt) Close() error {
	defer s.c.call("Stmt.Close")()
	if s.closed {
		s.c.d.t.Errorf("statement closed twice")
	}
	s.closed = true
	s.c.d.mu.Lock()
	defer s.c.d.mu.Unlock()
	s.c.d.unclosed--
	return nil
}

func (s *fakeStmt) Exec([]driver.Value) (driver.Result, error) {
	defer s.c.call("Stmt.Exec")()
	return driver.RowsAffected(1), s.c.run(context.Background(), s.query)
}

func (s *fakeStmt) Query([]driver.Value) (driver.Rows, error) {
	defer s.c.call("Stmt.Query")()
	return s.c.rows(context.Background(), s.query)
}

func (c *fakeConn) rows(ctx context.Context, query string) (driver.Rows, error) {
	if err := c.run(ctx, query); err != nil {
		return nil, err
	}
	_, n, _ := strings.Cut(query, " ")
	left, _ := strconv.Atoi(n)
	return &fakeRows{c: c, left: left}, nil
}

type fakeRows struct {
	c    *fakeConn
	left int
}

func (r *fakeRows) Columns() []string { return []string{"n"} }

func (r *fakeRows) Close() error {
	defer r.c.call("Rows.Close")()
	if r.c.isStale() {
		return driver.ErrBadConn
	}
	return nil
}

func (r *fakeRows) Next(dest []driver.Value) error {
	defer r.c.call("Rows.Next")()
	time.Sleep(10 * time.Microsecond) // makes calls at the same time likely, for the race detector
	if r.left == 0 {
		return io.EOF
	}
	r.left--
	dest[0] = int64(r.left)
	return nil
}

// bare is a driver of only what it must have.
func bare(c *fakeConn) driver.Conn { return c }

// legacyConn is of a driver older than contexts.
type legacyConn struct{ *fakeConn }

func (c legacyConn) Exec(query string, _ []driver.Value) (driver.Result, error) {
	defer c.call("Exec")()
	return driver.RowsAffected(1), c.run(context.Background(), query)
}

func (c legacyConn) Query(query string, _ []driver.Value) (driver.Rows, error) {
	defer c.call("Query")()
	return c.rows(context.Background(), query)
}

// modernConn has all that a driver of today has.
type modernConn struct{ *fakeConn }

func (c modernConn) Ping(ctx context.Context) error {
	defer c.call("Ping")()
	return c.run(ctx, "")
}

func (c modernConn) ExecContext(ctx context.Context, query string, _ []driver.NamedValue) (driver.Result, error) {
	defer c.call("ExecContext")()
	return driver.RowsAffected(1), c.run(ctx, query)
}

func (c modernConn) QueryContext(ctx context.Context, query string, _ []driver.NamedValue) (driver.Rows, error) {
	defer c.call("QueryContext")()
	return c.rows(ctx, query)
}

func (c modernConn) PrepareContext(_ context.Context, query string) (driver.Stmt, error) {
	s, err := c.Prepare(query)
	if err != nil {
		return nil, err
	}
	return modernStmt{s.(*fakeStmt)}, nil
}

func (c modernConn) BeginTx(_ context.Context, o driver.TxOptions) (driver.Tx, error) {
	defer c.call("BeginTx")()
	if o.ReadOnly {
		return nil, errReadOnly
	}
	return c.begin()
}

var errReadOnly = errors.New("fake: cannot be read only")

// CheckNamedValue takes a value that database/sql itself would refuse.
func (c modernConn) CheckNamedValue(v *driver.NamedValue) error {
	defer c.call("CheckNamedValue")()
	if _, ok := v.Value.(struct{}); ok {
		v.Value = int64(1)
		return nil
	}
	return driver.ErrSkip
}

type modernStmt struct{ *fakeStmt }

func (s modernStmt) ExecContext(ctx context.Context, _ []driver.NamedValue) (driver.Result, error) {
	defer s.c.call("Stmt.ExecContext")()
	return driver.RowsAffected(1), s.c.run(ctx, s.query)
}

func (s modernStmt) QueryContext(ctx context.Context, _ []driver.NamedValue) (driver.Rows, error) {
	defer s.c.call("Stmt.QueryContext")()
	r, err := s.c.rows(ctx, s.query)
	if err != nil {
		return nil, err
	}
	return modernRows{r.(*fakeRows)}, nil
}

// modernRows have all the optional interfaces.
type modernRows struct{ *fakeRows }

func (r modernRows) HasNextResultSet() bool              { return r.left == 0 }
func (r modernRows) NextResultSet() error                { return io.EOF }
func (modernRows) ColumnTypeScanType(int) reflect.Type   { return reflect.TypeFor[int64]() }
func (modernRows) ColumnTypeDatabaseTypeName(int) string { return "NUMBER" }
func (modernRows) ColumnTypeLength(int) (int64, bool)    { return 8, true }
func (modernRows) ColumnTypeNullable(int) (bool, bool)   { return false, true }
func (modernRows) ColumnTypePrecisionScale(int) (int64, int64, bool) {
	return 19, 0, true
}

// newManager returns a manager that is closed with the test.
func newManager(t *testing.T, o manage.Options) *manage.Manager {
	t.Helper()
	m := manage.New(o)
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Errorf("Close of the manager: %v", err)
		}
	})
	return m
}

// withFake returns a manager that knows a fake driver under the name "fake".
func withFake(t *testing.T, d *fakeDriver) *manage.Manager {
	t.Helper()
	d.t = t
	m := newManager(t, manage.Options{})
	if _, err := m.Wrap("fake", d); err != nil {
		t.Fatal(err)
	}
	return m
}
