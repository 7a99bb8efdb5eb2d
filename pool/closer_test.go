package pool_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

// closings are the ways in which a resource comes to be closed while its seat goes on.
var closings = []struct {
	name     string
	strategy pool.Strategy
	act      func(*testing.T, *testPool, *recorder)
}{
	{"discarded", one, func(t *testing.T, p *testPool, _ *recorder) { _ = acquire(t, p).Discard(errTest) }},
	{"not reset", one, func(t *testing.T, p *testPool, rec *recorder) {
		rec.act("reset", pooltest.Fail(errTest))
		release(t, acquire(t, p))
		rec.act("reset", pooltest.OK)
	}},
	{"overflow", strategies.Queue{MaxOverflow: 1}, func(t *testing.T, p *testPool, _ *recorder) { release(t, acquire(t, p)) }},
	{"used once", strategies.Null{Max: 1}, func(t *testing.T, p *testPool, _ *recorder) { release(t, acquire(t, p)) }},
	{"disposed of", one, func(t *testing.T, p *testPool, _ *recorder) {
		release(t, acquire(t, p))
		p.Dispose()
	}},
	{"shared, discarded", strategies.Static{}, func(t *testing.T, p *testPool, _ *recorder) { _ = acquire(t, p).Discard(errTest) }},
	{"refused by a hook", one, func(t *testing.T, p *testPool, rec *recorder) {
		rec.act("checkout", pooltest.Fail(errTest))
		_, err := p.Acquire(t.Context())
		is(t, "Acquire", err, errTest)
		rec.act("checkout", pooltest.OK)
	}},
}

// A close that takes longer than anybody waits keeps its seat, so that the server never has more than
// the pool's limit, or frees it and is counted, as Options.HungClose says.
func TestHungCloseKeepsItsSeatOrFreesIt(t *testing.T) {
	for _, tc := range closings {
		for _, how := range []pool.HungClose{pool.KeepSeat, pool.FreeSeat} {
			t.Run(fmt.Sprint(tc.name, "/", how), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f, rec := pooltest.NewFake(), newRecorder()
					f.AllowForcedClose()
					p := open(t, f, tc.strategy, pool.Options{CloseTimeout: 3 * time.Second, Backoff: pool.NoBackoff, HungClose: how}, rec.hooks())
					hung := make(chan struct{})
					f.Next(pooltest.Close, pooltest.Hang(hung))
					begin := time.Now()
					tc.act(t, p, rec)
					synctest.Wait()
					if took := time.Since(begin); took != 3*time.Second {
						t.Errorf("whoever had it closed waited %v, want CloseTimeout, 3s", took)
					}
					if n := goroutinesOf(); n != 1 {
						t.Errorf("%d goroutines of the pool's for one call that hangs, want 1", n)
					}
					r := <-start(after(t, time.Minute), p)
					switch how {
					case pool.KeepSeat:
						is(t, "Acquire while the close hangs", r.err, pool.ErrTimeout)
					case pool.FreeSeat:
						if r.err != nil || r.took != 0 {
							t.Fatalf("Acquire while the close hangs: %v after %v, want a resource at once: the seat is free", r.err, r.took)
						}
						if s := p.Stats(); s.Abandoned != 1 || s.Overdue != 1 || s.Stuck != 0 || s.Closing != 0 {
							t.Errorf("Stats: %d abandoned, %d overdue, %d stuck, %d closing; want 1, 1, 0, 0", s.Abandoned, s.Overdue, s.Stuck, s.Closing)
						}
						_ = r.lease.Discard(nil)
					}
					if want := 1 + int(how); f.MaxOpen() != want {
						t.Errorf("the server had %d open at once under %v, want %d", f.MaxOpen(), how, want)
					}
					close(hung)
					synctest.Wait()
					if s := p.Stats(); s.Abandoned != 0 || s.Stuck != 0 || s.Closing != 0 {
						t.Errorf("Stats when the close has returned: %d abandoned, %d stuck, %d closing; want none", s.Abandoned, s.Stuck, s.Closing)
					}
					acquire(t, p)
				})
			})
		}
	}
}

