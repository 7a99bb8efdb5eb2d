package pool_test

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

// tapped is a strategy whose seating the test gets hold of, and whose limits and claims it may bend.
type tapped struct {
	pool.Strategy
	seating pool.Seating
	limits  func(*pool.Limits)
	claim   func() bool // asked before each Claim
	claimed func()      // told after each that took the seat
}

func (s *tapped) Start(h pool.Host) (pool.Seating, error) {
	seating, err := s.Strategy.Start(h)
	s.seating = seating
	return bent{seating, s}, err
}

type bent struct {
	pool.Seating
	by *tapped
}

func (s bent) Limits() pool.Limits {
	l := s.Seating.Limits()
	if s.by.limits != nil {
		s.by.limits(&l)
	}
	return l
}

func (s bent) Claim(seat pool.Seat) bool {
	if s.by.claim != nil && !s.by.claim() || !s.Seating.Claim(seat) {
		return false
	}
	if s.by.claimed != nil {
		s.by.claimed()
	}
	return true
}

func TestMaxIdleCountsFromTheEndOfALongLease(t *testing.T) {
	for _, s := range []pool.Strategy{two, strategies.Static{}, strategies.Singleton{Size: 2}} {
		synctest.Test(t, func(t *testing.T) {
			f := pooltest.NewFake()
			d := keep(f)
			p := open(t, f, s, pool.Options{MaxIdle: 8 * time.Minute, Jitter: pool.NoJitter})
			l := acquire(t, p)
			d.until(5*time.Minute + 59*time.Second) // seen in use at 5:00
			release(t, l)
			d.until(time.Hour)
			d.reads(t, "open 0s", "close 14m0s") // seen unused first at 6:00
		})
	}
}

// However a use falls between two looks, the close is no sooner than MaxIdle after it, and an eighth later at most.
func TestMaxIdleIsLateByAnEighthAtMost(t *testing.T) {
	const limit = 8 * time.Minute
	for _, pause := range []time.Duration{1, 20 * time.Second, time.Minute, 90 * time.Second, 3 * time.Minute, 6 * time.Minute} {
		for _, use := range []time.Duration{0, 1, time.Minute - 1, time.Minute, 61 * time.Second, 10 * time.Minute} {
			synctest.Test(t, func(t *testing.T) {
				f := pooltest.NewFake()
				p := open(t, f, two, pool.Options{MaxIdle: limit, Jitter: pool.NoJitter, NoReset: true})
				warm(t, p)
				time.Sleep(pause)
				l := acquire(t, p)
				time.Sleep(use)
				release(t, l)
				unused, closed := time.Now(), make(chan time.Duration, 1)
				f.Always(pooltest.Close, func(context.Context) error { closed <- time.Since(unused); return nil })
				if lain := <-closed; lain < limit || lain > limit+limit/8 {
					t.Errorf("used for %v after a pause of %v, the resource was closed when it had lain unused for %v; want %v to %v",
						use, pause, lain, limit, limit+limit/8)
				}
			})
		}
	}
}

func TestLimitsNearTheLongestDurationAreNoLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		d := keep(f)
		f.Always(pooltest.Ping, pooltest.OK)
		p := open(t, f, two, pool.Options{MaxAge: math.MaxInt64, MaxIdle: math.MaxInt64, KeepAlive: time.Minute, Jitter: pool.NoJitter})
		release(t, acquire(t, p))
		d.until(time.Hour)
		release(t, acquire(t, p))
		d.until(2 * time.Hour)
		d.reads(t, "open 0s")
	})
}

func TestKeepAliveNearTheLongestDurationNeverPings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		d := keep(f)
		f.Always(pooltest.Ping, pooltest.Slow(time.Millisecond)) // so that time goes on
		p := open(t, f, two, pool.Options{MinIdle: 1, KeepAlive: math.MaxInt64, Jitter: pool.NoJitter})
		d.until(time.Hour)
		release(t, acquire(t, p))
		d.until(2 * time.Hour)
		if n := f.Calls(pooltest.Ping); n != 0 {
			t.Errorf("%d pings in two hours, want none in 292 years", n)
		}
	})
}

func TestKeepAliveOfANanosecondPingsAThousandTimesASecondAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		f.Always(pooltest.Ping, pooltest.Slow(time.Microsecond)) // so that time goes on
		p := open(t, f, two, pool.Options{KeepAlive: 1, Jitter: pool.NoJitter})
		release(t, acquire(t, p))
		time.Sleep(time.Second)
		if n := f.Calls(pooltest.Ping); n > 1000 {
			t.Errorf("%d pings in a second, want 1000 at most: upkeep must not spin", n)
		}
	})
}

