package pool_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

// checked is a Fake that is a Checker.
type checked struct {
	*pooltest.Fake
	kind  pool.Check
	check func(context.Context, res) error
}

func (c checked) Checks() pool.Check { return c.kind }

func (c checked) Check(ctx context.Context, r res) error { return c.check(ctx, r) }

func openChecked(t testing.TB, c checked, s pool.Strategy, o pool.Options) *testPool {
	t.Helper()
	p, err := pool.New[res](c, s, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeUp(t, c.Fake, p) })
	return p
}

func TestCheckIsMadeOfWhatWasOpenBeforeTheAcquire(t *testing.T) {
	for _, kind := range []pool.Check{pool.NoCheck, pool.QuickCheck, pool.SlowCheck} {
		synctest.Test(t, func(t *testing.T) {
			n := 0
			c := checked{pooltest.NewFake(), kind, func(context.Context, res) error { n++; return nil }}
			p := openChecked(t, c, one, pool.Options{})
			for range 3 {
				release(t, acquire(t, p))
				time.Sleep(time.Nanosecond)
			}
			if want := map[pool.Check]int{pool.QuickCheck: 2, pool.SlowCheck: 2}[kind]; n != want {
				t.Errorf("check %d: called %d times in three acquires of which the first opened, want %d", kind, n, want)
			}
		})
	}
}

func TestCheckThatFailsReplacesTheResource(t *testing.T) {
	for _, kind := range []pool.Check{pool.QuickCheck, pool.SlowCheck} {
		for _, cause := range []error{errTest, pooltest.ErrDead} {
			synctest.Test(t, func(t *testing.T) {
				var failing error
				c := checked{pooltest.NewFake(), kind, func(context.Context, res) error { return failing }}
				p := openChecked(t, c, one, pool.Options{})
				release(t, acquire(t, p))
				time.Sleep(time.Nanosecond)
				failing = cause
				l := acquire(t, p)
				if got := l.Value().ID; got != 2 {
					t.Errorf("resource %d was lent though its check failed, want a new one", got)
				}
				release(t, l)
				if s := p.Stats(); s.PingFailures != 1 || s.Open != 1 {
					t.Errorf("%+v, want one failure and one open", s)
				}
			})
		}
	}
}

func TestInvalidateDuringASlowCheckIsHeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := checked{pooltest.NewFake(), pool.SlowCheck, func(context.Context, res) error { time.Sleep(time.Second); return nil }}
		p := openChecked(t, c, one, pool.Options{})
		release(t, acquire(t, p))
		out := start(t.Context(), p)
		synctest.Wait()
		p.Invalidate(errTest)
		if r := <-out; r.err != nil {
			t.Errorf("Acquire: %v, want a lease", r.err)
		} else if got := r.lease.Value().ID; got != 2 {
			t.Errorf("resource %d was lent, want a new one: it was invalidated while it was checked", got)
		}
	})
}

func TestSlowCheckThatHangsKeepsItsSeatAndNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := make(chan struct{})
		c := checked{pooltest.NewFake(), pool.SlowCheck, func(_ context.Context, r res) error {
			if r.ID == 1 {
				<-stuck
			}
			return nil
		}}
		p := openChecked(t, c, strategies.Queue{Size: 2}, pool.Options{PingTimeout: time.Second})
		release(t, acquire(t, p))
		time.Sleep(time.Nanosecond)
		begun := time.Now()
		l := acquire(t, p)
		if took := time.Since(begun); took != time.Second || l.Value().ID != 2 {
			t.Errorf("resource %d after %v, want the second after the PingTimeout of 1s", l.Value().ID, took)
		}
		release(t, l)
		close(stuck)
		synctest.Wait()
	})
}

func TestCheckThatPanicsIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := checked{pooltest.NewFake(), pool.QuickCheck, func(context.Context, res) error { panic("check") }}
		p := openChecked(t, c, one, pool.Options{})
		release(t, acquire(t, p))
		time.Sleep(time.Nanosecond)
		if l := acquire(t, p); l.Value().ID != 2 {
			t.Errorf("resource %d, want a new one", l.Value().ID)
		} else {
			release(t, l)
		}
	})
}

func TestQuickChecksThatFailAreNoAttempts(t *testing.T) {
	for kind, fails := range map[pool.Check]bool{pool.QuickCheck: false, pool.SlowCheck: true} {
		synctest.Test(t, func(t *testing.T) {
			const stale = 3 // more than the attempts
			c := checked{pooltest.NewFake(), kind, func(_ context.Context, r res) error {
				if r.ID <= stale {
					return pooltest.ErrDead
				}
				return nil
			}}
			p := openChecked(t, c, strategies.Queue{Size: stale}, pool.Options{Attempts: 2})
			var held []testLease
			for range stale {
				held = append(held, acquire(t, p))
			}
			// Slow opens: who has found one stale takes what is returned next.
			c.Always(pooltest.Open, pooltest.Slow(time.Second))
			time.Sleep(time.Nanosecond)
			waiting := start(t.Context(), p)
			for _, l := range held {
				synctest.Wait()
				release(t, l)
			}
			r := <-waiting
			if fails {
				var attempts *pool.AttemptsError
				if !errors.As(r.err, &attempts) {
					t.Errorf("three slow checks that failed: %v, want an AttemptsError", r.err)
				}
				return
			}
			if r.err != nil {
				t.Fatalf("three quick checks that failed: %v, want the resource that is opened", r.err)
			}
			if r.lease.Value().ID <= stale {
				t.Errorf("resource %d was lent, which is stale", r.lease.Value().ID)
			}
			release(t, r.lease)
		})
	}
}