// goroutinesOf counts the goroutines that pools of the bubble have started and that have not ended. Those of an earlier
// test outside of bubbles, whose pool is closed, may be about to end.
func goroutinesOf() (n int) {
	synctest.Wait()
	buf := make([]byte, 1<<20)
	for one := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		state, _, _ := strings.Cut(one, "\n")
		if strings.Contains(state, "synctest bubble") && strings.Contains(one, "created by github.com/lidopool/lido/pool.") {
			n++
		}
	}
	return n
}

func TestHungCloseInAReplaceIsAbandonedUnderFreeSeat(t *testing.T) {
	for _, s := range []pool.Strategy{one, strategies.Static{}, strategies.Singleton{Size: 1}} {
		t.Run(s.Kind(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := pooltest.NewFake()
				p := open(t, f, s, pool.Options{CloseTimeout: 3 * time.Second, HungClose: pool.FreeSeat})
				warm(t, p)
				p.Invalidate(nil)
				hung := make(chan struct{})
				f.Next(pooltest.Close, pooltest.Hang(hung))
				begin := time.Now()
				l := acquire(t, p)
				if took := time.Since(begin); took != 3*time.Second || l.Value().ID != 2 {
					t.Errorf("got %v after %v, want the next resource after CloseTimeout, 3s", l.Value(), took)
				}
				if s := p.Stats(); s.Abandoned != 1 || s.OpenFailures != 0 || s.InUse != 1 {
					t.Errorf("Stats: %d abandoned, %d opens failed, %d in use; want 1, 0, 1", s.Abandoned, s.OpenFailures, s.InUse)
				}
				if n := goroutinesOf(); n != 1 {
					t.Errorf("%d goroutines of the pool's for one call that hangs, want 1", n)
				}
				close(hung)
				synctest.Wait()
				if s := p.Stats(); s.Abandoned != 0 {
					t.Errorf("Stats: %d abandoned when the close has returned, want 0", s.Abandoned)
				}
			})
		})
	}
}

func TestHungCloseOfWhatAConnectHookRefusedKeepsItsSeatOrFreesIt(t *testing.T) {
	for _, tc := range []struct {
		how  pool.HungClose
		err  error
		took time.Duration // CloseTimeout, or OpenTimeout and the grace that an open has
		next error
	}{
		{pool.KeepSeat, nil, 7*time.Second + 100*time.Millisecond, pool.ErrTimeout},
		{pool.FreeSeat, errTest, 3 * time.Second, nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			f, rec := pooltest.NewFake(), newRecorder()
			p := open(t, f, one, pool.Options{OpenTimeout: 7 * time.Second, CloseTimeout: 3 * time.Second, HungClose: tc.how}, rec.hooks())
			hung := make(chan struct{})
			f.Next(pooltest.Close, pooltest.Hang(hung))
			rec.act("connect", pooltest.Fail(errTest))
			r := <-start(t.Context(), p)
			if r.err == nil || tc.err != nil && !errors.Is(r.err, tc.err) || r.took != tc.took {
				t.Errorf("%v: Acquire: %v after %v, want %v after %v", tc.how, r.err, r.took, tc.err, tc.took)
			}
			rec.act("connect", pooltest.OK)
			next := <-start(after(t, time.Minute), p)
			if next.err != nil {
				is(t, "the next Acquire", next.err, tc.next)
			} else if tc.next != nil {
				t.Errorf("%v: the next Acquire got a resource, want %v: the seat is taken", tc.how, tc.next)
			}
			if s := p.Stats(); s.Abandoned != int(tc.how) || s.Overdue != 1 || f.MaxOpen() != 1+int(tc.how) {
				t.Errorf("%v: %d abandoned, %d overdue, %d open at once; want %d, 1, %d", tc.how, s.Abandoned, s.Overdue, f.MaxOpen(), tc.how, 1+tc.how)
			}
			close(hung)
		})
	}
}

