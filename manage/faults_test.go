package manage_test

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/backends/sqlite"
	"github.com/lidopool/lido/manage"
	"github.com/lidopool/lido/pool"
)

// The tests of this file show faults that were found by reading. They wait in real time, and as
// briefly as they can: database/sql and the driver wait under locks, and in C, where a synctest
// bubble sees nobody waiting.

func finishes(t *testing.T, d time.Duration, what string, f func()) bool {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
		return true
	case <-time.After(d):
		t.Errorf("%s: not finished after %v", what, d)
		return false
	}
}

// "singleton: ... it cannot wait for itself".
func TestSingletonDoesNotWaitForItselfInRaw(t *testing.T) {
	d := &fakeDriver{}
	db, _ := openFake(t, d, "pool_strategy=singleton&pool_timeout=200ms")
	finishes(t, 3*time.Second, "db.Exec within Raw on the same goroutine", func() {
		c, err := db.Conn(context.Background())
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		_ = manage.Raw(c, func(driver.Conn) error {
			_, err := db.Exec("ok")
			t.Logf("inner: %v", err)
			return nil
		})
	})
}

// an unlimited wait for the turn outlives the manager.
func TestCloseWakesThoseWhoWaitForATurn(t *testing.T) {
	d := &fakeDriver{t: t}
	m := manage.New(manage.Options{})
	_, _ = m.Wrap("fake", d)
	db, err := m.OpenDB("fake", "x?pool_strategy=static&pool_timeout=unlimited")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { _, err := db.Exec("ok"); done <- err }()
	time.Sleep(50 * time.Millisecond) // for the statement to wait, in database/sql, for its turn
	_ = m.Close()
	select {
	case err := <-done:
		if !errors.Is(err, pool.ErrClosed) {
			t.Errorf("the statement that waited: %v, want ErrClosed", err)
		}
	case <-time.After(2 * time.Second):
		t.Error("a statement still waits for its turn on a connection that is closed, 2 s after Manager.Close")
		_ = tx.Rollback()
		<-done
	}
}

// a statement that is closed while another has the turn.
func TestStatementClosedWithoutTheTurnIsNotLeaked(t *testing.T) {
	d := &fakeDriver{}
	db, _ := openFake(t, d, "pool_strategy=static&pool_timeout=0s&pool_statements=none")
	a, _ := db.Conn(t.Context())
	s, err := a.PrepareContext(t.Context(), "ok")
	if err != nil {
		t.Fatal(err)
	}
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("Stmt.Close: %v", err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	_ = tx.Commit()
	_, _ = db.Exec("ok")
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.unclosed != 0 {
		t.Errorf("%d statements are open on the connection, whose holders are all gone", d.unclosed)
	}
}

func TestClosingAConnDoesNotWaitForSomebodyElsesTransaction(t *testing.T) {
	d := &fakeDriver{}
	db, _ := openFake(t, d, "pool_strategy=static&pool_timeout=unlimited")
	a, _ := db.Conn(t.Context())
	if _, err := a.PrepareContext(t.Context(), "ok"); err != nil {
		t.Fatal(err)
	}
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan struct{})
	go func() { _ = a.Close(); close(closed) }()
	select {
	case <-closed:
	case <-time.After(time.Second):
		t.Error("Conn.Close waits for the end of another holder's transaction, to close a statement")
	}
	_ = tx.Commit()
	<-closed
}

// Connect and Dispose.
func TestConnectThatRacesWithDisposeLeavesNothingBehind(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 200 {
		d := &fakeDriver{t: t}
		m := manage.New(manage.Options{})
		_, _ = m.Wrap("fake", d)
		k := keyOf(t, m, "fake", "x")
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				c, err := m.Connect(context.Background(), "fake", "x")
				if err != nil {
					t.Error(err)
					return
				}
				_ = c.Close()
			})
			all.Go(func() { m.Dispose(k) })
		}
		all.Wait()
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
	for range 100 {
		if runtime.NumGoroutine() <= before+2 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	buf := make([]byte, 1<<16)
	buf = buf[:runtime.Stack(buf, true)]
	t.Errorf("%d goroutines before, %d after; %d database/sql openers", before, runtime.NumGoroutine(), strings.Count(string(buf), "connectionOpener"))
}

// Scan of shared rows calls Columns without the lock of database/sql.
func TestScanErrorBesideCloseIsNoRace(t *testing.T) {
	d := &fakeDriver{}
	db, _ := openFake(t, d, "pool_strategy=static")
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	for range 200 {
		a, err := tx.Query("rows 3")
		if err != nil {
			t.Fatal(err)
		}
		b, err := tx.Query("rows 3")
		if err != nil {
			t.Fatal(err)
		}
		a.Next()
		var both sync.WaitGroup
		both.Go(func() { var x time.Time; _ = a.Scan(&x) })
		both.Go(func() { _ = b.Close() })
		both.Wait()
		_ = a.Close()
	}
}

