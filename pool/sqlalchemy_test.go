package pool_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

// The tests of this file show that the faults found in SQLAlchemy 2.1 by measurement do not exist here. "Row"
// is the line of the table of measurements, with what SQLAlchemy does.

// §0.3 and row 12: two threads on one connection got 1083 and 1 checkouts.
func TestHolderThatComesBackAtOnceDoesNotStarveTheOther(t *testing.T) {
	for _, tc := range []struct {
		size, workers int
		think         time.Duration
	}{{1, 2, 0}, {2, 8, 0}, {1, 2, time.Millisecond}} {
		synctest.Test(t, func(t *testing.T) {
			f := pooltest.NewFake()
			p := open(t, f, strategies.Queue{Size: tc.size}, pool.Options{})
			got := make([]int, tc.workers)
			ctx := after(t, 1200*time.Millisecond)
			done := make(chan struct{})
			for n := range got {
				go func() {
					defer func() { done <- struct{}{} }()
					for ctx.Err() == nil {
						wait, cancel := context.WithTimeout(ctx, time.Second)
						l, err := p.Acquire(wait)
						cancel()
						if err != nil {
							if ctx.Err() == nil {
								t.Errorf("worker %d: %v, want nobody to time out", n, err)
							}
							continue
						}
						got[n]++
						time.Sleep(time.Millisecond)
						release(t, l)
						time.Sleep(tc.think)
					}
				}()
			}
			for range got {
				<-done
			}
			fair := 1200 * tc.size / tc.workers
			for n, count := range got {
				if count < fair*95/100 || count > fair*105/100 {
					t.Errorf("%d workers on %d resources got %v checkouts; worker %d is more than 5 %% off its share, %d", tc.workers, tc.size, got, n, fair)
				}
			}
		})
	}
}

// §0.4a and rows 2 and 3: after a dispose with connections out, overflow is -2 and five fit where three may.
func TestDisposeWhileOutLeavesCountersAndCapRight(t *testing.T) {
	for _, tc := range []struct{ size, overflow, out int }{{2, 1, 2}, {1, 2, 3}} {
		synctest.Test(t, func(t *testing.T) {
			f := pooltest.NewFake()
			p := open(t, f, strategies.Queue{Size: tc.size, MaxOverflow: tc.overflow}, pool.Options{})
			check := func(when string, inUse, idle int) {
				t.Helper()
				s := p.Stats()
				if s.InUse != inUse || s.Idle != idle || s.Open != inUse+idle || s.Overflow < 0 || f.OpenNow() != s.Open {
					t.Errorf("%s: %v with %d live, want %d in use, %d idle", when, s, f.OpenNow(), inUse, idle)
				}
			}
			var leases []testLease
			for range tc.out {
				leases = append(leases, acquire(t, p))
			}
			p.Dispose()
			check("disposed while out", tc.out, 0)
			for _, l := range leases {
				release(t, l)
			}
			check("all returned", 0, 0)
			for range tc.size + tc.overflow {
				acquire(t, p)
			}
			check("full", tc.size+tc.overflow, 0)
			if _, err := p.TryAcquire(t.Context()); err == nil {
				t.Errorf("one more than %d + %d was lent after a dispose", tc.size, tc.overflow)
			}
			if most := f.MaxOpen(); most > tc.size+tc.overflow {
				t.Errorf("%d were open at once, the cap is %d", most, tc.size+tc.overflow)
			}
		})
	}
}

// §0.4b and row 4: the creator fails at 0.3 s, and a waiter with a timeout of 3 s is served at 3.0 s.
func TestWaiterIsServedWhenAnotherOnesOpenFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		f.Next(pooltest.Open, pooltest.Slow(300*time.Millisecond, pooltest.Fail(errTest)))
		p := open(t, f, strategies.Queue{Size: 1, Timeout: 3 * time.Second}, pool.Options{Backoff: pool.NoBackoff})
		a, b := start(t.Context(), p), start(t.Context(), p)
		is(t, "the first", (<-a).err, errTest)
		if r := <-b; r.err != nil || r.took != 300*time.Millisecond {
			t.Errorf("the waiter: %v after %v, want a resource after 300ms", r.err, r.took)
		}
	})
}

