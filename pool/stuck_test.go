package pool_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

func TestStuckOpenIsToldUntilItReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, one, pool.Options{OpenTimeout: time.Second})
		f.Next(pooltest.Open, pooltest.Stuck(time.Hour))
		if r := <-start(t.Context(), p); r.err == nil {
			t.Fatal("Acquire while the open hangs succeeded")
		}
		if s := p.Stats(); s.Stuck != 1 || s.Overdue != 1 {
			t.Errorf("Stats: %d stuck, %d overdue; want 1 and 1", s.Stuck, s.Overdue)
		}
		r := <-start(after(t, time.Second), p)
		if want := "1 stuck in a call of the backend"; r.err == nil || !strings.Contains(r.err.Error(), want) {
			t.Errorf("the next Acquire: %v, want it to say %q", r.err, want)
		}
		time.Sleep(time.Hour)
		if s := p.Stats(); s.Stuck != 0 {
			t.Errorf("Stats after the open returned: %d stuck, want 0", s.Stuck)
		}
	})
}

// Waiting for another open's first_connect hook ends with the waiter's own deadline: only the hook
// that hangs keeps its seat.
func TestFirstConnectThatHangsKeepsItsOwnSeatOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		p := open(t, pooltest.NewFake(), strategies.Queue{Size: 2}, pool.Options{OpenTimeout: time.Second},
			pool.Hooks[res]{FirstConnect: func(context.Context, pool.Event[res]) error { <-hang; return nil }})
		a, b := start(t.Context(), p), start(t.Context(), p)
		if r := <-a; r.err == nil {
			t.Error("the first Acquire succeeded")
		}
		if r := <-b; r.err == nil {
			t.Error("the second Acquire succeeded")
		}
		synctest.Wait()
		if s := p.Stats(); s.Stuck != 1 {
			t.Errorf("Stats: %d stuck, want 1: the other open must not wait for ever", s.Stuck)
		}
		close(hang)
	})
}

// What displeases a hook about one holder of a shared resource is not the others' affair.
func TestHookThatRefusesAJoinerLeavesTheOthersAlone(t *testing.T) {
	for _, tc := range []struct {
		name string
		hook func(ctx context.Context) error
		want []error
	}{
		{"refuses", func(context.Context) error { return errTest }, []error{errTest}},
		{"comes too late", func(context.Context) error { time.Sleep(time.Minute); return nil }, []error{pool.ErrTimeout}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := pooltest.NewFake()
				calls := 0
				p := open(t, f, strategies.Static{}, pool.Options{}, pool.Hooks[res]{
					Checkout: func(ctx context.Context, _ pool.Event[res]) error {
						if calls++; calls == 2 {
							return tc.hook(ctx)
						}
						return nil
					},
				})
				a := acquire(t, p)
				r := <-start(after(t, time.Second), p)
				is(t, "the joiner", r.err, tc.want...)
				if _, err := a.Get(); err != nil || f.Closed() != 0 {
					t.Errorf("the first holder: %v, %d closed; want its lease to go on", err, f.Closed())
				}
				release(t, a)
				if s := p.Stats(); s.Leases != 0 || s.Idle != 1 {
					t.Errorf("at rest: %d leases, %d idle; want 0 and 1", s.Leases, s.Idle)
				}
			})
		})
	}
}
