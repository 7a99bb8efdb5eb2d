package pool_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

// diary notes when a resource was opened, pinged and closed, since the test began.
type diary struct {
	begin time.Time
	mu    sync.Mutex
	notes []string
}

func keep(f *pooltest.Fake) *diary {
	d := &diary{begin: time.Now()}
	d.follow(f)
	return d
}

func (d *diary) follow(f *pooltest.Fake) {
	for _, m := range []pooltest.Method{pooltest.Open, pooltest.Ping, pooltest.Close} {
		f.Always(m, d.note(m, pooltest.OK))
	}
}

// note is then, and an entry of when.
func (d *diary) note(m pooltest.Method, then pooltest.Act) pooltest.Act {
	return func(ctx context.Context) error {
		d.mu.Lock()
		d.notes = append(d.notes, fmt.Sprint(m, " ", time.Since(d.begin)))
		d.mu.Unlock()
		return then(ctx)
	}
}

// reads asserts what is in the diary once everything has come to rest, and empties it.
func (d *diary) reads(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Equal(d.notes, want) {
		t.Errorf("after %v the diary reads\n\t%q, want\n\t%q", time.Since(d.begin), d.notes, want)
	}
	d.notes = nil
}

// until sleeps until so long after the test began.
func (d *diary) until(at time.Duration) { time.Sleep(at - time.Since(d.begin)) }

func TestUpkeepNeedsAnOptionToRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, pooltest.NewFake(), two, pool.Options{})
		release(t, acquire(t, p))
		_ = acquire(t, p).Discard(nil)
		if pool.Upkeeps(p) {
			t.Error("a pool with no option for upkeep has set its timer; what is not asked for must cost nothing")
		}
	})
}

func TestIdleResourceIsClosedWhenItIsTooOld(t *testing.T) {
	for _, s := range []pool.Strategy{two, strategies.Queue{Size: 2, Order: strategies.LIFO}, strategies.Static{}, strategies.Singleton{Size: 2}, strategies.Assertion{}} {
		synctest.Test(t, func(t *testing.T) {
			f := pooltest.NewFake()
			d := keep(f)
			p := open(t, f, s, pool.Options{MaxAge: time.Minute, Jitter: pool.NoJitter})
			release(t, acquire(t, p))
			d.until(30 * time.Second)
			release(t, acquire(t, p)) // use makes nothing younger
			d.until(time.Hour)
			d.reads(t, "open 0s", "close 1m0.000000001s")
			if got := p.Stats().ClosedBy[pool.ReasonAge]; got != 1 {
				t.Errorf("%s: ClosedBy[age] = %d, want 1", s.Kind(), got)
			}
		})
	}
}

func TestLeasedResourceGrowsOldInItsHoldersHands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		d := keep(f)
		p := open(t, f, two, pool.Options{MaxAge: 8 * time.Minute, Jitter: pool.NoJitter})
		l := acquire(t, p)
		d.until(20 * time.Minute)
		l.Value().Use(t)
		release(t, l)
		d.until(time.Hour)
		// Looked at again after each eighth of MaxAge since it was found too old.
		d.reads(t, "open 0s", "close 20m0.000000001s")
	})
}

func TestUnusedResourceIsClosedAfterMaxIdle(t *testing.T) {
	for _, s := range []pool.Strategy{two, strategies.Queue{Size: 2, Order: strategies.LIFO}, strategies.Static{}, strategies.Singleton{Size: 2}} {
		synctest.Test(t, func(t *testing.T) {
			f := pooltest.NewFake()
			d := keep(f)
			p := open(t, f, s, pool.Options{MaxIdle: 8 * time.Minute, Jitter: pool.NoJitter})
			release(t, acquire(t, p))
			// Upkeep looks each minute while it finds use, and sleeps until something is due when it does not.
			d.until(5*time.Minute + time.Second)
			release(t, acquire(t, p))
			d.until(time.Hour)
			// It was seen unused first at 6:01, a minute after it had been woken.
			d.reads(t, "open 0s", "close 14m1s")
			release(t, acquire(t, p))
			d.until(2 * time.Hour)
			d.reads(t, "open 1h0m0s", "close 1h9m0s")
		})
	}
}

func TestMaxIdleSparesWhatIsUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		d := keep(f)
		p := open(t, f, two, pool.Options{MaxIdle: time.Minute, Jitter: pool.NoJitter, NoReset: true})
		a, b := acquire(t, p), acquire(t, p)
		release(t, a)
		release(t, b)
		for range 100 { // one of the two is never unused for a minute
			time.Sleep(30 * time.Second)
			release(t, acquire(t, p))
		}
		d.reads(t, "open 0s", "open 0s", "close 1m7.5s")
	})
}

func TestMinIdleIsOpenBeforeAnybodyComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		d := keep(f)
		p := open(t, f, strategies.Queue{Size: 5, MaxOverflow: 5}, pool.Options{MinIdle: 3, Jitter: pool.NoJitter})
		d.reads(t, "open 0s", "open 0s", "open 0s")
		d.until(time.Minute)
		a := acquire(t, p)
		// Upkeep was asleep; the Acquire woke it, and it looks a quarter of a second later.
		d.until(2 * time.Minute)
		d.reads(t, "open 1m0.25s")
		_ = a.Discard(nil) // what is idle is enough
		d.until(3 * time.Minute)
		d.reads(t, "close 2m0s")
		for range 3 {
			acquire(t, p)
		}
		d.until(4 * time.Minute)
		d.reads(t, "open 3m0.25s", "open 3m0.25s", "open 3m0.25s")
		p.Dispose()
		d.reads(t, "close 4m0s", "close 4m0s", "close 4m0s")
		d.until(5 * time.Minute)
		d.reads(t, "open 4m0.25s", "open 4m0.25s", "open 4m0.25s")
	})
}

func TestMinIdleOfAFleetIsNotOpenedInStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &diary{begin: time.Now()}
		for range 20 {
			f := pooltest.NewFake()
			d.follow(f)
			open(t, f, two, pool.Options{MinIdle: 1})
		}
		time.Sleep(time.Second)
		synctest.Wait()
		d.mu.Lock()
		defer d.mu.Unlock()
		if all, apart := len(d.notes), len(slices.Compact(slices.Clone(d.notes))); all != 20 || apart < 15 {
			t.Errorf("20 pools that start together opened %d resources at %d different moments, want 20 within a second at nearly as many", all, apart)
		}
	})
}

func TestMinIdleGoesOnAfterFailuresAtThePaceOfTheBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		f.Always(pooltest.Open, pooltest.Fail(errTest))
		p := open(t, f, two, pool.Options{MinIdle: 2, Jitter: pool.NoJitter, Backoff: time.Second})
		time.Sleep(time.Minute)
		// Full jitter: half a second on average, and a quarter until upkeep looks.
		if n := f.Calls(pooltest.Open); n < 40 || n > 240 {
			t.Errorf("%d opens in a minute of failure with a back-off of a second at most, want some 120", n)
		}
		f.Always(pooltest.Open, pooltest.OK)
		time.Sleep(2 * time.Second)
		if s := p.Stats(); s.Idle != 2 {
			t.Errorf("two seconds after the backend is back: %v, want 2 idle", s)
		}
	})
}

func TestMinIdleStaysWhenTheRestHasLainIdleForTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, strategies.Queue{Size: 5}, pool.Options{MinIdle: 2, MaxIdle: time.Minute, Jitter: pool.NoJitter})
		var leases []testLease
		for range 5 {
			leases = append(leases, acquire(t, p))
		}
		for _, l := range leases {
			release(t, l)
		}
		time.Sleep(time.Hour)
		if s := p.Stats(); s.Idle != 2 || s.ClosedBy[pool.ReasonIdle] != 3 || s.Opened != 5 {
			t.Errorf("an hour later: %v, opened %d, closed %v; want 3 of 5 closed as idle, and 2 left", s, s.Opened, s.ClosedBy)
		}
	})
}

func TestMinIdleMustFitTheStrategy(t *testing.T) {
	for _, s := range []pool.Strategy{two, strategies.Null{Max: 3}} {
		_, err := pool.New[res](pooltest.NewFake(), s, pool.Options{MinIdle: 3})
		var e *pool.OptionError
		if !asError(err, &e) || e.Field != "MinIdle" {
			t.Errorf("New with %s and MinIdle 3: %v, want an OptionError that names MinIdle", s.Kind(), err)
		}
	}
}