func TestKeepAliveIsNotForgottenWhenThePoolGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		d := keep(f)
		p := open(t, f, strategies.Singleton{Size: 2}, pool.Options{KeepAlive: 8 * time.Minute, Jitter: pool.NoJitter})
		release(t, acquire(t, p))
		d.until(8*time.Minute + 30*time.Second)
		other := <-start(t.Context(), p) // another goroutine's, and so another seat
		d.until(16 * time.Minute)
		release(t, other.lease)
		d.reads(t, "open 0s", "open 8m30s", "ping 9m0s")
	})
}

func TestKeepAlivesThatHangHoldUpUpkeepOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		d := keep(f)
		p := open(t, f, strategies.Queue{Size: 8}, pool.Options{KeepAlive: time.Minute, MaxIdle: 65 * time.Second, MinIdle: 3, PingTimeout: 10 * time.Second, Jitter: pool.NoJitter})
		d.until(time.Second)
		var leases []testLease
		for range 5 {
			leases = append(leases, acquire(t, p))
		}
		for _, l := range leases {
			release(t, l)
		}
		hung := make(chan struct{})
		f.Always(pooltest.Ping, d.note(pooltest.Ping, pooltest.Hang(hung)))
		f.Always(pooltest.Open, pooltest.OK)
		d.until(75 * time.Second)
		// One hung, one was closed as unused for too long, one hangs, and what is left of five must not be closed.
		d.reads(t, "open 0s", "open 0s", "open 0s", "open 1s", "open 1s", "ping 1m1s", "close 1m11s", "ping 1m11s")
		d.until(80 * time.Second)
		if n := f.Opened(); n != 5 {
			t.Errorf("%d were opened, want 5", n)
		}
		d.until(85 * time.Second)
		if n := f.Opened(); n != 6 {
			t.Errorf("%d were opened by the time of the third ping, want 6: two were idle, and MinIdle is 3", n)
		}
		d.reads(t, "ping 1m21s")
		close(hung)
		synctest.Wait()
		f.Always(pooltest.Ping, pooltest.OK)
	})
}

func TestMaxAgeIsExactWhileAPingHangs(t *testing.T) {
	for _, s := range []pool.Strategy{strategies.Queue{Size: 3}, strategies.Queue{Size: 3, Order: strategies.LIFO}} {
		synctest.Test(t, func(t *testing.T) {
			f := pooltest.NewFake()
			p := open(t, f, s, pool.Options{MaxAge: time.Minute, KeepAlive: 8 * time.Second, PingTimeout: time.Hour, NoReset: true, Jitter: pool.NoJitter})
			hung := make(chan struct{})
			f.Next(pooltest.Ping, pooltest.Hang(hung))
			warm(t, p)
			time.Sleep(30 * time.Second)
			if f.Calls(pooltest.Ping) != 1 {
				t.Fatal("no ping hangs")
			}
			l := acquire(t, p) // opened at 0:30, while the other is out of reach
			mine := l.Value().ID
			time.Sleep(time.Minute + 1)
			synctest.Wait()
			release(t, l)
			l = acquire(t, p)
			if l.Value().ID == mine {
				t.Errorf("%s: a resource older than MaxAge was lent again while a ping hung", s.Kind())
			}
			release(t, l)
			close(hung)
		})
	}
}

func TestWhatIsTooOldIsNotLentWhileOthersAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, strategies.Queue{Size: 3}, pool.Options{MaxAge: time.Minute, NoReset: true, Jitter: pool.NoJitter})
		a, b := acquire(t, p), acquire(t, p)
		release(t, a)
		release(t, b)
		f.Always(pooltest.Close, pooltest.Slow(time.Second))
		time.Sleep(time.Minute + 500*time.Millisecond) // the first is being closed
		l := acquire(t, p)
		if id := l.Value().ID; id <= 2 {
			t.Errorf("got resource %d, which is older than MaxAge, want a fresh one", id)
		}
		release(t, l)
	})
}