func TestSeventeenthHungCloseKeepsItsSeat(t *testing.T) {
	const most = 16
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, one, pool.Options{CloseTimeout: time.Second, HungClose: pool.FreeSeat})
		hung := make(chan struct{})
		f.Always(pooltest.Close, pooltest.Hang(hung))
		for n := range most {
			_ = acquire(t, p).Discard(nil)
			if s := p.Stats(); s.Abandoned != n+1 || s.Stuck != 0 {
				t.Fatalf("after %d closes that hang: %d abandoned, %d stuck; want %d and 0", n+1, s.Abandoned, s.Stuck, n+1)
			}
		}
		_ = acquire(t, p).Discard(nil)
		if s := p.Stats(); s.Abandoned != most || s.Stuck != 1 || s.Closing != 1 || s.Overdue != most+1 {
			t.Errorf("Stats: %d abandoned, %d stuck, %d closing, %d overdue; want %d, 1, 1, %d", s.Abandoned, s.Stuck, s.Closing, s.Overdue, most, most+1)
		}
		_, err := p.Acquire(after(t, time.Minute))
		is(t, "Acquire when no more can be abandoned", err, pool.ErrTimeout)
		if f.MaxOpen() != most+1 {
			t.Errorf("the server had %d open at once, want the limit and %d", f.MaxOpen(), most)
		}
		hung <- struct{}{} // the first that was abandoned, or the one that keeps its seat
		synctest.Wait()
		if s := p.Stats(); s.Abandoned+s.Stuck != most {
			t.Errorf("Stats when one has returned: %d abandoned, %d stuck; want %d together", s.Abandoned, s.Stuck, most)
		}
		close(hung)
		synctest.Wait()
		if s := p.Stats(); s.Abandoned != 0 || s.Stuck != 0 {
			t.Errorf("Stats when all have returned: %d abandoned, %d stuck; want none", s.Abandoned, s.Stuck)
		}
		_ = acquire(t, p).Discard(nil)
	})
}

// However an abandoned close ends, it ends once, and takes nothing of the seat's next resource with it.
func TestAbandonedCloseMayEndInAnyWay(t *testing.T) {
	for _, tc := range []struct {
		name string
		act  pooltest.Act
		is   uint64 // failures
	}{
		{"succeeds", pooltest.OK, 0}, {"fails", pooltest.Fail(errTest), 1},
		{"panics", pooltest.Panic("late"), 1}, {"exits", pooltest.Goexit, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, rec := pooltest.NewFake(), newRecorder()
				p := open(t, f, one, pool.Options{CloseTimeout: time.Second, HungClose: pool.FreeSeat}, rec.hooks())
				f.Next(pooltest.Close, pooltest.Stuck(time.Minute, tc.act))
				_ = acquire(t, p).Discard(nil)
				l := acquire(t, p)
				rec.take()
				time.Sleep(time.Minute)
				synctest.Wait()
				if got := rec.take(); got != "checkin(None)" {
					t.Errorf("events when the close returns: %q, want the checkin that was owed", got)
				}
				if s := p.Stats(); s.Abandoned != 0 || s.CloseFailures != tc.is || s.InUse != 1 {
					t.Errorf("Stats: %d abandoned, %d failed closes, %d in use; want 0, %d, 1", s.Abandoned, s.CloseFailures, s.InUse, tc.is)
				}
				l.Value().Use(t)
				release(t, l)
			})
		})
	}
}