// lease of newProxy.
func TestSharedLeasesAreAllGivenBack(t *testing.T) {
	d := &fakeDriver{}
	db, m := openFake(t, d, "pool_strategy=static")
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for range 300 {
				_, _ = db.Exec("bad")
			}
		})
	}
	all.Wait()
	if s := statsOf(t, m, "fake", "x"); s.Leases != 0 || s.InUse != 0 {
		t.Errorf("at rest: %d leases, %d in use", s.Leases, s.InUse)
	}
}

// the ctx's own error.
func TestWaitForATurnEndsWithTheErrorOfItsContext(t *testing.T) {
	d := &fakeDriver{}
	db, _ := openFake(t, d, "pool_strategy=static")
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	cause := errors.New("my cause")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(20*time.Millisecond, func() { cancel(cause) })
	_, err = db.ExecContext(ctx, "ok")
	if !errors.Is(err, context.Canceled) || !errors.Is(err, cause) {
		t.Errorf("%v: want context.Canceled and the cause", err)
	}
	ctx, cancel2 := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel2()
	_, err = db.ExecContext(ctx, "ok")
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, pool.ErrTimeout) {
		t.Errorf("%v: want context.DeadlineExceeded and pool.ErrTimeout, as of any other wait", err)
	}
}

// a default said aloud is no other value.
func TestADefaultSaidAloudIsNoConflict(t *testing.T) {
	for _, q := range []string{"pool_open_timeout=30s", "pool_ping_timeout=5s", "pool_reset_timeout=5s", "pool_close_timeout=5s", "pool_attempts=3", "pool_open_attempts=1", "pool_opens_at_once=4", "pool_backoff=20ms", "pool_backoff_max=1s", "pool_jitter=10", "pool_on_open_failure=fail", "pool_hung_close=keep_seat", "pool_min_idle=0", "pool_reset=rollback", "pool_size=5"} {
		d := &fakeDriver{t: t}
		m := withFake(t, d)
		a, err := m.OpenDB("fake", "x")
		if err != nil {
			t.Fatal(err)
		}
		b, err := m.OpenDB("fake", "x?"+q)
		if err != nil {
			t.Error(err)
			continue
		}
		_, _ = a.Close(), b.Close()
	}
}

// secrets.
const hunter = "hunter2secret"

func hidesSecret(t *testing.T, what, text string) {
	t.Helper()
	if strings.Contains(text, hunter) {
		t.Errorf("%s shows the secret: %.300s", what, text)
	}
}

type panicky struct{ at string }

func (d panicky) Open(dsn string) (driver.Conn, error) {
	if d.at == "ping" {
		return pingErr{&fakeConn{d: &fakeDriver{}}, dsn}, nil
	}
	panic("bad DSN " + dsn)
}

type pingErr struct {
	*fakeConn
	dsn string
}

func (p pingErr) Ping(context.Context) error {
	return fmt.Errorf("dial %s: refused: %w", p.dsn, driver.ErrBadConn)
}

func TestAPanicOfOpenShowsNoSecret(t *testing.T) {
	m := newManager(t, manage.Options{})
	_, _ = m.Wrap("p", panicky{})
	db, err := m.OpenDB("p", "user:"+hunter+"@host")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	_, err = db.Exec("ok")
	hidesSecret(t, "an error after a panic of Open", fmt.Sprint(err))
}

func TestAFailedPingShowsNoSecret(t *testing.T) {
	m := newManager(t, manage.Options{})
	_, _ = m.Wrap("p", panicky{"ping"})
	db, err := m.OpenDB("p", "user:"+hunter+"@host?pool_ping=true&pool_attempts=1")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	_, _ = db.Exec("ok")
	_, err = db.Exec("ok")
	hidesSecret(t, "an error of the pool's ping", fmt.Sprint(err))
}

type spy struct {
	m   **manage.Manager
	out *string
}

func (s spy) Name() string                         { return "spy" }
func (s spy) Canonical(dsn string) (string, error) { return dsn, nil }
func (s spy) Redact(string) string                 { return "hidden" }
func (s spy) Open(string, sqldriver.ResetMode) (pool.Backend[*sqldriver.Conn], error) {
	*s.out = fmt.Sprintf("%+v", *s.m)
	return nil, errors.New("no")
}

func TestAManagerPrintedShowsNoSecret(t *testing.T) {
	m := newManager(t, manage.Options{})
	var out string
	_ = m.Register(spy{&m, &out})
	_, _ = m.OpenDB("spy", hunter)
	hidesSecret(t, "a Manager printed while it makes a pool", out)
}

// concurrent Wrap.
func TestWrapOfOneDriverByManyIsFine(t *testing.T) {
	d := &fakeDriver{t: t}
	for range 300 {
		m := manage.New(manage.Options{})
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				if _, err := m.Wrap("fake", d); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		_ = m.Close()
		if t.Failed() {
			return
		}
	}
}

// a rollback that failed, on a static connection.
type doubtConn struct{ *fakeConn }
type doubtTx struct{}

func (doubtTx) Commit() error   { return nil }
func (doubtTx) Rollback() error { return errWrong }

func (c doubtConn) Begin() (driver.Tx, error) { return doubtTx{}, nil }

