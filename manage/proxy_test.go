package manage_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/manage"
	"github.com/lidopool/lido/pool"
)

// openFake opens a DB of the fake driver.
func openFake(t *testing.T, d *fakeDriver, query string) (*sql.DB, *manage.Manager) {
	t.Helper()
	m := withFake(t, d)
	db, err := m.OpenDB("fake", "x?"+query)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db, m
}

// onConns leases n connections at once and calls f while it has them.
func onConns(t *testing.T, db *sql.DB, n int, f func()) {
	t.Helper()
	var conns []*sql.Conn
	for range n {
		c, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	f()
	for _, c := range conns {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhenAllConnectionsGoStaleAtOnceNoStatementFails(t *testing.T) {
	for name, statement := range map[string]func(*sql.DB) error{
		"Exec":  func(db *sql.DB) error { _, err := db.Exec("ok"); return err },
		"Query": func(db *sql.DB) error { var n int; return db.QueryRow("rows 1").Scan(&n) },
		"Begin": func(db *sql.DB) error {
			tx, err := db.Begin()
			if err != nil {
				return err
			}
			return tx.Commit()
		},
		"Prepare": func(db *sql.DB) error {
			s, err := db.Prepare("ok")
			if err != nil {
				return err
			}
			_, err = s.Exec()
			return errors.Join(err, s.Close())
		},
	} {
		d := &fakeDriver{}
		db, m := openFake(t, d, "pool_size=10")
		onConns(t, db, 10, func() {})
		for round := range 3 {
			before, met, generation := d.opens(), d.met.Load(), statsOf(t, m, "fake", "x").Generation
			d.restart()
			var all sync.WaitGroup
			for range 10 {
				all.Go(func() {
					if err := statement(db); err != nil {
						t.Errorf("%s after restart %d: %v", name, round, err)
					}
				})
			}
			all.Wait()
			// One for each, and for some another, because its open had begun before the restart was noticed.
			if n := d.opens() - before; n > 20 {
				t.Errorf("%s: %d connections were opened after a restart, want 20 at most", name, n)
			}
			// However many met a stale connection, that is one invalidation. Sometimes nobody meets one,
			// because the few seats that were used had to be opened afresh anyhow.
			want := uint64(0)
			if d.met.Load() > met {
				want = 1
			}
			if got := statsOf(t, m, "fake", "x").Generation - generation; got != want {
				t.Errorf("%s: %d calls met a stale connection after restart %d: %d invalidations, want %d",
					name, d.met.Load()-met, round, got, want)
			}
		}
	}
}

func TestAStatementOfManyConnectionsSurvivesARestart(t *testing.T) {
	d := &fakeDriver{}
	db, _ := openFake(t, d, "pool_size=5")
	s, err := db.Prepare("ok")
	if err != nil {
		t.Fatal(err)
	}
	onConns(t, db, 5, func() {})
	d.restart()
	for range 10 {
		if _, err := s.Exec(); err != nil {
			t.Error(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if d.unclosed > 1 { // the one of the stale connection, on which Prepare has succeeded
		t.Errorf("%d statements were not closed", d.unclosed)
	}
}

func TestAnErrorThatMeansADeadConnectionHasItClosed(t *testing.T) {
	for query, want := range map[string]int{"dead": 0, "wrong": 1, "ok": 1} {
		for _, sharing := range []string{"queue", "static", "singleton"} {
			d := &fakeDriver{}
			db, m := openFake(t, d, "pool_strategy="+sharing)
			_, err := db.Exec(query)
			if query == "dead" && err != io.ErrUnexpectedEOF || query == "wrong" && err != errWrong {
				t.Errorf("%s: error is %v, want the driver's own", query, err)
			}
			if d.live() != want {
				t.Errorf("%s %s: %d connections are kept, want %d", sharing, query, d.live(), want)
			}
			if s := statsOf(t, m, "fake", "x"); s.Generation != 0 {
				t.Errorf("%s %s: others were invalidated too", sharing, query)
			}
		}
	}
}

func TestWhatTheProxyDoesNotSeeIsLearntFromDatabaseSQL(t *testing.T) {
	d := &fakeDriver{}
	db, _ := openFake(t, d, "")
	rows, err := db.Query("rows 3")
	if err != nil {
		t.Fatal(err)
	}
	d.restart() // Rows.Close, which is the driver's own, now fails
	_ = rows.Close()
	if d.live() != 0 {
		t.Error("a connection whose rows said driver.ErrBadConn was kept")
	}

	func() {
		defer func() { _ = recover() }()
		c, err := db.Conn(t.Context())
		if err != nil {
			t.Error(err)
			return
		}
		_ = manage.Raw(c, func(driver.Conn) error { panic("user") })
	}()
	if d.live() != 0 {
		t.Error("a connection was kept although a panic went through its user")
	}
}

func TestAPanicOfTheDriverLocksNothing(t *testing.T) {
	for _, kind := range []string{"queue", "static", "singleton", "null", "assertion"} {
		d := &fakeDriver{}
		db, _ := openFake(t, d, "pool_strategy="+kind)
		func() {
			defer func() { _ = recover() }()
			_, _ = db.Exec("panic")
		}()
		if _, err := db.Exec("ok"); err != nil {
			t.Errorf("%s: after a panic: %v", kind, err)
		}
	}
}

func TestADriverFromBeforeContextsKeepsWorking(t *testing.T) {
	for name, of := range map[string]struct {
		make func(*fakeConn) driver.Conn
		want []string
	}{
		"bare": {func(c *fakeConn) driver.Conn { return c },
			[]string{"Prepare", "Stmt.Exec", "Stmt.Close", "Prepare", "Stmt.Query", "Rows.Next", "Rows.Close", "Stmt.Close", "Begin", "Commit", "Begin", "Rollback"}},
		"legacy": {func(c *fakeConn) driver.Conn { return legacyConn{c} },
			[]string{"Exec", "Query", "Rows.Next", "Rows.Close", "Begin", "Commit", "Begin", "Rollback"}},
		"modern": {nil,
			[]string{"Ping", "ExecContext", "QueryContext", "Rows.Next", "Rows.Close", "BeginTx", "Commit", "BeginTx", "Rollback"}},
	} {
		for _, kind := range []string{"queue", "static", "singleton"} {
			d := &fakeDriver{make: of.make}
			db, _ := openFake(t, d, "pool_statements=none&pool_strategy="+kind)
			if err := db.Ping(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if r, err := db.Exec("ok"); err != nil {
				t.Errorf("%s: %v", name, err)
			} else if n, err := r.RowsAffected(); n != 1 || err != nil {
				t.Errorf("%s: rows affected %d, %v", name, n, err)
			}
			var n int
			if err := db.QueryRow("rows 1").Scan(&n); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			for _, end := range []func(*sql.Tx) error{(*sql.Tx).Commit, (*sql.Tx).Rollback} {
				tx, err := db.Begin()
				if err != nil {
					t.Fatal(err)
				}
				if err := end(tx); err != nil {
					t.Error(err)
				}
			}
			if got := d.log(); !slices.Equal(got, of.want) {
				t.Errorf("%s %s: the driver was called\n%v\nwant\n%v", name, kind, got, of.want)
			}

			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_, readOnly := db.BeginTx(t.Context(), &sql.TxOptions{ReadOnly: true})
			_, named := db.Exec("ok", sql.Named("a", 1))
			_, cancelled := db.ExecContext(ctx, "ok")
			_, odd := db.Exec("ok", struct{}{})
			want := []string{"sql: driver does not support read-only transactions",
				"sql: driver does not support the use of Named Parameters", "context canceled", "unsupported type struct {}"}
			if name == "modern" {
				want = []string{errReadOnly.Error(), "", "context canceled", ""}
			}
			for i, err := range []error{readOnly, named, cancelled, odd} {
				if want[i] == "" && err != nil || want[i] != "" && (err == nil || !strings.Contains(err.Error(), want[i])) {
					t.Errorf("%s %s: error %d is %v, want %q", name, kind, i, err, want[i])
				}
			}
		}
	}
}

func TestStatementsGoToTheNewestInterfaceTheyHave(t *testing.T) {
	for name, of := range map[string]struct {
		make func(*fakeConn) driver.Conn
		want string
	}{
		"bare":   {func(c *fakeConn) driver.Conn { return c }, "Prepare Stmt.Exec Stmt.Query Rows.Next Rows.Next Rows.Close Stmt.Close"},
		"modern": {nil, "Prepare Stmt.ExecContext Stmt.QueryContext Rows.Next Rows.Next Rows.Close Stmt.Close"},
	} {
		for _, kind := range []string{"queue", "static", "singleton"} {
			d := &fakeDriver{make: of.make}
			db, _ := openFake(t, d, "pool_strategy="+kind)
			c, err := db.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			s, err := c.PrepareContext(t.Context(), "rows 1")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Exec(); err != nil {
				t.Error(err)
			}
			rows, err := s.Query()
			if err != nil {
				t.Fatal(err)
			}
			types, err := rows.ColumnTypes()
			if err != nil || len(types) != 1 {
				t.Fatalf("%s: %d column types, %v", name, len(types), err)
			}
			length, ok := types[0].Length()
			if modern := name == "modern"; ok != modern || (length == 8) != modern || (types[0].DatabaseTypeName() == "NUMBER") != modern ||
				(types[0].ScanType().String() == "int64") != modern {
				t.Errorf("%s %s: column is %+v", name, kind, types[0])
			}
			for rows.Next() {
			}
			if rows.NextResultSet() || rows.Err() != nil {
				t.Errorf("%s: another result set, %v", name, rows.Err())
			}
			named := name == "bare"
			if _, err := s.Exec(sql.Named("a", 1)); (err != nil) != named {
				t.Errorf("%s: a named argument: %v", name, err)
			}
			if rows, err := s.Query(sql.Named("a", 1)); (err != nil) != named {
				t.Errorf("%s: a named argument: %v", name, err)
			} else if err == nil {
				_ = rows.Close()
			}
			if _, err := s.Exec(struct{}{}); (err != nil) != named {
				t.Errorf("%s: an argument that only the driver takes: %v", name, err)
			}
			if got := strings.Join(d.log(), " "); !strings.HasPrefix(got, strings.TrimSuffix(of.want, " Stmt.Close")) {
				t.Errorf("%s %s: the driver was called\n%v\nwant\n%v", name, kind, got, of.want)
			}
		}
	}
}

func TestAStatementClosedAfterItsConnectionTouchesNobodyElses(t *testing.T) {
	d := &fakeDriver{}
	db, _ := openFake(t, d, "pool_size=1&pool_max_overflow=0&pool_statements=none")
	c, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.PrepareContext(t.Context(), "ok")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if d.unclosed != 0 {
		t.Error("the statement was left open on a connection that was returned")
	}
	other, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	before := len(d.log())
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if after := d.log(); len(after) != before {
		t.Errorf("the late Close called the driver: %v", after[before:])
	}
}

// convertingStmt knows its arguments better than database/sql does.
type convertingConn struct{ *fakeConn }

func (c convertingConn) Prepare(query string) (driver.Stmt, error) {
	s, err := c.fakeConn.Prepare(query)
	if err != nil {
		return nil, err
	}
	return convertingStmt{s.(*fakeStmt)}, nil
}

type convertingStmt struct{ *fakeStmt }

func (convertingStmt) ColumnConverter(int) driver.ValueConverter { return anything{} }

type anything struct{}

func (anything) ConvertValue(any) (driver.Value, error) { return int64(1), nil }

func TestAStatementsColumnConverterIsUsed(t *testing.T) {
	d := &fakeDriver{make: func(c *fakeConn) driver.Conn { return convertingConn{c} }}
	db, _ := openFake(t, d, "")
	if _, err := db.Exec("ok", struct{}{}); err != nil {
		t.Errorf("a value that the converter takes: %v", err)
	}
}

func TestTheRealConnectionCanBeReached(t *testing.T) {
	d := &fakeDriver{}
	db, m := openFake(t, d, "")
	c, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := manage.Raw(c, func(raw driver.Conn) error {
		if _, ok := raw.(modernConn); !ok {
			t.Errorf("Raw gave a %T", raw)
		}
		return errWrong
	}); err != errWrong {
		t.Errorf("Raw returned %v, want f's error", err)
	}
	if err := c.Raw(func(x any) error {
		if _, ok := x.(interface{ Raw() driver.Conn }).Raw().(modernConn); !ok {
			t.Errorf("the proxy's Raw gave something else")
		}
		//lint:ignore SA1019 drivers that have only this must keep working
		if _, ok := x.(driver.Execer); ok {
			t.Error("the proxy has an interface that the driver's connection has not")
		}
		if err := x.(driver.SessionResetter).ResetSession(t.Context()); err != nil {
			t.Errorf("ResetSession of a connection in use: %v, want nothing done", err)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	mc, err := m.Connect(t.Context(), "fake", "x")
	if err != nil {
		t.Fatal(err)
	}
	if err := mc.Raw(func(raw driver.Conn) error { _ = raw.(modernConn); return nil }); err != nil {
		t.Error(err)
	}
	if err := mc.Close(); err != nil {
		t.Error(err)
	}
	if err := mc.Close(); !errors.Is(err, sql.ErrConnDone) {
		t.Errorf("second Close: %v", err)
	}

	plain := sql.OpenDB(plainConnector{d})
	defer plain.Close()
	pc, err := plain.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	if err := manage.Raw(pc, func(driver.Conn) error { return nil }); err == nil || !strings.HasPrefix(err.Error(), "manage: ") {
		t.Errorf("Raw of a connection of another driver: %v", err)
	}
}

type plainConnector struct{ d *fakeDriver }

func (c plainConnector) Connect(context.Context) (driver.Conn, error) { return c.d.Open("") }
func (c plainConnector) Driver() driver.Driver                        { return c.d }

func TestTheDriverCanBeUsedWithoutDatabaseSQL(t *testing.T) {
	d := &fakeDriver{}
	m := withFake(t, d)
	if _, err := m.Driver("none").Open("x"); err == nil {
		t.Error("an unknown backend was opened")
	}
	c, err := m.Driver("fake").Open("x")
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Prepare("ok")
	if err != nil {
		t.Fatal(err)
	}
	//lint:ignore SA1019 drivers that have only this must keep working
	if _, err := s.Exec(nil); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	if s := statsOf(t, m, "fake", "x"); s.Idle != 1 || s.Misused != 0 {
		t.Errorf("afterwards: %+v", s)
	}
	if _, err := c.Prepare("ok"); !errors.Is(err, driver.ErrBadConn) {
		t.Errorf("a connection that was closed: %v", err)
	}
	d.openErr = func(string) error { return errWrong }
	if _, err := m.Driver("fake").Open("y"); !errors.Is(err, errWrong) {
		t.Errorf("a failed open: %v", err)
	}
	var open *pool.AcquireError
	if _, err := m.Driver("fake").Open("y"); !asError(err, &open) {
		t.Errorf("a failed open: %v, want an AcquireError", err)
	}
}

func TestStatementsThatATextMayHaveEndedArePreparedAnew(t *testing.T) {
	executed := func(db *sql.DB, text string) error {
		_, err := db.Exec(text)
		return err
	}
	prepared := func(db *sql.DB, text string) error {
		s, err := db.Prepare(text)
		if err != nil {
			return err
		}
		_, err = s.Exec()
		return errors.Join(err, s.Close())
	}
	for _, tc := range []struct {
		how  func(*sql.DB, string) error
		text string
		want int // that the driver has prepared, after the text came twice
	}{
		{executed, "ok", 1}, {executed, "ok; discard all", 3}, {executed, "ok DEALLOCATE ALL", 3},
		{prepared, "ok", 2}, {prepared, "ok; discard all", 7}, {prepared, "ok DEALLOCATE ALL", 7}, // itself too, when it is prepared and when it is executed
	} {
		d := &fakeDriver{}
		db, _ := openFake(t, d, "pool_size=1&pool_max_overflow=0")
		s, err := db.Prepare("rows 1")
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			var n int
			if err := s.QueryRow().Scan(&n); err != nil {
				t.Fatal(err)
			}
			if err := tc.how(db, tc.text); err != nil {
				t.Fatal(err)
			}
		}
		var n int
		if err := s.QueryRow().Scan(&n); err != nil {
			t.Fatal(err)
		}
		if d.prepared != tc.want {
			t.Errorf("after %q twice: prepared %d times, want %d", tc.text, d.prepared, tc.want)
		}
		_ = s.Close()
	}
}

// crowded is a driver whose backend takes errWrong for a server without room, as that of MySQL takes 1226, which a
// statement may meet too.
type crowded struct{ driver driver.Driver }

func (crowded) Name() string                         { return "crowded" }
func (crowded) Canonical(dsn string) (string, error) { return dsn, nil }
func (crowded) Redact(dsn string) string             { return dsn }

func (b crowded) Open(dsn string, reset sqldriver.ResetMode) (pool.Backend[*sqldriver.Conn], error) {
	c, err := sqldriver.ConnectorOf(b.driver, dsn)
	if err != nil {
		return nil, err
	}
	return sqldriver.New(c, sqldriver.Options{Reset: reset, Classify: func(err error) pool.Fault {
		if errors.Is(err, errWrong) {
			return pool.Full
		}
		return sqldriver.Classify(err)
	}})
}

func TestAStatementThatFoundTheServerFullHidesNoDeadConnection(t *testing.T) {
	for last, live := range map[string]int{"ok": 1, "dead": 0, "bad": 0} {
		d := &fakeDriver{t: t}
		m := newManager(t, manage.Options{})
		if err := m.Register(crowded{d}); err != nil {
			t.Fatal(err)
		}
		c, err := m.Connect(t.Context(), "crowded", "x")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.ExecContext(t.Context(), "wrong")
		_, _ = c.ExecContext(t.Context(), last)
		_ = c.Close() // it has been, by an error
		if d.live() != live {
			t.Errorf("after %s: %d connections are kept, want %d", last, d.live(), live)
		}
	}
}
