package postgres_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/lidopool/lido/backends/backendtest"
	"github.com/lidopool/lido/backends/postgres"
	"github.com/lidopool/lido/backends/servertest"
	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/pool"
)

// Time is real here: a deadline of a socket is the kernel's and the runtime's. brief is long enough
// for a server that answers, and soon is what "on time" means on a busy machine; without the
// deadlines it would be for ever.
const (
	brief = 200 * time.Millisecond
	soon  = 10 * time.Second
)

// silences are the ways in which a server stops to answer without closing a connection.
func silences(t *testing.T) map[string]func(t *testing.T) (dsn string, silence func()) {
	proxied := func(fault func(*backendtest.Proxy), dsn func(string) string) func(t *testing.T) (string, func()) {
		return func(t *testing.T) (string, func()) {
			s := servertest.Postgres(t)
			p := backendtest.NewProxy(t, s.Addr())
			return dsn(s.Through(p.Addr())), func() { fault(p) }
		}
	}
	same := func(dsn string) string { return dsn }
	frozen := func(dsn func(string) string) func(t *testing.T) (string, func()) {
		return func(t *testing.T) (string, func()) {
			s := servertest.OwnPostgres(t)
			return dsn(s.DSN()), s.Freeze
		}
	}
	return map[string]func(t *testing.T) (string, func()){
		"frozen":            frozen(same),
		"frozen, TLS":       frozen(withTLS),
		"black hole":        proxied((*backendtest.Proxy).BlackHole, same),
		"half-open":         proxied((*backendtest.Proxy).HalfOpen, same),
		"black hole, TLS":   proxied((*backendtest.Proxy).BlackHole, withTLS),
		"binary, half-open": proxied((*backendtest.Proxy).HalfOpen, func(dsn string) string { return dsn + "&binary_parameters=yes" }),
	}
}

func TestCallsOfThePoolEndOnTimeWithASilentServer(t *testing.T) {
	for name, silence := range silences(t) {
		t.Run(name, func(t *testing.T) {
			dsn, fall := silence(t)
			plain := backend(t, postgres.Backend{Grace: brief}, dsn)
			careful := backend(t, postgres.Backend{Validate: postgres.Primary, Grace: brief}, dsn)
			full := backend(t, postgres.Backend{Reset: sqldriver.Full, Grace: brief}, dsn)
			type call struct {
				what string
				c    *sqldriver.Conn
				do   func(context.Context, *sqldriver.Conn) error
			}
			calls := []call{
				{"ping", connect(t, plain), plain.Ping},
				{"ping and Validate", connect(t, careful), careful.Ping},
				{"reset of BeginTx", connect(t, plain), plain.Reset},
				{"reset of a text", connect(t, plain), plain.Reset},
				{"full reset", connect(t, full), full.Reset},
				{"close", connect(t, plain), plain.Close},
				{"open", nil, func(ctx context.Context, _ *sqldriver.Conn) error { _, err := plain.Open(ctx); return err }},
			}
			for _, k := range calls {
				switch k.what {
				case "reset of BeginTx":
					begins["by BeginTx"](t, k.c)
				case "reset of a text":
					exec(t, k.c, "BEGIN")
				case "full reset":
					exec(t, k.c, "SET work_mem = '7MB'")
				}
			}
			fall()
			t.Run("calls", func(t *testing.T) {
				for _, k := range calls {
					t.Run(k.what, func(t *testing.T) {
						t.Parallel()
						start := time.Now()
						ctx, cancel := context.WithTimeout(context.Background(), brief)
						defer cancel()
						err := k.do(ctx, k.c)
						took := time.Since(start)
						switch {
						case took > soon:
							t.Errorf("it took %v, with a deadline of %v", took, brief)
						case k.what == "close": // says farewell and goes: nobody is waited for
						case took < brief:
							t.Errorf("it ended after %v, before its deadline: %v", took, err)
						case k.what == "open" && !errors.Is(err, context.DeadlineExceeded):
							t.Errorf("got %v, want the end of the ctx", err)
						case k.what != "open" && plain.Classify(err) != pool.Dead:
							t.Errorf("Classify(%v) = %v, want Dead", err, plain.Classify(err))
						}
					})
				}
			})
			noGoroutineOfTheDriver(t)
		})
	}
}

