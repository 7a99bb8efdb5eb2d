package pool_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

func TestWarmReturnsWhenSoManyAreOpen(t *testing.T) {
	for _, tc := range []struct {
		name     string
		strategy pool.Strategy
		opts     pool.Options
		n        int
		want     time.Duration // with opens that take 100 ms
	}{
		{"all at once", strategies.Queue{Size: 5}, pool.Options{OpensAtOnce: pool.Unlimited}, 5, 100 * time.Millisecond},
		{"two at once", strategies.Queue{Size: 5}, pool.Options{OpensAtOnce: 2}, 5, 300 * time.Millisecond},
		{"at a pace", strategies.Queue{Size: 5}, pool.Options{OpensAtOnce: 2, OpenInterval: 80 * time.Millisecond}, 5, 420 * time.Millisecond},
		{"lifo", strategies.Queue{Size: 5, Order: strategies.LIFO}, pool.Options{OpensAtOnce: 2}, 3, 200 * time.Millisecond},
		{"singleton", strategies.Singleton{Size: 3}, pool.Options{OpensAtOnce: 1}, 3, 300 * time.Millisecond},
		{"static", strategies.Static{}, pool.Options{}, 1, 100 * time.Millisecond},
		{"assertion", strategies.Assertion{}, pool.Options{}, 1, 100 * time.Millisecond},
		{"unlimited", strategies.Queue{Size: pool.Unlimited}, pool.Options{OpensAtOnce: pool.Unlimited}, 7, 100 * time.Millisecond},
		{"lingering", strategies.Queue{Size: 1, MaxOverflow: 2, Linger: time.Hour}, pool.Options{}, 3, 100 * time.Millisecond},
		{"none", strategies.Queue{Size: 5}, pool.Options{}, 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := pooltest.NewFake()
				f.Always(pooltest.Open, pooltest.Slow(100*time.Millisecond))
				p := open(t, f, tc.strategy, tc.opts)
				begin := time.Now()
				if err := p.Warm(t.Context(), tc.n); err != nil {
					t.Fatalf("Warm: %v, want nil", err)
				}
				if took := time.Since(begin); took != tc.want || f.OpenNow() != tc.n {
					t.Errorf("Warm(%d) took %v and %d are open, want %v", tc.n, took, f.OpenNow(), tc.want)
				}
				synctest.Wait()
				if s := p.Stats(); s.Idle != tc.n || s.Opening != 0 {
					t.Errorf("after Warm(%d): %v, want as many idle and nothing being opened", tc.n, s)
				}
				if tc.n == 0 {
					return
				}
				f.Always(pooltest.Open, pooltest.Fail(errTest))
				if err := p.Warm(t.Context(), tc.n); err != nil {
					t.Errorf("Warm of a pool that is warm: %v, want nil", err)
				}
				release(t, acquire(t, p))
			})
		})
	}
}

func TestWarmCountsWhatIsLentAndBeingOpenedForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, strategies.Queue{Size: 3}, pool.Options{})
		acquire(t, p)
		f.Always(pooltest.Open, pooltest.Slow(time.Second))
		b := start(t.Context(), p)
		begin := time.Now()
		if err := p.Warm(t.Context(), 3); err != nil {
			t.Errorf("Warm: %v, want nil", err)
		}
		if took := time.Since(begin); took != time.Second || f.Opened() != 3 {
			t.Errorf("Warm took %v and %d were opened; want 1s and 3, one of them for another", took, f.Opened())
		}
		<-b
	})
}

func TestWarmReplacesAnOpenWhoseCallerLeftBeforeItBegan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, two, pool.Options{OpenInterval: 10 * time.Second})
		begin := time.Now()
		acquire(t, p)
		left := start(after(t, time.Second), p) // its open may begin after 10s
		if err := p.Warm(t.Context(), 2); err != nil || time.Since(begin) != 10*time.Second || f.OpenNow() != 2 {
			t.Errorf("Warm: %v after %v with %d open, want nil after 10s with 2", err, time.Since(begin), f.OpenNow())
		}
		is(t, "the caller who left", (<-left).err, pool.ErrTimeout)
	})
}

func TestWarmCountsNeitherWhatHangsNorWhatIsBeingClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, strategies.Queue{Size: 4}, pool.Options{OpenTimeout: time.Second, Backoff: pool.NoBackoff})
		closing := acquire(t, p)
		f.Next(pooltest.Open, pooltest.Stuck(time.Minute))
		stuck := start(t.Context(), p)
		if (<-stuck).err == nil {
			t.Fatal("the open that hangs answered nobody")
		}
		f.Next(pooltest.Close, pooltest.Stuck(3*time.Second))
		go closing.Discard(errTest)
		synctest.Wait()
		begin := time.Now()
		if err := p.Warm(t.Context(), 2); err != nil || time.Since(begin) != 0 || p.Stats().Idle != 2 {
			t.Errorf("Warm(2): %v after %v, %v; want two more at once", err, time.Since(begin), p)
		}
		if err := p.Warm(t.Context(), 3); err != nil || time.Since(begin) != 3*time.Second {
			t.Errorf("Warm(3) with one of 4 seats stuck and one being closed for 3s: %v after %v, want nil after 3s", err, time.Since(begin))
		}
		time.Sleep(time.Minute)
	})
}

