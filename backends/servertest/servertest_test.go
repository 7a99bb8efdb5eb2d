package servertest_test

import (
	"context"
	"database/sql"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/lidopool/lido/backends/servertest"
)

// Servers answer in real time, and these tests wait for them: for an answer, with
// this deadline. It is so long that only a hang exceeds it.
const patience = 30 * time.Second

// The two kinds of server that hold data.
var kinds = map[string]struct {
	driver string
	shared func(testing.TB) *servertest.Server
	own    func(testing.TB, ...string) *servertest.Server
	limit  string // asks for the setting max_connections
}{
	"PostgreSQL": {"postgres", servertest.Postgres, servertest.OwnPostgres, "SELECT current_setting('max_connections')"},
	"MariaDB":    {"mysql", servertest.MySQL, servertest.OwnMySQL, "SELECT @@max_connections"},
}

func open(t *testing.T, driver, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func execute(t *testing.T, db *sql.DB, statement string) {
	t.Helper()
	if _, err := db.ExecContext(within(t), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func ask(t *testing.T, db *sql.DB, query string) string {
	t.Helper()
	var answer string
	if err := db.QueryRowContext(within(t), query).Scan(&answer); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return answer
}

func TestEveryDatabaseIsEmptyAndGoneAfterTheTest(t *testing.T) {
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			s := kind.shared(t)
			var dsn string
			t.Run("first", func(t *testing.T) {
				dsn = s.Database(t)
				db := open(t, kind.driver, dsn)
				execute(t, db, "CREATE TABLE x (n int)")
				execute(t, open(t, kind.driver, s.Database(t)), "CREATE TABLE x (n int)")
			})
			if err := open(t, kind.driver, dsn).PingContext(within(t)); err == nil {
				t.Error("the database of a test that is over can still be opened, want it dropped")
			}
		})
	}
}

func TestSharedServersAreSharedAndOwnOnesAreNot(t *testing.T) {
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			a, b, c := kind.shared(t), kind.shared(t), kind.own(t)
			if a.Addr() != b.Addr() {
				t.Errorf("two shared servers, %s and %s, want one", a.Addr(), b.Addr())
			}
			if c.Addr() == a.Addr() {
				t.Errorf("the own server is the shared one, %s", c.Addr())
			}
		})
	}
}

func TestServersWantThePasswordAndTakeTLSAndPlain(t *testing.T) {
	for name, way := range map[string]struct{ driver, tls, plain, encrypted string }{
		"PostgreSQL": {"postgres", "sslmode=require", "sslmode=disable",
			"SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"},
		"MariaDB": {"mysql", "tls=skip-verify", "tls=false",
			"SELECT if(variable_value = '', 'false', 'true') FROM information_schema.session_status WHERE variable_name = 'Ssl_cipher'"},
	} {
		t.Run(name, func(t *testing.T) {
			dsn := kinds[name].own(t).DSN()
			base, _, _ := strings.Cut(dsn, "?")
			if got := ask(t, open(t, way.driver, base+"?"+way.tls), way.encrypted); got != "true" {
				t.Errorf("with %s: encrypted = %s, want true", way.tls, got)
			}
			if got := ask(t, open(t, way.driver, base+"?"+way.plain), way.encrypted); got != "false" {
				t.Errorf("with %s: encrypted = %s, want false", way.plain, got)
			}
			if !strings.Contains(dsn, servertest.Password) {
				t.Fatalf("the password is not in the DSN %s", dsn)
			}
			wrong := strings.Replace(dsn, servertest.Password, "wrong", 1)
			if err := open(t, way.driver, wrong).PingContext(within(t)); err == nil {
				t.Error("a wrong password is accepted")
			}
		})
	}
}

func TestSettingsReachTheServer(t *testing.T) {
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			s := kind.own(t, "max_connections=17")
			if got := ask(t, open(t, kind.driver, s.DSN()), kind.limit); got != "17" {
				t.Errorf("max_connections = %s, want 17", got)
			}
		})
	}
}

func TestWhatWasCommittedSurvivesKillAndStop(t *testing.T) {
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			s := kind.own(t)
			addr := s.Addr()
			db := open(t, kind.driver, s.DSN())
			execute(t, db, "CREATE TABLE ledger (n int)")
			for i, end := range []func(){s.Kill, s.Stop, s.Kill} {
				execute(t, db, "INSERT INTO ledger VALUES (1)")
				end()
				// The pool of database/sql would hide for a while that nobody is there.
				if err := open(t, kind.driver, s.DSN()).PingContext(within(t)); err == nil {
					t.Fatalf("end %d: somebody still answers at %s", i, addr)
				}
				s.Start()
				db = open(t, kind.driver, s.DSN())
				if got, want := ask(t, db, "SELECT count(*) FROM ledger"), string(rune('1'+i)); got != want {
					t.Errorf("after end %d: %s rows, want %s", i, got, want)
				}
			}
			if s.Addr() != addr {
				t.Errorf("the address was %s and is %s now, want the same", addr, s.Addr())
			}
		})
	}
}

