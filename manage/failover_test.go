package manage_test

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	gomysql "github.com/go-sql-driver/mysql"

	"github.com/lidopool/lido/backends/mysql"
	"github.com/lidopool/lido/backends/postgres"
	"github.com/lidopool/lido/manage"
)

// demotable starts a server of its own with a table t, and returns a DSN of somebody who has to obey when it takes no
// writes, and what demotes and promotes it. As in a fail-over in which the name leads to the same address still.
func (k database) demotable(t *testing.T) (dsn string, demote, promote func()) {
	s := k.own(t)
	admin := k.plain(t, s.DSN())
	mustExec(t, admin, "CREATE TABLE t (n INT)")
	if k.name == "postgres" {
		set := func(readOnly string) func() {
			return func() {
				mustExec(t, admin, "SET default_transaction_read_only = off")
				mustExec(t, admin, "ALTER SYSTEM SET default_transaction_read_only = "+readOnly)
				mustExec(t, admin, "SELECT pg_reload_conf()")
				until(t, "the server has read its settings", func() bool {
					other := k.plain(t, s.DSN())
					defer other.Close()
					return number(t, other, "SELECT count(*) FROM pg_settings WHERE name = 'default_transaction_read_only' AND setting = '"+readOnly+"'") == 1
				})
			}
		}
		return s.DSN(), set("on"), set("off")
	}
	mustExec(t, admin, "CREATE USER app IDENTIFIED BY 'pw'")
	mustExec(t, admin, "GRANT SELECT, INSERT ON *.* TO app")
	config, err := gomysql.ParseDSN(s.DSN())
	if err != nil {
		t.Fatal(err)
	}
	config.User, config.Passwd = "app", "pw"
	return config.FormatDSN(), func() { mustExec(t, admin, "SET GLOBAL read_only = 1") }, func() { mustExec(t, admin, "SET GLOBAL read_only = 0") }
}

func TestAConnectionToADemotedPrimaryIsRetiredAtItsFirstError(t *testing.T) {
	eachDatabase(t, func(t *testing.T, k database) {
		dsn, demote, promote := k.demotable(t)
		m, db := k.open(t, dsn, "pool_size=1&pool_max_overflow=0")
		mustExec(t, db, "INSERT INTO t VALUES (1)")
		before := number(t, db, k.self)
		demote()
		var refused error
		until(t, "the session takes no writes", func() bool { // PostgreSQL tells its sessions one after the other
			_, refused = db.Exec("INSERT INTO t VALUES (2)")
			return refused != nil
		})
		if text := refused.Error(); !strings.Contains(text, "read-only") {
			t.Errorf("a write: %v, want the server's own refusal", refused)
		}
		if after := number(t, db, k.self); after == before {
			t.Errorf("after %v the same connection is in use, want another", refused)
		}
		if n := number(t, db, "SELECT COUNT(*) FROM t"); n < 1 {
			t.Errorf("who only reads found %d rows", n)
		}
		promote()
		mustEventually(t, db, "INSERT INTO t VALUES (3)")
		k.atRest(t, m, dsn, 1)
	})
}

func TestValidateRefusesADemotedPrimaryUntilItTakesWritesAgain(t *testing.T) {
	primaries := map[string]manage.Backend{
		"postgres": postgres.Backend{Validate: postgres.Primary}, "mysql": mysql.Backend{Validate: mysql.Primary},
	}
	says := map[string]string{"postgres": "the server takes no writes", "mysql": "server is read-only"}
	eachDatabase(t, func(t *testing.T, k database) {
		dsn, demote, promote := k.demotable(t)
		m, db := k.openAs(t, primaries[k.name], dsn, "pool_size=2&pool_max_overflow=0&pool_backoff_max=20ms")
		fill(t, db, 2)
		demote()
		var last error
		until(t, "both connections are retired", func() bool {
			_, err := db.Exec("INSERT INTO t VALUES (1)")
			last = err
			return err != nil && strings.Contains(err.Error(), says[k.name])
		})
		if _, err := db.Conn(t.Context()); err == nil || !strings.Contains(err.Error(), says[k.name]) {
			t.Errorf("Acquire: %v, want it to say why, as %v did", err, last)
		}
		if s := statsOf(t, m, k.name, dsn); s.Open != 0 {
			t.Errorf("%d connections to a server that takes no writes are open", s.Open)
		}
		promote()
		mustEventually(t, db, "INSERT INTO t VALUES (2)")
		atOnce(4, 25, func(worker, i int) {
			if _, err := db.Exec(fmt.Sprintf("INSERT INTO t VALUES (%d)", i)); err != nil {
				t.Errorf("when it is writable again: %v", err)
			}
		})
		k.atRest(t, m, dsn, 2)
	})
}

// mustEventually executes a statement until it goes well: the pool may be in a pause after a failed open.
func mustEventually(t *testing.T, db *sql.DB, query string) {
	t.Helper()
	until(t, query, func() bool { _, err := db.Exec(query); return err == nil })
}