func TestOverflowLingersUntilItHasLainUnused(t *testing.T) {
	for _, order := range []strategies.Order{strategies.Affine, strategies.LIFO} {
		synctest.Test(t, func(t *testing.T) {
			f := pooltest.NewFake()
			d := keep(f)
			s := strategies.Queue{Size: 1, MaxOverflow: 2, Linger: 8 * time.Second, Order: order}
			p := open(t, f, s, pool.Options{})
			leases := []testLease{acquire(t, p), acquire(t, p), acquire(t, p)}
			d.reads(t, "open 0s", "open 0s", "open 0s")
			for _, l := range leases {
				release(t, l)
			}
			d.until(5 * time.Second)
			again := []testLease{acquire(t, p), acquire(t, p)} // a burst finds them open
			d.until(20 * time.Second)
			d.reads(t, "close 9s") // the one that was not used again; nothing is drawn from Linger
			for _, l := range again {
				release(t, l)
			}
			d.until(time.Minute)
			d.reads(t, "close 29s") // it was seen unused first at 21s
			if s := p.Stats(); s.Idle != 1 || s.ClosedBy[pool.ReasonOverflow] != 2 {
				t.Errorf("a minute later: %v, closed %v; want the one of Size idle, and two closed as overflow", s, s.ClosedBy)
			}
		})
	}
}

func TestKeepAlivePingsWhatLiesUnused(t *testing.T) {
	for _, s := range []pool.Strategy{two, strategies.Static{}, strategies.Singleton{Size: 2}} {
		synctest.Test(t, func(t *testing.T) {
			f := pooltest.NewFake()
			d := keep(f)
			p := open(t, f, s, pool.Options{KeepAlive: 8 * time.Minute, Jitter: pool.NoJitter})
			release(t, acquire(t, p))
			d.until(20 * time.Minute)
			d.reads(t, "open 0s", "ping 9m0s", "ping 17m0s")
			release(t, acquire(t, p)) // which says as much as a ping
			d.until(30 * time.Minute)
			d.reads(t, "ping 29m0s")
			f.Next(pooltest.Ping, d.note(pooltest.Ping, pooltest.Fail(errTest)))
			d.until(time.Hour)
			d.reads(t, "ping 37m0s", "close 37m0s")
		})
	}
}

func TestKeepAliveThatHangsHoldsUpNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		d := keep(f)
		p := open(t, f, two, pool.Options{KeepAlive: 8 * time.Minute, Jitter: pool.NoJitter, PingTimeout: 10 * time.Second})
		a, b := acquire(t, p), acquire(t, p)
		release(t, a)
		release(t, b)
		hung := make(chan struct{})
		f.Next(pooltest.Ping, d.note(pooltest.Ping, pooltest.Hang(hung)))
		d.until(9*time.Minute + 5*time.Second)
		d.reads(t, "open 0s", "open 0s", "ping 9m0s")
		l := acquire(t, p) // while one is out of reach the other is not
		release(t, l)
		d.until(9*time.Minute + 15*time.Second)
		if s := p.Stats(); s.Stuck != 1 || s.PingFailures != 1 || s.Idle != 1 {
			t.Errorf("after PingTimeout: %v, %d ping failures; want one seat stuck and the other idle", s, s.PingFailures)
		}
		close(hung)
		d.reads(t, "close 9m15s")
	})
}

func TestKeepAliveOfABackendWithoutPingDoesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := pool.Funcs[int]{OpenFunc: func(context.Context) (int, error) { return 1, nil }}
		p, err := pool.New(backend, two, pool.Options{KeepAlive: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		l, err := p.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_ = l.Release()
		time.Sleep(time.Hour)
		if s := p.Stats(); s.Idle != 1 {
			t.Errorf("after an hour: %v, want the resource idle", s)
		}
	})
}

