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

// The tests of this file are named after faults that other pools had: docs/faults.md lists them with their
// numbers. The invariants I1 to I12 are listed there too.

// A wake-up that is lost leaves everybody asleep: in a bubble that is a deadlock, which ends the test.
func TestFault01ReturnBetweenALookAndStandingInLineIsNotMissed(t *testing.T) {
	for _, shape := range shapes {
		synctest.Test(t, func(t *testing.T) {
			p := open(t, pooltest.NewFake(), shape.strategy, shape.opts, shape.hooks)
			var all sync.WaitGroup
			for range 4 {
				all.Go(func() {
					for range 1000 {
						l, err := p.Acquire(t.Context()) // no deadline that would wake it
						if err != nil {
							t.Errorf("%s: Acquire: %v, want a lease (I6)", shape.name, err)
							return
						}
						runtime.Gosched()
						release(t, l)
					}
				})
			}
			all.Wait()
		})
	}
}

func TestFault02LineDrainsWithoutNewcomers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, pooltest.NewFake(), two, pool.Options{})
		a, b := acquire(t, p), acquire(t, p)
		var line []<-chan result
		for range 20 {
			line = append(line, start(t.Context(), p))
		}
		release(t, a)
		_ = b.Discard(nil) // its seat comes back empty
		for n, out := range line {
			r := <-out
			if r.err != nil || r.took != 0 {
				t.Fatalf("waiter %d: %v after %v, want a resource at once: nobody else has to come (I6)", n, r.err, r.took)
			}
			release(t, r.lease)
		}
	})
}

func TestFault03FailedOpenWakesThoseWhoWaitForItsSeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		f.Always(pooltest.Open, pooltest.Slow(time.Second, pooltest.Fail(errTest)))
		p := open(t, f, one, pool.Options{Backoff: pool.NoBackoff})
		for n, out := range []<-chan result{start(t.Context(), p), start(t.Context(), p), start(t.Context(), p)} {
			r := <-out
			is(t, "a waiter for the only seat while opens fail", r.err, errTest)
			// The second failure in a row answers all.
			if want := time.Duration(min(n+1, 2)) * time.Second; r.took != want {
				t.Errorf("waiter %d was answered after %v, want %v (I6)", n, r.took, want)
			}
		}
	})
}

func TestFault04WaiterIsServedInPlaceOfABrokenResource(t *testing.T) {
	for name, breaks := range map[string]func(*testing.T, *pooltest.Fake, testLease){
		"discarded":  func(_ *testing.T, _ *pooltest.Fake, l testLease) { _ = l.Discard(errTest) },
		"found dead": func(_ *testing.T, _ *pooltest.Fake, l testLease) { _ = l.Fail(pooltest.ErrDead) },
		"detached":   func(t *testing.T, _ *pooltest.Fake, l testLease) { _ = detach(t, l).Close() },
		"retired": func(t *testing.T, _ *pooltest.Fake, l testLease) {
			_ = l.Retire(errTest)
			release(t, l)
		},
		"not reset": func(t *testing.T, f *pooltest.Fake, l testLease) {
			f.Next(pooltest.Reset, pooltest.Fail(errTest))
			release(t, l)
		},
		"reset panics": func(t *testing.T, f *pooltest.Fake, l testLease) {
			f.Next(pooltest.Reset, pooltest.Panic("boom"))
			release(t, l)
		},
		"OnReturn fails": func(t *testing.T, _ *pooltest.Fake, l testLease) {
			_ = l.OnReturn(func(context.Context, res) error { return errTest })
			release(t, l)
		},
	} {
		for _, s := range []pool.Strategy{one, strategies.Null{Max: 1}, strategies.Singleton{Size: 1}} {
			synctest.Test(t, func(t *testing.T) {
				f := pooltest.NewFake()
				p := open(t, f, s, pool.Options{})
				l := acquire(t, p)
				out := start(t.Context(), p)
				breaks(t, f, l)
				if r := <-out; r.err != nil || r.took != 0 || r.lease.Value().ID != 2 {
					t.Errorf("%s, the resource %s: the waiter got %v after %v; want the next resource at once (I6, I3)", s.Kind(), name, r.err, r.took)
				}
			})
		}
	}
}