// The acquirer leaves at its deadline; what it left to be closed is bounded all the same.
func TestHungCloseIsNoticedThoughNobodyWaitsForItAnyMore(t *testing.T) {
	for _, how := range []pool.HungClose{pool.KeepSeat, pool.FreeSeat} {
		synctest.Test(t, func(t *testing.T) {
			f, rec := pooltest.NewFake(), newRecorder()
			p := open(t, f, one, pool.Options{CloseTimeout: 3 * time.Second, HungClose: how}, rec.hooks())
			hung := make(chan struct{})
			f.Next(pooltest.Close, pooltest.Hang(hung))
			rec.act("checkout", pooltest.Fail(errTest))
			r := <-start(after(t, time.Second), p)
			is(t, "Acquire", r.err, errTest)
			if r.took != time.Second {
				t.Errorf("Acquire took %v, want its deadline, 1s", r.took)
			}
			synctest.Wait()
			if s := p.Stats(); s.Overdue != 0 || s.Closing != 1 {
				t.Errorf("after 1s: %d overdue, %d closing; want 0 and 1: the close has its time", s.Overdue, s.Closing)
			}
			time.Sleep(2 * time.Second)
			if n := goroutinesOf(); n != 1 {
				t.Errorf("%d goroutines of the pool's for one call that hangs, want 1", n)
			}
			s := p.Stats()
			if s.Overdue != 1 || s.Abandoned != int(how) || s.Stuck != 1-int(how) {
				t.Errorf("%v: after CloseTimeout, 3s: %d overdue, %d abandoned, %d stuck; want 1, %d, %d", how, s.Overdue, s.Abandoned, s.Stuck, how, 1-how)
			}
			close(hung)
		})
	}
}

// An abandoned close is a resource that is not closed: the pool's end says so, and waits for it as long as it
// may.
func TestEndsTellOfAbandonedCloses(t *testing.T) {
	scene := func(t *testing.T) (*testPool, chan struct{}) {
		f := pooltest.NewFake()
		p := open(t, f, two, pool.Options{CloseTimeout: 3 * time.Second, HungClose: pool.FreeSeat})
		hung := make(chan struct{})
		f.Next(pooltest.Close, pooltest.Hang(hung))
		_ = acquire(t, p).Discard(nil)
		release(t, acquire(t, p))
		return p, hung
	}
	for _, tc := range []struct {
		name string
		end  func(*testing.T, *testPool) error
		is   string
	}{
		{"Shutdown", func(t *testing.T, p *testPool) error { return p.Shutdown(after(t, 3*time.Second)) },
			"pool: shutdown: context deadline exceeded; 1 call of the backend has not returned"},
		{"Close", func(_ *testing.T, p *testPool) error { return p.Close() },
			"pool: shutdown: not all resources were closed within Options.CloseTimeout; 1 call of the backend has not returned"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, hung := scene(t)
				begin := time.Now()
				err := tc.end(t, p)
				var e *pool.ShutdownError
				if !asError(err, &e) || e.Overdue != 1 || len(e.Held) != 0 || err.Error() != tc.is {
					t.Errorf("%s with an abandoned close: %v, want %q", tc.name, err, tc.is)
				}
				if took := time.Since(begin); took != 3*time.Second {
					t.Errorf("%s took %v, want its bound, 3s", tc.name, took)
				}
				time.AfterFunc(time.Minute, func() { close(hung) })
				if err := p.Shutdown(t.Context()); err != nil || time.Since(begin) != time.Minute+3*time.Second {
					t.Errorf("Shutdown: %v after %v; want nil when the close has returned, a minute later", err, time.Since(begin))
				}
			})
		})
	}
}

// A close that hangs when the pool ends is overdue at the moment in which Close gives up: nobody
// needs its seat then, and it is told of once.
func TestEndsTellOnceOfACloseThatIsOverdueAtTheirEnd(t *testing.T) {
	for _, how := range []pool.HungClose{pool.KeepSeat, pool.FreeSeat} {
		for _, replaced := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				f := pooltest.NewFake()
				p := open(t, f, one, pool.Options{HungClose: how})
				warm(t, p)
				f.Next(pooltest.Close, pooltest.Stuck(time.Minute))
				if replaced {
					p.Invalidate(nil)
					start(t.Context(), p)
				}
				var e *pool.ShutdownError
				if err := p.Close(); !asError(err, &e) || e.Overdue != 1 {
					t.Errorf("Close under %v (replaced: %v): %v, want one call that has not returned", how, replaced, err)
				}
				synctest.Wait()
				if s := p.Stats(); s.Stuck != 1 || s.Abandoned != 0 {
					t.Errorf("Stats: %d stuck, %d abandoned; want 1 and 0", s.Stuck, s.Abandoned)
				}
				time.Sleep(time.Minute)
				if err := p.Close(); err != nil {
					t.Errorf("Close when all is closed: %v, want nil", err)
				}
			})
		}
	}
}

