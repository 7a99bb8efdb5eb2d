package strategies_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

func lingering(o strategies.Order, f strategies.Fairness) strategies.Queue {
	return strategies.Queue{Size: 1, MaxOverflow: 3, Order: o, Fairness: f, Linger: time.Minute}
}

func TestOverflowThatLingersIsLentAgain(t *testing.T) {
	for _, o := range []strategies.Order{strategies.Affine, strategies.LIFO, strategies.FIFO} {
		with(t, lingering(o, strategies.Strict), func(r *rig) {
			if n := r.Limits(); n != (pool.Limits{Seats: 4, Keep: 1, Linger: time.Minute}) {
				r.Errorf("%s: limits %+v, want 4 seats, 1 to keep, and a minute", o, n)
			}
			for range 3 {
				held := []lease{r.get(), r.get(), r.get(), r.get()}
				r.end(held...)
				if s := r.Stats(); s.Idle != 4 || s.Overflow != 3 {
					r.Errorf("%s: after 4 returns %d idle, overflow %d; want 4 and 3", o, s.Idle, s.Overflow)
				}
			}
			if n := r.fake.Opened(); n != 4 {
				r.Errorf("%s: three peaks opened %d resources, want 4: overflow stays open while it lingers", o, n)
			}
		})
	}
}

func TestPoolThatOnlyLingersOpensFewAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := pooltest.NewFake()
		fake.Always(pooltest.Open, pooltest.Slow(time.Second))
		p, err := pool.New(fake, strategies.Queue{MaxOverflow: 50, Linger: time.Minute}, pool.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			go func() {
				l, err := p.Acquire(t.Context())
				if err != nil {
					t.Errorf("Acquire: %v, want a lease", err)
					return
				}
				time.Sleep(time.Millisecond)
				if err := l.Release(); err != nil {
					t.Error(err)
				}
			}()
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		// Four at once, and as each of them ends one more is asked for; returns serve the rest.
		if n := fake.Opened(); n != 8 {
			t.Errorf("20 callers at once opened %d resources, want 8: what lingers can be used again", n)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestLingeringQueueKeepsThePromisesOfAStrategy(t *testing.T) {
	pooltest.TestStrategy(t, func() pool.Strategy { return lingering(strategies.Affine, strategies.Strict) })
}

func TestBoundedLingeringQueueKeepsThePromisesOfAStrategy(t *testing.T) {
	pooltest.TestStrategy(t, func() pool.Strategy { return lingering(strategies.LIFO, strategies.Bounded) })
}