// A TLS connection says farewell too, and gives itself 5 s for it, which may not count.
func TestCloseOfAConnectionWhoseBuffersAreFullEndsOnTime(t *testing.T) {
	for name, dsn := range map[string]func(string) string{"plain": func(dsn string) string { return dsn }, "TLS": withTLS} {
		t.Run(name, func(t *testing.T) {
			s := servertest.Postgres(t)
			p := backendtest.NewProxy(t, s.Addr())
			b := backend(t, postgres.Backend{Grace: brief}, dsn(s.Through(p.Addr())))
			c := connect(t, b)
			p.BlackHole()
			ctx, cancel := context.WithTimeout(t.Context(), brief)
			defer cancel()
			// More than the kernels on the way take.
			if err := tryCtx(ctx, c, "SELECT '"+strings.Repeat("x", 64<<20)+"'"); err == nil {
				t.Fatal("64 MB went into a black hole")
			}
			ctx, cancel = context.WithTimeout(t.Context(), brief)
			defer cancel()
			start := time.Now()
			_ = b.Close(ctx, c)
			if took := time.Since(start); took > 4*time.Second {
				t.Errorf("close took %v, with a deadline of %v", took, brief)
			}
		})
	}
}

func TestAQueryWhoseContextHasEndedHasGraceLeftWithASilentServer(t *testing.T) {
	const slow = "SELECT pg_sleep(60)"
	for name, silence := range silences(t) {
		t.Run(name, func(t *testing.T) {
			dsn, fall := silence(t)
			b := backend(t, postgres.Backend{Grace: brief}, dsn)
			arg := []driver.NamedValue{{Ordinal: 1, Value: int64(1)}}
			type ready func(context.Context) error // what to do with a connection in silence
			uses := map[string]func(t *testing.T, c *sqldriver.Conn, raw driver.Conn) ready{
				"exec": func(t *testing.T, c *sqldriver.Conn, raw driver.Conn) ready {
					return func(ctx context.Context) error { return tryCtx(ctx, c, slow) }
				},
				"exec with arguments": func(t *testing.T, c *sqldriver.Conn, raw driver.Conn) ready {
					return func(ctx context.Context) error {
						_, err := raw.(driver.ExecerContext).ExecContext(ctx, "SELECT $1::int", arg)
						return err
					}
				},
				"query": func(t *testing.T, c *sqldriver.Conn, raw driver.Conn) ready {
					return func(ctx context.Context) error {
						_, err := raw.(driver.QueryerContext).QueryContext(ctx, slow, nil)
						return err
					}
				},
				"rows": func(t *testing.T, c *sqldriver.Conn, raw driver.Conn) ready {
					ctx, cancel := context.WithCancel(context.Background())
					rows, err := raw.(driver.QueryerContext).QueryContext(ctx, "SELECT repeat('x', 1000) FROM generate_series(1, 100000)", nil)
					if err != nil {
						t.Fatal(err)
					}
					return func(later context.Context) error {
						context.AfterFunc(later, cancel)
						for err == nil {
							err = rows.Next(make([]driver.Value, 1))
						}
						return err
					}
				},
				"prepare": func(t *testing.T, c *sqldriver.Conn, raw driver.Conn) ready {
					return func(ctx context.Context) error {
						_, err := raw.(driver.ConnPrepareContext).PrepareContext(ctx, slow)
						return err
					}
				},
				"exec of a statement": func(t *testing.T, c *sqldriver.Conn, raw driver.Conn) ready {
					stmt := prepare(t, raw, "SELECT $1::int")
					return func(ctx context.Context) error {
						_, err := stmt.(driver.StmtExecContext).ExecContext(ctx, arg)
						return err
					}
				},
				"query of a statement": func(t *testing.T, c *sqldriver.Conn, raw driver.Conn) ready {
					stmt := prepare(t, raw, "SELECT $1::int")
					return func(ctx context.Context) error {
						_, err := stmt.(driver.StmtQueryContext).QueryContext(ctx, arg)
						return err
					}
				},
				"commit": func(t *testing.T, c *sqldriver.Conn, raw driver.Conn) ready {
					ctx, cancel := context.WithCancel(context.Background())
					tx, err := raw.(driver.ConnBeginTx).BeginTx(ctx, driver.TxOptions{})
					if err != nil {
						t.Fatal(err)
					}
					return func(later context.Context) error {
						context.AfterFunc(later, cancel)
						return tx.Commit()
					}
				},
			}
			inSilence := map[string]ready{}
			conns := map[string]*sqldriver.Conn{}
			for use, prepare := range uses {
				conns[use] = connect(t, b)
				inSilence[use] = prepare(t, conns[use], conns[use].Raw())
			}
			fall()
			t.Run("queries", func(t *testing.T) {
				for use, do := range inSilence {
					t.Run(use, func(t *testing.T) {
						t.Parallel()
						start := time.Now()
						ctx, cancel := context.WithTimeout(context.Background(), brief)
						defer cancel()
						err := do(ctx)
						if took := time.Since(start); took > soon || took < 2*brief {
							t.Errorf("it took %v, want the deadline of %v and the grace of %v", took, brief, brief)
						}
						if _, ok := errors.AsType[*net.OpError](err); !ok || !errors.Is(err, os.ErrDeadlineExceeded) ||
							!strings.Contains(err.Error(), "was asked to cancel and did not answer") {
							t.Errorf("got %T %v, want a timeout that says that the server did not answer", err, err)
						}
						if f := b.Classify(err); f != pool.Dead {
							t.Errorf("Classify(%v) = %v, want Dead", err, f)
						}
						if err := b.Reset(context.Background(), conns[use]); err == nil {
							t.Error("the connection passed a reset")
						}
					})
				}
			})
			noGoroutineOfTheDriver(t)
		})
	}
}

