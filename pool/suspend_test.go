package pool_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

// lenders are pools with each kind of line and of fast path. Each has one seat at least.
var lenders = []struct {
	name     string
	strategy pool.Strategy
	opts     pool.Options
}{
	{"queue, plain", one, quick},
	{"queue, slow", one, pool.Options{Ping: true, Stacks: true}},
	{"queue, lifo", strategies.Queue{Size: 1, Order: strategies.LIFO}, pool.Options{}},
	{"queue, bounded", strategies.Queue{Size: 1, Fairness: strategies.Bounded}, quick},
	{"null", strategies.Null{Max: 1}, pool.Options{}},
	{"singleton, plain", strategies.Singleton{Size: 1}, quick},
	{"singleton, slow", strategies.Singleton{Size: 1}, pool.Options{}},
	{"static, plain", strategies.Static{}, quick},
	{"static, slow", strategies.Static{}, pool.Options{}},
	{"assertion", strategies.Assertion{}, quick},
}

// eachLender runs a test with each of them.
func eachLender(t *testing.T, test func(t *testing.T, f *pooltest.Fake, p *testPool)) {
	for _, tc := range lenders {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := pooltest.NewFake()
				test(t, f, open(t, f, tc.strategy, tc.opts))
			})
		})
	}
}

func TestSuspendedPoolLendsNothingUntilResume(t *testing.T) {
	eachLender(t, func(t *testing.T, f *pooltest.Fake, p *testPool) {
		for _, warmFirst := range []bool{true, false} {
			if warmFirst {
				warm(t, p)
			}
			p.Suspend()
			p.Suspend()
			if !p.Stats().Suspended {
				t.Error("Stats().Suspended is false after Suspend")
			}
			begin := time.Now()
			out := start(t.Context(), p)
			time.Sleep(time.Second)
			p.Resume()
			r := <-out
			if r.err != nil || time.Since(begin) != time.Second {
				t.Fatalf("Acquire: %v after %v; want a lease after 1s, when Resume came", r.err, time.Since(begin))
			}
			if p.Stats().Suspended {
				t.Error("Stats().Suspended is true after Resume")
			}
			release(t, r.lease)
			p.Resume()
			release(t, acquire(t, p))
		}
	})
}

func TestSuspendedPoolTakesBackWhatIsLent(t *testing.T) {
	eachLender(t, func(t *testing.T, f *pooltest.Fake, p *testPool) {
		l := acquire(t, p)
		p.Suspend()
		l.Value().Use(t)
		release(t, l)
		synctest.Wait()
		if s := p.Stats(); s.InUse != 0 || s.Leases != 0 {
			t.Errorf("%v after the only lease was released, want nothing in use", s)
		}
		if p.Strategy().Kind() == "assertion" {
			p.Resume()
			return // who waits is the one holder there may be
		}
		out := start(after(t, time.Second), p)
		is(t, "Acquire", (<-out).err, pool.ErrTimeout)
		p.Resume()
		acquire(t, p)
	})
}

func TestWhoWaitsForASuspendedPoolIsToldSo(t *testing.T) {
	eachLender(t, func(t *testing.T, f *pooltest.Fake, p *testPool) {
		p.Suspend()
		_, err := p.TryAcquire(t.Context())
		is(t, "TryAcquire", err, pool.ErrSuspended)
		isNot(t, "TryAcquire", err, pool.ErrExhausted, pool.ErrTimeout)
		r := <-start(after(t, time.Second), p)
		if r.took != time.Second || r.err == nil || !strings.HasSuffix(r.err.Error(), ", suspended") {
			t.Errorf("Acquire: %v after %v, want an error after 1s that ends with suspended", r.err, r.took)
		}
		is(t, "Acquire", r.err, pool.ErrTimeout, context.DeadlineExceeded)
		p.Resume()
		acquire(t, p)
	})
}

func TestTimeoutOfTheStrategyCountsWhileSuspended(t *testing.T) {
	for _, s := range []pool.Strategy{strategies.Queue{Size: 1, Timeout: time.Second}, strategies.Null{Max: 1, Timeout: time.Second},
		strategies.Singleton{Size: 1, Timeout: time.Second}, strategies.Static{Timeout: time.Second}} {
		t.Run(s.Kind(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := open(t, pooltest.NewFake(), s, quick)
				warm(t, p)
				p.Suspend()
				r := <-start(t.Context(), p)
				is(t, "Acquire", r.err, pool.ErrTimeout)
				if r.took != time.Second {
					t.Errorf("answered after %v, want 1s", r.took)
				}
			})
		})
	}
	p := open(t, pooltest.NewFake(), strategies.Queue{Size: 1, Timeout: strategies.NoWait}, quick)
	warm(t, p)
	p.Suspend()
	_, err := p.Acquire(t.Context())
	is(t, "Acquire with NoWait", err, pool.ErrSuspended)
}

