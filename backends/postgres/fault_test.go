package postgres_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/lidopool/lido/backends/backendtest"
	"github.com/lidopool/lido/backends/postgres"
	"github.com/lidopool/lido/backends/servertest"
	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/pool"
)

// terminate ends the session of c, by another one.
func terminate(t *testing.T, admin, c *sqldriver.Conn) {
	t.Helper()
	exec(t, admin, "SELECT pg_terminate_backend("+query(t, c, "SELECT pg_backend_pid()")+")")
}

func TestErrorsThatEndTheSessionMeanDead(t *testing.T) {
	s := servertest.Postgres(t)
	b := backend(t, postgres.Backend{}, s.Database(t))
	admin := connect(t, b)
	for name, provoke := range map[string]func(t *testing.T, c *sqldriver.Conn) error{
		"killed while idle": func(t *testing.T, c *sqldriver.Conn) error {
			terminate(t, admin, c)
			return try(c, "SELECT 1")
		},
		"killed while idle, ping": func(t *testing.T, c *sqldriver.Conn) error {
			terminate(t, admin, c)
			return b.Ping(t.Context(), c)
		},
		"killed during a query": func(t *testing.T, c *sqldriver.Conn) error {
			return try(c, "SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(60)")
		},
		"killed in a transaction, commit": func(t *testing.T, c *sqldriver.Conn) error {
			tx, err := c.BeginTx(t.Context(), driver.TxOptions{})
			if err != nil {
				t.Fatal(err)
			}
			terminate(t, admin, c)
			return tx.Commit()
		},
		"killed between two rows": func(t *testing.T, c *sqldriver.Conn) error {
			const many = "SELECT repeat('x', 1000), pg_backend_pid() FROM generate_series(1, 100000)" // more than fits in buffers
			rows, err := c.Raw().(driver.QueryerContext).QueryContext(t.Context(), many, nil)
			if err != nil {
				t.Fatal(err)
			}
			row := make([]driver.Value, 2)
			if err := rows.Next(row); err != nil {
				t.Fatal(err)
			}
			exec(t, admin, fmt.Sprintf("SELECT pg_terminate_backend(%v)", row[1]))
			for err == nil {
				err = rows.Next(row)
			}
			return err
		},
		"idle in a transaction for too long": func(t *testing.T, c *sqldriver.Conn) error {
			exec(t, c, "SET idle_in_transaction_session_timeout = 1; BEGIN")
			return awaitError(t, c)
		},
		"idle for too long": func(t *testing.T, c *sqldriver.Conn) error {
			exec(t, c, "SET idle_session_timeout = 1")
			return awaitError(t, c)
		},
		"used after its close": func(t *testing.T, c *sqldriver.Conn) error {
			_ = c.Raw().Close()
			return try(c, "SELECT 1")
		},
		"a write to a read-only server": func(t *testing.T, c *sqldriver.Conn) error {
			exec(t, c, "SET default_transaction_read_only = on")
			return wantCode(t, try(c, "CREATE TABLE t()"), "25006")
		},
		"a write in a read-only transaction": func(t *testing.T, c *sqldriver.Conn) error {
			exec(t, c, "BEGIN READ ONLY")
			return wantCode(t, try(c, "CREATE TABLE t()"), "25006")
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := connect(t, b)
			err := provoke(t, c)
			if f := b.Classify(err); f != pool.Dead {
				t.Errorf("Classify(%T %v) = %v, want Dead", err, err, f)
			}
			code := ""
			if e, ok := errors.AsType[*pq.Error](err); ok {
				code = string(e.Code)
			}
			if v, ok := c.Raw().(driver.Validator); !ok || v.IsValid() != (code == "25006") {
				t.Errorf("after %v the driver says valid = %v", err, v.IsValid())
			}
		})
	}
}

// awaitError returns the error of a session that the server is about to end.
func awaitError(t *testing.T, c *sqldriver.Conn) (err error) {
	t.Helper()
	checker := backend(t, postgres.Backend{}, "").(pool.Checker[*sqldriver.Conn])
	until(t, "the server ends the session", func() bool { return checker.Check(t.Context(), c) != nil })
	return try(c, "SELECT 1")
}

func wantCode(t *testing.T, err error, code pqerror.Code) error {
	t.Helper()
	if e, ok := errors.AsType[*pq.Error](err); !ok || e.Code != code {
		t.Errorf("got %v, want an error of the server with code %s", err, code)
	}
	return err
}

