package manage_test

import (
	"database/sql"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lidopool/lido/backends/postgres"
	"github.com/lidopool/lido/backends/servertest"
)

// newPair starts a PostgreSQL with a standby, which has what was committed before the client hears of it.
func newPair(t *testing.T) (primary, standby *servertest.Server) {
	t.Helper()
	primary = servertest.OwnPostgres(t, "synchronous_standby_names=standby", "synchronous_commit=remote_apply")
	return primary, servertest.Standby(t, primary)
}

// oneOf is a DSN that names several servers.
func oneOf(servers ...*servertest.Server) string {
	var hosts, ports []string
	for _, s := range servers {
		host, port, _ := net.SplitHostPort(s.Addr())
		hosts, ports = append(hosts, host), append(ports, port)
	}
	return fmt.Sprintf("postgres:///postgres?user=%s&password=%s&sslmode=disable&host=%s&port=%s",
		servertest.User, servertest.Password, strings.Join(hosts, ","), strings.Join(ports, ","))
}

// 16 goroutines on 10 connections write, in transactions and without, while the primary ends and its standby takes over.
func TestAPoolOfTwoHostsFollowsThePrimary(t *testing.T) {
	k := postgresql.patient()
	for _, tt := range []struct {
		name, attrs string
		end         func(*servertest.Server)
		standbyLast bool
	}{
		{"stopped", "primary", (*servertest.Server).Stop, false},
		{"killed", "read-write", (*servertest.Server).Kill, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel() // much of the time is spent waiting
			primary, standby := newPair(t)
			dsn := oneOf(standby, primary)
			if tt.standbyLast {
				dsn = oneOf(primary, standby)
			}
			dsn = with(dsn, "target_session_attrs="+tt.attrs)
			m, db := k.open(t, dsn, fmt.Sprintf("pool_size=%d&pool_max_overflow=0", most))
			mustExec(t, db, "CREATE TABLE ledger (id BIGINT, part INT)") // without a key, so that a row can be there twice

			b := &books{insert: k.insert, alone: "INSERT INTO ledger VALUES ($1, 0), ($1, 1)", fates: map[int64]fate{}, errs: map[string]int{}}
			b.giveUp.Store(int64(patience))
			stop := make(chan struct{})
			end := sync.OnceFunc(func() { close(stop) })
			defer end() // also if the test gives up
			var busy sync.WaitGroup
			for range 16 {
				busy.Go(func() { b.work(db, stop) })
			}
			until(t, "work is going on", func() bool { return b.count(committed) > 200 })
			if n := b.count(failed) + b.count(doubtful); n != 0 {
				t.Errorf("%d transactions failed before anything happened", n)
			}

			tt.end(primary)
			gone := time.Now()
			until(t, "somebody has heard that there is no primary", func() bool {
				_, err := db.Exec("SELECT 1")
				return err != nil && strings.Contains(err.Error(), "target_session_attrs="+tt.attrs+" asks for")
			})
			standby.Promote()
			back := time.Now()
			var first, ten time.Duration
			until(t, "ten transactions in a row go well", func() bool {
				first, ten = b.recovered(back)
				return ten > 0
			})
			if ten > recovery {
				t.Errorf("ten transactions in a row went well %v after the promotion, want %v at most", ten, recovery)
			}
			after := b.count(committed)
			until(t, "work goes on", func() bool { return b.count(committed) > after+200 })
			end()
			busy.Wait()

			k.atRest(t, m, dsn, most)
			b.compare(t, k.plain(t, standby.DSN()))
			t.Logf("without a primary for %v; the first transaction %v after the promotion, ten in a row after %v; committed %d, doubtful %d, failed %d",
				back.Sub(gone).Round(time.Millisecond), first.Round(time.Millisecond), ten.Round(time.Millisecond),
				b.count(committed), b.count(doubtful), b.count(failed))
			if t.Failed() {
				for text, n := range b.errs {
					t.Logf("%5d × %s", n, text)
				}
			}
		})
	}
}

// A machine that has lost its power refuses nobody: it says nothing.
func TestAPoolOfTwoHostsFollowsThePrimaryThoughTheOldOneIsSilent(t *testing.T) {
	primary, standby := newPair(t)
	dsn := with(oneOf(primary, standby), "target_session_attrs=primary")
	_, db := postgresql.open(t, dsn, "pool_size=1&pool_max_overflow=0&pool_open_timeout=3s&pool_backoff_max=20ms")
	primary.Freeze()
	standby.Promote()
	mustEventually(t, db, "CREATE TABLE t (n INT)")
}

func TestAPoolThatPrefersAStandbyTakesThePrimaryWithoutOne(t *testing.T) {
	primary, standby := newPair(t)
	_, db := postgresql.open(t, with(oneOf(primary, standby), "target_session_attrs=prefer-standby"), "pool_size=2&pool_max_overflow=0")
	fill(t, db, 2)
	const recovering = "SELECT pg_is_in_recovery()::int"
	if n := number(t, db, recovering); n != 1 {
		t.Error("a read is on the primary, want the standby")
	}
	standby.Stop()
	for range 3 { // and no statement fails meanwhile
		if n := number(t, db, recovering); n != 0 {
			t.Error("a read is on a standby that has ended")
		}
	}
}

