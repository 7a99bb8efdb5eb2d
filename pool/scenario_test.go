package pool_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

// server is what database/sql connects to: it takes its time, and counts.
type server struct {
	dial time.Duration

	mu                         sync.Mutex
	dials, opened, now, nowMax int
}

// Connect implements driver.Connector.
func (s *server) Connect(ctx context.Context) (driver.Conn, error) {
	s.count(func() {
		s.dials++
		s.now++
		s.nowMax = max(s.nowMax, s.now)
	})
	if err := pooltest.Slow(s.dial)(ctx); err != nil {
		s.count(func() { s.now-- })
		return nil, err
	}
	s.count(func() { s.opened++ })
	return sqlConn{s}, nil
}

func (s *server) count(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *server) Driver() driver.Driver { return nil }

// sqlConn is a connection that can do nothing.
type sqlConn struct{ *server }

var errNothing = errors.New("test: this connection can do nothing")

func (sqlConn) Prepare(string) (driver.Stmt, error) { return nil, errNothing }
func (sqlConn) Begin() (driver.Tx, error)           { return nil, errNothing }
func (c sqlConn) Close() error {
	c.count(func() { c.now-- })
	return nil
}

// openSQL makes a pool of database/sql, which ends with the test.
func openSQL(t *testing.T, dial time.Duration, most, idle int) (*sql.DB, *server) {
	s := &server{dial: dial}
	db := sql.OpenDB(s)
	db.SetMaxOpenConns(most)
	db.SetMaxIdleConns(idle)
	t.Cleanup(func() { _ = db.Close() })
	return db, s
}

// getter gets a resource, from one pool or another, and tells how to give it back.
type getter func(ctx context.Context) (back func(), err error)

func fromPool(p *testPool) getter {
	return func(ctx context.Context) (func(), error) {
		l, err := p.Acquire(ctx)
		return func() { _ = l.Release() }, err
	}
}

func fromSQL(db *sql.DB) getter {
	return func(ctx context.Context) (func(), error) {
		c, err := db.Conn(ctx)
		return func() { _ = c.Close() }, err
	}
}

// rush has n callers use a resource at once, and tells how long the last waited, and when all were done.
func rush(t *testing.T, n int, use time.Duration, get getter) (worst, total time.Duration) {
	var mu sync.Mutex
	var all sync.WaitGroup
	begin := time.Now()
	for range n {
		all.Go(func() {
			back, err := get(t.Context())
			if err != nil {
				t.Errorf("a caller got %v", err)
				return
			}
			mu.Lock()
			worst = max(worst, time.Since(begin))
			mu.Unlock()
			time.Sleep(use)
			back()
		})
	}
	all.Wait()
	return worst, time.Since(begin)
}

func TestScenarioSpike(t *testing.T) {
	const (
		callers = 50
		keep    = 5
		most    = 50
		dial    = 150 * ms
		use     = 2 * ms
		atOnce  = 4 // the default of Options.OpensAtOnce
	)
	for _, tc := range []struct {
		name        string
		idle        int
		worst       time.Duration
		opens, peak int
	}{
		// Four opens serve the line in 13 turns. Four more, asked for when the line still was, are not
		// needed when they are there, but for one that is kept.
		{"cold", 0, dial + 12*use, 8, 8},
		// Five serve it in ten turns, before the first open has ended.
		{"5 idle", keep, 9 * use, keep + 4, 9},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := pooltest.NewFake()
				p := open(t, f, strategies.Queue{Size: keep, MaxOverflow: most - keep}, pool.Options{})
				db, server := openSQL(t, dial, most, keep)
				warmUp(t, tc.idle, fromPool(p))
				warmUp(t, tc.idle, fromSQL(db))
				f.Always(pooltest.Open, pooltest.Slow(dial))

				worst, total := rush(t, callers, use, fromPool(p))
				time.Sleep(time.Second) // for opens that nobody waits for any more
				report := func(who string, worst, total time.Duration, opens, peak, end int) {
					t.Logf("%-12s worst wait %5v, all done after %5v, %2d opens, %2d open at once, %d at the end", who, worst, total, opens, peak, end)
				}
				report("Lido", worst, total, f.Calls(pooltest.Open), f.MaxOpen(), f.OpenNow())
				if f.OpenNow() > 6 {
					t.Errorf("%d are open at the end, want at most 6", f.OpenNow())
				}
				served := max(tc.idle, atOnce)
				if bound := dial + time.Duration((callers+served-1)/served)*use; worst > bound {
					t.Errorf("the longest wait was %v, want at most one open and the service time of the line, %v", worst, bound)
				}
				if worst != tc.worst || f.Calls(pooltest.Open) != tc.opens || f.MaxOpen() != tc.peak {
					t.Errorf("the longest wait was %v, with %d opens, %d at once; want %v, %d, %d", worst, f.Calls(pooltest.Open), f.MaxOpen(), tc.worst, tc.opens, tc.peak)
				}

				worst, total = rush(t, callers, use, fromSQL(db))
				time.Sleep(time.Second)
				server.count(func() { report("database/sql", worst, total, server.dials, server.nowMax, server.now) })
			})
		})
	}
}

