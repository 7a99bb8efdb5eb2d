package postgres_test

import (
	"context"
	"database/sql/driver"
	"strings"
	"testing"

	"github.com/lidopool/lido/backends/postgres"
	"github.com/lidopool/lido/backends/servertest"
	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/strategies"
)

// begins are the ways to open a transaction.
var begins = map[string]func(*testing.T, *sqldriver.Conn){
	"by BeginTx": func(t *testing.T, c *sqldriver.Conn) {
		if _, err := c.BeginTx(context.Background(), driver.TxOptions{}); err != nil {
			t.Fatal(err)
		}
	},
	"by text": func(t *testing.T, c *sqldriver.Conn) { exec(t, c, "BEGIN") },
	"behind Raw": func(t *testing.T, c *sqldriver.Conn) {
		if _, err := c.Raw().(driver.ExecerContext).ExecContext(context.Background(), "BEGIN", nil); err != nil {
			t.Fatal(err)
		}
	},
}

func TestResetEndsATransactionSoThatOthersSeeIt(t *testing.T) {
	dsn := servertest.Postgres(t).Database(t)
	other := connect(t, backend(t, postgres.Backend{}, dsn))
	exec(t, other, "CREATE TABLE t(x int)")
	for mode, want := range map[sqldriver.ResetMode]string{"": "0", sqldriver.Rollback: "0", sqldriver.Commit: "1", sqldriver.Full: "0"} {
		for how, begin := range begins {
			t.Run("mode "+string(mode)+" "+how, func(t *testing.T) {
				exec(t, other, "TRUNCATE t")
				b := backend(t, postgres.Backend{Reset: mode}, dsn)
				c := connect(t, b)
				begin(t, c)
				exec(t, c, "INSERT INTO t VALUES (1)")
				if err := b.Reset(t.Context(), c); err != nil {
					t.Fatal(err)
				}
				if c.InTx() {
					t.Error("InTx is true after the reset")
				}
				wantQuery(t, other, "SELECT count(*) FROM t", want)
				wantQuery(t, c, "SELECT pg_current_xact_id_if_assigned() IS NULL", "true")
			})
		}
	}
}

