//go:build cgo

package target_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lidopool/lido/backends/servertest"
	"github.com/lidopool/lido/bench/internal/load"
	"github.com/lidopool/lido/bench/internal/target"
	"github.com/lidopool/lido/strategies"
)

// A real is a kind of real database.
type real struct {
	name string
	// open returns what --backend takes, and a database/sql client of the same database.
	open func(t *testing.T) (text string, client *sql.DB)
	// tables is the query for the number of our tables.
	tables string
	server bool // it has sessions to be counted
}

var reals = []real{
	{"sqlite", func(t *testing.T) (string, *sql.DB) {
		path := filepath.Join(t.TempDir(), "test.db")
		client := connect(t, "sqlite3", "file:"+path)
		if _, err := client.Exec("PRAGMA user_version = 1"); err != nil { // so that there is a file
			t.Fatal(err)
		}
		return "sqlite:" + path, client
	}, "SELECT count(*) FROM sqlite_master", false},
	{"postgres", func(t *testing.T) (string, *sql.DB) {
		dsn := servertest.Postgres(t).Database(t)
		return dsn, connect(t, "postgres", dsn)
	}, "SELECT count(*) FROM pg_tables WHERE tablename LIKE 'lidobench%'", true},
	{"mysql", func(t *testing.T) (string, *sql.DB) {
		dsn := servertest.MySQL(t).Database(t)
		return "mysql:" + dsn, connect(t, "mysql", dsn)
	}, "SELECT count(*) FROM information_schema.tables WHERE table_schema = database() AND table_name LIKE 'lidobench%'", true},
}