func TestFault05NewResourceThatIsRefusedBlocksNobody(t *testing.T) {
	for _, event := range []string{"connect", "checkout"} {
		synctest.Test(t, func(t *testing.T) {
			f, rec := pooltest.NewFake(), newRecorder()
			f.Always(pooltest.Open, pooltest.Slow(time.Second))
			p := open(t, f, one, pool.Options{Backoff: pool.NoBackoff}, rec.hooks())
			nextHook(event, errTest)(&scene{rec: rec})
			first, second := start(t.Context(), p), start(t.Context(), p)
			is(t, "the first, whose resource was refused", (<-first).err, errTest)
			if r := <-second; r.err != nil || r.took != 2*time.Second {
				t.Errorf("the second, after the %s hook refused the first: %v after %v; want a resource after another open, 2s (I6)", event, r.err, r.took)
			}
		})
	}
}

func TestFault06SlowReopenOfAnExpiredResourceHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, strategies.Queue{Size: 2, Order: strategies.FIFO}, pool.Options{MaxAge: time.Minute, Jitter: pool.NoJitter})
		release(t, acquire(t, p))
		time.Sleep(time.Minute)
		old, young := acquire(t, p), acquire(t, p)
		time.Sleep(time.Second)
		release(t, old) // grown too old in use
		release(t, young)
		f.Next(pooltest.Open, pooltest.Slow(20*time.Second))
		slow := start(t.Context(), p)
		if r := <-start(t.Context(), p); r.err != nil || r.took != 0 || r.lease.Value().ID != 2 {
			t.Errorf("Acquire while another is idle: %v after %v, want that one at once (I6)", r.err, r.took)
		} else {
			time.Sleep(time.Second)
			release(t, r.lease)
		}
		if r := <-slow; r.err != nil || r.took != time.Second || r.lease.Value().ID != 2 {
			t.Errorf("who had the expired one: %v after %v, want what came first, after 1s (I6)", r.err, r.took)
		}
	})
}

func TestFault07InvalidationServesThoseWhoWait(t *testing.T) {
	for name, invalidate := range map[string]func(*testPool){
		"Invalidate": func(p *testPool) { p.Invalidate(errTest) },
		"Dispose":    func(p *testPool) { p.Dispose() },
	} {
		synctest.Test(t, func(t *testing.T) {
			f := pooltest.NewFake()
			p := open(t, f, one, pool.Options{})
			l := acquire(t, p)
			line := []<-chan result{start(t.Context(), p), start(t.Context(), p), start(t.Context(), p)}
			invalidate(p)
			release(t, l)
			for n, out := range line {
				r := <-out
				if r.err != nil || r.took != 0 || r.lease.Value().ID != 2 {
					t.Fatalf("%s: waiter %d got %v after %v; want a resource of the new generation at once (I6, I3)", name, n, r.err, r.took)
				}
				release(t, r.lease)
			}
		})
	}
}

func TestFault08SeatIsNotHandedFromOneExpiredWaiterToTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, pooltest.NewFake(), one, pool.Options{})
		l := acquire(t, p)
		for range 500 {
			go func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if l, err := p.Acquire(ctx); err == nil {
					if ctx.Err() != nil {
						t.Error("a waiter whose ctx had ended was handed a resource (I7)")
					}
					release(t, l)
				}
			}()
		}
		live := start(after(t, time.Hour), p)
		time.Sleep(time.Second - time.Nanosecond)
		go func() {
			time.Sleep(time.Nanosecond) // at the same instant in which they expire
			synctest.Wait()
			release(t, l)
		}()
		if r := <-live; r.err != nil || r.took != time.Second {
			t.Errorf("who has time left behind 500 who have not: %v after %v, want the seat as soon as it is returned, 1s (I6)", r.err, r.took)
		}
	})
}

