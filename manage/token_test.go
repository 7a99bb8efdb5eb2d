package manage_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	gomysql "github.com/go-sql-driver/mysql"
	"github.com/lib/pq"

	"github.com/lidopool/lido/backends/mysql"
	"github.com/lidopool/lido/backends/postgres"
	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/manage"
	"github.com/lidopool/lido/pool"
)

type asker func(context.Context) (string, error)

// asking returns the backend of k with a Password.
func (k database) asking(password asker) manage.Backend {
	if k.name == "postgres" {
		return postgres.Backend{Grace: grace, Password: password}
	}
	return mysql.Backend{Grace: grace, Password: password}
}

// account is a user of a server, with a DSN that has no password.
type account struct {
	dsn    string
	change func(password string)
}

// account makes one, with a password.
func (k database) account(t *testing.T, password string) account {
	t.Helper()
	dsn := k.shared(t).Database(t)
	admin := k.plain(t, dsn)
	exec := func(text string) {
		t.Helper()
		if _, err := admin.Exec(text); err != nil {
			t.Fatal(err)
		}
	}
	user := "lido_" + strings.ToLower(rand.Text()[:10])
	if k.name == "postgres" {
		exec("CREATE ROLE " + user + " LOGIN PASSWORD '" + password + "'")
		t.Cleanup(func() { exec("DROP ROLE " + user) })
		return account{
			strings.Replace(dsn, dsn[strings.Index(dsn, "://"):strings.LastIndex(dsn, "@")], "://"+user, 1),
			func(password string) { exec("ALTER ROLE " + user + " PASSWORD '" + password + "'") },
		}
	}
	quoted := func(s string) string { return "'" + strings.ReplaceAll(s, `\`, `\\`) + "'" }
	exec("CREATE USER " + user + " IDENTIFIED BY " + quoted(password))
	t.Cleanup(func() { exec("DROP USER " + user) })
	exec("GRANT ALL ON " + nameIn(dsn) + ".* TO " + user)
	return account{
		user + dsn[strings.LastIndex(dsn, "@"):],
		func(password string) { exec("ALTER USER " + user + " IDENTIFIED BY " + quoted(password)) },
	}
}

// withPassword is its DSN with a password.
func (a account) withPassword(password string) string {
	at := strings.LastIndex(a.dsn, "@")
	return a.dsn[:at] + ":" + password + a.dsn[at:]
}

// isRefusedPassword reports whether a server did not take a password.
func isRefusedPassword(err error) bool {
	if e, ok := errors.AsType[*pq.Error](err); ok {
		return e.Code == "28P01"
	}
	e, ok := errors.AsType[*gomysql.MySQLError](err)
	return ok && e.Number == 1045
}

// What the guide says of passwords that change, with servers that change them.
func TestAPasswordThatChangesIsAskedForAtEachOpen(t *testing.T) {
	eachDatabase(t, func(t *testing.T, k database) {
		passwords := []string{`one:two\three@four/five`, "fourth-token"}
		var at, asked atomic.Int32
		a := k.account(t, passwords[0])
		m, db := k.openAs(t, k.asking(func(context.Context) (string, error) {
			asked.Add(1)
			return passwords[at.Load()], nil
		}), a.withPassword("ofTheDSN"), "pool_size=3")

		first := connOf(t, db) // stays in use, so that whoever comes next needs an open
		a.change(passwords[1])
		if _, err := first.ExecContext(t.Context(), "SELECT 1"); err != nil {
			t.Errorf("an open connection after the change: %v", err)
		}
		err := db.PingContext(t.Context())
		if !isRefusedPassword(err) {
			t.Errorf("an open with the old password: %v, want that it is refused", err)
		}
		for _, secret := range []string{passwords[0], "three", "ofTheDSN"} {
			if text := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(text, secret) {
				t.Errorf("the error shows a secret: %s", text)
			}
		}
		at.Store(1)
		second := connOf(t, db)
		if n := asked.Load(); n != 3 {
			t.Errorf("the password was asked for %d times, want once for each of 3 opens", n)
		}
		if _, err := first.ExecContext(t.Context(), "SELECT 1"); err != nil {
			t.Errorf("the old connection, beside a new one: %v", err)
		}

		// All else is as without Password: what the server has ended is found before it is lent.
		session := numbers(t, second, k.self)[0]
		if err := second.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Millisecond) // lib/pq's sockets are looked at after 1 ms
		k.killOne(t, session)
		third := connOf(t, db)
		if got := numbers(t, third, k.self)[0]; got == session {
			t.Errorf("session %d was lent after its end", got)
		}
		if n := asked.Load(); n != 4 {
			t.Errorf("the password was asked for %d times, want once more for the open that replaces the dead one", n)
		}
		for _, s := range m.All() {
			if s.Opened != 3 {
				t.Errorf("%d opened, want 3", s.Opened)
			}
		}
	})
}

// killOne ends a session of the shared server, and waits until it is gone.
func (k database) killOne(t *testing.T, session int64) {
	t.Helper()
	dsn := k.shared(t).Database(t)
	admin := k.plain(t, dsn)
	if _, err := admin.Exec(fmt.Sprintf(k.kill, session)); err != nil {
		t.Fatal(err)
	}
	alive := "SELECT COUNT(*) FROM pg_stat_activity WHERE pid = %d"
	if k.name == "mysql" {
		alive = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID = %d"
	}
	until(t, "the session is gone", func() bool { return numbers(t, admin, fmt.Sprintf(alive, session))[0] == 0 })
	time.Sleep(100 * time.Millisecond) // the end of its socket is still on its way
}

func TestAPasswordThatCannotBeHadFailsTheOpenAndSaysSo(t *testing.T) {
	eachDatabase(t, func(t *testing.T, k database) {
		a := k.account(t, "first-token")
		var ask atomic.Value
		m, db := k.openAs(t, k.asking(func(ctx context.Context) (string, error) { return ask.Load().(asker)(ctx) }),
			a.dsn, "pool_size=1&pool_open_timeout=100ms")
		for name, tc := range map[string]struct {
			ask  asker
			want string
		}{
			"error": {func(context.Context) (string, error) { return "", errors.New("the vault is sealed") }, "asking for the password: the vault is sealed"},
			"panic": {func(context.Context) (string, error) { panic("no key") }, "asking for the password: pool: Password panicked: no key"},
			"late":  {func(ctx context.Context) (string, error) { <-ctx.Done(); return "", context.Cause(ctx) }, "asking for the password: context deadline exceeded"},
			"stale": {func(context.Context) (string, error) { return "second-token", nil }, ""}, // the server says so
		} {
			ask.Store(tc.ask)
			began := time.Now()
			err := db.PingContext(t.Context())
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "-token") {
				t.Errorf("%s: %v, want %q and no token", name, err, tc.want)
			}
			if took := time.Since(began); took > patience/2 {
				t.Errorf("%s: took %v", name, took)
			}
		}
		ask.Store(asker(func(context.Context) (string, error) { return "first-token", nil }))
		until(t, "the password is to be had again", func() bool { return db.PingContext(t.Context()) == nil })

		plain, err := m.Key(k.name, a.dsn)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := m.Pool(plain); !ok {
			t.Errorf("no pool with key %v: the password must be no part of it", plain)
		}
	})
}

type poolName struct{}

// A manager with several databases, of which one has tokens and one a fixed password.
func TestPasswordTellsDatabasesApartByAHook(t *testing.T) {
	eachDatabase(t, func(t *testing.T, k database) {
		fixed, token := k.account(t, "fixed"), k.account(t, "a-token")
		m := newManager(t, manage.Options{Hooks: []pool.Hooks[*sqldriver.Conn]{{
			BeforeOpen: func(ctx context.Context, e pool.Event[*sqldriver.Conn]) (context.Context, error) {
				return context.WithValue(ctx, poolName{}, e.Pool), nil
			},
		}}})
		err := m.Register(k.asking(func(ctx context.Context) (string, error) {
			if ctx.Value(poolName{}) == "iam" {
				return "a-token", nil
			}
			return "", nil // that of the DSN
		}))
		if err != nil {
			t.Fatal(err)
		}
		for _, dsn := range []string{with(fixed.withPassword("fixed"), "pool_name=old"), with(token.dsn, "pool_name=iam")} {
			db, err := m.OpenDB(k.name, dsn)
			if err != nil {
				t.Fatal(err)
			}
			if err := db.PingContext(t.Context()); err != nil {
				t.Error(err)
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

// Behind COM_RESET_CONNECTION and DISCARD ALL the session is the same user's, without another login.
func TestAFullResetNeedsNoPassword(t *testing.T) {
	eachDatabase(t, func(t *testing.T, k database) {
		a := k.account(t, "token")
		var asked atomic.Int32
		_, db := k.openAs(t, k.asking(func(context.Context) (string, error) { asked.Add(1); return "token", nil }), a.dsn, "pool_size=1&pool_reset=full")
		for range 3 {
			c, err := db.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.ExecContext(t.Context(), "CREATE TEMPORARY TABLE once (a INT)"); err != nil {
				t.Error(err)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
		if n := asked.Load(); n != 1 {
			t.Errorf("asked %d times, want once: the connection was kept", n)
		}
	})
}

// connOf leases a connection until the end of the test.
func connOf(t *testing.T, db *sql.DB) *sql.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := db.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}