func TestHoldersMayJoinWhatTheyHoldWhileSuspendedUnlessItIsEverybodys(t *testing.T) {
	for _, o := range []pool.Options{quick, {}} {
		t.Run(fmt.Sprintf("plain %t", o.NoReset), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := open(t, pooltest.NewFake(), strategies.Singleton{Size: 2}, o)
				me, _ := pool.WithScope(t.Context())
				outer, err := p.Acquire(me)
				if err != nil {
					t.Fatal(err)
				}
				before, _ := p.Acquire(me)
				release(t, before)
				p.Suspend()
				inner, err := p.Acquire(me)
				if err != nil || inner.Value() != outer.Value() {
					t.Fatalf("nested Acquire while suspended: %v, want the same resource, or a transaction could never end", err)
				}
				release(t, inner)
				release(t, outer)
				ctx, cancel := context.WithTimeout(me, time.Second)
				defer cancel()
				_, err = p.Acquire(ctx)
				is(t, "Acquire by the same owner, once it has left", err, pool.ErrTimeout)
				p.Resume()
			})
			synctest.Test(t, func(t *testing.T) {
				p := open(t, pooltest.NewFake(), strategies.Static{}, o)
				l := acquire(t, p)
				p.Suspend()
				is(t, "Acquire while another holds", (<-start(after(t, time.Second), p)).err, pool.ErrTimeout)
				p.Resume()
				release(t, acquire(t, p))
				release(t, l)
			})
		})
	}
}

func TestResumeServesTheLineInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, one, quick)
		warm(t, p)
		p.Suspend()
		a := start(t.Context(), p)
		b := start(t.Context(), p)
		p.Resume()
		first := <-a
		if first.err != nil {
			t.Fatal(first.err)
		}
		synctest.Wait()
		select {
		case <-b:
			t.Error("the second in line was served beside the first, with one seat")
		default:
		}
		release(t, first.lease)
		release(t, (<-b).lease)
		if f.Opened() != 1 {
			t.Errorf("%d were opened, want the one that was idle all the time", f.Opened())
		}
	})
}

func TestOpensUnderWayEndWhileSuspendedAndServeAfterwards(t *testing.T) {
	for _, s := range []pool.Strategy{one, strategies.Singleton{Size: 1}, strategies.Static{}} {
		t.Run(s.Kind(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := pooltest.NewFake()
				f.Next(pooltest.Open, pooltest.Slow(time.Second))
				p := open(t, f, s, quick)
				out := start(t.Context(), p)
				p.Suspend()
				time.Sleep(2 * time.Second)
				if st := p.Stats(); st.Idle != 1 || st.Waiting != 1 {
					t.Errorf("%v, want what was opened idle beside the one who waits", st)
				}
				p.Resume()
				if r := <-out; r.err != nil || r.took != 2*time.Second {
					t.Errorf("Acquire: %v after %v, want a lease after 2s", r.err, r.took)
				}
			})
		})
	}
}

func TestWarmOpensWhileSuspended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, pooltest.NewFake(), two, quick)
		p.Suspend()
		if err := p.Warm(t.Context(), 2); err != nil {
			t.Errorf("Warm: %v, want nil: so the first after Resume need not wait", err)
		}
	})
}

func TestSuspendedPoolClosesAtOnce(t *testing.T) {
	eachLender(t, func(t *testing.T, f *pooltest.Fake, p *testPool) {
		p.Suspend()
		out := start(t.Context(), p)
		if err := p.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown: %v, want nil", err)
		}
		is(t, "who waited", (<-out).err, pool.ErrClosed)
		p.Suspend()
		p.Resume()
		_, err := p.Acquire(t.Context())
		is(t, "Acquire after the end", err, pool.ErrClosed)
	})
}

