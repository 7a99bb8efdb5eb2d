package pool_test

import (
	"errors"
	"reflect"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

func TestStatsStringIsOneLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, strategies.Queue{Size: 1, MaxOverflow: 2}, pool.Options{Name: "orders", CloseTimeout: time.Second})
		check := func(want string) {
			t.Helper()
			if got := p.String(); got != want {
				t.Errorf("String() = %q, want %q", got, want)
			}
		}
		check("pool orders: queue: 0 of 3 in use (0 overflow), 0 idle, 0 opening, 0 closing, 0 waiting")
		a, b := acquire(t, p), acquire(t, p)
		check("pool orders: queue: 2 of 3 in use (1 overflow), 0 idle, 0 opening, 0 closing, 0 waiting")
		f.Next(pooltest.Open, pooltest.Slow(time.Second))
		out := start(t.Context(), p)
		late := start(t.Context(), p)
		check("pool orders: queue: 2 of 3 in use (1 overflow), 0 idle, 1 opening, 0 closing, 2 waiting")
		c, d := <-out, func() result { release(t, a); return <-late }()
		f.Next(pooltest.Close, pooltest.Stuck(time.Hour))
		_ = b.Discard(nil)
		check("pool orders: queue: 2 of 3 in use (2 overflow), 0 idle, 0 opening, 1 closing, 0 waiting, 1 stuck in a call of the backend")
		release(t, c.lease)
		check("pool orders: queue: 1 of 3 in use (2 overflow), 1 idle, 0 opening, 1 closing, 0 waiting, 1 stuck in a call of the backend")
		time.Sleep(time.Hour)
		release(t, d.lease)
		check("pool orders: queue: 0 of 3 in use (0 overflow), 1 idle, 0 opening, 0 closing, 0 waiting")
	})
}

func TestStatsOfUnlimitedPoolSaySo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, pooltest.NewFake(), strategies.Queue{Size: pool.Unlimited}, pool.Options{})
		for range 7 {
			acquire(t, p)
		}
		if got, want := p.String(), "pool: queue: 7 of unlimited in use (0 overflow), 0 idle, 0 opening, 0 closing, 0 waiting"; got != want {
			t.Errorf("String() = %q, want %q", got, want)
		}
	})
}

func TestStatsCountWhatHappened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, rec := pooltest.NewFake(), newRecorder()
		rec.act("close", pooltest.Fail(errTest))
		p := open(t, f, strategies.Queue{Size: 1, MaxOverflow: 1}, pool.Options{Name: "orders", Backoff: pool.NoBackoff}, rec.hooks())
		a, b := acquire(t, p), acquire(t, p)
		waiter := start(after(t, time.Second), p)
		<-waiter // in vain
		out := start(t.Context(), p)
		time.Sleep(3 * time.Second)
		release(t, a)
		c := (<-out).lease
		_ = b.Discard(errTest)
		_ = c.Retire(nil)
		release(t, c)
		f.Next(pooltest.Close, pooltest.Fail(errTest))
		f.Next(pooltest.Open, pooltest.OK)
		a = acquire(t, p) // replaces the retired one
		f.Next(pooltest.Reset, pooltest.Fail(errTest))
		release(t, a)
		f.Next(pooltest.Open, pooltest.Fail(errTest))
		_, _ = p.Acquire(t.Context())
		a, b = acquire(t, p), acquire(t, p)
		release(t, a)
		release(t, b) // as overflow
		_ = b.Release()

		s := p.Stats()
		want := pool.Stats{Pool: "orders", Strategy: "queue", Limits: pool.Limits{Seats: 2, Keep: 1},
			Open: 1, Idle: 1, Acquired: 6, Opened: 5, OpenFailures: 1, Closed: 4, CloseFailures: 1, ResetFailures: 1,
			HookFailures: 4, Misused: 1, TimedOut: 1}
		reasons := map[pool.Reason]uint64{pool.ReasonInvalid: 2, pool.ReasonRetired: 1, pool.ReasonOverflow: 1}
		for why, n := range reasons {
			if s.ClosedBy[why] != n {
				t.Errorf("ClosedBy[%v] = %d, want %d", why, s.ClosedBy[why], n)
			}
		}
		if s.WaitTime != 4*time.Second {
			t.Errorf("WaitTime = %v, want 1s in vain and 3s served", s.WaitTime)
		}
		if s.Waited < 2 {
			t.Errorf("Waited = %d, want at least the two who stood in line behind holders", s.Waited)
		}
		s.ClosedBy, s.WaitTime, s.Waited = nil, 0, 0
		if got := s; !sameStats(got, want) {
			t.Errorf("stats\n%+v, want\n%+v", got, want)
		}
	})
}