func connect(t *testing.T, driver, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// each runs a test on each kind of real database, and sees to it that nothing is left there.
func each(t *testing.T, f func(t *testing.T, r real, b target.Backend, client *sql.DB)) {
	for _, r := range reals {
		t.Run(r.name, func(t *testing.T) {
			text, client := r.open(t)
			t.Cleanup(func() { // after the Close of the backend
				if n := number(t, client, r.tables); n != 0 {
					t.Errorf("%d tables are left behind", n)
				}
			})
			f(t, r, backend(t, text), client)
		})
	}
}

func number(t testing.TB, client *sql.DB, query string) (n int) {
	t.Helper()
	if err := client.QueryRow(query).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// until waits for what a server does on its own account, in real time as a server does.
func until(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestUseReadsAndWritesARow(t *testing.T) {
	each(t, func(t *testing.T, r real, b target.Backend, client *sql.DB) {
		if n := number(t, client, r.tables); n != 1 {
			t.Fatalf("there are %d tables of ours, want 1", n)
		}
		p := pooled(t, b, "queue?size=4&max_overflow=0")
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for i := range 20 {
					if err := useCtx(t.Context(), p, i%2 == 0); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		if sum := number(t, client, "SELECT sum(n) FROM "+table(t, r, client)); sum != 40 {
			t.Errorf("the rows have been written %d times, want 40", sum)
		}
		if err := p.Cycle(t.Context(), 10); err != nil {
			t.Error(err)
		}
		if g := p.Gauges(); g.InUse != 0 || g.Open < 1 || g.Peak > 4 || g.Opened > 4 || g.Closed != 0 {
			t.Errorf("the gauges are %+v, want 1 to 4 opened once, and none in use", g)
		}
	})
}

// table is the name of our table.
func table(t *testing.T, r real, client *sql.DB) (name string) {
	t.Helper()
	column := map[string]string{"sqlite": "name", "postgres": "tablename", "mysql": "table_name"}[r.name]
	if err := client.QueryRow(strings.Replace(r.tables, "count(*)", column, 1)).Scan(&name); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestServerCountsTheSessionsOfThePool(t *testing.T) {
	each(t, func(t *testing.T, r real, b target.Backend, client *sql.DB) {
		client.SetMaxIdleConns(0) // MySQL counts those of the same user
		p := pooled(t, b, "queue?size=3&max_overflow=0")
		release := make(chan struct{})
		var all sync.WaitGroup
		defer all.Wait()
		defer close(release)
		for range 3 {
			held := make(chan struct{})
			all.Go(func() { in(t, p, func(load.Conn) { close(held); <-release }) })
			<-held
		}
		if !r.server {
			if n, known, err := b.Sessions(t.Context()); known || err != nil || p.Gauges().Sessions != -1 {
				t.Errorf("a file has %d sessions (%v, %v), and the gauges say %d; want them unknown", n, known, err, p.Gauges().Sessions)
			}
			return
		}
		until(t, "the server counts 3 sessions", func() bool {
			n, known, err := b.Sessions(t.Context())
			if !known || err != nil {
				t.Fatalf("known is %v: %v", known, err)
			}
			return n == 3
		})
		until(t, "the gauges count 3 sessions", func() bool { return p.Gauges().Sessions == 3 })
	})
}

// Nobody who looks at the gauges waits for the server, and the server is not busy with answering them.
func TestServerIsAskedTenTimesASecondAtMost(t *testing.T) {
	s := servertest.OwnPostgres(t, "log_statement=all")
	b := backend(t, s.DSN())
	p := pooled(t, b, "queue")
	if err := use(p); err != nil {
		t.Fatal(err)
	}
	asked := func() int { return strings.Count(s.Log(), "FROM pg_stat_activity") }
	begun := time.Now()
	until(t, "the server has been asked three times", func() bool {
		if n := p.Gauges().Sessions; n != -1 && n != 1 {
			t.Fatalf("%d sessions, want 1, or -1 for what is not known yet", n)
		}
		return asked() >= 3
	})
	if n, most := asked(), 1+int(time.Since(begun)/(100*time.Millisecond)); n > most {
		t.Errorf("asked %d times in %v", n, time.Since(begun))
	}
	s.Freeze()
	until(t, "the last figure is too old", func() bool {
		looked := time.Now()
		n := p.Gauges().Sessions
		if took := time.Since(looked); took > 2*time.Second {
			t.Fatalf("a look at the gauges took %v while the server was frozen", took)
		}
		return n == -1
	})
	s.Thaw()
}

func TestTransactionPoolerIsNoObstacle(t *testing.T) {
	pg := servertest.Postgres(t)
	b := backend(t, servertest.PgBouncer(t, pg, "pool_mode=transaction", "default_pool_size=3").DSN())
	p := pooled(t, b, "queue?size=6&max_overflow=0")
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			for i := range 20 {
				if err := useCtx(t.Context(), p, i%2 == 0); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if n, known, err := b.Sessions(t.Context()); !known || err != nil || n > 3 {
		t.Errorf("the server counts %d sessions (%v, %v), want 3 at most: those of the pooler", n, known, err)
	}
}

func TestDatabaseWithoutTheRightToMakeATableIsTold(t *testing.T) {
	s := servertest.OwnPostgres(t)
	client := connect(t, "postgres", s.DSN())
	for _, text := range []string{"CREATE ROLE guest LOGIN PASSWORD 'guest'", "REVOKE CREATE ON SCHEMA public FROM PUBLIC"} {
		if _, err := client.Exec(text); err != nil {
			t.Fatal(err)
		}
	}
	dsn := strings.Replace(s.DSN(), servertest.User+":"+servertest.Password, "guest:guest", 1)
	b, err := target.Open(t.Context(), dsn)
	if err == nil {
		b.Close()
		t.Fatal("a guest made a table")
	}
	if !strings.Contains(err.Error(), "cannot be made") || !strings.Contains(err.Error(), "give a database in which tables may be made") {
		t.Error(err)
	}
	until(t, "nobody is connected as guest", func() bool {
		return number(t, client, "SELECT count(*) FROM pg_stat_activity WHERE usename = 'guest'") == 0
	})
}

func TestEveryStrategyWorksOnARealDatabase(t *testing.T) {
	each(t, func(t *testing.T, r real, b target.Backend, _ *sql.DB) {
		for _, kind := range strategies.Kinds() {
			p := pooled(t, b, kind)
			var all sync.WaitGroup
			for range 4 {
				all.Go(func() {
					for i := range 10 {
						if err := useCtx(t.Context(), p, i%5 == 0); err != nil && p.Kind(err) != "already acquired" {
							t.Errorf("%s: %v", kind, err)
						}
					}
				})
			}
			all.Wait()
		}
	})
}

// A reset has a deadline and a goroutine of its own, both of which allocate.
func TestNothingIsResetWhereAVisitHasLeftNothing(t *testing.T) {
	b := backend(t, "sqlite")
	for _, strategy := range []string{"queue", "singleton", "static"} {
		p := pooled(t, b, strategy)
		cycle := func() {
			if err := p.Cycle(t.Context(), 100); err != nil {
				t.Error(err)
			}
		}
		if allocs := testing.AllocsPerRun(5, cycle); allocs >= 100 {
			t.Errorf("%s: 100 acquires and releases allocate %v times, want hardly ever", strategy, allocs)
		}
	}
}

func TestDownKillAndSlowNeedNoRights(t *testing.T) {
	each(t, func(t *testing.T, r real, b target.Backend, _ *sql.DB) {
		p := pooled(t, b, "queue?size=1&max_overflow=0&timeout=10s")
		must := func() {
			t.Helper()
			if err := use(p); err != nil {
				t.Error(err)
			}
		}
		must()
		in(t, p, func(c load.Conn) { // who uses it when it is killed
			if n := b.Faults().Kill(1); n != 1 {
				t.Errorf("killed %d, want 1", n)
			}
			wantKind(t, p, c.Use(t.Context(), true), "use failed")
		})
		_ = use(p) // fails where nothing shows that a file is gone; either way the next is a fresh one
		must()
		b.Faults().Down(true)
		for range 3 {
			if err := use(p); err == nil {
				t.Error("a use while the backend is down went well")
			}
		}
		if g := p.Gauges(); g.Open != 0 || g.Opened != 2 {
			t.Errorf("while it is down the gauges are %+v, want none open of 2", g)
		}
		b.Faults().Down(false)
		until(t, "the pool finds that it is back", func() bool { return use(p) == nil })
		b.Faults().Slow(1000)
		begun := time.Now()
		must()
		if slow := time.Since(begun); slow < time.Millisecond { // of 1 µs at least
			t.Errorf("1000 times slower takes %v", slow)
		}
		b.Faults().Slow(1e9)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		wantKind(t, p, useCtx(ctx, p, false), "timeout")
		b.Faults().Slow(1)
	})
}

// A file has no socket whose end would end what goes on. In real time, which is that of SQLite and its
// sleep; if the machine is so busy that the use has not begun after 5 ms it fails all the same.
func TestUseThatGoesOnWhenItIsKilledFails(t *testing.T) {
	b := backend(t, "sqlite")
	p := pooled(t, b, long)
	if err := use(p); err != nil {
		t.Fatal(err)
	}
	b.Faults().Slow(1e4) // of some 10 µs
	in(t, p, func(c load.Conn) {
		killed := make(chan struct{})
		time.AfterFunc(5*time.Millisecond, func() { b.Faults().Kill(1); close(killed) })
		wantKind(t, p, c.Use(t.Context(), false), "use failed")
		<-killed
	})
}

func TestDialGivesTheSameToOtherPools(t *testing.T) {
	each(t, func(t *testing.T, r real, b target.Backend, client *sql.DB) {
		m := &target.Meter{}
		c, end, err := b.Dial(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Use(t.Context(), true); err != nil {
			t.Error(err)
		}
		if sum := number(t, client, "SELECT sum(n) FROM "+table(t, r, client)); sum != 1 {
			t.Errorf("the rows have been written %d times, want 1", sum)
		}
		b.Faults().Down(true)
		if _, _, err := b.Dial(t.Context(), m); err == nil {
			t.Error("dialled what is down")
		}
		_ = end() // of a connection that was cut
		if g := m.Read(); g.Open != 0 || g.Opened != 1 || g.Closed != 1 {
			t.Errorf("the meter says %+v, want one that was opened and closed", g)
		}
		b.Faults().Down(false)
	})
}

func TestTableIsDroppedThoughOurConnectionHasDied(t *testing.T) {
	s := servertest.OwnPostgres(t)
	b, err := target.Open(t.Context(), s.DSN())
	if err != nil {
		t.Fatal(err)
	}
	s.Kill()
	s.Start()
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if n := number(t, connect(t, "postgres", s.DSN()), reals[1].tables); n != 0 {
		t.Errorf("%d tables are left behind", n)
	}
}

func TestSQLiteOfItsOwnLeavesNoFile(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	b, err := target.Open(t.Context(), "sqlite?_synchronous=OFF")
	if err != nil {
		t.Fatal(err)
	}
	if b.Name() != "sqlite" {
		t.Errorf("its name is %s", b.Name())
	}
	p := pooled(t, b, "queue")
	if err := useCtx(t.Context(), p, true); err != nil {
		t.Error(err)
	}
	shut(t, p)
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 1 {
		t.Errorf("there are %q, want one directory", left)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	for _, wrong := range []string{"sqlite?_journal=maybe", "sqlite?mode=ro"} {
		if b, err := target.Open(t.Context(), wrong); err == nil {
			b.Close()
			t.Errorf("%s: no error", wrong)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 0 {
		t.Errorf("%q are left behind", left)
	}
}

func TestSQLiteFileThatWasMadeIsDeleted(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "my bench?.db")
	b, err := target.Open(t.Context(), "sqlite:file:"+strings.NewReplacer(" ", "%20", "?", "%3F").Replace(path))
	if err != nil {
		t.Fatal(err)
	}
	if b.Name() != "sqlite:my bench?.db" {
		t.Errorf("its name is %s, want the file's, without the directory", b.Name())
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("%v are left behind", left)
	}
}

func TestSQLiteFileOfSomebodyElseIsNotTouched(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shop.db")
	client := connect(t, "sqlite3", "file:"+path)
	for _, text := range []string{"CREATE TABLE orders (id INTEGER)", "CREATE TABLE lidobench (id INTEGER)"} {
		if _, err := client.Exec(text); err != nil {
			t.Fatal(err)
		}
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := target.Open(t.Context(), "sqlite:"+path); err == nil {
		b.Close()
		t.Error("a file with other tables was taken")
	} else if !strings.Contains(err.Error(), "has tables of somebody's: give a file that does not exist yet") {
		t.Error(err)
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("the file was changed (%v)", err)
	}
	if err := os.WriteFile(path, []byte("this is no database, but a text of some length"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := target.Open(t.Context(), "sqlite:"+path); err == nil {
		t.Error("a text was taken for a database")
	}
}

func TestSQLiteTableOfARunThatWasKilledIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bench.db")
	client := connect(t, "sqlite3", "file:"+path)
	if _, err := client.Exec("CREATE TABLE lidobench (something TEXT)"); err != nil {
		t.Fatal(err)
	}
	b, err := target.Open(t.Context(), "sqlite:"+path)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if n := number(t, client, "SELECT count(*) FROM sqlite_master"); n != 0 {
		t.Errorf("%d tables are left", n)
	}
}

func TestSQLiteInMemory(t *testing.T) {
	p := pooled(t, backend(t, "sqlite:memdb:bench"), "queue?size=2&max_overflow=0")
	if err := useCtx(t.Context(), p, true); err != nil {
		t.Error(err)
	}
	for _, private := range []string{"sqlite::memory:", "sqlite:"} {
		if _, err := target.Open(t.Context(), private); err == nil || !strings.Contains(err.Error(), "sqlite:memdb:name") {
			t.Errorf("%s: %v; want an error with the remedy", private, err)
		}
	}
}

func TestWhatCannotBeReachedIsToldWithoutSecrets(t *testing.T) {
	const secret = "s3cret-nobody-may-see"
	pg, my := servertest.Postgres(t), servertest.MySQL(t)
	for _, tc := range []struct{ text, want string }{
		{strings.Replace(pg.DSN(), servertest.Password, secret, 1), "password"},
		{"mysql:" + strings.Replace(my.DSN(), servertest.Password, secret, 1), "denied"},
		{"postgres://me:" + secret + "@127.0.0.1:1/db?sslmode=disable", "refused"},
		{"postgres:host=127.0.0.1 port=1 user=me password=" + secret + " sslmode=disable", "refused"},
		{"mysql:me:" + secret + "@tcp(127.0.0.1:1)/db", "refused"},
		{"postgres://me:" + secret + "#@h/db", "percent-encoded"},
		{"mysql://me:" + secret + "@host/db", "write user:password@tcp(host:3306)/database"},
		{"me:" + secret + "@tcp(host)/db", "write mysql: before it"},
		{"host=db password=" + secret, "write postgres: before it"},
		{"me@x:" + secret, "unknown"},
		{secret + "@host", `"xxxxx": unknown`},
		{"oracle://me:" + secret + "@host/db", `"oracle": unknown; known: synthetic, sqlite, postgres, mysql`},
		{"postgrse://me:" + secret + "@host/db", `did you mean "postgres"?`},
		{"postgres", "give it like that"},
		{"sqlite3", `did you mean "sqlite"?`},
		{"sqlite:///" + secret + ".db", "sqlite:/tmp/app.db"},
		{"/var/" + secret + ".db", "write sqlite: before it"},
		{secret + ".db?_busy_timeout=1", "write sqlite: before it"},
		{"sqlite:" + filepath.Join(t.TempDir(), "no", "dir.db"), "directory must exist"},
	} {
		b, err := target.Open(t.Context(), tc.text)
		if err == nil {
			b.Close()
			t.Errorf("%s: no error", tc.text)
			continue
		}
		if text := fmt.Sprintf("%v %+v", err, err); strings.Contains(text, secret) || !strings.Contains(text, tc.want) || !strings.HasPrefix(text, "target: ") {
			t.Errorf("%s:\n\t%v\nwant %q, and no secret", tc.text, err, tc.want)
		}
	}
	for text, want := range map[string]string{
		pg.DSN():            "postgres://" + servertest.User + "@127.0.0.1:",
		"mysql:" + my.DSN(): "mysql:" + servertest.User + "@127.0.0.1:",
	} {
		if name := backend(t, text).Name(); strings.Contains(name, servertest.Password) || !strings.HasPrefix(name, want) {
			t.Errorf("the name is %s, want %s… and no password", name, want)
		}
	}
}

// In real time: it is the kernel that keeps a connect waiting.
func TestWhatDoesNotAnswerIsGivenUp(t *testing.T) {
	s := servertest.OwnPostgres(t)
	s.Freeze()
	defer s.Thaw()
	begun := time.Now()
	_, err := target.Open(t.Context(), s.DSN())
	if err == nil || !strings.Contains(err.Error(), "cannot be reached within 5s") {
		t.Errorf("a server that is frozen: %v", err)
	}
	if took := time.Since(begun); took > 15*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestNameOfTheApplicationIsKept(t *testing.T) {
	dsn := servertest.Postgres(t).Database(t)
	client := connect(t, "postgres", dsn)
	for _, tc := range []struct{ dsn, pattern string }{
		{dsn, "lidobench-%"},
		{dsn + "&application_name=it''s+mine", "it''''s mine"},
	} {
		b := backend(t, tc.dsn)
		p := pooled(t, b, "queue")
		in(t, p, func(load.Conn) {
			if n := number(t, client, "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE '"+tc.pattern+"'"); n != 2 {
				t.Errorf("%s: %d sessions are named like that, want ours and the pool's", tc.pattern, n)
			}
			if n, _, err := b.Sessions(t.Context()); n != 1 || err != nil {
				t.Errorf("%s: %d sessions are counted (%v), want the pool's", tc.pattern, n, err)
			}
		})
		shut(t, p)
	}
}

func TestNothingIsLeftBehindWhenOpenIsInterrupted(t *testing.T) {
	dsn := servertest.Postgres(t).Database(t)
	client := connect(t, "postgres", dsn)
	// Filling a new table waits for us, so that there is a moment to interrupt it.
	lock, err := client.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if _, err := lock.ExecContext(t.Context(), "SELECT pg_advisory_lock(1)"); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"CREATE FUNCTION stall() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_lock_shared(1); RETURN NULL; END $$",
		`CREATE FUNCTION stalled() RETURNS event_trigger LANGUAGE plpgsql AS $$ DECLARE made record; BEGIN
			FOR made IN SELECT * FROM pg_event_trigger_ddl_commands() WHERE object_type = 'table' LOOP
				EXECUTE 'CREATE TRIGGER stall BEFORE INSERT ON ' || made.object_identity || ' EXECUTE FUNCTION stall()';
			END LOOP; END $$`,
		"CREATE EVENT TRIGGER stalled ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION stalled()",
	} {
		if _, err := client.Exec(text); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		b, err := target.Open(ctx, dsn)
		if err == nil {
			err = b.Close()
		}
		ended <- err
	}()
	tables := "SELECT count(*) FROM pg_tables WHERE tablename LIKE 'lidobench%'"
	until(t, "the table is there", func() bool { return number(t, client, tables) == 1 })
	cancel()
	if _, err := lock.ExecContext(t.Context(), "SELECT pg_advisory_unlock(1)"); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Error("an interrupted open succeeded")
	}
	if n := number(t, client, tables); n != 0 {
		t.Errorf("%d tables are left behind", n)
	}
}
