//go:build unix

package postgres_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/lib/pq"

	"github.com/lidopool/lido/backends/backendtest"
	"github.com/lidopool/lido/backends/postgres"
	"github.com/lidopool/lido/backends/servertest"
	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/strategies"
)

func look(t testing.TB, b pool.Backend[*sqldriver.Conn], c *sqldriver.Conn) error {
	t.Helper()
	return b.(pool.Checker[*sqldriver.Conn]).Check(t.Context(), c)
}

// signal sends a signal to the session process of a connection.
func signal(t *testing.T, c *sqldriver.Conn, s os.Signal) {
	t.Helper()
	pid, err := strconv.Atoi(query(t, c, "SELECT pg_backend_pid()"))
	if err == nil {
		err = syscall.Kill(pid, s.(syscall.Signal))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestCheckWaitsForNothing(t *testing.T) {
	b := backend(t, postgres.Backend{}, servertest.Postgres(t).DSN())
	if got := b.(pool.Checker[*sqldriver.Conn]).Checks(); got != pool.QuickCheck {
		t.Errorf("Checks() = %v, want QuickCheck", got)
	}
}

func TestAConnectionThatTheServerClosedWhileIdleIsReplacedAndNobodySeesAnError(t *testing.T) {
	for name, dsn := range map[string]func(string) string{"plain": func(dsn string) string { return dsn }, "TLS": withTLS} {
		t.Run(name, func(t *testing.T) {
			s := servertest.OwnPostgres(t)
			b := backend(t, postgres.Backend{}, dsn(s.DSN()))
			p, err := pool.New(b, strategies.Queue{Size: 8}, pool.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			fill := func() { // all eight are open, and their processes known
				t.Helper()
				var wg, all sync.WaitGroup
				all.Add(8)
				for range 8 {
					wg.Go(func() {
						err := p.Do(t.Context(), func(_ context.Context, c *sqldriver.Conn) error {
							all.Done()
							all.Wait()
							return try(c, "SELECT 1")
						})
						if err != nil {
							t.Error(err)
						}
					})
				}
				wg.Wait()
			}
			fill()
			for how, end := range map[string]func(){
				"terminated": func() {
					admin := connect(t, b)
					exec(t, admin, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()")
					until(t, "the sessions end", func() bool {
						return query(t, admin, "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'") == "1"
					})
				},
				"restarted": func() { s.Stop(); s.Start() },
				"killed":    func() { s.Kill(); s.Start() },
			} {
				before := p.Stats().Opened
				end()
				fill()
				if got := p.Stats().Opened - before; got != 8 {
					t.Errorf("%s: %d connections were opened anew, want 8", how, got)
				}
			}
			for i := range 100 {
				if err := p.Do(t.Context(), func(_ context.Context, c *sqldriver.Conn) error { return try(c, "SELECT 1") }); err != nil {
					t.Fatalf("use %d: %v", i, err)
				}
			}
		})
	}
}

func TestOneTerminatedSessionCostsOneConnection(t *testing.T) {
	b := backend(t, postgres.Backend{}, servertest.Postgres(t).DSN())
	admin, c := connect(t, b), connect(t, b)
	terminate(t, admin, c)
	var err error
	until(t, "the farewell comes", func() bool { err = look(t, b, c); return err != nil })
	if f := b.Classify(err); f != pool.Dead {
		t.Errorf("Classify(%v) = %v, want Dead", err, f)
	}
	if e, ok := errors.AsType[*pq.Error](err); !ok || e.Code != "57P01" || !strings.Contains(err.Error(), "administrator") {
		t.Errorf("got %v, want what the server said", err)
	}
}

// The server tells most sessions, though not each: then the end of the stream is all there is to be
// seen, and condemns the one connection.
func TestACrashOfAnotherSessionCondemnsAll(t *testing.T) {
	s := servertest.OwnPostgres(t)
	b := backend(t, postgres.Backend{}, s.DSN())
	var idle []*sqldriver.Conn
	for range 10 {
		idle = append(idle, connect(t, b))
	}
	signal(t, connect(t, b), syscall.SIGKILL)
	found := map[pool.Fault]int{}
	for _, c := range idle {
		var err error
		until(t, "the server ends the session", func() bool { err = look(t, b, c); return err != nil })
		found[b.Classify(err)]++
	}
	if found[pool.AllDead] == 0 || found[pool.AllDead]+found[pool.Dead] != len(idle) {
		t.Errorf("of %d connections this was found: %v, want AllDead, and Dead for the others", len(idle), found)
	}
}

// What a server may send unasked, and go on.
func TestWhatTheServerMayTellAnIdleSessionIsNoFault(t *testing.T) {
	s := servertest.OwnPostgres(t)
	p := backendtest.NewProxy(t, s.Addr())
	b := backend(t, postgres.Backend{}, s.Through(p.Addr()))
	admin, c := connect(t, backend(t, postgres.Backend{}, s.DSN())), connect(t, b)
	exec(t, c, "LISTEN news")
	_, before := p.Bytes()
	exec(t, admin, "NOTIFY news, '"+strings.Repeat("x", 7000)+"'") // more than a look takes in
	exec(t, admin, "NOTIFY news, 'y'")
	exec(t, admin, "ALTER SYSTEM SET TimeZone = 'Asia/Tokyo'")
	exec(t, admin, "SELECT pg_reload_conf()")
	until(t, "all of it comes in", func() bool {
		_, now := p.Bytes()
		return now > before+7000 && query(t, admin, "SHOW TimeZone") == "Asia/Tokyo"
	})
	for range 3 {
		if err := look(t, b, c); err != nil {
			t.Errorf("after a notification: %v", err)
		}
	}
	wantQuery(t, c, "SELECT 1", "1")
	wantQuery(t, c, "SELECT 2", "2")
	if err := look(t, b, c); err != nil {
		t.Error(err)
	}
}

func TestCheckHeedsTheDriver(t *testing.T) {
	b := backend(t, postgres.Backend{}, servertest.Postgres(t).DSN())
	c := connect(t, b)
	ctx, cancel := context.WithCancel(t.Context())
	tx, err := c.Raw().(driver.ConnBeginTx).BeginTx(ctx, driver.TxOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	cancel() // lib/pq watches it until the transaction ends, and then calls the connection invalid
	until(t, "the driver gives it up", func() bool { return look(t, b, c) != nil })
}

// A session process that is frozen alone: the server takes the request to cancel, and the query
// goes on.
func TestACancelThatTheServerTookDoesNotMakeAFrozenSessionWaitedFor(t *testing.T) {
	s := servertest.OwnPostgres(t)
	b := backend(t, postgres.Backend{Grace: brief}, s.DSN())
	c := connect(t, b)
	stmt := prepare(t, c.Raw(), "SELECT $1::int")
	signal(t, c, syscall.SIGSTOP)
	ctx, cancel := context.WithTimeout(t.Context(), brief)
	defer cancel()
	_, err := stmt.(driver.StmtExecContext).ExecContext(ctx, []driver.NamedValue{{Ordinal: 1, Value: int64(1)}})
	if !errors.Is(err, os.ErrDeadlineExceeded) || b.Classify(err) != pool.Dead {
		t.Errorf("got %v, class %v, want a timeout that means Dead", err, b.Classify(err))
	}
}

// One operation is one look at an idle connection.
func BenchmarkCheck(b *testing.B) {
	be := backend(b, postgres.Backend{}, servertest.Postgres(b).DSN())
	c := connect(b, be)
	k := be.(pool.Checker[*sqldriver.Conn])
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if err := k.Check(ctx, c); err != nil {
			b.Fatal(err)
		}
	}
}