// warmUp has n resources idle.
func warmUp(t *testing.T, n int, get getter) {
	t.Helper()
	var all []func()
	for range n {
		back, err := get(t.Context())
		if err != nil {
			t.Fatalf("a caller got %v", err)
		}
		all = append(all, back)
	}
	for _, back := range all {
		back()
	}
	synctest.Wait()
}

func TestScenarioBackendDown(t *testing.T) {
	const (
		callers  = 1000
		interval = 50 * ms // 20 a second
		atOnce   = 3
		top      = time.Second
		timeout  = 700 * ms
		back     = 10 * time.Second // the backend is
	)
	for _, tc := range []struct {
		name string
		act  pooltest.Act // of an open while the backend is down
		took time.Duration
	}{
		{"refuses", pooltest.Fail(errTest), 0},
		{"hangs until ctx ends", pooltest.Slow(time.Hour), timeout},
	} {
		for _, then := range []pool.OpenFailure{pool.FailWaiting, pool.KeepWaiting} {
			t.Run(fmt.Sprintf("%s, %v", tc.name, then), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f, d := pooltest.NewFake(), newDials()
					f.Always(pooltest.Open, d.act(tc.act))
					p := open(t, f, strategies.Queue{Size: 20, MaxOverflow: 30}, pool.Options{
						OpensAtOnce: atOnce, OpenInterval: interval, BackoffMax: top, OpenTimeout: timeout, OnOpenFailure: then,
					})
					p.FixDraw(rand.New(rand.NewPCG(1, 2)).Float64)
					var mu sync.Mutex
					lent := time.Hour // when the first resource was
					failures := 0
					var all sync.WaitGroup
					for n := range callers {
						patience := 100*ms + time.Duration(n)*ms
						all.Go(func() { // tries until it has had a resource
							for {
								ctx, cancel := context.WithTimeout(t.Context(), patience)
								begin := time.Now()
								l, err := p.Acquire(ctx)
								took := time.Since(begin)
								cancel()
								switch {
								case took > patience:
									t.Errorf("an Acquire took %v, want its deadline, %v, at the latest", took, patience)
								case err != nil && took != patience && (then == pool.KeepWaiting || errors.Is(err, pool.ErrTimeout)):
									t.Errorf("an Acquire ended after %v with %v, want its deadline, %v", took, err, patience)
								}
								mu.Lock()
								if err == nil {
									lent = min(lent, time.Since(d.start))
								} else {
									failures++
								}
								mu.Unlock()
								if err == nil {
									time.Sleep(2 * ms)
									_ = l.Release()
									return
								}
							}
						})
					}
					time.Sleep(back)
					synctest.Wait()
					f.Always(pooltest.Open, d.act(pooltest.OK))
					all.Wait()

					// Who looks may have begun just before, and not have ended.
					if by := back + tc.took + top; lent < back || lent > by {
						t.Errorf("the first resource was lent at %v, want %v at the latest: the backend is back at %v", lent, by, back)
					}
					if d.peak() > atOnce {
						t.Errorf("%d dials at once, want %d at most", d.peak(), atOnce)
					}
					at := d.times()
					most := 0
					for first := range at {
						last := first
						for last < len(at) && at[last] < at[first]+time.Second {
							last++
						}
						most = max(most, last-first)
					}
					if limit := int(time.Second / interval); most > limit {
						t.Errorf("%d dials in one second, want %d at most", most, limit)
					}
					t.Logf("%d dials in all, %d at most in a second, %d at once; %d acquires failed in time; back at %v, lent at %v", len(at), most, d.peak(), failures, back, lent)
				})
			})
		}
	}
}