func prepare(t *testing.T, raw driver.Conn, text string) driver.Stmt {
	t.Helper()
	stmt, err := raw.Prepare(text)
	if err != nil {
		t.Fatal(err)
	}
	return stmt
}

// noGoroutineOfTheDriver waits until lib/pq has left nothing behind that waits for a server.
func noGoroutineOfTheDriver(t *testing.T) {
	t.Helper()
	stacks := make([]byte, 1<<20)
	until(t, "the goroutines of lib/pq end", func() bool {
		return !strings.Contains(string(stacks[:runtime.Stack(stacks, true)]), "lib/pq.(*conn)")
	})
}

// lib/pq keeps a connection whose prepared statement was canceled.
func TestACanceledStatementLeavesItsConnectionWithoutADeadline(t *testing.T) {
	for name, dsn := range map[string]func(string) string{"plain": func(dsn string) string { return dsn }, "TLS": withTLS} {
		t.Run(name, func(t *testing.T) {
			const grace = 3 * brief // the server has to answer within it, by TLS too, on a machine that is busy
			b := backend(t, postgres.Backend{Grace: grace}, dsn(servertest.Postgres(t).DSN()))
			c := connect(t, b)
			stmt := prepare(t, c.Raw(), "SELECT pg_sleep($1)")
			sleep := func(ctx context.Context, seconds float64) error {
				rows, err := stmt.(driver.StmtQueryContext).QueryContext(ctx, []driver.NamedValue{{Ordinal: 1, Value: seconds}})
				if err != nil {
					return err
				}
				return errors.Join(rows.Next(make([]driver.Value, 1)), rows.Close())
			}
			for range 2 {
				ctx, cancel := context.WithTimeout(t.Context(), brief/10)
				_ = wantCode(t, sleep(ctx, 60), "57014")
				cancel()
				if err := b.Reset(t.Context(), c); err != nil {
					t.Fatalf("reset: %v", err)
				}
				// In use while the grace of the canceled one ends.
				if err := sleep(context.Background(), grace.Seconds()+brief.Seconds()); err != nil {
					t.Fatalf("the next use: %v", err)
				}
			}
			// Idle while it ends.
			ctx, cancel := context.WithTimeout(t.Context(), brief/10)
			_ = wantCode(t, sleep(ctx, 60), "57014")
			cancel()
			if err := sleep(context.Background(), 0); err != nil {
				t.Errorf("the next use: %v", err)
			}
		})
	}
}

// A firewall, say, lets nobody connect any more.
func TestACancelRequestThatNobodyTakesDoesNotHarmAConnectionThatAnswers(t *testing.T) {
	s := servertest.Postgres(t)
	p := backendtest.NewProxy(t, s.Addr())
	const grace = 5 * brief
	b := backend(t, postgres.Backend{Grace: grace}, s.Through(p.Addr()))
	c := connect(t, b)
	stmt := prepare(t, c.Raw(), "SELECT pg_sleep($1)")
	p.Refuse()
	ctx, cancel := context.WithTimeout(t.Context(), brief/10)
	defer cancel()
	rows, err := stmt.(driver.StmtQueryContext).QueryContext(ctx, []driver.NamedValue{{Ordinal: 1, Value: 2 * brief.Seconds()}})
	if err != nil {
		t.Fatalf("a query that could not be canceled, and ended by itself: %v", err)
	}
	if err := errors.Join(rows.Next(make([]driver.Value, 1)), rows.Close()); err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if err := b.Reset(t.Context(), c); err != nil {
		t.Errorf("reset: %v", err)
	}
	exec(t, c, fmt.Sprintf("SELECT pg_sleep(%v)", grace.Seconds())) // in use while the grace ends
}

