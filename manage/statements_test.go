package manage_test

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/manage"
)

// statements are the counters of the fake's pool, or of another's.
func statements(t *testing.T, m *manage.Manager) manage.Statements {
	t.Helper()
	for _, s := range m.All() {
		return s.Statements
	}
	t.Fatal("there is no pool")
	return manage.Statements{}
}

// countOf counts a call in the log of a fake.
func countOf(d *fakeDriver, call string) (n int) {
	for _, c := range d.log() {
		if c == call {
			n++
		}
	}
	return n
}

func TestAStatementIsPreparedOnceOnEachConnection(t *testing.T) {
	for _, backend := range []string{"fake", "sqlite3"} {
		t.Run(backend, func(t *testing.T) {
			d := &fakeDriver{}
			var m *manage.Manager
			var db *sql.DB
			query := "rows 1"
			if backend == "fake" {
				db, m = openFake(t, d, "pool_size=3&pool_order=fifo")
			} else {
				m = sqliteManager(t)
				db, _ = openFile(t, m, "pool_size=3&pool_order=fifo")
				query = "SELECT 1"
			}
			s, err := db.Prepare(query)
			if err != nil {
				t.Fatal(err)
			}
			onConns(t, db, 3, func() {}) // opens them all, and makes a proxy for each
			for range 1000 {
				var n int
				if err := s.QueryRow().Scan(&n); err != nil {
					t.Fatal(err)
				}
			}
			got := statements(t, m)
			if got.Misses != 3 || got.Open != 3 || got.Evicted != 0 || got.Hits < 997 {
				t.Errorf("after 1,000 executions on 3 connections: %+v, want 3 that were prepared", got)
			}
			if n := countOf(d, "Prepare"); backend == "fake" && n != 3 {
				t.Errorf("the driver was asked to prepare %d times, want once on each of 3 connections", n)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestHitsAreCountedBeyondTheEndOfAConnection(t *testing.T) {
	d := &fakeDriver{}
	db, m := openFake(t, d, "pool_size=1")
	s := prepare(t, db)
	for range 4 {
		if _, err := s.Exec(); err != nil {
			t.Fatal(err)
		}
	}
	before := statements(t, m).Hits
	if _, err := db.Exec("dead"); err == nil {
		t.Fatal("the script failed nothing")
	}
	if _, err := s.Exec(); err != nil { // on a new connection
		t.Fatal(err)
	}
	if got := statements(t, m); got.Hits < before || before < 3 || got.Misses != 2 || d.opens() != 2 {
		t.Errorf("%+v after a second connection, %d hits before; want those too, and 2 misses", got, before)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// A proxy that is given up costs database/sql a new one, and a look for each of its statements.
func TestWhoWaitsWithAStatementKeepsItsProxy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDriver{}
		db, m := openFake(t, d, "pool_size=2&pool_max_overflow=0")
		m.LikeOutsideABubble()
		s, err := db.Prepare("nap")
		if err != nil {
			t.Fatal(err)
		}
		const goroutines, times = 16, 50
		done := make(chan error)
		for range goroutines {
			go func() {
				for range times {
					if _, err := s.Exec(); err != nil {
						done <- err
						return
					}
				}
				done <- nil
			}()
		}
		for range goroutines {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		if n := d.asked.Load(); n > goroutines+1 {
			t.Errorf("%d executions by %d goroutines on 2 connections: prepared by %d proxies, want no more than one for each, and the first",
				goroutines*times, goroutines, n)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// In real time, see TestClosingAStatementDoesNotWaitForWhoWaitsForAConnection: here all statements wait, and are in use.
func TestAHolderClosesAStatementWhileManyWaitWithIt(t *testing.T) {
	db, m := openFake(t, &fakeDriver{}, "pool_size=2&pool_max_overflow=0&pool_timeout=20s")
	closing, used := prepare(t, db), prepare(t, db)
	const goroutines = 8
	onConns(t, db, 2, func() { // so that there are proxies for all, with both statements
		for range goroutines {
			go func() { _, _ = used.Exec() }()
			go func() { _, _ = closing.Exec() }()
		}
		for statsOf(t, m, "fake", "x").Waiting < 2*goroutines {
			time.Sleep(time.Millisecond) // an event with a deadline: the pool's timeout
		}
	})
	served := make(chan error, goroutines)
	onConns(t, db, 2, func() {
		for range goroutines {
			go func() { _, err := used.Exec(); served <- err }()
		}
		for statsOf(t, m, "fake", "x").Waiting < goroutines {
			time.Sleep(time.Millisecond) // as above
		}
		finishes(t, 5*time.Second, "Stmt.Close by a holder of one of the connections that others wait for", func() {
			if err := closing.Close(); err != nil {
				t.Error(err)
			}
		})
	})
	for range goroutines {
		if err := <-served; err != nil {
			t.Errorf("who waited: %v", err)
		}
	}
	if err := used.Close(); err != nil {
		t.Error(err)
	}
}

func TestTwoStatementsOfOneTextAtOnceAreTwoOfTheDriver(t *testing.T) {
	for _, kind := range []string{"queue", "static", "singleton"} {
		d := &fakeDriver{}
		db, m := openFake(t, d, "pool_strategy="+kind)
		tx, err := db.Begin()
		if err != nil {
			t.Fatal(err)
		}
		var all []*sql.Rows
		var closers []*sql.Stmt
		for range 2 {
			s, err := tx.Prepare("rows 3")
			if err != nil {
				t.Fatal(err)
			}
			rows, err := s.Query()
			if err != nil {
				t.Fatal(err)
			}
			all, closers = append(all, rows), append(closers, s)
		}
		for _, rows := range all {
			n := 0
			for rows.Next() {
				n++
			}
			if n != 3 || rows.Err() != nil {
				t.Errorf("%s: %d rows, %v; want 3", kind, n, rows.Err())
			}
		}
		for _, s := range closers {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := tx.Commit(); err != nil {
			t.Error(err)
		}
		if got, want := statements(t, m), (manage.Statements{Misses: 2, Open: 1}); got != want || d.unclosed != 1 {
			t.Errorf("%s: %+v and %d open in the driver; want %+v, since one of a text is kept", kind, got, d.unclosed, want)
		}
	}
}

func TestStatementsUsedLongestAgoAreClosedFirst(t *testing.T) {
	d := &fakeDriver{}
	db, m := openFake(t, d, "pool_size=1&pool_max_overflow=0&pool_statements=2")
	use := func(query string) (prepared bool) {
		before := countOf(d, "Prepare")
		if err := prepareAndExecText(db, query); err != nil {
			t.Fatal(err)
		}
		return countOf(d, "Prepare") > before
	}
	for _, of := range []struct {
		query string
		fresh bool
	}{{"ok 1", true}, {"ok 2", true}, {"ok 1", false}, {"ok 3", true}, {"ok 1", false}, {"ok 2", true}, {"ok 3", true}, {"ok 2", false}} {
		if fresh := use(of.query); fresh != of.fresh {
			t.Errorf("%q was prepared: %v, want %v", of.query, fresh, of.fresh)
		}
	}
	if got := statements(t, m); got.Misses != 5 || got.Evicted != 3 || got.Open != 2 || d.unclosed != 2 {
		t.Errorf("%+v and %d open in the driver; want 5 misses, 3 evicted, 2 open", got, d.unclosed)
	}
}

// prepareAndExecText prepares, executes and closes.
func prepareAndExecText(db *sql.DB, query string) error {
	s, err := db.Prepare(query)
	if err != nil {
		return err
	}
	defer s.Close()
	_, err = s.Exec()
	return err
}

func TestAStatementThatFailedIsNotKept(t *testing.T) {
	d := &fakeDriver{}
	db, m := openFake(t, d, "pool_size=1&pool_max_overflow=0")
	s, err := db.Prepare("wrong")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range 3 {
		if _, err := s.Exec(); err != errWrong {
			t.Errorf("error is %v, want the driver's own", err)
		}
	}
	if got := statements(t, m); got.Open != 0 || got.Misses != 3 || d.unclosed != 0 {
		t.Errorf("%+v and %d open in the driver; want none kept, and one prepared for each use", got, d.unclosed)
	}
}

func TestWithoutKeptStatementsEachUserPreparesAndClosesHis(t *testing.T) {
	d := &fakeDriver{}
	db, m := openFake(t, d, "pool_statements=none&pool_size=1&pool_max_overflow=0")
	s, err := db.Prepare("ok")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := s.Exec(); err != nil {
			t.Fatal(err)
		}
		if d.unclosed != 0 {
			t.Errorf("%d are open after the connection was returned", d.unclosed)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if got, want := statements(t, m), (manage.Statements{Misses: 4}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestAsTextNothingIsPrepared(t *testing.T) {
	for _, kind := range []string{"queue", "static", "singleton"} {
		d := &fakeDriver{}
		db, m := openFake(t, d, "pool_statements=text&pool_strategy="+kind)
		for _, of := range []struct {
			query string
			want  error
		}{{"ok", nil}, {"wrong", errWrong}} {
			s, err := db.Prepare(of.query)
			if err != nil {
				t.Fatalf("%s: Prepare finds a mistake that only the execution can find: %v", kind, err)
			}
			if _, err := s.Exec(struct{}{}); err != of.want { // which only the driver's own checker takes
				t.Errorf("%s: Exec of %q: %v, want %v", kind, of.query, err, of.want)
			}
			if rows, err := s.Query(); err != of.want {
				t.Errorf("%s: Query of %q: %v, want %v", kind, of.query, err, of.want)
			} else if err == nil {
				_ = rows.Close()
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
		if n := countOf(d, "Prepare"); n != 0 || statements(t, m) != (manage.Statements{}) {
			t.Errorf("%s: %d statements were prepared, %+v", kind, n, statements(t, m))
		}
	}
}

func TestAsTextWithoutAWayToSendATextItIsPrepared(t *testing.T) {
	d := &fakeDriver{make: bare}
	db, m := openFake(t, d, "pool_statements=text")
	if err := prepareAndExecText(db, "ok"); err != nil {
		t.Error(err)
	}
	if got := statements(t, m); got.Misses == 0 || got.Open != 0 || d.unclosed != 0 {
		t.Errorf("%+v and %d open in the driver; want it prepared, and not kept", got, d.unclosed)
	}
}

func TestAFullResetMakesNoStatementStale(t *testing.T) {
	// SQLite has no full reset, so this is the setting's refusal; the backends' own tests have the rest.
	m := sqliteManager(t)
	if db, err := m.OpenDB("sqlite3", "file::memory:?pool_strategy=static&pool_reset=full"); err == nil {
		_ = db.Close()
		t.Error("a full reset was promised that the backend does not have")
	} else if !strings.Contains(err.Error(), "full") {
		t.Errorf("the error does not name the setting: %v", err)
	}
}

// A Tx that prepares the same text again and again has as many of the driver's as it would have
// without the pool, and no more are kept open than the setting says.
func TestAManyTimesPreparedTextDoesNotPileUp(t *testing.T) {
	d := &fakeDriver{}
	db, _ := openFake(t, d, "pool_statements=4")
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	most := 0
	for range 50 {
		s, err := tx.Prepare("rows 1")
		if err != nil {
			t.Fatal(err)
		}
		var n int
		if err := s.QueryRow().Scan(&n); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		most = max(most, d.unclosed)
	}
	if most > 5 { // 4, and the one in use
		t.Errorf("%d statements were open at once, want 5 at most", most)
	}
	if err := tx.Commit(); err != nil {
		t.Error(err)
	}
	if d.unclosed != 1 {
		t.Errorf("%d statements are kept of one text, want 1", d.unclosed)
	}
}

func TestManyGoroutinesWithFewConnectionsLeaveNothingBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDriver{}
		db, m := openFake(t, d, "pool_size=3&pool_max_overflow=0")
		done := make(chan error)
		for i := range 200 {
			go func() {
				var n int
				err := db.QueryRow("rows 1").Scan(&n)
				if err == nil {
					err = prepareAndExecText(db, fmt.Sprint("ok ", i%3))
				}
				done <- err
			}()
		}
		for range 200 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		synctest.Wait()
		if s := statsOf(t, m, "fake", "x"); s.InUse != 0 || s.Idle != 3 || s.Leases != 0 || s.Waiting != 0 || d.opens() != 3 {
			t.Errorf("at rest: %+v, %d opened; want 3 idle, none in use, 3 opened", s, d.opens())
		}
		if n := statements(t, m).Open; n != d.unclosed || n > 9 {
			t.Errorf("%d statements are open in the driver, %d by the counter; want 3 texts on 3 connections at most", d.unclosed, n)
		}
	})
}

func TestAllGoesThroughThePoolsInOrderOfTheirNames(t *testing.T) {
	m := withFake(t, &fakeDriver{})
	var want []string
	for i := range 3 {
		dsn := fmt.Sprint("x", i)
		c, err := m.Connect(t.Context(), "fake", dsn)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		want = append(want, keyOf(t, m, "fake", dsn).String())
	}
	slices.Sort(want)
	var seen []string
	for k, s := range m.All() {
		seen = append(seen, k.String())
		one, ok := m.Stats(k)
		if !ok || one.InUse != 1 || s.InUse != 1 || s.Opened != 1 {
			t.Errorf("%v: All says %+v, Stats %+v", k, s, one)
		}
	}
	if !slices.Equal(seen, want) {
		t.Errorf("All went through %v, want %v", seen, want)
	}
	n := 0
	for range m.All() {
		if n++; n == 2 {
			break
		}
	}
	if n != 2 {
		t.Errorf("All went on after a break, to %d", n)
	}
	if _, ok := m.Stats(keyOf(t, m, "fake", "none")); ok {
		t.Error("there are Stats of a pool that does not exist")
	}
}