// §0.4c and row 5: the slot is lost, and the next connect times out.
func TestCheckinHookThatFailsLosesNoSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := newRecorder().act("checkin", pooltest.Fail(errTest))
		p := open(t, pooltest.NewFake(), one, pool.Options{}, rec.hooks())
		for range 3 {
			release(t, acquire(t, p))
		}
		atRest(t, p)
	})
}

// §0.5 and row 1: "three times" runs the listener twice, opens three connections, and says "This connection is closed".
func TestThreeAttemptsTryThreeResourcesAndReturnTheRealError(t *testing.T) {
	for _, cause := range []error{pool.ErrDisconnected, pool.ErrInvalidatePool} {
		synctest.Test(t, func(t *testing.T) {
			f, rec := pooltest.NewFake(), newRecorder()
			rec.act("checkout", pooltest.Fail(cause))
			p := open(t, f, one, pool.Options{}, rec.hooks())
			_, err := p.Acquire(t.Context())
			is(t, "Acquire", err, cause)
			if got := count(rec.take(), "checkout"); got != 3 || f.Opened() != 3 || f.Closed() != 3 {
				t.Errorf("%d checkouts, %d opened, %d closed, want 3 each", got, f.Opened(), f.Closed())
			}
			atRest(t, p)
		})
	}
}

// Row 6: a connect listener fails, and its connection is never closed.
func TestConnectHookThatFailsClosesItsResource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		rec := newRecorder().act("connect", pooltest.Fail(errTest))
		p := open(t, f, one, pool.Options{}, rec.hooks())
		_, err := p.Acquire(t.Context())
		is(t, "Acquire", err, errTest)
		if f.Closed() != 1 {
			t.Errorf("closed %d, want the one that was opened", f.Closed())
		}
	})
}

// Row 7: with room for one, the second thread's connect closes the connection that the first is using.
func TestSingletonTakesNoResourceInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, pooltest.NewFake(), strategies.Singleton{Size: 1}, pool.Options{})
		l := acquire(t, p)
		r := <-start(after(t, time.Second), p)
		is(t, "Acquire of a second goroutine", r.err, pool.ErrTimeout)
		l.Value().Use(t)
		release(t, l)
		if r := <-start(after(t, time.Second), p); r.err != nil {
			t.Errorf("Acquire of a second goroutine, once the first is idle: %v, want a resource", r.err)
		}
	})
}

// Rows 8 and 9: generations told by the clock make every checkout reconnect after the clock was set back,
// and miss an invalidation within one tick.
func TestGenerationsDoNotDependOnTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, one, pool.Options{})
		l := acquire(t, p)
		_ = l.Retire(nil) // in the very instant of its opening
		release(t, l)
		l = acquire(t, p)
		if got := l.Value().ID; got != 2 {
			t.Errorf("got resource %d after Retire in the instant of its opening, want 2", got)
		}
		release(t, l)
		p.Invalidate(nil)
		for range 5 {
			release(t, acquire(t, p))
		}
		if f.Opened() != 3 {
			t.Errorf("opened %d, want 3: one invalidation replaces a resource once", f.Opened())
		}
	})
}

// Row 10: a timeout of 0.1 s lets a checkout take as long as the close or the open takes.
func TestDeadlineBoundsTheWholeCheckout(t *testing.T) {
	for _, tc := range []struct {
		name   string
		method pooltest.Method
		warm   bool
	}{
		{"open", pooltest.Open, false},
		{"close of a recycled one", pooltest.Close, true},
		{"open in place of a recycled one", pooltest.Open, true},
		{"ping", pooltest.Ping, true},
	} {
		for _, byCtx := range []bool{true, false} {
			if tc.name == "ping" && !byCtx {
				continue // the strategy's own timeout is for the wait and the opens
			}
			synctest.Test(t, func(t *testing.T) {
				f := pooltest.NewFake()
				queue, o := one, pool.Options{Ping: tc.name == "ping"}
				if !byCtx {
					queue.Timeout = 100 * time.Millisecond
				}
				p := open(t, f, queue, o)
				if tc.warm {
					warm(t, p)
					if !o.Ping {
						p.Invalidate(nil)
					}
				}
				f.Next(tc.method, pooltest.Stuck(700*time.Millisecond))
				ctx, begin := t.Context(), time.Now()
				if byCtx {
					ctx = after(t, 100*time.Millisecond)
				}
				_, err := p.Acquire(ctx)
				is(t, "Acquire with a slow "+tc.name, err, pool.ErrTimeout)
				if took := time.Since(begin); took != 100*time.Millisecond {
					t.Errorf("Acquire with a slow %s took %v, want its timeout, 100ms", tc.name, took)
				}
				time.Sleep(time.Second)
			})
		}
	}
}