func TestErrorsOfStatementsAreSound(t *testing.T) {
	b := backend(t, postgres.Backend{}, servertest.Postgres(t).Database(t))
	admin := connect(t, b)
	exec(t, admin, "CREATE TABLE t(x int PRIMARY KEY); INSERT INTO t VALUES (1)")
	for _, tt := range []struct {
		code pqerror.Code
		text string
	}{
		{"42601", "SELEC 1"},
		{"42P01", "SELECT * FROM nowhere"},
		{"23505", "INSERT INTO t VALUES (1)"},
		{"22012", "SELECT 1/0"},
		{"57014", "SET statement_timeout = 1; SELECT pg_sleep(60)"},
		{"55P03", "BEGIN; SET lock_timeout = 1; LOCK TABLE t"},
		{"25P02", "BEGIN; SAVEPOINT s; SELECT 1/0"}, // the code comes with the second statement, below
		{"26000", "EXECUTE nothing"},
		{"53200", "DO $$ BEGIN RAISE SQLSTATE '53200'; END $$"},
		{"40001", "DO $$ BEGIN RAISE SQLSTATE '40001'; END $$"},
		{"40P01", "DO $$ BEGIN RAISE SQLSTATE '40P01'; END $$"},
	} {
		t.Run(string(tt.code), func(t *testing.T) {
			if tt.code == "55P03" {
				exec(t, admin, "BEGIN; LOCK TABLE t")
				defer exec(t, admin, "ROLLBACK")
			}
			c := connect(t, b)
			err := try(c, tt.text)
			if tt.code == "25P02" {
				err = try(c, "SELECT 1")
			}
			_ = wantCode(t, err, tt.code)
			if f := b.Classify(err); f != pool.Sound {
				t.Errorf("Classify(%v) = %v, want Sound", err, f)
			}
			if err := b.Reset(t.Context(), c); err != nil {
				t.Errorf("reset: %v", err)
			}
			wantQuery(t, c, "SELECT 1", "1")
		})
	}
}

func TestACanceledQueryIsSoundAndItsConnectionIsGivenUpAtReset(t *testing.T) {
	b := backend(t, postgres.Backend{}, servertest.Postgres(t).DSN())
	c := connect(t, b)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond) // real: the server must be in mid-query
	defer cancel()
	err := wantCode(t, tryCtx(ctx, c, "SELECT pg_sleep(60)"), "57014")
	if f := b.Classify(err); f != pool.Sound {
		t.Errorf("Classify(%v) = %v, want Sound", err, f)
	}
	if err := b.Reset(t.Context(), c); b.Classify(err) != pool.Dead {
		t.Errorf("reset: got %v, want an error that means dead", err)
	}
}

func TestAServerThatIsFullMeansFull(t *testing.T) {
	s := servertest.OwnPostgres(t, "max_connections=8", "superuser_reserved_connections=3")
	admin := connect(t, backend(t, postgres.Backend{}, s.DSN()))
	exec(t, admin, "CREATE ROLE app LOGIN PASSWORD 'hunter2'; CREATE ROLE one LOGIN PASSWORD 'hunter2' CONNECTION LIMIT 1")
	exec(t, admin, "CREATE DATABASE small CONNECTION LIMIT 1")
	as := func(user, database string) string {
		dsn := strings.Replace(s.DSN(), servertest.User+":"+servertest.Password, user+":hunter2", 1)
		return strings.Replace(dsn, "/postgres?", "/"+database+"?", 1)
	}
	for _, tt := range []struct{ name, dsn, says string }{
		{"server", as("app", "postgres"), "reserved"},
		{"role", as("one", "postgres"), "too many connections for role"},
		{"database", as("app", "small"), "too many connections for database"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wantFull(t, backend(t, postgres.Backend{}, tt.dsn), tt.says)
		})
	}
}

func TestAPgBouncerThatIsFullMeansFull(t *testing.T) {
	s := servertest.PgBouncer(t, servertest.Postgres(t), "max_client_conn=1")
	wantFull(t, backend(t, postgres.Backend{}, s.DSN()), "no more connections allowed")
}

// wantFull opens connections until one is refused.
func wantFull(t *testing.T, b pool.Backend[*sqldriver.Conn], says string) {
	t.Helper()
	for range 8 {
		c, err := b.Open(t.Context())
		if err == nil {
			t.Cleanup(func() { _ = b.Close(context.Background(), c) })
			continue
		}
		if f := b.Classify(err); f != pool.Full || !strings.Contains(err.Error(), says) {
			t.Errorf("Classify(%v) = %v, want Full, of an error that says: %s", err, f, says)
		}
		return
	}
	t.Error("no open was refused")
}

