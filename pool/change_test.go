package pool_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

// TestStressCloseDuringTraffic is after the tests of vitess's smartconnpool that found SetCapacity racing
// Close (vitess#20158) and Close returning during a dial (vitess#21189): traffic goes on while the pool is resized,
// suspended, invalidated, disposed of and warmed, and then it ends, at any moment. Close returns, nothing closed is handed
// out, each resource is closed once, nothing is left in use, and the goroutines are back.
func TestStressCloseDuringTraffic(t *testing.T) {
	queue := func(s strategies.Queue) func(int) pool.Strategy {
		return func(n int) pool.Strategy { sized := s; sized.Size = n; return sized }
	}
	for _, tc := range []struct {
		name   string
		sized  func(n int) pool.Strategy
		opts   pool.Options
		shared bool
	}{
		{"affine, plain", queue(strategies.Queue{}), pool.Options{NoReset: true}, false},
		{"affine, slow", queue(strategies.Queue{Timeout: time.Millisecond}), pool.Options{Ping: true}, false},
		{"lifo, overflow", queue(strategies.Queue{MaxOverflow: 2, Order: strategies.LIFO}), pool.Options{}, false},
		{"bounded", queue(strategies.Queue{Fairness: strategies.Bounded}), pool.Options{NoReset: true}, false},
		{"lingering", queue(strategies.Queue{MaxOverflow: 2, Linger: time.Millisecond}), pool.Options{NoReset: true}, false},
		{"upkeep", queue(strategies.Queue{}), pool.Options{MaxIdle: 2 * time.Millisecond, MinIdle: 1, KeepAlive: time.Millisecond}, false},
		{"null", func(n int) pool.Strategy { return strategies.Null{Max: n} }, pool.Options{}, false},
		{"singleton, plain", func(n int) pool.Strategy { return strategies.Singleton{Size: n} }, pool.Options{NoReset: true}, false},
		{"singleton, slow", func(n int) pool.Strategy { return strategies.Singleton{Size: n} }, pool.Options{}, false},
		{"static, plain", func(n int) pool.Strategy { return strategies.Static{Timeout: time.Duration(n) * time.Millisecond} }, pool.Options{NoReset: true}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := runtime.NumGoroutine()
			until := time.Now().Add(stressFor(t) / 10) // real time: races are looked for
			for {
				closeDuringTraffic(t, tc.sized, tc.opts, tc.shared)
				if t.Failed() || time.Now().After(until) {
					break
				}
			}
			for wait := time.Millisecond; runtime.NumGoroutine() > before && wait < 10*time.Second; wait *= 2 {
				time.Sleep(wait) // a goroutine that has said its last word takes a moment to be gone
			}
			if n := runtime.NumGoroutine(); n > before {
				t.Errorf("%d goroutines are left, %d were there before", n, before)
			}
		})
	}
}

func closeDuringTraffic(t *testing.T, sized func(int) pool.Strategy, o pool.Options, shared bool) {
	// Close ends leases under their holders, who cannot say then that they give back what they took.
	forced := rand.IntN(2) == 0
	f := pooltest.NewFake()
	if forced || shared {
		f.AllowForcedClose()
	}
	brief := func(one int, fate pooltest.Act) pooltest.Act {
		return func(ctx context.Context) error {
			switch rand.IntN(one) {
			case 0:
				return fate(ctx)
			case 1, 2:
				time.Sleep(time.Duration(rand.IntN(100)) * time.Microsecond) // real time: races are looked for
			}
			return nil
		}
	}
	f.Always(pooltest.Open, brief(20, pooltest.Fail(errTest)))
	f.Always(pooltest.Close, brief(20, pooltest.Fail(errTest)))
	o.Backoff = pool.NoBackoff
	p, err := pool.New[res](f, sized(4), o)
	if err != nil {
		t.Fatal(err)
	}
	take, give := func(r res) { r.Take(t) }, func(r res) { r.Give(t) }
	if shared || forced {
		take, give = func(res) {}, func(res) {}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var all sync.WaitGroup
	goOn := func(f func()) {
		all.Go(func() {
			for ctx.Err() == nil {
				f()
			}
		})
	}
	for range 4 {
		goOn(func() { mischief(ctx, p, take, give) })
	}
	for range 2 {
		goOn(func() { change(ctx, t, p, sized) })
	}
	time.Sleep(time.Duration(rand.IntN(5000)) * time.Microsecond) // the end comes at any moment
	end := p.Close
	if !forced {
		patient, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		end = func() error { return p.Shutdown(patient) }
	}
	if err := end(); err != nil {
		t.Errorf("the end: %v, want nil", err)
	}
	if n := f.OpenNow(); n != 0 {
		t.Errorf("%d are open, or being opened or closed, when the end has returned", n)
	}
	if most := 8; f.MaxOpen() > most { // 6 and 2 of overflow
		t.Errorf("%d were open at once, want %d at most", f.MaxOpen(), most)
	}
	cancel()
	all.Wait()
	atRest(t, p)
	f.Verify(t)
}

// change is one thing that whoever runs the pool may do.
func change(ctx context.Context, t *testing.T, p *testPool, sized func(int) pool.Strategy) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(rand.IntN(2000))*time.Microsecond)
	defer cancel()
	switch rand.IntN(10) {
	case 0, 1, 2:
		if err := p.Resize(sized(1 + rand.IntN(6))); err != nil && !errors.Is(err, pool.ErrClosed) {
			t.Errorf("Resize: %v", err)
		}
	case 3:
		p.Suspend()
		runtime.Gosched()
		p.Resume()
	case 4:
		_ = p.SuspendAndWait(ctx)
		p.Resume()
	case 5, 6:
		_ = p.InvalidateAndWait(ctx, errTest)
	case 7:
		_ = p.Warm(ctx, 1)
	case 8:
		p.Dispose()
	case 9:
		p.Invalidate(errTest)
	}
}