func TestMinIdleIsRestoredAfterADisposalWhileNobodyComes(t *testing.T) {
	for _, hang := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f := pooltest.NewFake()
			d := keep(f)
			p := open(t, f, two, pool.Options{MinIdle: 1, Jitter: pool.NoJitter, CloseTimeout: time.Second})
			d.until(time.Minute)
			end := make(chan struct{})
			if hang { // the seat stays taken, but there is another
				f.Next(pooltest.Close, d.note(pooltest.Close, pooltest.Hang(end)))
			}
			p.Dispose()
			d.until(2 * time.Minute)
			d.reads(t, "open 0s", "close 1m0s", "open 1m0.25s")
			close(end)
		})
	}
}

func TestLeaseThatBeganInTheLineWakesUpkeep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		d := keep(f)
		s := &tapped{Strategy: strategies.Queue{Size: 5}}
		p := open(t, f, s, pool.Options{MinIdle: 1, Ping: true, PingAfter: time.Hour, Jitter: pool.NoJitter})
		d.until(time.Second)
		s.seating.Pause(true)
		waiter := start(after(t, 2*time.Hour), p)
		d.until(time.Minute) // upkeep sleeps: nothing is used
		d.reads(t, "open 0s")
		s.seating.Pause(false)
		got := <-waiter // it has what was idle
		d.until(2 * time.Minute)
		d.reads(t, "open 1m0.25s")
		release(t, got.lease)
	})
}

func TestUpkeepTriesAgainWhatItCouldNotClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		d := keep(f)
		refused := false
		s := &tapped{Strategy: two, claim: func() bool { was := refused; refused = true; return was }}
		p := open(t, f, s, pool.Options{MaxIdle: 8 * time.Minute, Jitter: pool.NoJitter})
		release(t, acquire(t, p))
		d.until(time.Hour)
		d.reads(t, "open 0s", "close 10m0s") // it could not at 9:00
	})
}

func TestOverflowLingers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		d := keep(f)
		s := &tapped{Strategy: strategies.Queue{Size: 4}, limits: func(l *pool.Limits) { l.Keep, l.Linger = 1, 8*time.Minute }}
		p := open(t, f, s, pool.Options{})
		var leases []testLease
		for range 4 {
			leases = append(leases, acquire(t, p))
		}
		for _, l := range leases {
			release(t, l)
		}
		d.until(time.Hour)
		d.reads(t, "open 0s", "open 0s", "open 0s", "open 0s", "close 9m0s", "close 9m0s", "close 9m0s")
		if got := p.Stats().ClosedBy[pool.ReasonOverflow]; got != 3 {
			t.Errorf("%d were closed as overflow, want 3 of 4: one is kept", got)
		}
	})
}

func TestUpkeepLeavesAloneWhatCameInPlaceOfWhatItSaw(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		d := keep(f)
		p := open(t, f, two, pool.Options{MaxIdle: 8 * time.Minute, NoReset: true, Jitter: pool.NoJitter})
		a, b := acquire(t, p), acquire(t, p)
		release(t, a)
		release(t, b)
		f.Next(pooltest.Close, d.note(pooltest.Close, pooltest.Slow(time.Minute)))
		d.until(9*time.Minute + time.Second)
		d.reads(t, "open 0s", "open 0s", "close 9m0s") // and upkeep waits for that, with the other next in turn
		_ = acquire(t, p).Discard(nil)
		release(t, acquire(t, p)) // of another resource: it was never lent before, as the other had been
		d.until(11 * time.Minute)
		d.reads(t, "close 9m1s", "open 9m1s")
	})
}

func TestUpkeepLeavesAloneWhatWasUsedWhileItClosedAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		d := keep(f)
		p := open(t, f, two, pool.Options{MaxIdle: 8 * time.Minute, NoReset: true, Jitter: pool.NoJitter})
		a, b := acquire(t, p), acquire(t, p)
		release(t, a)
		release(t, b)
		f.Next(pooltest.Close, d.note(pooltest.Close, pooltest.Slow(time.Minute)))
		d.until(9*time.Minute + time.Second)
		release(t, acquire(t, p))
		d.until(11 * time.Minute)
		d.reads(t, "open 0s", "open 0s", "close 9m0s")
	})
}

func TestMinIdleIsRestoredRightAfterAPassThatWasBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		d := keep(f)
		p := open(t, f, two, pool.Options{MinIdle: 2, KeepAlive: 8 * time.Minute, PingTimeout: time.Minute, Jitter: pool.NoJitter})
		f.Next(pooltest.Ping, d.note(pooltest.Ping, pooltest.Slow(10*time.Second)))
		d.until(8*time.Minute + 5*time.Second)
		_ = acquire(t, p).Discard(nil)
		d.until(9 * time.Minute)
		d.reads(t, "open 0s", "open 0s", "ping 8m0s", "close 8m5s", "open 8m10s")
	})
}