// Ends of closes and the moment of their being overdue are one and the same, again and again: each
// is counted up and down, and each seat comes back once.
func TestStressClosesThatEndWhenTheyAreOverdue(t *testing.T) {
	for _, how := range []pool.HungClose{pool.KeepSeat, pool.FreeSeat} {
		synctest.Test(t, func(t *testing.T) {
			f := pooltest.NewFake()
			f.AllowForcedClose()
			p := open(t, f, strategies.Queue{Size: 8}, pool.Options{CloseTimeout: time.Second, HungClose: how})
			f.Always(pooltest.Close, pooltest.Stuck(time.Second))
			for range 200 {
				var leases []testLease
				for range 8 {
					leases = append(leases, acquire(t, p))
				}
				for _, l := range leases {
					go l.Discard(nil)
				}
				time.Sleep(time.Second)
				synctest.Wait()
				if s := p.Stats(); s.Open != 0 || s.Abandoned != 0 || s.Stuck != 0 {
					t.Fatalf("%v: %d open, %d abandoned, %d stuck when all closes have returned; want none", how, s.Open, s.Abandoned, s.Stuck)
				}
			}
		})
	}
}

func TestDetachedCloseThatHangsIsOneGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, one, pool.Options{})
		d := detach(t, acquire(t, p))
		hung := make(chan struct{})
		f.Next(pooltest.Close, pooltest.Hang(hung))
		is(t, "Detached.Close", d.Close(), context.DeadlineExceeded)
		if n := goroutinesOf(); n != 1 {
			t.Errorf("%d goroutines of the pool's for one call that hangs, want 1", n)
		}
		close(hung)
		synctest.Wait()
	})
}

// Whoever waited for a ping or reset goes on, and none of the pool's goroutines waits in its place.
func TestPingAndResetThatHangAreOneGoroutineEach(t *testing.T) {
	for _, tc := range []struct {
		name string
		act  func(*testing.T, *testPool, *pooltest.Fake, pooltest.Act)
	}{
		{"ping beyond its timeout", func(t *testing.T, p *testPool, f *pooltest.Fake, hang pooltest.Act) {
			warm(t, p)
			f.Next(pooltest.Ping, hang)
			<-start(after(t, time.Minute), p)
		}},
		{"ping beyond the acquirer's deadline", func(t *testing.T, p *testPool, f *pooltest.Fake, hang pooltest.Act) {
			warm(t, p)
			f.Next(pooltest.Ping, hang)
			<-start(after(t, time.Millisecond), p)
		}},
		{"reset", func(t *testing.T, p *testPool, f *pooltest.Fake, hang pooltest.Act) {
			f.Next(pooltest.Reset, hang)
			release(t, acquire(t, p))
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := pooltest.NewFake()
				p := open(t, f, one, pool.Options{Ping: true, PingTimeout: time.Second, ResetTimeout: time.Second})
				hung := make(chan struct{})
				tc.act(t, p, f, pooltest.Hang(hung))
				if n := goroutinesOf(); n != 1 {
					t.Errorf("%d goroutines of the pool's for one call that hangs, want 1", n)
				}
				_, err := p.Acquire(after(t, time.Minute))
				is(t, "Acquire while the only seat hangs", err, pool.ErrTimeout)
				close(hung)
				acquire(t, p)
				if f.MaxOpen() != 1 {
					t.Errorf("%d were open at once, want 1", f.MaxOpen())
				}
			})
		})
	}
}