// Row 11: the database is down, and 20 callers make 20 attempts at once. Here the seats bound them.
func TestOpensAtOnceAreBoundedBySeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		f.Always(pooltest.Open, pooltest.Slow(time.Second))
		p := open(t, f, two, pool.Options{})
		var outs []<-chan result
		for range 20 {
			outs = append(outs, start(after(t, time.Minute), p))
		}
		for _, out := range outs {
			r := <-out
			if r.err != nil {
				t.Errorf("Acquire: %v", r.err)
				continue
			}
			release(t, r.lease)
		}
		if f.MaxOpen() > 2 || f.Opened() > 2 {
			t.Errorf("20 callers: %d opens, %d at once, want at most 2 and 2", f.Opened(), f.MaxOpen())
		}
	})
}

// Rows 13 and 14: a KeyboardInterrupt in the rollback loses the slot until the handle is collected; an
// exception empties it, and close returns normally.
func TestResetThatFailsInAnyWayLosesNoSlot(t *testing.T) {
	for _, act := range []pooltest.Act{pooltest.Fail(errTest), pooltest.Panic("interrupt"), pooltest.Goexit} {
		synctest.Test(t, func(t *testing.T) {
			f := pooltest.NewFake()
			p := open(t, f, one, pool.Options{})
			f.Next(pooltest.Reset, act)
			release(t, acquire(t, p))
			atRest(t, p)
			if s := p.Stats(); s.Open != 0 || s.ResetFailures != 1 {
				t.Errorf("stats %+v, want the slot empty and 1 failed reset", s)
			}
			acquire(t, p)
		})
	}
}

// Row 15: after one holder invalidates the static connection, the other sees a closed one as valid.
func TestOtherHolderOfStaticSeesThatItIsInvalid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, pooltest.NewFake(), strategies.Static{}, pool.Options{})
		a, b := acquire(t, p), acquire(t, p)
		_ = a.Discard(errTest)
		_, err := b.Get()
		is(t, "the other holder's Get", err, pool.ErrInvalidated)
		if got := acquire(t, p).Value().ID; got != 2 {
			t.Errorf("the next checkout got resource %d, want a new one", got)
		}
	})
}

// Row 16: detach frees the slot, so that there may be more live than the cap. So it is here; it is told in
// Detached, and the pool's own count stays within the cap.
func TestDetachedResourcesAreNotThePoolsAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, one, pool.Options{})
		for range 4 {
			detach(t, acquire(t, p))
		}
		if s := p.Stats(); f.OpenNow() != 4 || s.Open != 0 || s.Detached != 4 {
			t.Errorf("%d live, stats %+v; want 4 live, none of them the pool's", f.OpenNow(), s)
		}
	})
}

// Row 17: so it is there too.
func TestDiscardWhileOneWaitsServesTheWaiterAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, pooltest.NewFake(), one, pool.Options{})
		l := acquire(t, p)
		out := start(t.Context(), p)
		_ = l.Discard(errTest)
		if r := <-out; r.err != nil || r.took != 0 {
			t.Errorf("the waiter: %v after %v, want a resource at once", r.err, r.took)
		}
	})
}

// Row 18: an empty slot is queued, and a healthy connection that returns is closed for it.
func TestHealthyResourceIsNotClosedInFavourOfAnEmptySeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, strategies.Queue{Size: 1, MaxOverflow: 1}, pool.Options{})
		a, b := acquire(t, p), acquire(t, p)
		_ = a.Discard(errTest)
		release(t, b)
		if got := acquire(t, p).Value().ID; got != 2 || f.Opened() != 2 {
			t.Errorf("got resource %d of %d opened, want the healthy one that was returned", got, f.Opened())
		}
	})
}
