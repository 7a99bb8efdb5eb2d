package strategies_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

// timed is an asker, and when it came.
type timed struct {
	*asker
	came time.Duration
}

func (r *rig) come(ctx context.Context) timed { came := r.now(); return timed{r.ask(ctx), came} }

// endsWith asserts that it is answered with an error, so long after it came.
func (a timed) endsWith(r *rig, want error, after time.Duration, what string) {
	r.Helper()
	<-a.answered
	if took := a.at - a.came; !errors.Is(a.err, want) || took != after {
		r.Errorf("%s, which came at %v, was answered after %v with %v; want %v after %v", what, a.came, took, a.err, want, after)
	}
	if a.err == nil {
		r.end(a.lease)
	}
}

func TestTimeoutIsExactForEachOfManyWaiters(t *testing.T) {
	for _, fairness := range []strategies.Fairness{strategies.Strict, strategies.Bounded} {
		const timeout = 5 * time.Second
		with(t, strategies.Queue{Size: 2, Timeout: timeout, Fairness: fairness}, func(r *rig) {
			held := []lease{r.get(), r.get()}
			var all []timed
			for range 200 {
				all = append(all, r.come(r.Context()))
				time.Sleep(37 * time.Millisecond) // so that some time out before others come
			}
			for _, a := range all {
				a.endsWith(r, pool.ErrTimeout, timeout, "a waiter")
			}
			r.end(held...)
		})
	}
}

// Whoever leaves before the bell rings, and whoever is served then, has been the first in line, for whom it was
// set. Everybody else is answered when its time is over, all the same.
func TestTimeoutIsExactThoughOthersLeaveBefore(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 0))
		timeout := time.Duration(1+rng.IntN(2000)) * time.Millisecond
		with(t, strategies.Queue{Size: 1, Timeout: timeout}, func(r *rig) {
			held := r.get()
			var all []timed
			ends := make([]time.Duration, 60) // when the ctx of each does; 0: never
			for i := range ends {
				ctx, cancel := r.Context(), context.CancelFunc(func() {})
				if rng.IntN(3) == 0 {
					d := time.Duration(1 + rng.Int64N(2*int64(timeout)))
					ends[i] = r.now() + d
					ctx, cancel = context.WithTimeout(ctx, d)
				}
				defer cancel()
				all = append(all, r.come(ctx))
				time.Sleep(time.Duration(rng.Int64N(int64(timeout) / 20)))
				if rng.IntN(4) == 0 {
					r.end(held)
					synctest.Wait()
					held = r.theOne(all, held)
				}
			}
			for i, a := range all {
				<-a.answered
				due := a.came + timeout
				if ends[i] > 0 {
					due = min(due, ends[i])
				}
				switch {
				case a.err == nil && a.at >= due:
					r.Errorf("seed %d: waiter %d came at %v, was due at %v, and got a seat at %v", seed, i, a.came, due, a.at)
				case a.err != nil && (a.at != due || !errors.Is(a.err, pool.ErrTimeout)):
					r.Errorf("seed %d: waiter %d came at %v, was due at %v, and was answered at %v with %v", seed, i, a.came, due, a.at, a.err)
				}
			}
			r.end(held)
		})
	}
}

// theOne is the lease of the only holder: of whoever was just served, or a new one if nobody waits.
func (r *rig) theOne(all []timed, before lease) lease {
	r.Helper()
	for _, a := range all {
		if a.done() && a.err == nil && a.lease != before {
			if _, err := a.lease.Get(); err == nil {
				return a.lease
			}
		}
	}
	return r.get()
}

func TestTimeoutCountsWhatWasWaitedBeforeAReplacement(t *testing.T) {
	const timeout = 10 * time.Second
	withOptions(t, strategies.Queue{Size: 1, Timeout: timeout}, pool.Options{Ping: true}, func(r *rig) {
		held := r.get()
		time.Sleep(time.Second) // what is opened during a checkout is not pinged
		first := r.come(r.Context())
		time.Sleep(time.Second)
		next := r.come(r.Context())
		time.Sleep(2 * time.Second)
		// The first gets the seat, but what is in it is dead, and the open of another takes longer than
		// anybody has.
		r.fake.Next(pooltest.Ping, pooltest.Fail(pooltest.ErrDead))
		r.fake.Next(pooltest.Open, pooltest.Slow(29*time.Second))
		r.end(held)
		synctest.Wait()
		if first.done() || r.fake.Calls(pooltest.Ping) != 1 {
			r.Fatalf("the first waiter is done: %t, after %d pings; want it to wait for a replacement", first.done(), r.fake.Calls(pooltest.Ping))
		}
		first.endsWith(r, pool.ErrTimeout, timeout, "the waiter that replaces")
		next.endsWith(r, pool.ErrTimeout, timeout, "the waiter behind it")
		time.Sleep(30 * time.Second)
	})
}