func TestAServerThatWasKilledMeansDead(t *testing.T) {
	s := servertest.OwnPostgres(t)
	b := backend(t, postgres.Backend{}, s.DSN())
	idle, busy := connect(t, b), connect(t, b)
	begun := make(chan error)
	pid := query(t, busy, "SELECT pg_backend_pid()")
	go func() { begun <- try(busy, "SELECT pg_sleep(60)") }()
	until(t, "the query runs", func() bool {
		return query(t, idle, "SELECT state FROM pg_stat_activity WHERE pid = "+pid) == "active"
	})
	s.Kill()
	for name, err := range map[string]error{"idle": try(idle, "SELECT 1"), "in a query": <-begun} {
		if f := b.Classify(err); f != pool.Dead {
			t.Errorf("%s: Classify(%T %v) = %v, want Dead", name, err, err, f)
		}
	}
	if _, err := b.Open(t.Context()); !strings.Contains(fmt.Sprint(err), "refused") {
		t.Errorf("open while the server is away: %v", err)
	}
}

// What no server here can be brought to say at will.
func TestClassifyKnowsCodes(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want pool.Fault
	}{
		{nil, pool.Sound},
		{&pq.Error{Code: "57P01", Severity: "FATAL"}, pool.Dead},
		{&pq.Error{Code: "57P02", Severity: "WARNING"}, pool.AllDead},
		{&pq.Error{Code: "57P03", Severity: "FATAL"}, pool.AllDead},
		{&pq.Error{Code: "57P04", Severity: "ВАЖНО"}, pool.Dead},
		{&pq.Error{Code: "XX000", Severity: "PANIC"}, pool.Dead},
		{&pq.Error{Code: "XX000", Severity: "FATAL"}, pool.Dead},
		{&pq.Error{Code: "XX000", Severity: "ERROR"}, pool.Sound},
		{&pq.Error{Code: "0A000", Routine: "call_bool_check_hook", Severity: "ОШИБКА"}, pool.Dead},
		{&pq.Error{Code: "0A000", Routine: "transformWindowFuncCall", Severity: "ERROR"}, pool.Sound},
		{&pq.Error{}, pool.Sound},
		{&pq.Error{Code: "08006", Severity: "ERROR"}, pool.Dead},
		{&pq.Error{Code: "08P01", Severity: "FATAL", Message: "no more connections allowed (max_client_conn)"}, pool.Full},
		{fmt.Errorf("wrapped: %w", &pq.Error{Code: "25006"}), pool.Dead},
		{fmt.Errorf("wrapped: %w", driver.ErrBadConn), pool.Dead},
		{io.ErrUnexpectedEOF, pool.Dead},
		{&net.OpError{Op: "read", Err: errors.New("connection reset by peer")}, pool.Dead},
		{context.Canceled, pool.Sound},
		{pq.ErrInFailedTransaction, pool.Sound},
		{errors.New("the user's own"), pool.Sound},
	} {
		if got := postgres.Classify(tt.err); got != tt.want {
			t.Errorf("Classify(%v) = %v, want %v", tt.err, got, tt.want)
		}
	}
}

func TestANetworkThatBreaksMeansDead(t *testing.T) {
	s := servertest.Postgres(t)
	for name, fail := range map[string]func(*backendtest.Proxy){
		"cut in the middle of a result": func(p *backendtest.Proxy) { p.CutAfter(100_000) },
		"cut before the answer":         func(p *backendtest.Proxy) { p.CutAfter(0) },
		"reset":                         (*backendtest.Proxy).Reset,
	} {
		for kind, dsn := range map[string]func(string) string{"plain": func(dsn string) string { return dsn }, "TLS": withTLS} {
			t.Run(name+", "+kind, func(t *testing.T) {
				p := backendtest.NewProxy(t, s.Addr())
				b := backend(t, postgres.Backend{}, dsn(s.Through(p.Addr())))
				c := connect(t, b)
				fail(p)
				err := try(c, "SELECT repeat('x', 1000) FROM generate_series(1, 1000)")
				if f := b.Classify(err); f != pool.Dead {
					t.Errorf("Classify(%T %v) = %v, want Dead", err, err, f)
				}
			})
		}
	}
}