func TestAFrozenServerAnswersOnlyWhenItThaws(t *testing.T) {
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			s := kind.own(t)
			db := open(t, kind.driver, s.DSN())
			conn, err := db.Conn(within(t))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			s.Freeze()
			answer := make(chan error, 1)
			go func() {
				_, err := conn.ExecContext(context.Background(), "SELECT 1")
				answer <- err
			}()
			select {
			case err := <-answer:
				t.Fatalf("a frozen server answered: %v", err)
			case <-time.After(100 * time.Millisecond): // a thousand times what an answer takes
			}
			s.Thaw()
			select {
			case err := <-answer:
				if err != nil {
					t.Errorf("the statement that waited for the thaw: %v, want nil", err)
				}
			case <-time.After(patience):
				t.Fatal("no answer after the thaw")
			}
		})
	}
}

func TestAFrozenServerCanBeKilled(t *testing.T) {
	s := servertest.OwnPostgres(t)
	open(t, "postgres", s.DSN()).Ping()
	s.Freeze()
	s.Kill()
	s.Start()
	if got := ask(t, open(t, "postgres", s.DSN()), "SELECT 1"); got != "1" {
		t.Errorf("SELECT 1 = %s", got)
	}
}

func TestAServerThatEndedByItselfCanBeStarted(t *testing.T) {
	owner := &standIn{TB: t}
	s := servertest.OwnMySQL(owner)
	execute(t, open(t, "mysql", s.DSN()), "SHUTDOWN")
	// As long as there still is a process, Start fails the test that owns the server.
	for deadline := time.Now().Add(patience); owner.run(s.Start) != "passed"; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it cannot be started: %s", owner.text)
		}
	}
	ask(t, open(t, "mysql", s.DSN()), "SELECT 1")
}

func TestPgBouncerStandsBeforeItsServer(t *testing.T) {
	pg := servertest.OwnPostgres(t)
	b := servertest.PgBouncer(t, pg, "pool_mode=transaction", "default_pool_size=2")
	db := open(t, "postgres", b.Database(t)+"&binary_parameters=yes")
	if got := ask(t, db, "SELECT inet_server_port()"); !strings.HasSuffix(pg.Addr(), ":"+got) {
		t.Errorf("the answer comes from port %s, want that of %s", got, pg.Addr())
	}
	admin := open(t, "postgres", servertest.Redirect(strings.Replace(pg.DSN(), "/postgres?", "/pgbouncer?", 1), b.Addr()))
	for key, want := range map[string]string{"pool_mode": "transaction", "default_pool_size": "2"} {
		if got := config(t, admin, key); got != want {
			t.Errorf("%s = %s, want %s", key, got, want)
		}
	}
	b.Kill()
	b.Start()
	pg.Stop()
	pg.Start()
	ask(t, open(t, "postgres", b.DSN()), "SELECT 1")
}

// config asks the console of PgBouncer, which knows only the simple protocol.
func config(t *testing.T, admin *sql.DB, key string) string {
	t.Helper()
	rows, err := admin.QueryContext(within(t), "SHOW CONFIG")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name, value, fallback, changeable sql.NullString
		if err := rows.Scan(&name, &value, &fallback, &changeable); err != nil {
			t.Fatal(err)
		}
		if name.String == key {
			return value.String
		}
	}
	t.Fatalf("PgBouncer has no setting %s: %v", key, rows.Err())
	return ""
}

func TestAStandbyStreamsAndRefusesToWriteUntilItIsPromoted(t *testing.T) {
	primary := servertest.OwnPostgres(t, "synchronous_standby_names=standby", "synchronous_commit=remote_apply")
	s := servertest.Standby(t, primary)
	execute(t, open(t, "postgres", primary.DSN()), "CREATE TABLE x AS SELECT 7 AS n")
	db := open(t, "postgres", s.DSN())
	if got := ask(t, db, "SELECT n FROM x"); got != "7" {
		t.Errorf("the standby has %s, want what the primary was told was applied", got)
	}
	if got := ask(t, db, "SELECT pg_is_in_recovery()"); got != "true" {
		t.Errorf("in recovery: %s, want true", got)
	}
	if _, err := db.ExecContext(within(t), "INSERT INTO x VALUES (8)"); err == nil || !strings.Contains(err.Error(), "read-only") {
		t.Errorf("a standby wrote: %v, want an error that says read-only", err)
	}
	s.Kill() // it follows again after a restart
	s.Start()
	execute(t, open(t, "postgres", primary.DSN()), "INSERT INTO x VALUES (8)")
	primary.Kill()
	s.Promote()
	db = open(t, "postgres", s.DSN())
	execute(t, db, "INSERT INTO x VALUES (9)")
	if got := ask(t, db, "SELECT sum(n) FROM x"); got != "24" {
		t.Errorf("the sum is %s after the promotion, want 7 + 8 + 9", got)
	}
}

