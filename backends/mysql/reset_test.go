package mysql_test

import (
	"context"
	"database/sql/driver"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/lidopool/lido/backends/mysql"
	"github.com/lidopool/lido/backends/servertest"
	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/internal/loopback"
	"github.com/lidopool/lido/pool"
)

// begins are the ways to open a transaction.
var begins = map[string]func(*testing.T, *sqldriver.Conn){
	"by BeginTx": func(t *testing.T, c *sqldriver.Conn) {
		if _, err := c.BeginTx(t.Context(), driver.TxOptions{}); err != nil {
			t.Fatal(err)
		}
	},
	"by text":            func(t *testing.T, c *sqldriver.Conn) { exec(t, c, "BEGIN") },
	"behind Raw":         func(t *testing.T, c *sqldriver.Conn) { raw(t, c, "BEGIN") },
	"after one by text":  func(t *testing.T, c *sqldriver.Conn) { exec(t, c, "BEGIN"); exec(t, c, "COMMIT AND CHAIN") },
	"by a procedure":     func(t *testing.T, c *sqldriver.Conn) { exec(t, c, "CALL starts()") },
	"by one that failed": func(t *testing.T, c *sqldriver.Conn) { wantNumber(t, try(c, "CALL fails()"), 1644) },
}

func raw(t testing.TB, c *sqldriver.Conn, text string) {
	t.Helper()
	if _, err := c.Raw().(driver.ExecerContext).ExecContext(context.Background(), text, nil); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

func TestResetEndsATransactionHoweverBegun(t *testing.T) {
	dsn := servertest.MySQL(t).Database(t)
	other := connect(t, backend(t, mysql.Backend{}, dsn))
	exec(t, other, "CREATE TABLE t(x INT)")
	exec(t, other, "CREATE PROCEDURE starts() START TRANSACTION")
	exec(t, other, "CREATE PROCEDURE fails() BEGIN START TRANSACTION; SIGNAL SQLSTATE '45000'; END")
	for mode, want := range map[sqldriver.ResetMode]string{"": "0", sqldriver.Rollback: "0", sqldriver.Commit: "1", sqldriver.Full: "0", sqldriver.NoReset: "0"} {
		for how, begin := range begins {
			t.Run("mode "+string(mode)+" "+how, func(t *testing.T) {
				exec(t, other, "DELETE FROM t")
				b := backend(t, mysql.Backend{Reset: mode}, dsn)
				c := connect(t, b)
				begin(t, c)
				exec(t, c, "INSERT INTO t VALUES (1)")
				if err := b.Reset(t.Context(), c); err != nil {
					t.Fatal(err)
				}
				if got, want := inTransaction(t, c), mode == sqldriver.NoReset; got != want {
					t.Errorf("after the reset a transaction is open: %v, want %v", got, want)
				}
				wantQuery(t, other, "SELECT COUNT(*) FROM t", want)
				if mode == sqldriver.NoReset {
					exec(t, c, "ROLLBACK")
				}
			})
		}
	}
}

func TestResetMakesNoRoundTripUnlessThereMayBeSomethingToEnd(t *testing.T) {
	// Of its own, since the statements of all sessions are counted.
	dsn := servertest.OwnMySQL(t).DSN()
	count := connect(t, backend(t, mysql.Backend{}, dsn))
	exec(t, count, "CREATE TABLE t(x INT)")
	statements := func() (n int) {
		t.Helper()
		fmt.Sscan(query(t, count, "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME='QUESTIONS'"), &n)
		return n
	}
	commit := func(c *sqldriver.Conn, after ...string) {
		tx, err := c.BeginTx(t.Context(), driver.TxOptions{})
		if err == nil {
			for _, text := range after {
				exec(t, c, text)
			}
			err = tx.Commit()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		what  string
		dsn   string
		reset sqldriver.ResetMode
		do    func(c *sqldriver.Conn)
		want  int
	}{
		{"nothing", "", "", func(c *sqldriver.Conn) {}, 0},
		{"a query", "", "", func(c *sqldriver.Conn) { query(t, c, "SELECT x FROM t") }, 0},
		{"autocommit", "", "", func(c *sqldriver.Conn) { exec(t, c, "INSERT INTO t VALUES (1)") }, 0},
		{"a transaction that was ended", "", "", func(c *sqldriver.Conn) { commit(c, "INSERT INTO t VALUES (1)") }, 0},
		{"a transaction that was not", "", "", func(c *sqldriver.Conn) { begins["by BeginTx"](t, c) }, 3},
		{"a transaction by texts", "", "", func(c *sqldriver.Conn) { exec(t, c, "BEGIN"); exec(t, c, "COMMIT") }, 3},
		{"anything behind Raw", "", "", func(c *sqldriver.Conn) { raw(t, c, "DO 1") }, 3},
		{"a query without autocommit", "?autocommit=0", "", func(c *sqldriver.Conn) { query(t, c, "SELECT x FROM t") }, 3},
		{"nothing without autocommit", "?autocommit=0", "", func(c *sqldriver.Conn) {}, 0},
		{"nothing, full", "", sqldriver.Full, func(c *sqldriver.Conn) {}, 0},
		{"a query, full", "", sqldriver.Full, func(c *sqldriver.Conn) { query(t, c, "SELECT x FROM t") }, 3},
		{"a transaction, none", "", sqldriver.NoReset, func(c *sqldriver.Conn) { exec(t, c, "BEGIN") }, 0},
	} {
		b := backend(t, mysql.Backend{Reset: tt.reset}, dsn+tt.dsn)
		c := connect(t, b)
		tt.do(c)
		before := statements()
		if err := b.Reset(t.Context(), c); err != nil {
			t.Errorf("%s: %v", tt.what, err)
		}
		if got := statements() - before - 1; got != tt.want { // one is the count itself
			t.Errorf("%s: the reset sent %d statements, want %d", tt.what, got, tt.want)
		}
		before = statements()
		if err := b.Reset(t.Context(), c); err != nil || statements()-before-1 != 0 {
			t.Errorf("%s: a second reset sent statements, or failed: %v", tt.what, err)
		}
	}
}

func TestResetUnlocksTables(t *testing.T) {
	dsn := servertest.MySQL(t).Database(t)
	for _, mode := range []sqldriver.ResetMode{sqldriver.Rollback, sqldriver.Commit, sqldriver.Full} {
		b := backend(t, mysql.Backend{Reset: mode}, dsn)
		c, other := connect(t, b), connect(t, b)
		exec(t, other, "DROP TABLE IF EXISTS t")
		exec(t, other, "CREATE TABLE t(x INT)")
		exec(t, c, "LOCK TABLES t WRITE")
		if err := b.Reset(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		exec(t, other, "SET lock_wait_timeout=1")
		exec(t, other, "INSERT INTO t VALUES (1)")
	}
}

func TestResetRefusesAConnectionWhoseHolderChangedWhenTransactionsBegin(t *testing.T) {
	dsn := servertest.MySQL(t).Database(t)
	for text, want := range map[string]string{
		"SET autocommit=0":      "autocommit is off",
		"SET completion_type=1": "completion_type is CHAIN",
		"XA START 'reset'":      "XAER_RMFAIL",
	} {
		b := backend(t, mysql.Backend{}, dsn)
		c := connect(t, b)
		exec(t, c, text)
		if err := b.Reset(t.Context(), c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Reset after %s: %v, want %q", text, err, want)
		}
	}
}

func TestWhereAutocommitIsOffEveryTextMayBeginATransaction(t *testing.T) {
	own := servertest.OwnMySQL(t)
	root := connect(t, backend(t, mysql.Backend{}, own.DSN()))
	exec(t, root, "CREATE TABLE t(x INT)")
	app := user(t, own, root, "app", "")
	for name, dsn := range map[string]string{"by the DSN": own.DSN() + "?autocommit=0", "by init_connect": app, "by the server": own.DSN()} {
		t.Run(name, func(t *testing.T) {
			if dsn == app {
				exec(t, root, "SET GLOBAL init_connect='SET autocommit=0'")
			} else if dsn == own.DSN() {
				exec(t, root, "SET GLOBAL autocommit=0")
			}
			defer exec(t, root, "SET GLOBAL init_connect=''")
			defer exec(t, root, "SET GLOBAL autocommit=1")
			b := backend(t, mysql.Backend{}, dsn)
			c := connect(t, b)
			exec(t, c, "INSERT INTO t VALUES (1)")
			if !inTransaction(t, c) {
				t.Error("a text has begun no transaction: this test tests nothing")
			}
			if err := b.Reset(t.Context(), c); err != nil {
				t.Errorf("reset: %v", err)
			}
			if inTransaction(t, c) {
				t.Error("after the reset a transaction is open")
			}
			wantQuery(t, c, "SELECT @@autocommit", "0")
			wantQuery(t, root, "SELECT COUNT(*) FROM t", "0")
		})
	}
}

func TestOpenRefusesASessionInWhichTransactionsChain(t *testing.T) {
	b := backend(t, mysql.Backend{}, servertest.MySQL(t).Database(t)+"?completion_type=1")
	_, err := b.Open(t.Context())
	if err == nil || !strings.Contains(err.Error(), "completion_type is CHAIN: set it to NO_CHAIN") {
		t.Errorf("got %v, want a refusal that says what to change", err)
	}
}

// traces are what a holder may leave in a session, and what another then must not find.
var traces = []struct{ leave, look, clean string }{
	{"SET @x=1", "SELECT @x IS NULL", "1"},
	{"CREATE TEMPORARY TABLE tmp(x INT)", "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_NAME='tmp'", "0"},
	{"SET sql_mode=''", "SELECT @@sql_mode LIKE '%STRICT%'", "1"},
	{"DO GET_LOCK('full', 0)", "SELECT IS_FREE_LOCK('full')", "1"},
	{"SET NAMES latin1", "SELECT CONCAT(@@character_set_client, @@character_set_results, @@collation_connection)", "utf8mb4utf8mb4utf8mb4_general_ci"},
	{"SET autocommit=0", "SELECT @@autocommit", "1"},
	{"SET completion_type=1", "SELECT @@completion_type", "NO_CHAIN"},
	{"USE information_schema", "SELECT DATABASE() LIKE 't\\_%'", "1"},
	{"LOCK TABLES t READ", "SELECT COUNT(*) FROM mysql.user WHERE 0", "0"},
	{"SET TRANSACTION READ ONLY", "SELECT 1", "1"},
	{"SET time_zone='+05:00'", "SELECT @@time_zone", "SYSTEM"},
}

func TestAFullResetLeavesNoTrace(t *testing.T) {
	b := backend(t, mysql.Backend{Reset: sqldriver.Full}, servertest.MySQL(t).Database(t))
	c := connect(t, b)
	exec(t, c, "CREATE TABLE t(x INT)")
	number := id(t, c)
	for _, trace := range traces {
		exec(t, c, trace.leave)
		if err := b.Reset(t.Context(), c); err != nil {
			t.Errorf("reset after %s: %v", trace.leave, err)
			continue
		}
		wantQuery(t, c, trace.look, trace.clean)
	}
	exec(t, c, "INSERT INTO t VALUES (1)") // not READ ONLY
	wantQuery(t, c, "SELECT CONNECTION_ID()", number)
}

func TestAFullResetBringsBackWhatTheDSNSays(t *testing.T) {
	db := servertest.MySQL(t).Database(t)
	for _, tt := range []struct{ params, look, want string }{
		{"sql_mode=%27ANSI%27&time_zone=%27%2B03%3A00%27&autocommit=0", "SELECT CONCAT(@@sql_mode LIKE '%ANSI%', @@time_zone, @@autocommit+0)", "1+03:000"},
		{"charset=nosuch,latin1,utf8mb4", "SELECT @@character_set_client", "latin1"},
		{"charset=latin1&collation=latin1_bin", "SELECT @@collation_connection", "latin1_bin"},
		{"collation=utf8mb4_bin", "SELECT CONCAT(@@character_set_client, @@collation_connection)", "utf8mb4utf8mb4_bin"},
		{"collation=latin1_bin", "SELECT CONCAT(@@character_set_client, @@collation_connection)", "latin1latin1_bin"},
		{"", "SELECT CONCAT(@@character_set_client, @@collation_connection)", "utf8mb4utf8mb4_general_ci"},
	} {
		b := backend(t, mysql.Backend{Reset: sqldriver.Full}, db+"?"+tt.params)
		c := connect(t, b)
		wantQuery(t, c, tt.look, tt.want)
		exec(t, c, "SET NAMES ascii, sql_mode='', time_zone='+09:00', autocommit=1")
		if err := b.Reset(t.Context(), c); err != nil {
			t.Errorf("%s: %v", tt.params, err)
			continue
		}
		wantQuery(t, c, tt.look, tt.want)
	}
}

func TestAFullResetRefusesWhatItCannotUndo(t *testing.T) {
	s := servertest.MySQL(t)
	b := backend(t, mysql.Backend{Reset: sqldriver.Full}, strings.Replace(s.DSN(), "/lido", "/", 1))
	c := connect(t, b) // in no database
	wantQuery(t, c, "SELECT DATABASE() IS NULL", "1")
	if err := b.Reset(t.Context(), c); err != nil {
		t.Errorf("reset: %v", err)
	}
	exec(t, c, "USE mysql")
	if err := b.Reset(t.Context(), c); err == nil || !strings.Contains(err.Error(), "name one") {
		t.Errorf("reset after USE without a database in the DSN: %v, want a refusal", err)
	}

	rows := connect(t, b)
	if _, err := rows.Raw().(driver.QueryerContext).QueryContext(t.Context(), thousand, nil); err != nil {
		t.Fatal(err)
	}
	if err := b.Reset(t.Context(), rows); err == nil {
		t.Error("reset under rows that were left open: nil, want an error")
	}
}

// The driver escapes strings by the server's last word about NO_BACKSLASH_ESCAPES. If a full reset
// changed that behind its back, the next holder's strings could break out of their quotes.
func TestAFullResetLeavesTheDriverNoWrongIdeaOfHowToEscape(t *testing.T) {
	b := backend(t, mysql.Backend{Reset: sqldriver.Full}, servertest.MySQL(t).Database(t)+"?interpolateParams=true")
	c := connect(t, b)
	exec(t, c, "SET sql_mode='NO_BACKSLASH_ESCAPES'")
	if err := b.Reset(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	const evil = `\' OR 1=1 -- `
	rows, err := c.Raw().(driver.QueryerContext).QueryContext(t.Context(), "SELECT ?", []driver.NamedValue{{Ordinal: 1, Value: evil}})
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	row := make([]driver.Value, 1)
	if err := rows.Next(row); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%s", row[0]); got != evil {
		t.Errorf("the server got %q, want %q", got, evil)
	}
}

// MySQL says why before it hangs up: 4031 to who was idle, 1053 when it shuts down.
func TestAFullResetHearsWhatTheServerSaidUnasked(t *testing.T) {
	s := servertest.MySQL(t)
	for said, want := range map[string]pool.Fault{
		"\xff\x1d\x04#08S01Server shutdown in progress": pool.AllDead,
		"\xff\xbf\x0f#HY000The client was disconnected": pool.Dead,
		"\x00\x00\x00": pool.Dead, // that all is well, it says to nobody who has not asked
	} {
		l, err := loopback.Listen()
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		clients := make(chan net.Conn, 1)
		go func() {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", s.Addr())
			if err != nil {
				client.Close()
				return
			}
			clients <- client
			go io.Copy(client, server)
			io.Copy(server, client)
			server.Close()
			client.Close()
		}()
		b := backend(t, mysql.Backend{Reset: sqldriver.Full}, s.Through(l.Addr().String()))
		c := connect(t, b)
		exec(t, c, "DO 1")
		packet := append([]byte{byte(len(said)), 0, 0, 0}, said...)
		if _, err := (<-clients).Write(packet); err != nil {
			t.Fatal(err)
		}
		err = b.Reset(t.Context(), c)
		wantClass(t, b, err, want)
		if n := number(err); said[0] == 0xff && n != uint16(said[1])|uint16(said[2])<<8 {
			t.Errorf("reset after the server said %q: %v, want what it said", said, err)
		}
	}
}

func TestAFullResetDropsPreparedStatements(t *testing.T) {
	b := backend(t, mysql.Backend{Reset: sqldriver.Full}, servertest.MySQL(t).Database(t))
	c := connect(t, b)
	s, err := c.For("SELECT ?").(driver.ConnPrepareContext).PrepareContext(t.Context(), "SELECT ?")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Reset(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	_, err = s.(driver.StmtQueryContext).QueryContext(t.Context(), []driver.NamedValue{{Ordinal: 1, Value: int64(1)}})
	wantNumber(t, err, 1243) // as the package's text says
	wantClass(t, b, err, pool.Sound)
}

func TestARollbackLeavesPreparedStatements(t *testing.T) {
	b := backend(t, mysql.Backend{}, servertest.MySQL(t).Database(t))
	c := connect(t, b)
	s, err := c.For("DO ?").(driver.ConnPrepareContext).PrepareContext(t.Context(), "DO ?")
	if err != nil {
		t.Fatal(err)
	}
	exec(t, c, "BEGIN")
	if err := b.Reset(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if _, err = s.(driver.StmtExecContext).ExecContext(t.Context(), []driver.NamedValue{{Ordinal: 1, Value: int64(1)}}); err != nil {
		t.Errorf("a statement prepared before the reset: %v", err)
	}
}

// One operation is what a holder does, and a return. The first line is the return of a connection
// with nothing to reset.
func BenchmarkReset(b *testing.B) {
	dsn := servertest.MySQL(b).Database(b)
	for _, bm := range []struct {
		name string
		mode sqldriver.ResetMode
		text string
	}{
		{"Clean", sqldriver.Rollback, ""}, {"Text", sqldriver.NoReset, "DO 1"}, {"TextAndRollback", sqldriver.Rollback, "BEGIN"}, {"TextAndFull", sqldriver.Full, "DO 1"},
	} {
		b.Run(bm.name, func(b *testing.B) {
			backend := backend(b, mysql.Backend{Reset: bm.mode}, dsn)
			c := connect(b, backend)
			for b.Loop() {
				if bm.text != "" {
					exec(b, c, bm.text)
				}
				if err := backend.Reset(b.Context(), c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