func TestOpenEndsOnTimeWhereverItWaits(t *testing.T) {
	deaf, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { deaf.Close() })
	s := servertest.Postgres(t)
	for name, dsn := range map[string]string{
		"the first answer":            "postgres://u@" + deaf.Addr().String() + "/d?sslmode=disable",
		"the answer to TLS":           "postgres://u@" + deaf.Addr().String() + "/d?sslmode=require",
		"the answer to preferred TLS": "postgres://u@" + deaf.Addr().String() + "/d?sslmode=prefer",
		"with connect_timeout":        "postgres://u@" + deaf.Addr().String() + "/d?sslmode=disable&connect_timeout=60",
		"an address that nobody has":  "postgres://u@192.0.2.1/d?sslmode=disable",
		"the second of two hosts":     "host=127.0.0.1,127.0.0.1 port=1," + portOf(deaf) + " user=u sslmode=disable",
		"Validate":                    s.DSN(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := backend(t, postgres.Backend{Validate: func(ctx context.Context, c driver.Conn) error {
				_, err := c.(driver.ExecerContext).ExecContext(context.Background(), "SELECT pg_sleep(60)", nil)
				return err
			}}, dsn)
			ctx, cancel := context.WithTimeout(context.Background(), brief)
			defer cancel()
			start := time.Now()
			_, err := b.Open(ctx)
			if took := time.Since(start); err == nil || took > soon {
				t.Errorf("it took %v: %v", took, err)
			}
			if !errors.Is(err, context.DeadlineExceeded) && name != "an address that nobody has" && name != "Validate" {
				t.Errorf("got %v, want the end of the ctx", err)
			}
		})
	}
}

func portOf(l net.Listener) string {
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

func TestAHostThatIsSilentLeavesTimeForTheNext(t *testing.T) {
	s := servertest.Postgres(t)
	p := backendtest.NewProxy(t, s.Addr())
	p.BlackHole()
	silent, speaking := hostPort(t, p.Addr()), hostPort(t, s.Addr())
	hosts := func(a, b [2]string) string {
		return strings.Replace(s.DSN(), s.Addr(), "", 1) + "&host=" + a[0] + "," + b[0] + "&port=" + a[1] + "," + b[1]
	}
	for name, dsn := range map[string]string{
		"it is the first":      hosts(silent, speaking),
		"it is the last":       hosts(speaking, silent),
		"a standby was wanted": hosts(silent, speaking) + "&target_session_attrs=prefer-standby",
		"it is asked twice":    strings.Replace(hosts(silent, speaking), "sslmode=disable", "sslmode=allow", 1),
	} {
		t.Run(name, func(t *testing.T) {
			b := backend(t, postgres.Backend{}, dsn)
			var c *sqldriver.Conn
			until(t, "an open goes well", func() (ok bool) { // again, if the machine is too busy for half a second
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				defer cancel()
				var err error
				c, err = b.Open(ctx)
				return err == nil
			})
			defer b.Close(context.Background(), c)
			wantQuery(t, c, "SELECT 'awake' FROM pg_sleep(1.2)", "awake") // its share bounds the opening alone
		})
	}
}

func hostPort(t *testing.T, addr string) [2]string {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return [2]string{host, port}
}

func TestAnOpenThatPrefersAStandbyEndsWhenNoHostCanBeReached(t *testing.T) {
	p := backendtest.NewProxy(t, servertest.Postgres(t).Addr())
	p.Refuse()
	b := backend(t, postgres.Backend{}, servertest.Redirect(servertest.Postgres(t).DSN(), p.Addr())+"&target_session_attrs=prefer-standby")
	told := make(chan error, 1)
	go func() {
		_, err := b.Open(t.Context())
		told <- err
	}()
	select {
	case err := <-told:
		if err == nil || !strings.Contains(err.Error(), "refused") {
			t.Errorf("open where nobody listens: %v", err)
		}
	case <-time.After(patience):
		t.Errorf("open where nobody listens has not returned after %v", patience)
	}
}