func TestUpkeepEndsWithThePool(t *testing.T) {
	for _, end := range []func(*testPool) error{
		(*testPool).Close,
		func(p *testPool) error { return p.Shutdown(context.Background()) },
	} {
		synctest.Test(t, func(t *testing.T) {
			f := pooltest.NewFake()
			p := open(t, f, two, pool.Options{KeepAlive: time.Minute, MinIdle: 2, MaxIdle: time.Hour, MaxAge: time.Hour, Jitter: pool.NoJitter})
			f.Always(pooltest.Ping, pooltest.Slow(time.Second))
			time.Sleep(time.Minute + 750*time.Millisecond) // in the midst of the first ping
			if f.Calls(pooltest.Ping) != 1 {
				t.Fatalf("%d pings have begun, want 1", f.Calls(pooltest.Ping))
			}
			begin := time.Now()
			if err := end(p); err != nil {
				t.Errorf("the end during a ping: %v, want nil", err)
			}
			if took := time.Since(begin); took != 0 {
				t.Errorf("the end took %v, want none: the ping's ctx ends with the pool", took)
			}
			synctest.Wait()
			time.Sleep(2 * time.Hour)
			if n := f.Opened() - f.Closed(); n != 0 {
				t.Errorf("%d resources are open long after the end", n)
			}
		})
	}
}

func TestResourcesThatWereOpenedTogetherEndOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 100
		f := pooltest.NewFake()
		pool.FixSeed(t, 1)
		p := open(t, f, strategies.Queue{Size: n}, pool.Options{MaxAge: time.Hour, MinIdle: n, OpensAtOnce: pool.Unlimited})
		time.Sleep(54 * time.Minute)
		least, closed, most := n, uint64(0), uint64(0)
		for range 6 * 60 {
			time.Sleep(time.Second)
			s := p.Stats()
			least = min(least, s.Idle)
			now := s.ClosedBy[pool.ReasonAge]
			most, closed = max(most, now-closed), now
		}
		if closed < n-5 || most > 4 || least < n-3 {
			t.Errorf("of %d resources of one age %d ended in the last tenth of it, up to %d in a second, and as few as %d were idle; want all, 4, and %d: no mass extinction",
				n, closed, most, least, n-3)
		}
	})
}

// The lifetimes of 10,000 resources are flat over the range that Jitter says.
func TestJitterIsEvenOverItsRange(t *testing.T) {
	const n, pools, cells = 2000, 5, 20
	counts := make([]int, cells)
	for seed := range uint64(pools) {
		synctest.Test(t, func(t *testing.T) {
			f := pooltest.NewFake()
			var mu sync.Mutex
			begin := time.Now()
			f.Always(pooltest.Close, func(context.Context) error {
				mu.Lock()
				defer mu.Unlock()
				life := time.Since(begin)
				if life <= 48*time.Minute || life > time.Hour+1 {
					t.Errorf("a resource lived for %v, with MaxAge 1h and Jitter 20; want more than 48m, and 1h at most", life)
				} else {
					counts[min(int((life-48*time.Minute)*cells/(12*time.Minute)), cells-1)]++
				}
				return nil
			})
			pool.FixSeed(t, seed)
			p := open(t, f, strategies.Queue{Size: n}, pool.Options{MaxAge: time.Hour, Jitter: 20, OpensAtOnce: pool.Unlimited, Dropped: pool.IgnoreDropped})
			leases := make([]testLease, n)
			for i := range leases {
				leases[i] = acquire(t, p)
			}
			for _, l := range leases {
				release(t, l)
			}
			time.Sleep(2 * time.Hour)
		})
	}
	// Pearson's chi-squared with 19 degrees of freedom exceeds 43.8 in one of a thousand cases.
	chi, want := 0.0, float64(n*pools)/cells
	for _, c := range counts {
		chi += (float64(c) - want) * (float64(c) - want) / want
	}
	if chi > 43.8 {
		t.Errorf("lifetimes fall into %d cells of the range as %v, chi-squared %.1f; want them even, 43.8 at most", cells, counts, chi)
	}
}

func TestMinIdleIsFilledAsFastAsOpensTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		d := keep(f)
		f.Always(pooltest.Open, d.note(pooltest.Open, pooltest.Slow(time.Second)))
		open(t, f, strategies.Queue{Size: 5}, pool.Options{MinIdle: 5, OpensAtOnce: 2, Jitter: pool.NoJitter})
		d.until(time.Minute)
		d.reads(t, "open 0s", "open 0s", "open 1s", "open 1s", "open 2s")
	})
}