func TestTimeoutIsExactBehindOneThatReplacesAndIsDueLater(t *testing.T) {
	const timeout = 10 * time.Second
	withOptions(t, strategies.Queue{Size: 3, Timeout: timeout}, pool.Options{Ping: true}, func(r *rig) {
		held := []lease{r.get(), r.get(), r.get()}
		time.Sleep(time.Second) // what is opened during a checkout is not pinged
		r.end(held[0], held[1])
		// Two get idle seats at once, and find them dead only after 2 and 3 s.
		r.fake.Next(pooltest.Ping, pooltest.Slow(2*time.Second, pooltest.Fail(pooltest.ErrDead)), pooltest.Slow(3*time.Second, pooltest.Fail(pooltest.ErrDead)))
		r.fake.Always(pooltest.Open, pooltest.Slow(25*time.Second))
		replaces := []timed{r.come(r.Context()), r.come(r.Context())}
		time.Sleep(time.Second)
		behind := r.come(r.Context())
		time.Sleep(5 * time.Second / 2) // the two stand in front of it now
		late := r.come(r.Context())
		if s := r.Stats(); s.Waiting != 4 || s.Opening != 2 {
			r.Fatalf("%v; want two in line who replace, and two behind them", s)
		}
		behind.endsWith(r, pool.ErrTimeout, timeout, "the waiter behind two that replace and are due later")
		replaces[0].endsWith(r, pool.ErrTimeout, 2*time.Second+timeout, "the one that replaces since 2 s")
		replaces[1].endsWith(r, pool.ErrTimeout, 3*time.Second+timeout, "the one that replaces since 3 s")
		late.endsWith(r, pool.ErrTimeout, timeout, "the last in line")
		r.end(held[2])
		time.Sleep(30 * time.Second)
	})
}

func TestTimeoutOfAgesDoesNotOverflow(t *testing.T) {
	for _, timeout := range []time.Duration{1<<63 - 1, 1<<63 - 2, 1 << 62} {
		for _, fairness := range []strategies.Fairness{strategies.Strict, strategies.Bounded} {
			withOptions(t, strategies.Queue{Size: 1, Timeout: timeout, Fairness: fairness}, pool.Options{Ping: true}, func(r *rig) {
				held := r.get()
				time.Sleep(time.Hour)
				first, next := r.come(r.Context()), r.come(r.Context())
				const ages = 100 * 365 * 24 * time.Hour
				time.Sleep(ages)
				synctest.Wait()
				if first.done() || next.done() {
					r.Fatalf("with a Timeout of %v two waiters are done after %v: %t and %t (%v, %v), want them to wait", timeout, ages, first.done(), next.done(), first.err, next.err)
				}
				// And the first has to replace what it gets, which adds to what it has waited.
				r.fake.Next(pooltest.Ping, pooltest.Fail(pooltest.ErrDead))
				r.fake.Next(pooltest.Open, pooltest.Slow(20*time.Second))
				r.end(held)
				first.endsWith(r, nil, ages+20*time.Second, "the first")
				next.endsWith(r, nil, ages+20*time.Second, "the next")
			})
		}
	}
}

// The bell rings for something else while such a waiter stands first: an open that hangs.
func TestTimeoutOfAgesIsNotOverWhenTheBellRings(t *testing.T) {
	with(t, strategies.Queue{Size: 2, Timeout: 1<<63 - 1}, func(r *rig) {
		time.Sleep(time.Hour)
		r.fake.Next(pooltest.Open, pooltest.Stuck(time.Minute))
		ctx, cancel := context.WithTimeout(r.Context(), time.Millisecond)
		defer cancel()
		r.ask(ctx) // leaves its open to the next
		time.Sleep(time.Second / 2)
		next := r.come(r.Context())
		<-next.answered
		if took := next.at - next.came; next.err != nil || took > 10*time.Second {
			r.Errorf("a waiter with a Timeout of ages, and a free seat beside an open that hangs, was answered after %v with %v; want a lease within seconds", took, next.err)
		}
		if next.err == nil {
			r.end(next.lease)
		}
		time.Sleep(time.Minute)
	})
}

// What a line leaves behind when it is closed would keep it in memory: a timer that is to ring in an hour, or
// what watches a ctx that lives on.
func TestClosedLineLeavesNeitherGoroutineNorTimer(t *testing.T) {
	shared, cancel := context.WithCancel(context.Background())
	defer cancel()
	for _, q := range []strategies.Queue{
		{Size: 1, Timeout: time.Hour},
		{Size: 1},
		{Size: 1, Timeout: time.Hour, Fairness: strategies.Bounded},
	} {
		before := runtime.NumGoroutine()
		gone := make(chan struct{})
		func() {
			p, err := pool.New(pool.Funcs[int]{OpenFunc: func(context.Context) (int, error) { return 1, nil }}, q, pool.Options{})
			if err != nil {
				t.Fatal(err)
			}
			runtime.AddCleanup(p, func(gone chan struct{}) { close(gone) }, gone)
			var users sync.WaitGroup
			for range 3 { // who come again and again with one ctx, so that the line watches it
				users.Go(func() {
					for range 100 {
						l, err := p.Acquire(shared)
						if err != nil {
							t.Errorf("Acquire: %v, want a lease", err)
							return
						}
						runtime.Gosched()
						_ = l.Release()
					}
				})
			}
			users.Wait()
			held, err := p.Acquire(shared)
			if err != nil {
				t.Fatal(err)
			}
			defer held.Release()
			for range 3 {
				users.Go(func() {
					if _, err := p.Acquire(shared); !errors.Is(err, pool.ErrClosed) {
						t.Errorf("a waiter at Close: %v, want ErrClosed", err)
					}
				})
			}
			for p.Stats().Waiting < 3 {
				runtime.Gosched()
			}
			if err := p.Close(); err != nil {
				t.Errorf("Close: %v, want nil", err)
			}
			users.Wait()
		}()
		isGone := func() bool {
			for range 10 { // its goroutines may be a moment behind
				collect()
				select {
				case <-gone:
					return true
				default:
					runtime.Gosched()
				}
			}
			return false
		}
		if !isGone() {
			t.Errorf("%+v: after Close, with every waiter gone, the pool is still in memory: a timer or a ctx refers to it", q)
		}
		for i := 0; runtime.NumGoroutine() > before; i++ {
			if i > 1e6 {
				t.Errorf("%+v: after Close %d goroutines more than before", q, runtime.NumGoroutine()-before)
				break
			}
			runtime.Gosched()
		}
	}
}