// sameStats compares all but ClosedBy.
func sameStats(a, b pool.Stats) bool {
	a.ClosedBy, b.ClosedBy = nil, nil
	return reflect.DeepEqual(a, b)
}

func TestReasonsHaveNames(t *testing.T) {
	seen := make(map[string]bool)
	for r := pool.ReasonOverflow; r <= pool.ReasonDetached; r++ {
		if name := r.String(); name == "" || seen[name] {
			t.Errorf("reason %d is called %q", r, name)
		} else {
			seen[name] = true
		}
	}
}

func TestStatsCountHoldersOfSharedResourceEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, pooltest.NewFake(), strategies.Static{}, pool.Options{})
		a, b := acquire(t, p), acquire(t, p)
		if s := p.Stats(); s.Leases != 2 || s.InUse != 1 || s.Open != 1 || s.Acquired != 2 {
			t.Errorf("stats %+v, want 2 leases of 1 resource", s)
		}
		release(t, a)
		release(t, b)
		if s := p.Stats(); s.Leases != 0 || s.InUse != 0 || s.Idle != 1 || s.Acquired != 2 {
			t.Errorf("stats %+v, want none out and 1 idle", s)
		}
	})
}

func TestAcquiredNeverGoesBack(t *testing.T) {
	for _, shape := range shapes {
		synctest.Test(t, func(t *testing.T) {
			p := open(t, pooltest.NewFake(), shape.strategy, shape.opts, shape.hooks)
			for n := uint64(1); n <= 12; n++ {
				l := acquire(t, p)
				if got := p.Stats().Acquired; got != n {
					t.Errorf("%s: Acquired = %d with lease %d out", shape.name, got, n)
				}
				switch n % 4 {
				case 0:
					_ = l.Discard(nil)
				case 1:
					detach(t, l)
				case 2:
					p.Invalidate(nil)
					release(t, l)
				default:
					release(t, l)
				}
				if got := p.Stats().Acquired; got != n {
					t.Errorf("%s: Acquired = %d after the end of lease %d", shape.name, got, n)
				}
			}
		})
	}
}

func TestStatsCountWhatWasHandedToAWaiterAsInUse(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // the waiter cannot run before this goroutine waits
	synctest.Test(t, func(t *testing.T) {
		p := open(t, pooltest.NewFake(), one, pool.Options{NoReset: true})
		l := acquire(t, p)
		out := start(t.Context(), p)
		release(t, l)
		if s := p.Stats(); s.Idle != 0 || s.InUse != 1 {
			t.Errorf("after a hand-off: %v, want the resource in use", s)
		}
		release(t, (<-out).lease)
	})
}

func TestStatsCountAsTimedOutOnlyWhoRanOutOfTime(t *testing.T) {
	failed := 0
	for range 100 {
		synctest.Test(t, func(t *testing.T) {
			f := pooltest.NewFake()
			f.Next(pooltest.Open, pooltest.Slow(20*time.Millisecond, pooltest.Fail(errTest)))
			p := open(t, f, one, pool.Options{})
			go p.Warm(t.Context(), 1)
			synctest.Wait()
			// The open fails in the instant in which its time is over: either may come first.
			r := <-start(after(t, 20*time.Millisecond), p)
			late := uint64(0)
			if errors.Is(r.err, pool.ErrTimeout) {
				late = 1
			} else {
				failed++
			}
			if s := p.Stats(); s.TimedOut != late {
				t.Errorf("Acquire: %v, and %d timed out, want %d", r.err, s.TimedOut, late)
			}
		})
	}
	if failed == 0 {
		t.Log("the time was over first in each round: nothing was tested")
	}
}

func TestStringTellsOfASuspensionAndOfABackendThatIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		f.Always(pooltest.Open, pooltest.Fail(errTest))
		p := open(t, f, two, pool.Options{Backoff: time.Hour, OnOpenFailure: pool.KeepWaiting})
		p.FixDraw(func() float64 { return 1 })
		out := start(after(t, time.Minute), p)
		p.Suspend()
		if got, want := p.String(), "pool: queue: 0 of 2 in use (0 overflow), 0 idle, 1 opening, 0 closing, 1 waiting, 1 opens wait for their turn, the last open failed, suspended"; got != want {
			t.Errorf("String() =\n%q, want\n%q", got, want)
		}
		<-out
	})
}
