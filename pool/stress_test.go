package pool_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

// TestStressEveryVerbAtOnce has workers do whatever a user may do, with a backend and hooks that fail now and
// then, and callers that give up at any time. Its oracle is the owner word of each resource (handed out twice
// is an error), "closed exactly once", the cap, and counters that reconcile when all is over.
func TestStressEveryVerbAtOnce(t *testing.T) {
	upkeep := pool.Options{NoReset: true, MaxAge: 20 * time.Millisecond, MaxIdle: 2 * time.Millisecond, KeepAlive: time.Millisecond, MinIdle: 2}
	for _, tc := range []struct {
		name     string
		strategy pool.Strategy
		opts     pool.Options
		shared   bool
	}{
		{"queue, plain", strategies.Queue{Size: 2, MaxOverflow: 2}, pool.Options{NoReset: true}, false},
		{"queue, fifo, all options", strategies.Queue{Size: 3, Order: strategies.FIFO},
			pool.Options{Ping: true, MaxAge: 2 * time.Millisecond, Stacks: true, Dropped: pool.KeepDropped}, false},
		{"queue, inline", strategies.Queue{Size: 2, MaxOverflow: pool.Unlimited},
			pool.Options{Ping: true, PingTimeout: pool.Inline, ResetTimeout: pool.Inline, CloseTimeout: pool.Inline}, false},
		{"queue, opens inline too", strategies.Queue{Size: 2, MaxOverflow: 2},
			pool.Options{OpenAttempts: 2, Backoff: time.Microsecond, OpenTimeout: pool.Inline, CloseTimeout: pool.Inline}, false},
		{"null, opens inline", strategies.Null{Max: 3}, pool.Options{OpenTimeout: pool.Inline, CloseTimeout: pool.Inline}, false},
		{"null", strategies.Null{Max: 3}, pool.Options{}, false},
		{"singleton", strategies.Singleton{Size: 3}, pool.Options{Ping: true}, false},
		{"static", strategies.Static{}, pool.Options{MaxAge: 2 * time.Millisecond}, true},
		{"assertion", strategies.Assertion{}, pool.Options{}, false},
		{"queue, upkeep", strategies.Queue{Size: 3, MaxOverflow: 1}, upkeep, false},
		{"singleton, upkeep", strategies.Singleton{Size: 3}, upkeep, false},
		{"static, upkeep", strategies.Static{}, pool.Options{NoReset: true, MaxIdle: 2 * time.Millisecond, KeepAlive: time.Millisecond}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			stress(t, tc.strategy, tc.opts, tc.shared, stressFor(t)/10)
		})
	}
}

func stress(t *testing.T, s pool.Strategy, o pool.Options, shared bool, d time.Duration) {
	f, rec := pooltest.NewFake(), newRecorder()
	sometimes := func(one int, act pooltest.Act) pooltest.Act {
		return func(ctx context.Context) error {
			if rand.IntN(one) == 0 {
				return act(ctx)
			}
			runtime.Gosched()
			return nil
		}
	}
	f.Always(pooltest.Open, sometimes(10, pooltest.Fail(errTest)))
	f.Always(pooltest.Ping, sometimes(20, pooltest.Fail(pooltest.ErrDead)))
	f.Always(pooltest.Reset, sometimes(20, pooltest.Panic("reset")))
	f.Always(pooltest.Close, sometimes(20, pooltest.Fail(errTest)))
	rec.act("connect", sometimes(20, pooltest.Goexit))
	rec.act("checkout", sometimes(50, pooltest.Fail(pool.ErrInvalidatePool)))
	rec.act("checkin", sometimes(50, pooltest.Panic("checkin")))
	hooks := rec.hooks()
	if o.NoReset {
		hooks = pool.Hooks[res]{} // the plain way has none
	}
	if shared {
		f.AllowForcedClose() // holders discard it under each other
	}
	p, err := pool.New[res](f, s, o, hooks)
	if err != nil {
		t.Fatal(err)
	}
	take, give := func(r res) { r.Take(t) }, func(r res) { r.Give(t) }
	if shared {
		take, give = func(res) {}, func(res) {}
	}
	until := time.Now().Add(d) // real time: races are looked for
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for time.Now().Before(until) {
				mischief(t.Context(), p, take, give)
			}
		})
	}
	all.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := p.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v, want nil: every lease was ended", err)
	}
	atRest(t, p)
	f.Verify(t)
	if limit := p.Limits().Seats; limit != pool.Unlimited && f.MaxOpen() > limit {
		t.Errorf("%d were open at once, the cap is %d", f.MaxOpen(), limit)
	}
}

// mischief is one thing that a user may do.
func mischief(ctx context.Context, p *testPool, take, give func(res)) {
	switch rand.IntN(200) {
	case 0:
		p.Invalidate(errTest)
		return
	case 1:
		p.Dispose()
		return
	case 2:
		_ = p.String()
		return
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(rand.IntN(2000))*time.Microsecond)
	defer cancel()
	acquire := p.Acquire
	if rand.IntN(4) == 0 {
		acquire = p.TryAcquire
	}
	l, err := acquire(ctx)
	if err != nil {
		return
	}
	defer l.Release() // mostly the second one
	r, err := l.Get()
	if err != nil {
		return // discarded by another holder
	}
	take(r)
	if rand.IntN(2) == 0 {
		runtime.Gosched()
	}
	give(r)
	switch rand.IntN(12) {
	case 0:
		_ = l.Discard(errTest)
	case 1:
		_ = l.Retire(errTest)
	case 2:
		_ = l.Fail(pooltest.ErrAllDead)
	case 3:
		_ = l.OnReturn(func(context.Context, res) error { return errTest })
	case 4:
		_ = l.ReleaseClean()
	default:
		_ = l.Release()
	}
}