func TestAStaticConnectionInDoubtIsNotUsedByOthers(t *testing.T) {
	d := &fakeDriver{make: func(c *fakeConn) driver.Conn { return doubtConn{c} }}
	db, m := openFake(t, d, "pool_strategy=static")
	_ = m
	other, err := db.Conn(t.Context()) // keeps the connection from its reset
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if err := tx.Rollback(); !errors.Is(err, errWrong) {
		t.Fatal(err)
	}
	if d.live() != 0 {
		t.Error("a connection whose rollback failed goes on to serve others, perhaps within the transaction")
	}
}

// Shutdown keeps to its ctx also for pools that were disposed of.
type hangClose struct {
	*fakeConn
	gate chan struct{}
}

func (c hangClose) Close() error { <-c.gate; return c.fakeConn.Close() }

func TestShutdownReturnsWhenItsContextEnds(t *testing.T) {
	gate := make(chan struct{})
	d := &fakeDriver{t: t, make: func(c *fakeConn) driver.Conn { return hangClose{c, gate} }}
	m := manage.New(manage.Options{})
	_, _ = m.Wrap("fake", d)
	c, err := m.Connect(t.Context(), "fake", "x?pool_close_timeout=2s")
	if err != nil {
		t.Fatal(err)
	}
	m.Dispose(keyOf(t, m, "fake", "x"))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	err = m.Shutdown(ctx)
	if took := time.Since(start); took > time.Second {
		t.Errorf("Shutdown with a ctx of 50 ms took %v: %v", took, err)
	}
	close(gate)
	_ = c.Close()
	_ = m.Close()
}

// a panic in the driver.
func TestAConnectionWhoseDriverPanickedIsNotKept(t *testing.T) {
	d := &fakeDriver{}
	db, _ := openFake(t, d, "")
	func() {
		defer func() { _ = recover() }()
		_, _ = db.Exec("panic")
	}()
	if d.live() != 0 {
		t.Error("a connection is kept although the driver panicked in the middle of a call")
	}
}

// what is open on a connection that is closed under its holder.
func openFDs(path string) (n int) {
	fds, _ := os.ReadDir("/proc/self/fd")
	for _, fd := range fds {
		if to, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(to, path) {
			n++
		}
	}
	return n
}

func TestAConnectionClosedUnderItsHolderIsReallyClosed(t *testing.T) {
	for _, kind := range []string{"queue", "singleton", "static"} {
		for _, what := range []string{"rows", "stmt"} {
			if kind == "queue" && what == "rows" {
				continue // the driver's own rows: documented at Manager.Close
			}
			m := manage.New(manage.Options{})
			if err := m.Register(sqlite.Backend{}); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "a.db")
			db, err := m.OpenDB("sqlite3", path+"?pool_strategy="+kind)
			if err != nil {
				t.Fatal(err)
			}
			mustExec(t, db, "CREATE TABLE t (x); INSERT INTO t VALUES (1), (2), (3)")
			c, err := db.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var rows *sql.Rows
			var stmt *sql.Stmt
			if what == "rows" {
				rows, err = c.QueryContext(t.Context(), "SELECT x FROM t")
				rows.Next()
			} else {
				stmt, err = c.PrepareContext(t.Context(), "SELECT x FROM t")
			}
			if err != nil {
				t.Fatal(err)
			}
			_ = m.Close()
			if rows != nil {
				_ = rows.Close()
			} else {
				_ = stmt.Close()
			}
			_ = c.Close()
			_ = db.Close()
			for range 5 {
				runtime.GC()
				time.Sleep(5 * time.Millisecond)
			}
			if n := openFDs(path); n != 0 {
				t.Errorf("%s, %s: %d files of the database are open after all is closed, and for ever", kind, what, n)
			}
		}
	}
}

// M15
func TestAttachThatFailsDoesNotCloseTheConnectionUnderItsRows(t *testing.T) {
	m := sqliteManager(t)
	db, _ := openFile(t, m, "pool_strategy=singleton")
	mustExec(t, db, "CREATE TABLE t (x); INSERT INTO t VALUES (1), (2), (3)")
	rows, err := db.Query("SELECT x FROM t")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for rows.Next() {
		_, err := db.Exec("ATTACH '/no/such/dir/x.db' AS y")
		if n++; n == 1 {
			t.Log(err)
		}
	}
	if err := rows.Err(); err != nil || n != 3 {
		t.Errorf("%d rows, %v", n, err)
	}
}

func TestALogOfAFailedPingShowsNoSecret(t *testing.T) {
	var b bytes.Buffer
	m := newManager(t, manage.Options{Logger: slog.New(slog.NewTextHandler(&b, nil))})
	_, _ = m.Wrap("p", panicky{"ping"})
	db, err := m.OpenDB("p", "user:"+hunter+"@host?pool_ping=true&pool_attempts=1&pool_reset=none")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for range 3 {
		c, err := db.Conn(t.Context())
		if err == nil {
			_ = c.Close()
		}
		hidesSecret(t, "error", fmt.Sprint(err))
	}
	hidesSecret(t, "log", b.String())
}