// stubborn is a ctx whose owner does not get to the wait before it may go on: it is asked for its Done
// once when it stands in line, and once more to wait.
type stubborn struct {
	context.Context
	asked atomic.Int32
	goOn  chan struct{}
}

func (s *stubborn) Done() <-chan struct{} {
	if s.asked.Add(1) > 1 {
		<-s.goOn
	}
	return s.Context.Done()
}

func TestFault11ReleaseDoesNotWaitForTheWaiterToRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, pooltest.NewFake(), one, pool.Options{})
		l := acquire(t, p)
		ctx := &stubborn{Context: after(t, time.Hour), goOn: make(chan struct{})}
		out := start(ctx, p)
		released := make(chan struct{})
		go func() {
			release(t, l)
			close(released)
		}()
		synctest.Wait()
		select {
		case <-released:
		default:
			t.Error("Release waits for the waiter that it hands its seat to, which is not running")
		}
		close(ctx.goOn)
		if r := <-out; r.err != nil {
			t.Errorf("the waiter, when it runs: %v, want the seat (I6)", r.err)
		}
	})
}

// All turns to open are taken by opens that hang, whatever becomes of their ctx.
func TestFault15OpensThatHangDoNotStopOthersFromOpening(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		hung := make(chan struct{})
		for range 2 {
			f.Next(pooltest.Open, pooltest.Hang(hung))
		}
		p := open(t, f, strategies.Queue{Size: 3}, pool.Options{OpensAtOnce: 2, OpenTimeout: 7 * time.Second, OnOpenFailure: pool.KeepWaiting, Backoff: pool.NoBackoff})
		var line []<-chan result
		for range 3 {
			line = append(line, start(t.Context(), p))
		}
		overdue := 7*time.Second + 100*time.Millisecond
		for n, out := range line {
			r := <-out
			if r.err != nil || r.took != overdue {
				t.Errorf("waiter %d: %v after %v, want the third seat when the hung opens are overdue, after %v (I6)", n, r.err, r.took, overdue)
				continue
			}
			release(t, r.lease)
		}
		close(hung)
	})
}

// Everyone always needs an open: one request for it that is forgotten leaves all asleep, which ends the bubble.
func TestFault16NoRequestForAnOpenIsForgotten(t *testing.T) {
	for _, s := range []pool.Strategy{strategies.Queue{Size: 2}, strategies.Null{Max: 2}, strategies.Singleton{Size: 2}} {
		synctest.Test(t, func(t *testing.T) {
			f := pooltest.NewFake()
			f.Always(pooltest.Open, func(context.Context) error {
				if rand.IntN(4) == 0 {
					return errTest
				}
				return nil
			})
			p := open(t, f, s, pool.Options{Backoff: pool.NoBackoff, OnOpenFailure: pool.KeepWaiting})
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					for range 200 {
						l, err := p.Acquire(t.Context())
						if err != nil {
							t.Errorf("%s: Acquire: %v, want a lease (I6)", s.Kind(), err)
							return
						}
						_ = l.Discard(nil)
					}
				})
			}
			all.Wait()
		})
	}
}

// Opens serve others than those who asked for them, and callers come and go in mid-open.
func TestFault22OpenThatServesAnotherIsCountedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const seats, turns = 4, 2
		f := pooltest.NewFake()
		var now, most atomic.Int32
		f.Always(pooltest.Open, func(context.Context) error {
			most.Store(max(most.Load(), now.Add(1)))
			defer now.Add(-1)
			time.Sleep(time.Duration(1+rand.IntN(10)) * time.Millisecond)
			return nil
		})
		p := open(t, f, strategies.Queue{Size: seats}, pool.Options{OpensAtOnce: turns})
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() {
				for range 100 {
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.IntN(12))*time.Millisecond)
					if l, err := p.Acquire(ctx); err == nil {
						time.Sleep(time.Millisecond)
						_ = l.Discard(nil)
					}
					cancel()
				}
			})
		}
		all.Wait()
		if f.MaxOpen() > seats || most.Load() > turns {
			t.Errorf("%d were open at once and %d being opened, want at most %d and %d (I1)", f.MaxOpen(), most.Load(), seats, turns)
		}
	})
}

