package pool_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

// Where there is nothing to reset, shared resources are lent and taken back without asking the
// strategy, which goes on counting who has left as a holder.

var quick = pool.Options{NoReset: true}

// sharedWithFree is a pool whose only resource was held by three at once, all of whom have left.
func sharedWithFree(t *testing.T, f *pooltest.Fake) *testPool {
	t.Helper()
	p := open(t, f, strategies.Static{}, quick)
	leases := []testLease{acquire(t, p), acquire(t, p), acquire(t, p)}
	for _, l := range leases {
		release(t, l)
	}
	return p
}

func TestSharedResourceIsIdleWhenAllHaveLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := sharedWithFree(t, pooltest.NewFake())
		if s := p.Stats(); s.Idle != 1 || s.InUse != 0 || s.Leases != 0 || s.Acquired != 3 {
			t.Errorf("after three leases: %d idle, %d in use, %d leases, %d acquired; want 1, 0, 0, 3", s.Idle, s.InUse, s.Leases, s.Acquired)
		}
	})
}

func TestSharedResourceThatAllHaveLeftIsReplacedOrClosed(t *testing.T) {
	for name, do := range map[string]func(p *testPool){
		"invalidated": func(p *testPool) { p.Invalidate(nil) },
		"disposed":    func(p *testPool) { p.Dispose() },
		"retired": func(p *testPool) {
			l, _ := p.Acquire(context.Background())
			_ = l.Retire(nil)
			_ = l.Release()
		},
		"discarded": func(p *testPool) {
			l, _ := p.Acquire(context.Background())
			_ = l.Discard(nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := pooltest.NewFake()
				p := sharedWithFree(t, f)
				do(p)
				l, err := p.Acquire(after(t, time.Minute))
				if err != nil {
					t.Fatalf("Acquire: %v, want a fresh resource", err)
				}
				if id := l.Value().ID; id != 2 || f.Closed() != 1 {
					t.Errorf("resource %d with %d closed, want the second, and the first closed", id, f.Closed())
				}
				release(t, l)
			})
		})
	}
}

func TestShutdownClosesASharedResourceThatAllHaveLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := sharedWithFree(t, pooltest.NewFake())
		if err := p.Shutdown(after(t, time.Minute)); err != nil {
			t.Errorf("Shutdown with nobody left: %v, want nil", err)
		}
	})
}

func TestOnReturnOfASharedResourceRunsWhenTheLastLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := sharedWithFree(t, pooltest.NewFake())
		a, b := acquire(t, p), acquire(t, p)
		runs := 0
		if err := a.OnReturn(func(context.Context, res) error { runs++; return nil }); err != nil {
			t.Fatal(err)
		}
		release(t, a)
		if runs != 0 {
			t.Errorf("the function ran %d times while another holds the resource, want 0", runs)
		}
		release(t, b)
		release(t, acquire(t, p))
		if runs != 1 {
			t.Errorf("after the last had left it ran %d times, want once", runs)
		}
	})
}

func TestDetachOfASharedResourceThatOthersHaveLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := sharedWithFree(t, pooltest.NewFake())
		d, err := acquire(t, p).Detach()
		if err != nil {
			t.Fatalf("Detach by the only holder: %v, want nil", err)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		if id := acquire(t, p).Value().ID; id != 2 {
			t.Errorf("the next holder got resource %d, want a fresh one", id)
		}
	})
}

func TestNestedCheckoutEndsWithItsLastHolder(t *testing.T) {
	for _, order := range []string{"inner first", "outer first"} {
		synctest.Test(t, func(t *testing.T) {
			p := open(t, pooltest.NewFake(), strategies.Singleton{Size: 1}, quick)
			outer := acquire(t, p)
			for range 3 { // the second time without asking the strategy
				inner := acquire(t, p)
				if inner.Value() != outer.Value() {
					t.Fatalf("a nested acquire got another resource")
				}
				release(t, inner)
			}
			other := start(after(t, time.Minute), p)
			inner := acquire(t, p)
			last := outer
			if order == "outer first" {
				release(t, outer)
				last = inner
			} else {
				release(t, inner)
			}
			synctest.Wait()
			select {
			case <-other:
				t.Errorf("%s: another owner was served while one holder was left", order)
			default:
			}
			release(t, last)
			if r := <-other; r.err != nil {
				t.Errorf("%s: another owner, after all had left: %v, want the resource", order, r.err)
			} else {
				release(t, r.lease)
			}
		})
	}
}

// Whatever comes together, the tenancy of a shared resource ends when its holders have left.
func TestStressSharedResourceIsNotHeldByNobody(t *testing.T) {
	for _, s := range []pool.Strategy{strategies.Static{}, strategies.Singleton{Size: 2}} {
		for round := range 200 {
			f := pooltest.NewFake()
			f.AllowForcedClose()
			p := open(t, f, s, quick)
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					for range 40 {
						disturb(t, p, round)
					}
				})
			}
			wg.Wait()
			if t.Failed() {
				return
			}
		}
	}
}

// disturb acquires and does one of the things that end a tenancy, or do not.
func disturb(t *testing.T, p *testPool, round int) {
	switch rand.IntN(60) {
	case 0:
		p.Invalidate(nil)
	case 1:
		p.Dispose()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	l, err := p.Acquire(ctx)
	if err != nil {
		// So many invalidations may meet three resources in a row.
		if attempts := (*pool.AttemptsError)(nil); !errors.As(err, &attempts) {
			t.Errorf("round %d: Acquire: %v; a resource was held by nobody", round, err)
		}
		return
	}
	// A holder of the static resource that acquires again after an Invalidate waits for itself.
	if p.Limits().Sharing == pool.Nested && rand.IntN(2) == 0 {
		nested, err := p.Acquire(ctx)
		if attempts := (*pool.AttemptsError)(nil); errors.As(err, &attempts) {
			// likewise
		} else if err != nil {
			t.Errorf("round %d: nested Acquire: %v", round, err)
		} else if rand.IntN(2) == 0 {
			defer nested.Release()
		} else {
			_ = nested.Release()
		}
	}
	if rand.IntN(2) == 0 {
		runtime.Gosched()
	}
	switch rand.IntN(12) {
	case 0:
		_ = l.ReleaseClean()
	case 1:
		_ = l.OnReturn(func(context.Context, res) error { return nil })
	case 2:
		_ = l.Release() // and once more below
	case 3:
		_ = l.Fail(pooltest.ErrAllDead)
	case 4:
		if d, err := l.Detach(); err == nil {
			_ = d.Close()
		}
	case 5:
		_ = l.Retire(nil)
	}
	_ = l.Release()
}

// Get of a lease that ends meanwhile gives its own resource or none.
func TestGetIsNeverALaterResource(t *testing.T) {
	p := open(t, pooltest.NewFake(), strategies.Static{}, pool.Options{})
	for range 2000 {
		l := acquire(t, p)
		mine := l.Value()
		var stop atomic.Bool
		var wg sync.WaitGroup
		wg.Go(func() {
			for !stop.Load() {
				if v, err := l.Get(); err != nil {
					return
				} else if v != mine {
					t.Error("Get returned the resource of a later lease")
					return
				}
			}
		})
		_ = l.Retire(nil)
		release(t, l)
		next := acquire(t, p)
		stop.Store(true)
		wg.Wait()
		release(t, next)
	}
}