func TestSuspendAndWaitReturnsWhenNothingIsLent(t *testing.T) {
	eachLender(t, func(t *testing.T, f *pooltest.Fake, p *testPool) {
		warm(t, p)
		begin := time.Now()
		if err := p.SuspendAndWait(t.Context()); err != nil || time.Since(begin) != 0 {
			t.Errorf("SuspendAndWait with nothing lent: %v after %v, want nil at once", err, time.Since(begin))
		}
		p.Resume()
		l := acquire(t, p)
		before := f.Calls(pooltest.Reset)
		f.Always(pooltest.Reset, pooltest.Slow(time.Second))
		go func() { time.Sleep(time.Minute); release(t, l) }()
		begin = time.Now()
		if err := p.SuspendAndWait(t.Context()); err != nil {
			t.Errorf("SuspendAndWait: %v, want nil", err)
		}
		busy := time.Duration(f.Calls(pooltest.Reset)-before) * time.Second
		if took := time.Since(begin); took != time.Minute+busy {
			t.Errorf("SuspendAndWait took %v, want %v: until the release and the %v that its reset takes", took, time.Minute+busy, busy)
		}
		if !p.Stats().Suspended {
			t.Error("the pool is not suspended afterwards")
		}
		p.Resume()
	})
}

func TestSuspendAndWaitNamesWhoHoldsAndStaysSuspended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, pooltest.NewFake(), strategies.Queue{Size: 3}, pool.Options{Name: "orders", Stacks: true, NoReset: true})
		a, b := acquire(t, p), acquire(t, p)
		reason := errors.New("test: out of patience")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, reason)
		defer cancel()
		time.AfterFunc(time.Millisecond, func() { release(t, a) })
		err := p.SuspendAndWait(ctx)
		is(t, "SuspendAndWait", err, reason)
		var suspend *pool.SuspendError
		if !asError(err, &suspend) || suspend.Lent != 1 || len(suspend.Held) != 1 || suspend.Held[0].Seat != b.Seat() {
			t.Fatalf("SuspendAndWait: %+v, want a SuspendError that names the lease of seat %d", err, b.Seat())
		}
		if want := "pool orders: suspend: test: out of patience; 1 in use\n" + suspend.Held[0].String(); err.Error() != want {
			t.Errorf("message %q, want %q", err, want)
		}
		_, err = p.TryAcquire(t.Context())
		is(t, "TryAcquire", err, pool.ErrSuspended)
		release(t, b)
	})
}

func TestSuspendAndWaitEndsWithResumeAndWithThePool(t *testing.T) {
	for name, tc := range map[string]struct {
		do   func(*testPool)
		want error
	}{
		"resume":   {(*testPool).Resume, pool.ErrResumed},
		"shutdown": {func(p *testPool) { go p.Shutdown(context.Background()) }, pool.ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := open(t, pooltest.NewFake(), one, quick)
				l := acquire(t, p)
				begin := time.Now()
				time.AfterFunc(time.Second, func() { tc.do(p) })
				is(t, "SuspendAndWait", p.SuspendAndWait(t.Context()), tc.want)
				if took := time.Since(begin); took != time.Second {
					t.Errorf("it noticed after %v, want 1s", took)
				}
				release(t, l)
			})
		})
	}
}

func TestSuspendAndWaitOfAClosedPoolSaysSo(t *testing.T) {
	for _, s := range []pool.Strategy{one, strategies.Null{Max: 1}, strategies.Static{}, strategies.Singleton{Size: 1}, strategies.Assertion{}} {
		for _, before := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				p := open(t, pooltest.NewFake(), s, pool.Options{})
				if before {
					p.Suspend()
				}
				_ = p.Close()
				is(t, s.Kind(), p.SuspendAndWait(t.Context()), pool.ErrClosed)
			})
		}
	}
}

// An InvalidateAndWait looks at a seat of which the resource is idle and old, and finds a fresh one there when its turn comes.
func TestSuspendAndWaitSeesWhatAnInvalidationPutsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		s := &tapped{
			Strategy: one,
			claim:    func() bool { time.Sleep(time.Minute); return true },
			claimed:  func() { time.Sleep(time.Minute) },
		}
		p := open(t, f, s, quick)
		warm(t, p)
		go func() { _ = p.InvalidateAndWait(t.Context(), nil) }()
		synctest.Wait()
		warm(t, p) // the old one is replaced
		time.Sleep(90 * time.Second)
		begin := time.Now()
		if err := p.SuspendAndWait(after(t, time.Hour)); err != nil {
			t.Errorf("SuspendAndWait: %v, want nil", err)
		}
		if took := time.Since(begin); took != 30*time.Second-1 {
			t.Errorf("SuspendAndWait took %v, want %v, until the seat is put back", took, 30*time.Second-1)
		}
		if n := f.OpenNow(); n != 1 {
			t.Errorf("%d are open, want the fresh one", n)
		}
		p.Resume()
		s.claim, s.claimed = nil, nil
	})
}