func TestScenarioCancelledCallers(t *testing.T) {
	const dial, patience = 100 * ms, 20 * ms
	// visit has a caller with little patience every 30 ms, and tells how many were served.
	visit := func(t *testing.T, get getter) (served int) {
		for range 50 {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			begin := time.Now()
			if back, err := get(ctx); err == nil {
				served++
				back()
			}
			cancel()
			time.Sleep(30*ms - time.Since(begin))
		}
		return served
	}
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		f.Always(pooltest.Open, pooltest.Slow(dial))
		p := open(t, f, strategies.Queue{Size: 5}, pool.Options{})
		served := visit(t, fromPool(p))
		t.Logf("Lido          %2d of 50 served, %2d opens", served, f.Calls(pooltest.Open))
		// The fourth caller comes after 90 ms, and gets what the first has asked for.
		if served != 47 || f.Calls(pooltest.Open) != 1 {
			t.Errorf("%d of 50 were served by %d opens, want 47 by 1: an open survives those who gave up", served, f.Calls(pooltest.Open))
		}
		db, server := openSQL(t, dial, 5, 5)
		served = visit(t, fromSQL(db))
		t.Logf("database/sql  %2d of 50 served, %2d opens", served, server.dials)
	})
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		f.Always(pooltest.Open, pooltest.Slow(dial))
		p := open(t, f, strategies.Queue{Size: 5}, pool.Options{})
		for _, out := range crowd(after(t, patience), p, 50) {
			is(t, "a caller without patience", (<-out).err, pool.ErrTimeout)
		}
		time.Sleep(dial)
		if s := p.Stats(); s.Idle != 4 || s.Opening != 0 || s.OpenFailures != 0 {
			t.Errorf("%v, want the four opens that had begun idle", s)
		}
	})
}

func TestScenarioSaturation(t *testing.T) {
	const callers, seats, patience = 10_000, 10, time.Second
	for _, shared := range []bool{true, false} {
		t.Run(fmt.Sprintf("one ctx: %v", shared), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := pooltest.NewFake()
				p := open(t, f, strategies.Queue{Size: seats}, pool.Options{})
				var held []testLease
				for range seats {
					held = append(held, acquire(t, p))
				}
				one := after(t, patience)
				out := make(chan result, callers)
				for range callers {
					ctx := one
					if !shared {
						ctx = after(t, patience)
					}
					begin := time.Now()
					go func() {
						l, err := p.Acquire(ctx)
						out <- result{l, err, time.Since(begin)}
					}()
				}
				synctest.Wait()
				if s := p.Stats(); s.Waiting != callers {
					t.Errorf("%d wait, want %d", s.Waiting, callers)
				}
				for range callers {
					r := <-out
					if r.took != patience || !errors.Is(r.err, pool.ErrTimeout) {
						t.Fatalf("a waiter got %v after %v, want ErrTimeout after %v", r.err, r.took, patience)
					}
				}
				if s := p.Stats(); s.TimedOut != callers || s.Waited != seats+callers || s.WaitTime != callers*patience || s.Waiting != 0 || s.Acquired != seats {
					t.Errorf("%d of %d who waited timed out, after %v in all, %d are in line, %d were lent something; want %d of %d, %v, 0, %d",
						s.TimedOut, s.Waited, s.WaitTime, s.Waiting, s.Acquired, callers, seats+callers, callers*patience, seats)
				}
				release(t, held[0])
				if r := <-start(t.Context(), p); r.err != nil || r.took != 0 {
					t.Errorf("the next acquirer: %v after %v, want a resource at once", r.err, r.took)
				}
				for _, l := range held[1:] {
					release(t, l)
				}
			})
		})
	}
}