// A Close from inside Backend.Open waits for that Open in vain, and says so; it neither locks up nor leaks.
func TestFault34CloseFromInsideAnOpenEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		var p *testPool
		f.Next(pooltest.Open, func(context.Context) error {
			var e *pool.ShutdownError
			if err := p.Close(); !asError(err, &e) || e.Overdue != 1 {
				t.Errorf("Close from inside an open: %v, want it to tell of that open (I8)", err)
			}
			return nil
		})
		p = open(t, f, one, pool.Options{CloseTimeout: time.Second})
		r := <-start(t.Context(), p)
		is(t, "who waited for the open", r.err, pool.ErrClosed)
		if r.took != 0 {
			t.Errorf("it was woken after %v, want at once (I7)", r.took)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if f.Opened() != 1 || f.Closed() != 1 {
			t.Errorf("opened %d, closed %d, want 1 each (I4)", f.Opened(), f.Closed())
		}
	})
}

func TestFault39AcquireWithAnEndedCtxAroundCloseIsAnError(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for round := range 200 {
		f := pooltest.NewFake()
		shape := shapes[round%len(shapes)]
		p, err := pool.New[res](f, shape.strategy, shape.opts)
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for _, acquire := range []func(context.Context) (testLease, error){p.Acquire, p.TryAcquire} {
			all.Go(func() {
				for range 20 {
					if _, err := acquire(ended); !errors.Is(err, context.Canceled) && !errors.Is(err, pool.ErrClosed) {
						t.Errorf("%s: %v, want the ctx's error or ErrClosed", shape.name, err)
					}
				}
			})
		}
		all.Go(func() { _ = p.Close() })
		all.Wait()
		closeUp(t, f, p)
	}
}

func TestFault53UsersWorkIsNeverRetried(t *testing.T) {
	for _, err := range []error{errTest, pooltest.ErrDead, pooltest.ErrAllDead, pool.ErrDisconnected, pool.ErrInvalidatePool} {
		synctest.Test(t, func(t *testing.T) {
			p := open(t, pooltest.NewFake(), two, pool.Options{Attempts: 5, OpenAttempts: 5})
			calls := 0
			got := p.Do(t.Context(), func(context.Context, res) error { calls++; return err })
			if calls != 1 || got != err {
				t.Errorf("Do ran its function %d times and returned %v, want once, and its error, %v", calls, got, err)
			}
		})
	}
}

// A whole pool of broken resources: neither does each cost a ping, nor does the stack grow with them.
func TestFault54ManyBrokenResourcesAtOnceAreOneInvalidation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 2000
		f := pooltest.NewFake()
		p := open(t, f, strategies.Queue{Size: n}, pool.Options{Ping: true})
		var leases []testLease
		for range n {
			leases = append(leases, acquire(t, p))
		}
		for _, l := range leases {
			release(t, l)
		}
		time.Sleep(time.Second)
		f.Next(pooltest.Ping, pooltest.Fail(pooltest.ErrAllDead))
		if id := acquire(t, p).Value().ID; id != n+1 || f.Calls(pooltest.Ping) != 1 || f.Opened() != n+1 {
			t.Errorf("got resource %d after %d pings and %d opens, want the next one after one of each (I3)", id, f.Calls(pooltest.Ping), f.Opened()-n)
		}
		p.Dispose()
		if s := p.Stats(); s.Open != 1 {
			t.Errorf("after Dispose %d are open, want the one that is lent", s.Open)
		}
	})
}