func TestLogHoldsTheStatements(t *testing.T) {
	s := servertest.OwnPostgres(t, "log_statement=all")
	ask(t, open(t, "postgres", s.DSN()), "SELECT 'a needle'")
	if !strings.Contains(s.Log(), "SELECT 'a needle'") {
		t.Errorf("the statement is not in the log:\n%s", s.Log())
	}
}

func TestTheServerOfTheEnvironmentTakesPrecedenceButIsNobodysOwn(t *testing.T) {
	for name, variable := range map[string]string{"PostgreSQL": "LIDO_TEST_POSTGRES_DSN", "MariaDB": "LIDO_TEST_MYSQL_DSN"} {
		t.Run(name, func(t *testing.T) {
			kind := kinds[name]
			named := kind.own(t)
			t.Setenv(variable, named.DSN())
			s := kind.shared(t)
			if s.Addr() != named.Addr() || s.DSN() != named.DSN() {
				t.Errorf("the shared server is %s at %s, want %s at %s", s.DSN(), s.Addr(), named.DSN(), named.Addr())
			}
			execute(t, open(t, kind.driver, s.Database(t)), "CREATE TABLE x (n int)")
			if got := kind.own(t).Addr(); got == named.Addr() {
				t.Errorf("the own server is that of the environment, at %s", got)
			}
		})
	}
}

// A stand-in is a test that ends in a way which is looked at.
type standIn struct {
	testing.TB
	end, text string
}

func (s *standIn) Helper()                      {}
func (s *standIn) Skip(args ...any)             { s.exit("skipped", fmt.Sprint(args...)) }
func (s *standIn) Fatal(args ...any)            { s.exit("failed", fmt.Sprint(args...)) }
func (s *standIn) Fatalf(f string, args ...any) { s.exit("failed", fmt.Sprintf(f, args...)) }
func (s *standIn) exit(end, text string)        { s.end, s.text = end, text; runtime.Goexit() }

// run runs what may end the test, and returns how it ended.
func (s *standIn) run(f func()) string {
	s.end = "passed"
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f()
	}()
	<-ended
	return s.end
}

func TestAServerOfTheEnvironmentThatIsNotThereFailsTheTestAndShowsNoPassword(t *testing.T) {
	for _, dsn := range []string{
		"postgres://u:s3cret@127.0.0.1:bad/x", "host=127.0.0.1 password=s3cret", "u:s3cret@127.0.0.1", "u:s3cret@unix(/none)/x",
		"postgres://u:s3cret@127.0.0.1:1/x?sslmode=disable",
	} {
		t.Setenv("LIDO_TEST_POSTGRES_DSN", dsn)
		got := &standIn{}
		got.run(func() { servertest.Postgres(got) })
		if got.end != "failed" || !strings.Contains(got.text, "LIDO_TEST_POSTGRES_DSN") || strings.Contains(got.text, "s3cret") {
			t.Errorf("with %q the test %s: %s\nwant it to fail, to name the variable, and not to show the password", dsn, got.end, got.text)
		}
	}
}

func TestWithoutBinariesATestIsSkippedUnlessStrict(t *testing.T) {
	for strict, want := range map[string]string{"": "skipped", "1": "failed"} {
		t.Setenv("LIDO_STRICT", strict)
		got := &standIn{}
		got.run(func() { servertest.Missing(got) })
		if got.end != want || !strings.Contains(got.text, "no postgres on this machine: `make setup`") {
			t.Errorf("with LIDO_STRICT=%q the test %s: %s\nwant %s, and the command that helps", strict, got.end, got.text, want)
		}
	}
}

func TestRedirectChangesTheAddressAlone(t *testing.T) {
	for dsn, want := range map[string]string{
		"postgres://u:p%40w@127.0.0.1:1/db?sslmode=disable": "postgres://u:p%40w@[::1]:2/db?sslmode=disable",
		"u:p@w@tcp(127.0.0.1:1)/db?loc=Local":               "u:p@w@tcp([::1]:2)/db?loc=Local",
	} {
		if got := servertest.Redirect(dsn, "[::1]:2"); got != want {
			t.Errorf("Redirect(%q) = %q, want %q", dsn, got, want)
		}
	}
}

func TestASharedServerCannotBeDisturbed(t *testing.T) {
	s := servertest.Postgres(t)
	for name, disturb := range map[string]func(){"Kill": s.Kill, "Stop": s.Stop, "Start": s.Start, "Freeze": s.Freeze, "Thaw": s.Thaw} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s of a shared server does not panic", name)
				}
			}()
			disturb()
		}()
	}
}