func TestResetModeNoneLeavesTheTransaction(t *testing.T) {
	b := backend(t, postgres.Backend{Reset: sqldriver.NoReset}, servertest.Postgres(t).DSN())
	c := connect(t, b)
	exec(t, c, "BEGIN")
	if err := b.Reset(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	exec(t, c, "SAVEPOINT s")
}

func TestResetEndsAFailedTransaction(t *testing.T) {
	for _, mode := range []sqldriver.ResetMode{sqldriver.Rollback, sqldriver.Full} {
		b := backend(t, postgres.Backend{Reset: mode}, servertest.Postgres(t).DSN())
		c := connect(t, b)
		if try(c, "BEGIN; SELECT 1/0") == nil {
			t.Fatal("1/0 went well")
		}
		if err := b.Reset(t.Context(), c); err != nil {
			t.Errorf("%s: %v", mode, err)
		}
		wantQuery(t, c, "SELECT 1", "1")
	}
}

func TestResetGivesAConnectionWithOpenRowsUp(t *testing.T) {
	for _, mode := range []sqldriver.ResetMode{sqldriver.Rollback, sqldriver.Full} {
		b := backend(t, postgres.Backend{Reset: mode}, servertest.Postgres(t).DSN())
		c := connect(t, b)
		exec(t, c, "BEGIN")
		if _, err := c.For("SELECT").(driver.QueryerContext).QueryContext(t.Context(), "SELECT generate_series(1, 1000)", nil); err != nil {
			t.Fatal(err)
		}
		if err := b.Reset(t.Context(), c); err == nil {
			t.Errorf("%s: the next holder would read the rows of the last", mode)
		}
	}
}

// The server counts.
func TestReturnMakesARoundTripOnlyIfATransactionMayBeOpen(t *testing.T) {
	s := servertest.OwnPostgres(t, "log_statement=all")
	p, err := pool.New(backend(t, postgres.Backend{}, s.DSN()), strategies.Queue{Size: 1}, pool.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for _, tt := range []struct {
		name string
		use  func(*testing.T, *sqldriver.Conn)
		want string // what the server gets, each after a colon
	}{
		{"nothing", func(t *testing.T, c *sqldriver.Conn) {}, ""},
		{"autocommit", func(t *testing.T, c *sqldriver.Conn) { exec(t, c, "SELECT 'a'"); exec(t, c, "SELECT 'b'") }, ": SELECT 'a': SELECT 'b'"},
		{"a transaction that was ended", func(t *testing.T, c *sqldriver.Conn) {
			tx, err := c.BeginTx(t.Context(), driver.TxOptions{})
			if err == nil {
				err = tx.Commit()
			}
			if err != nil {
				t.Error(err)
			}
		}, ": BEGIN READ WRITE: COMMIT"},
		{"ping", func(t *testing.T, c *sqldriver.Conn) {
			if err := c.For("").(driver.Pinger).Ping(t.Context()); err != nil {
				t.Error(err)
			}
		}, ": ;"},
		{"a transaction left open", begins["by BeginTx"], ": BEGIN READ WRITE: ROLLBACK"},
		{"a transaction by text", begins["by text"], ": BEGIN: ROLLBACK"},
		{"a transaction by text that was ended", func(t *testing.T, c *sqldriver.Conn) { exec(t, c, "BEGIN; COMMIT") }, ": BEGIN; COMMIT: ROLLBACK"},
		{"something behind Raw", func(t *testing.T, c *sqldriver.Conn) { c.Raw() }, ": ROLLBACK"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := len(s.Log())
			err := p.Do(t.Context(), func(_ context.Context, c *sqldriver.Conn) error {
				tt.use(t, c)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			// What was sent has been answered, and is logged before the answer.
			var got strings.Builder
			for line := range strings.Lines(s.Log()[before:]) {
				if _, statement, ok := strings.Cut(line, "LOG:  statement"); ok {
					got.WriteString(strings.TrimSuffix(statement, "\n"))
				}
			}
			if got.String() != tt.want {
				t.Errorf("the server got%s\nwant%s", got.String(), tt.want)
			}
		})
	}
	if opened := p.Stats().Opened; opened != 1 {
		t.Errorf("%d connections were opened, want 1: a reset went wrong", opened)
	}
}

func TestFullResetBringsBackTheWholeSession(t *testing.T) {
	dsn := servertest.Postgres(t).Database(t) + "&search_path=pg_catalog&application_name=mine"
	other := connect(t, backend(t, postgres.Backend{}, dsn))
	exec(t, other, "CREATE ROLE "+"r_"+databaseOf(dsn)+"; CREATE SEQUENCE public.numbers")
	t.Cleanup(func() { exec(t, other, "DROP ROLE r_"+databaseOf(dsn)) })
	b := backend(t, postgres.Backend{Reset: sqldriver.Full}, dsn)
	c := connect(t, b)
	stmt, err := c.For("SELECT $1::int + 1").(driver.ConnPrepareContext).PrepareContext(t.Context(), "SELECT $1::int + 1")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, do, ask, want string }{
		{"setting", "SET work_mem = '7MB'", "SHOW work_mem", query(t, c, "SHOW work_mem")},
		{"setting of the DSN", "SET search_path = public", "SHOW search_path", "pg_catalog"},
		{"application name", "SET application_name = 'yours'", "SHOW application_name", "mine"},
		{"own setting", "SET my.secret = 'x'", "SELECT coalesce(current_setting('my.secret', true), '')", ""},
		{"role", "SET ROLE r_" + databaseOf(dsn), "SELECT current_user", servertest.User},
		{"session authorization", "SET SESSION AUTHORIZATION r_" + databaseOf(dsn), "SELECT session_user", servertest.User},
		{"temporary table", "CREATE TEMP TABLE tt(x int)", "SELECT count(*) FROM pg_class WHERE relname = 'tt'", "0"},
		{"advisory lock", "SELECT pg_advisory_lock(1)", "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()", "0"},
		{"listen", "LISTEN news", "SELECT count(*) FROM pg_listening_channels()", "0"},
		{"cursor", "BEGIN; DECLARE cur CURSOR WITH HOLD FOR SELECT 1; COMMIT", "SELECT count(*) FROM pg_cursors WHERE name = 'cur'", "0"},
		{"transaction", "BEGIN", "SELECT now() = statement_timestamp()", "true"},
		{"read only", "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "SHOW transaction_read_only", "off"},
		{"failed transaction", "BEGIN; SAVEPOINT s; SELECT 1/0", "SELECT 1", "1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_ = try(c, tt.do) // the last one fails
			if err := b.Reset(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			wantQuery(t, c, tt.ask, tt.want)
		})
	}
	if try(c, "SELECT currval('public.numbers')") == nil {
		t.Error("currval is defined before its nextval")
	}
	exec(t, c, "SELECT nextval('public.numbers')")
	if err := b.Reset(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if try(c, "SELECT currval('public.numbers')") == nil {
		t.Error("currval is left over from the last holder")
	}
	if _, err := stmt.(driver.StmtExecContext).ExecContext(t.Context(), []driver.NamedValue{{Ordinal: 1, Value: int64(1)}}); err != nil {
		t.Errorf("a prepared statement does not survive: %v", err)
	}
}

func databaseOf(dsn string) string {
	_, name, _ := strings.Cut(dsn[strings.LastIndex(dsn, "/"):], "/")
	name, _, _ = strings.Cut(name, "?")
	return name
}

func TestFullResetOfAnUnusedConnectionMakesNoRoundTrip(t *testing.T) {
	s := servertest.OwnPostgres(t, "log_statement=all")
	b := backend(t, postgres.Backend{Reset: sqldriver.Full}, s.DSN())
	c := connect(t, b)
	before := s.Log()
	if err := b.Reset(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if s.Log() != before {
		t.Errorf("the server got: %s", s.Log()[len(before):])
	}
	exec(t, c, "SELECT 1")
	if err := b.Reset(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(s.Log()[len(before):], "LOG:  statement"); n != 2 { // one message is one line
		t.Errorf("the server got %d messages for a query and a full reset, want 2:\n%s", n, s.Log()[len(before):])
	}
}

// One operation is the use of a connection, by SELECT 1, and its reset.
func BenchmarkReset(b *testing.B) {
	for _, mode := range []sqldriver.ResetMode{sqldriver.NoReset, sqldriver.Rollback, sqldriver.Full} {
		for name, text := range map[string]string{"autocommit": "SELECT 1", "transaction": "BEGIN; SELECT 1"} {
			b.Run(string(mode)+"/"+name, func(b *testing.B) {
				be := backend(b, postgres.Backend{Reset: mode}, servertest.Postgres(b).DSN())
				c := connect(b, be)
				for b.Loop() {
					exec(b, c, text)
					if err := be.Reset(b.Context(), c); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