func TestFault59BackendMayUseThePool(t *testing.T) {
	for _, m := range []pooltest.Method{pooltest.Open, pooltest.Ping, pooltest.Reset, pooltest.Close} {
		synctest.Test(t, func(t *testing.T) {
			f := pooltest.NewFake()
			var p *testPool
			used := false
			f.Always(m, func(ctx context.Context) error {
				if p.Stats(); used {
					return nil
				}
				used = true
				p.Invalidate(errTest)
				p.Dispose()
				return p.Do(ctx, func(context.Context, res) error { return nil })
			})
			p = open(t, f, two, pool.Options{Ping: true})
			for range 3 {
				l, err := p.Acquire(after(t, time.Second))
				if err != nil {
					t.Fatalf("Acquire, with a Backend.%s that uses the pool: %v, want a resource (I12)", m, err)
				}
				release(t, l)
				time.Sleep(time.Second)
			}
			p.Dispose()
			if !used {
				t.Errorf("Backend.%s was not called", m)
			}
		})
	}
}

func TestFault60NilCtxPanicsAndTakesNothingAndNilIsAResource(t *testing.T) {
	for _, shape := range shapes {
		synctest.Test(t, func(t *testing.T) {
			p := open(t, pooltest.NewFake(), shape.strategy, shape.opts, shape.hooks)
			for _, acquire := range []func(context.Context) (testLease, error){p.Acquire, p.TryAcquire, p.Acquire} {
				func() {
					defer func() {
						if recover() == nil {
							t.Error("an Acquire with a nil ctx did not panic")
						}
					}()
					_, _ = acquire(nil)
				}()
				warm(t, p)
				atRest(t, p)
			}
		})
	}
	p, err := pool.New[*int](pool.Funcs[*int]{OpenFunc: func(context.Context) (*int, error) { return nil, nil }}, one, pool.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for range 2 {
		if err := p.Do(t.Context(), func(_ context.Context, v *int) error {
			if v != nil {
				return errTest
			}
			return nil
		}); err != nil {
			t.Errorf("Do with a nil resource: %v, want it lent as it is", err)
		}
	}
}

func TestFault65ReleaseOnAnotherGoroutineIsARelease(t *testing.T) {
	for _, shape := range shapes {
		synctest.Test(t, func(t *testing.T) {
			f := pooltest.NewFake()
			p := open(t, f, shape.strategy, shape.opts, shape.hooks)
			for range 10 {
				l := acquire(t, p)
				releaseElsewhere(l)
				is(t, shape.name+": the second Release, on the first's goroutine", l.Release(), pool.ErrReleased)
			}
			atRest(t, p)
			if f.Opened() != 1 {
				t.Errorf("%s: %d opened, want 1: what another goroutine returned is lent again (I2)", shape.name, f.Opened())
			}
		})
	}
}

// A waiter that spins keeps the clock of a bubble from moving, and one that looks every millisecond makes a year
// of its time too long for this test.
func TestFault68WaitersNeitherSpinNorPoll(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for _, s := range []pool.Strategy{one, strategies.Queue{Size: 1, Fairness: strategies.Bounded}, strategies.Null{Max: 1}, strategies.Singleton{Size: 1}} {
		synctest.Test(t, func(t *testing.T) {
			p := open(t, pooltest.NewFake(), s, pool.Options{})
			l := acquire(t, p)
			var line []<-chan result
			for range 100 {
				line = append(line, start(t.Context(), p))
			}
			time.Sleep(year)
			release(t, l)
			for n, out := range line {
				r := <-out
				if r.err != nil || r.took < year || r.took > year+strategies.Passing {
					t.Errorf("%s: waiter %d: %v after %v, want the seat after a year", s.Kind(), n, r.err, r.took)
				}
				release(t, r.lease)
			}
		})
	}
}

func TestFault27UpkeepClosesBeforeItOpensAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		f.Always(pooltest.Close, pooltest.Slow(time.Second))
		p := open(t, f, two, pool.Options{MinIdle: 2, MaxAge: time.Minute, Jitter: pool.NoJitter})
		time.Sleep(time.Hour)
		if n := f.MaxOpen(); n != 2 || f.Opened() < 100 {
			t.Errorf("up to %d of 2 were open at once while upkeep replaced %d; want never more than the limit (I1)", n, f.Opened())
		}
		if s := p.Stats(); s.ClosedBy[pool.ReasonAge] < 100 {
			t.Errorf("closed %v, want all by age", s.ClosedBy)
		}
	})
}
