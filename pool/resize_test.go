package pool_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

func TestResizeIsSeenInLimitsStatsMessagesAndRecreate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, pooltest.NewFake(), one, pool.Options{})
		to := strategies.Queue{Size: 2, MaxOverflow: 1}
		if err := p.Resize(to); err != nil {
			t.Fatal(err)
		}
		want := pool.Limits{Seats: 3, Keep: 2}
		if p.Limits() != want || p.Stats().Limits != want || p.Strategy() != pool.Strategy(to) {
			t.Errorf("limits %+v, in Stats %+v, strategy %+v; want those of %+v", p.Limits(), p.Stats().Limits, p.Strategy(), to)
		}
		for range 3 {
			acquire(t, p)
		}
		_, err := p.TryAcquire(t.Context())
		if want := "pool: every seat is taken: 3 of 3 in use (1 overflow), 0 waiting"; err == nil || err.Error() != want {
			t.Errorf("TryAcquire: %q, want %q", err, want)
		}
		again, err := p.Recreate()
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		if again.Limits() != want {
			t.Errorf("the recreated pool has %+v, want the new numbers, %+v", again.Limits(), want)
		}
	})
}

// twoAtMost is a backend that does not suit more than two seats.
type twoAtMost struct{ *pooltest.Fake }

func (twoAtMost) CheckLimits(kind string, l pool.Limits) error {
	if l.Seats > 2 {
		return errTest
	}
	return nil
}

func TestResizeAsksTheBackendFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p, err := pool.New[res](twoAtMost{f}, one, pool.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer closeUp(t, f, p)
		out := acquire(t, p)
		waiter := start(t.Context(), p)
		is(t, "Resize to 3", p.Resize(strategies.Queue{Size: 3}), errTest)
		if p.Limits().Seats != 1 || p.Strategy() != pool.Strategy(one) || f.Opened() != 1 {
			t.Errorf("after a Resize that the backend refused: %+v of %+v, %d opened; want nothing changed", p.Limits(), p.Strategy(), f.Opened())
		}
		if err := p.Resize(two); err != nil {
			t.Errorf("Resize to 2: %v, want nil", err)
		}
		release(t, (<-waiter).lease)
		release(t, out)
		var option *pool.OptionError
		if err := p.Resize(strategies.Queue{Size: -5}); !asError(err, &option) {
			t.Errorf("Resize to a size of -5: %v, want an OptionError", err)
		}
	})
}

func TestResizeRefusesNilOtherKindsAndStrategiesThatCannot(t *testing.T) {
	p := open(t, pooltest.NewFake(), one, pool.Options{})
	rigid := open(t, pooltest.NewFake(), rigidStrategy{}, pool.Options{})
	for what, err := range map[string]error{
		"nil": p.Resize(nil), "another kind": p.Resize(strategies.Null{Max: 1}), "one that cannot": rigid.Resize(rigidStrategy{}),
	} {
		var option *pool.OptionError
		if !asError(err, &option) || option.Field != "strategy" {
			t.Errorf("Resize, %s: %v, want an OptionError for the strategy", what, err)
		}
	}
}

// rigidStrategy has one seat, and no Resize.
type rigidStrategy struct{}

func (rigidStrategy) Kind() string { return "rigid" }
func (rigidStrategy) Start(h pool.Host) (pool.Seating, error) {
	s, err := one.Start(h)
	return struct{ pool.Seating }{s}, err
}

func TestResizeOfAClosedPoolIsErrClosed(t *testing.T) {
	p := open(t, pooltest.NewFake(), one, pool.Options{})
	_ = p.Close()
	is(t, "Resize", p.Resize(two), pool.ErrClosed)
	if p.Limits().Seats != 1 {
		t.Errorf("a closed pool has %d seats after Resize, want the 1 that it had", p.Limits().Seats)
	}
}

func TestSurplusIsClosedOneAfterTheOtherAndResizeDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, strategies.Queue{Size: 4}, pool.Options{})
		if err := p.Warm(t.Context(), 4); err != nil {
			t.Fatal(err)
		}
		f.Always(pooltest.Close, pooltest.Slow(time.Second))
		begin := time.Now()
		if err := p.Resize(one); err != nil || time.Since(begin) != 0 {
			t.Errorf("Resize: %v after %v, want nil at once", err, time.Since(begin))
		}
		for closed := range 4 {
			synctest.Wait()
			if f.Closed() != closed {
				t.Errorf("after %v: %d closed, want %d", time.Since(begin), f.Closed(), closed)
			}
			time.Sleep(time.Second)
		}
		if s := p.Stats(); s.ClosedBy[pool.ReasonOverflow] != 3 || s.Idle != 1 {
			t.Errorf("%v, closed %v; want 3 closed as overflow and 1 idle", s, s.ClosedBy)
		}
	})
}

func TestCloseDoesNotWaitForSurplusThatIsClosedOneAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, strategies.Queue{Size: 20}, pool.Options{CloseTimeout: 5 * time.Second})
		if err := p.Warm(t.Context(), 20); err != nil {
			t.Fatal(err)
		}
		f.Always(pooltest.Close, pooltest.Slow(time.Second))
		if err := p.Resize(one); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if err := p.Close(); err != nil || time.Since(begin) != time.Second {
			t.Errorf("Close: %v after %v, want nil after one close, for all are closed side by side now", err, time.Since(begin))
		}
	})
}

func TestShrinkingClosesASharedResourceThatAllHaveLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, strategies.Singleton{Size: 3}, quick)
		var held []testLease
		for range 3 {
			ctx, _ := pool.WithScope(t.Context())
			l, err := p.Acquire(ctx)
			if err != nil {
				t.Fatal(err)
			}
			joined, err := p.Acquire(ctx) // so that there are free joints
			if err != nil {
				t.Fatal(err)
			}
			release(t, joined)
			held = append(held, l)
		}
		if err := p.Resize(strategies.Singleton{Size: 1}); err != nil {
			t.Fatal(err)
		}
		for _, l := range held {
			l.Value().Use(t)
			release(t, l)
		}
		synctest.Wait()
		if s := p.Stats(); s.Open != 1 || s.Idle != 1 || f.OpenNow() != 1 {
			t.Errorf("%v, by the backend's count %d open; want 1", s, f.OpenNow())
		}
	})
}

func TestResizesAtOnceWithTrafficAndCloseLeaveEverythingWhole(t *testing.T) {
	for range 50 {
		f := pooltest.NewFake()
		p, err := pool.New[res](f, two, pool.Options{NoReset: true})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		for i := range 4 {
			go func() {
				defer func() { done <- struct{}{} }()
				for n := range 20 {
					if err := p.Resize(strategies.Queue{Size: (n+i)%4 + 1}); err != nil && !errors.Is(err, pool.ErrClosed) {
						t.Errorf("Resize: %v", err)
					}
					if l, err := p.Acquire(t.Context()); err == nil {
						_ = l.Release()
					}
				}
			}()
		}
		<-done
		closeUp(t, f, p)
		for range 3 {
			<-done
		}
		if f.MaxOpen() > 4 {
			t.Errorf("%d were open at once, want 4 at most", f.MaxOpen())
		}
	}
}