func TestMinIdleIsRestoredWhereACloseIsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := pool.Funcs[int]{OpenFunc: func(context.Context) (int, error) { return 1, nil }}
		p, err := pool.New(backend, two, pool.Options{MinIdle: 1, Jitter: pool.NoJitter})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		time.Sleep(time.Minute)
		p.Dispose()
		time.Sleep(250 * time.Millisecond)
		synctest.Wait()
		if s := p.Stats(); s.Idle != 1 || s.Opened != 2 {
			t.Errorf("a quarter of a second after a disposal: %v, %d opened; want 1 idle, the second", s, s.Opened)
		}
	})
}

func TestWhatIsInUseGrowsOldWhileAPingHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, strategies.Queue{Size: 3}, pool.Options{MaxAge: time.Minute, KeepAlive: 8 * time.Second, PingTimeout: time.Hour, NoReset: true, Jitter: pool.NoJitter})
		hung := make(chan struct{})
		f.Next(pooltest.Ping, pooltest.Hang(hung))
		a, b := acquire(t, p), acquire(t, p)
		release(t, a)
		old := b.Value().ID
		time.Sleep(time.Minute + 1)
		synctest.Wait()
		release(t, b)
		c := acquire(t, p)
		if c.Value().ID == old {
			t.Error("a resource older than MaxAge was lent again while a ping hung")
		}
		release(t, c)
		close(hung)
	})
}

func TestUpkeepSeesWhatBecameUsedDuringAPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		d := keep(f)
		p := open(t, f, strategies.Queue{Size: 5}, pool.Options{MinIdle: 2, KeepAlive: 8 * time.Minute, NoReset: true, Jitter: pool.NoJitter})
		d.until(7*time.Minute + 59*time.Second + 850*time.Millisecond)
		release(t, acquire(t, p)) // which wakes upkeep, and leaves a hint
		f.Next(pooltest.Ping, d.note(pooltest.Ping, pooltest.Slow(time.Second)))
		d.until(8*time.Minute + 750*time.Millisecond) // amid the ping of the other; by the look before, nothing was used
		d.reads(t, "open 0s", "open 0s", "ping 8m0s")
		l := acquire(t, p) // by the hint, so that nobody is told
		d.until(9 * time.Minute)
		d.reads(t, "open 8m1.25s") // a quarter of a second after the pass
		release(t, l)
	})
}

func TestClosedPoolIsNotKeptByItsUpkeep(t *testing.T) {
	gone := func() weak.Pointer[testPool] {
		p, err := pool.New[res](pooltest.NewFake(), two, pool.Options{MaxAge: time.Hour, MaxIdle: time.Hour, Dropped: pool.IgnoreDropped})
		if err != nil {
			t.Fatal(err)
		}
		release(t, acquire(t, p))
		if err := p.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		return weak.Make(p)
	}()
	for range 100 { // real time: what ends with the pool may take a moment
		if runtime.GC(); gone.Value() == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("a pool that was closed is still in memory: its timer must not hold it")
}

// BenchmarkUpkeepPass is one pass over so many idle resources. An op is the pass.
func BenchmarkUpkeepPass(b *testing.B) {
	for _, n := range []int{100, 10_000, 100_000} {
		for _, o := range []pool.Options{{MaxAge: time.Hour}, {MaxIdle: time.Hour}} {
			b.Run(fmt.Sprint(n, " seats, MaxAge ", o.MaxAge, " MaxIdle ", o.MaxIdle), func(b *testing.B) {
				o.NoReset, o.Dropped = true, pool.IgnoreDropped
				backend := pool.Funcs[int]{OpenFunc: func(context.Context) (int, error) { return 1, nil }}
				p, err := pool.New[int](backend, strategies.Queue{Size: n}, o)
				if err != nil {
					b.Fatal(err)
				}
				defer p.Close()
				leases := make([]pool.Lease[int], n)
				for i := range leases {
					leases[i], _ = p.Acquire(b.Context())
				}
				for _, l := range leases {
					_ = l.Release()
				}
				b.ReportAllocs()
				for b.Loop() {
					pool.UpkeepPass(p)
				}
			})
		}
	}
}