func TestAConnectionToAStandbyIsRetiredAtTheFirstWriteThatItRefuses(t *testing.T) {
	k := postgresql
	primary, standby := newPair(t)
	mustExec(t, k.plain(t, primary.DSN()), "CREATE TABLE t AS SELECT 7 AS n")
	m, db := k.open(t, standby.DSN(), "pool_size=1&pool_max_overflow=0")
	begin := func(o *sql.TxOptions) error {
		tx, err := db.BeginTx(t.Context(), o)
		if err == nil {
			_ = tx.Rollback()
		}
		return err
	}
	for name, write := range map[string]func() error{
		"a statement": func() error { _, err := db.Exec("INSERT INTO t VALUES (1)"); return err },
		"with arguments": func() error {
			_, err := db.Exec("INSERT INTO t VALUES ($1)", 1)
			return err
		},
		"a query": func() error { return db.QueryRow("INSERT INTO t VALUES (1) RETURNING n").Scan(new(int)) },
		"a lock":  func() error { return db.QueryRow("SELECT n FROM t FOR UPDATE").Scan(new(int)) },
		"a prepared statement": func() error {
			stmt, err := db.Prepare("INSERT INTO t VALUES (1)")
			if err != nil {
				return err
			}
			defer stmt.Close()
			_, err = stmt.Exec()
			return err
		},
		"a transaction":                func() error { return begin(nil) },
		"a serializable transaction":   func() error { return begin(&sql.TxOptions{Isolation: sql.LevelSerializable}) },
		"a transaction begun by texts": func() error { _, err := db.Exec("BEGIN; INSERT INTO t VALUES (1)"); return err },
		"behind reads in a transaction": func() error {
			tx, err := db.BeginTx(t.Context(), &sql.TxOptions{ReadOnly: true})
			if err != nil {
				t.Fatalf("a transaction that reads: %v", err)
			}
			defer tx.Rollback()
			if n := number(t, tx, "SELECT n FROM t"); n != 7 {
				t.Errorf("read %d, want 7", n)
			}
			_, err = tx.Exec("INSERT INTO t VALUES (1)")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := number(t, db, k.self)
			for range 3 {
				if n := number(t, db, "SELECT n FROM t"); n != 7 {
					t.Errorf("read %d, want 7", n)
				}
			}
			if again := number(t, db, k.self); again != before {
				t.Errorf("reads cost the connection: it was %d and is %d", before, again)
			}
			err := write()
			if err == nil || !strings.Contains(err.Error(), "25006") && !strings.Contains(err.Error(), "0A000") {
				t.Errorf("a write: %v, want the server's own refusal", err)
			}
			if after := number(t, db, k.self); after == before {
				t.Errorf("after %v the same connection is in use, want another", err)
			}
		})
	}
	standby.Promote() // it needs nobody to tell the pool
	mustExec(t, db, "INSERT INTO t VALUES (8)")
	k.atRest(t, m, standby.DSN(), 1)
}

func TestAStandbyIsRefusedAtOpenAndNeverLent(t *testing.T) {
	k := postgresql
	primary, standby := newPair(t)
	mustExec(t, k.plain(t, primary.DSN()), "CREATE TABLE t (n INT)")
	const settings = "pool_size=2&pool_max_overflow=0&pool_backoff_max=20ms"
	pools := map[string]struct {
		backend   postgres.Backend
		dsn, says string
	}{
		"Validate":   {postgres.Backend{Validate: postgres.Primary}, standby.DSN(), "name the primary in the DSN, or leave out Backend.Validate"},
		"primary":    {postgres.Backend{}, with(standby.DSN(), "target_session_attrs=primary"), "promote one, name another host, or leave it out"},
		"read-write": {postgres.Backend{}, with(standby.DSN(), "target_session_attrs=read-write"), "promote one, name another host, or leave it out"},
	}
	opened := map[string]*sql.DB{}
	for name, tt := range pools {
		t.Run(name, func(t *testing.T) {
			m, db := k.openAs(t, tt.backend, tt.dsn, settings)
			atOnce(4, 5, func(_, _ int) {
				if err := db.QueryRow("SELECT n FROM t").Scan(new(int)); err == nil || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("a read on a standby: %v, want the open to be refused by: %s", err, tt.says)
				}
			})
			if s := statsOf(t, m, "postgres", tt.dsn); s.Open != 0 || s.Opened != 0 {
				t.Errorf("connections to a standby were opened: %+v", s)
			}
		})
		// Of the test, not of its part, so that it lives to see the promotion.
		_, opened[name] = k.openAs(t, tt.backend, tt.dsn, settings)
		if err := opened[name].Ping(); err == nil {
			t.Errorf("%s: a standby is lent", name)
		}
	}
	standby.Promote()
	for _, db := range opened {
		mustEventually(t, db, "INSERT INTO t VALUES (1)")
	}
}