func TestWarmEndsWithTheFirstOpenThatFails(t *testing.T) {
	for _, attempts := range []int{1, 3} {
		t.Run(fmt.Sprintf("of %d attempts", attempts), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := pooltest.NewFake()
				p := open(t, f, strategies.Queue{Size: 5}, pool.Options{Name: "orders", OpensAtOnce: 1, OpenAttempts: attempts, Backoff: pool.NoBackoff})
				f.Next(pooltest.Open, pooltest.Slow(time.Second), pooltest.Slow(time.Second))
				f.Always(pooltest.Open, pooltest.Slow(time.Second, pooltest.Fail(errTest)))
				begin := time.Now()
				err := p.Warm(t.Context(), 4)
				if want := time.Duration(2+attempts) * time.Second; time.Since(begin) != want {
					t.Errorf("Warm took %v, want %v", time.Since(begin), want)
				}
				is(t, "Warm", err, errTest)
				var open *pool.OpenError
				var warm *pool.WarmError
				if !asError(err, &open) || open.Attempts != attempts || !asError(err, &warm) || warm.Open != 2 || warm.Want != 4 {
					t.Errorf("Warm: %#v, want a WarmError with 2 of 4 and an OpenError of %d attempts", err, attempts)
				}
				want := "pool orders: warm-up ended with 2 of 4 open: open: " + errTest.Error()
				if attempts > 1 {
					want = fmt.Sprintf("pool orders: warm-up ended with 2 of 4 open: open failed %d times: %v", attempts, errTest)
				}
				if err.Error() != want {
					t.Errorf("message %q, want %q", err, want)
				}
				if f.OpenNow() != 2 {
					t.Errorf("%d are open, want the 2 that were opened before", f.OpenNow())
				}
			})
		})
	}
}

func TestWarmDoesNotMindFailuresOfBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		f.Next(pooltest.Open, pooltest.Fail(errTest))
		p := open(t, f, two, pool.Options{})
		_, err := p.Acquire(t.Context())
		is(t, "Acquire", err, errTest)
		if err := p.Warm(t.Context(), 2); err != nil {
			t.Errorf("Warm after the backend came back: %v, want nil", err)
		}
	})
}

func TestWarmThatKeepsWaitingGoesOnUntilItsTimeIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, strategies.Queue{Size: 5}, pool.Options{OpensAtOnce: 1, OnOpenFailure: pool.KeepWaiting, Backoff: pool.NoBackoff, OpenInterval: time.Second})
		f.Next(pooltest.Open, pooltest.OK, pooltest.Fail(errTest), pooltest.OK, pooltest.OK)
		f.Always(pooltest.Open, pooltest.Fail(errTest))
		begin := time.Now()
		if err := p.Warm(t.Context(), 3); err != nil || time.Since(begin) != 3*time.Second {
			t.Errorf("Warm with one open that failed: %v after %v, want nil after 3s", err, time.Since(begin))
		}
		reason := fmt.Errorf("test: out of patience")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 10*time.Second, reason)
		defer cancel()
		begin = time.Now()
		err := p.Warm(ctx, 5)
		if took := time.Since(begin); took != 10*time.Second {
			t.Errorf("Warm took %v, want 10s", took)
		}
		is(t, "Warm", err, reason, errTest)
		if want := fmt.Sprintf("pool: warm-up ended with 3 of 5 open: %v; last open error: %v", reason, errTest); err.Error() != want {
			t.Errorf("message %q, want %q", err, want)
		}
	})
}

func TestWarmRefusesWhatWouldNotBeKept(t *testing.T) {
	for _, tc := range []struct {
		strategy pool.Strategy
		n        int
	}{
		{strategies.Queue{Size: 2, MaxOverflow: 5}, 3}, {strategies.Queue{Size: 2}, -1}, {strategies.Null{Max: 5}, 1},
		{strategies.Static{}, 2}, {strategies.Singleton{Size: 2}, 3}, {strategies.Queue{Size: 2, MaxOverflow: 1, Linger: time.Hour}, 4},
	} {
		f := pooltest.NewFake()
		p := open(t, f, tc.strategy, pool.Options{})
		var option *pool.OptionError
		if err := p.Warm(t.Context(), tc.n); !asError(err, &option) || f.Calls(pooltest.Open) != 0 {
			t.Errorf("Warm(%d) of %+v: %v with %d opens, want an OptionError at once", tc.n, tc.strategy, err, f.Calls(pooltest.Open))
		}
	}
}

func TestWarmEndsWithThePool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		f.Always(pooltest.Open, pooltest.Slow(time.Minute))
		p := open(t, f, two, pool.Options{OpenTimeout: time.Hour})
		out := make(chan error, 1)
		go func() { out <- p.Warm(t.Context(), 2) }()
		time.Sleep(time.Second)
		begin := time.Now()
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		is(t, "Warm", <-out, pool.ErrClosed)
		if time.Since(begin) != 0 {
			t.Errorf("Warm noticed after %v, want at once", time.Since(begin))
		}
		is(t, "Warm of a closed pool", p.Warm(t.Context(), 2), pool.ErrClosed)
	})
}

func TestWarmEndsWhenAResizeKeepsFewer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		f.Always(pooltest.Open, pooltest.Slow(time.Second))
		p := open(t, f, strategies.Queue{Size: 4}, pool.Options{OpensAtOnce: 1})
		out := make(chan error, 1)
		go func() { out <- p.Warm(t.Context(), 4) }()
		time.Sleep(1500 * time.Millisecond)
		if err := p.Resize(two); err != nil {
			t.Fatal(err)
		}
		var option *pool.OptionError
		if err := <-out; !asError(err, &option) {
			t.Errorf("Warm(4) of a pool that keeps 2 now: %v, want an OptionError", err)
		}
	})
}
