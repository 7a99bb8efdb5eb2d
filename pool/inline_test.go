package pool_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/internal/goid"
	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

// inline are options of a pool whose opens and closes cannot hang.
var inline = pool.Options{OpenTimeout: pool.Inline, CloseTimeout: pool.Inline}

// selfOpening are the strategies whose acquirers open seats themselves.
var selfOpening = []pool.Strategy{
	strategies.Queue{Size: 2}, strategies.Queue{Size: 0, MaxOverflow: 2}, strategies.Null{Max: 2},
}

func TestInlineOpensAndClosesRunOnTheCallersGoroutine(t *testing.T) {
	for _, s := range selfOpening {
		synctest.Test(t, func(t *testing.T) {
			f := pooltest.NewFake()
			var by []goid.ID
			note := func(context.Context) error { by = append(by, goid.Current()); return nil }
			f.Always(pooltest.Open, note)
			f.Always(pooltest.Close, note)
			p := open(t, f, s, inline)
			a, b := acquire(t, p), acquire(t, p)
			release(t, b)
			release(t, a)
			_ = acquire(t, p).Discard(nil)
			if me := goid.Current(); len(by) < 3 || slices.ContainsFunc(by, func(id goid.ID) bool { return id != me }) {
				t.Errorf("%+v: opens and closes ran on goroutines %v, want %v: the caller's", s, by, me)
			}
		})
	}
}

func TestInlineOpenIsNotBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		f.Next(pooltest.Open, func(ctx context.Context) error {
			if end, ok := ctx.Deadline(); ok {
				t.Errorf("an inline open has a deadline: %v", end)
			}
			time.Sleep(time.Hour)
			return nil
		})
		p := open(t, f, one, inline)
		start := time.Now()
		l, err := p.Acquire(after(t, time.Minute))
		if err != nil || time.Since(start) != time.Hour {
			t.Fatalf("Acquire: %v after %v, want a lease once the open is done", err, time.Since(start))
		}
		release(t, l)
		if s := p.Stats(); s.Overdue != 0 {
			t.Errorf("%d overdue, want none", s.Overdue)
		}
	})
}

// Who comes while an acquirer opens a seat for itself does not count on what comes of it.
func TestInlineOpenIsForNobodyElse(t *testing.T) {
	for _, s := range selfOpening {
		synctest.Test(t, func(t *testing.T) {
			f := pooltest.NewFake()
			f.Next(pooltest.Open, pooltest.Slow(time.Second), pooltest.Slow(time.Second/2))
			p := open(t, f, s, inline)
			first, second := start(t.Context(), p), start(t.Context(), p)
			if got := p.Stats(); got.Opening != 2 || got.InUse != 0 || got.Waiting != 0 || got.Leases != 0 {
				t.Errorf("%+v: %v with %d leases while two open, want 2 opening and nobody waiting", s, got, got.Leases)
			}
			_, err := p.TryAcquire(t.Context())
			var e *pool.AcquireError
			if !asError(err, &e) || e.Load.Opening != 2 || e.Load.Lent != 0 {
				t.Errorf("%+v: TryAcquire while two open: %v; want a load of 2 opening, none lent", s, err)
			}
			third := start(t.Context(), p)
			if got := p.Stats(); got.Waiting != 1 {
				t.Errorf("%+v: %v, want the third in line", s, got)
			}
			a, b := <-first, <-second
			if a.err != nil || b.err != nil || a.took != time.Second || b.took != time.Second/2 {
				t.Errorf("%+v: served after %v and %v, with %v and %v; want after 1s and 500ms", s, a.took, b.took, a.err, b.err)
			}
			release(t, b.lease)
			if c := <-third; c.err != nil {
				t.Errorf("%+v: the third: %v", s, c.err)
			} else {
				release(t, c.lease)
			}
			release(t, a.lease)
		})
	}
}

func TestInlineOpenThatFailsIsTheAnswerToItsAcquirer(t *testing.T) {
	for _, s := range selfOpening {
		for name, act := range map[string]pooltest.Act{"fails": pooltest.Fail(errTest), "panics": pooltest.Panic(errTest)} {
			synctest.Test(t, func(t *testing.T) {
				f := pooltest.NewFake()
				f.Next(pooltest.Open, act, act)
				o := inline
				o.OpenAttempts, o.Backoff = 2, pool.NoBackoff
				p := open(t, f, s, o)
				_, err := p.Acquire(t.Context())
				var e *pool.OpenError
				if !asError(err, &e) || e.Attempts != 2 || !errors.Is(err, errTest) {
					t.Errorf("%+v, an open that %s: %v; want the OpenError of two attempts", s, name, err)
				}
				if got := p.Stats(); got.Opening != 0 || got.InUse != 0 || got.OpenFailures != 2 {
					t.Errorf("%+v, an open that %s: %+v; want nothing under way, and two failures", s, name, got)
				}
				release(t, acquire(t, p))
			})
		}
	}
}

func TestGoexitInAnInlineOpenOrCloseLosesNoSeat(t *testing.T) {
	for _, s := range selfOpening {
		for _, m := range []pooltest.Method{pooltest.Open, pooltest.Close} {
			synctest.Test(t, func(t *testing.T) {
				f := pooltest.NewFake()
				o := inline
				o.Backoff = pool.NoBackoff
				p := open(t, f, s, o)
				for range 3 { // more than there are seats
					f.Next(m, pooltest.Goexit)
					done, returned := make(chan struct{}), false
					go func() {
						defer close(done)
						_ = acquire(t, p).Discard(nil)
						returned = true
					}()
					<-done
					if returned {
						t.Errorf("%+v: Goexit in %s did not end the caller", s, m)
					}
				}
				a, b := acquire(t, p), acquire(t, p)
				release(t, a)
				release(t, b)
			})
		}
	}
}

// What must wait is not for the acquirer to make: it stands in line, as ever.
func TestInlineOpenThatIsNotDueStandsInLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		o := inline
		o.OpenInterval, o.OpensAtOnce = time.Second, 1
		p := open(t, f, strategies.Queue{Size: 3}, o)
		acquire(t, p)
		if r := <-start(t.Context(), p); r.err != nil || r.took != time.Second {
			t.Errorf("the second: %v after %v, want a lease after OpenInterval, 1s", r.err, r.took)
		}
		if r := <-start(after(t, time.Second/2), p); !errors.Is(r.err, context.DeadlineExceeded) || r.took != time.Second/2 {
			t.Errorf("the third: %v after %v, want that its ctx ends its wait for a turn", r.err, r.took)
		}
	})
}

func TestKeepWaitingOutlastsAnInlineOpenThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		f.Next(pooltest.Open, pooltest.Fail(errTest), pooltest.Fail(errTest))
		o := inline
		o.OnOpenFailure = pool.KeepWaiting
		p := open(t, f, one, o)
		fixed(p, 1)
		l := acquire(t, p) // by a third open, on a goroutine of the pool's
		release(t, l)
		if got := p.Stats(); got.OpenFailures != 2 || got.Opened != 1 {
			t.Errorf("%d failed, %d opened, want 2 and 1", got.OpenFailures, got.Opened)
		}
	})
}

func TestPoolClosedDuringAnInlineOpenLendsNothing(t *testing.T) {
	for i, s := range slices.Repeat(selfOpening, 2) {
		synctest.Test(t, func(t *testing.T) {
			f := pooltest.NewFake()
			ends := pooltest.Act(pooltest.OK)
			if i >= len(selfOpening) {
				ends = pooltest.Fail(errTest)
			}
			f.Next(pooltest.Open, pooltest.Stuck(time.Second, ends))
			p := open(t, f, s, inline)
			r := start(t.Context(), p)
			if err := p.Shutdown(t.Context()); err != nil {
				t.Errorf("%+v: Shutdown: %v", s, err)
			}
			is(t, "an Acquire whose open ends after the pool", (<-r).err, pool.ErrClosed)
		})
	}
}

// An Invalidate during the open means the resource too.
func TestInlineOpenThatIsOutdatedIsMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		f.Next(pooltest.Open, pooltest.Slow(time.Second))
		p := open(t, f, one, inline)
		r := start(t.Context(), p)
		p.Invalidate(errTest)
		got := <-r
		if got.err != nil || got.lease.Value().ID != 2 {
			t.Fatalf("%v, want the second resource", got.err)
		}
		release(t, got.lease)
	})
}

// What an acquirer opens is something to wait for: a failure beside it is not the answer to all.
func TestFailuresBesideAnInlineOpenAreNotTheAnswerToAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		f.Next(pooltest.Open, pooltest.Slow(time.Minute))
		p := open(t, f, strategies.Null{Max: 3}, inline)
		fixed(p, 1)
		first := start(t.Context(), p)
		f.Always(pooltest.Open, pooltest.Fail(pooltest.ErrFull))
		got := answers(t, crowd(t.Context(), p, 2), pooltest.ErrFull)
		if got[0] == 0 || got[1] <= got[0] {
			t.Errorf("answered after %v, want one after the other, by failures in a row", got)
		}
		r := <-first
		if r.err != nil {
			t.Fatal(r.err)
		}
		release(t, r.lease)
	})
}

func TestAssertionAssertsAlsoWhereOpensAreInline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, pooltest.NewFake(), strategies.Assertion{}, inline)
		l := acquire(t, p)
		_, err := p.Acquire(t.Context())
		is(t, "a second Acquire", err, strategies.ErrAlreadyAcquired)
		release(t, l)
		release(t, acquire(t, p))
	})
}

func TestNothingIsOpenedInlineWhileSomethingIsIdleOrThePoolIsSuspended(t *testing.T) {
	for _, order := range []strategies.Order{strategies.Affine, strategies.LIFO, strategies.FIFO} {
		synctest.Test(t, func(t *testing.T) {
			p := open(t, pooltest.NewFake(), strategies.Queue{Size: 2, Order: order}, inline)
			release(t, acquire(t, p))
			l := acquire(t, p)
			if got := p.Stats().Opened; got != 1 {
				t.Errorf("%s: %d opened, want the one that was idle", order, got)
			}
			p.Suspend()
			r := start(t.Context(), p)
			if got := p.Stats(); got.Opened != 1 || got.Waiting != 1 {
				t.Errorf("%s: suspended: %v, %d opened; want one in line and nothing opened for it", order, got, got.Opened)
			}
			p.Resume()
			got := <-r
			if got.err != nil {
				t.Fatal(got.err)
			}
			release(t, got.lease)
			release(t, l)
		})
	}
}

// A Suspend during the open keeps what comes of it, as it does what the pool opens.
func TestNothingIsLentByAnInlineOpenOnceThePoolIsSuspended(t *testing.T) {
	for _, s := range selfOpening {
		synctest.Test(t, func(t *testing.T) {
			f := pooltest.NewFake()
			f.Next(pooltest.Open, pooltest.Slow(time.Second))
			p := open(t, f, s, inline)
			r := start(t.Context(), p)
			if err := p.SuspendAndWait(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Second)
			if got := p.Stats(); got.InUse != 0 || got.Waiting != 1 {
				t.Errorf("%+v: %v, want nothing lent and the acquirer in line", s, got)
			}
			p.Resume()
			got := <-r
			if got.err != nil {
				t.Fatal(got.err)
			}
			release(t, got.lease)
		})
	}
}

func TestPoolThatShrinksDuringAnInlineOpenLendsNoMoreThanItMay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		f.Next(pooltest.Open, pooltest.OK, pooltest.Slow(time.Second))
		p := open(t, f, strategies.Queue{Size: 2}, inline)
		l := acquire(t, p)
		r := start(t.Context(), p)
		if err := p.Resize(strategies.Queue{Size: 1}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		if got := p.Stats(); got.InUse != 1 || got.Waiting != 1 || f.OpenNow() != 1 {
			t.Errorf("%v, %d open; want one, and the acquirer in line", got, f.OpenNow())
		}
		release(t, l)
		got := <-r
		if got.err != nil {
			t.Fatal(got.err)
		}
		release(t, got.lease)
	})
}

func TestInlineOpenReliesOnWhatIsBeingOpenedForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		f.Always(pooltest.Open, pooltest.Slow(time.Second))
		p := open(t, f, strategies.Queue{Size: 2}, inline)
		go p.Warm(t.Context(), 1)
		synctest.Wait()
		l := acquire(t, p)
		if got := f.Opened(); got != 1 {
			t.Errorf("%d opened, want the one of Warm", got)
		}
		release(t, l)
	})
}

func TestInlineOpenPausesBetweenItsAttempts(t *testing.T) {
	for _, tc := range []struct {
		patience, took time.Duration
		opens          int
	}{{time.Hour, 3 * time.Second, 3}, {2 * time.Second, 2 * time.Second, 2}} {
		synctest.Test(t, func(t *testing.T) {
			f := pooltest.NewFake()
			f.Always(pooltest.Open, pooltest.Fail(errTest))
			o := inline
			o.OpenAttempts, o.Backoff, o.BackoffMax = 3, time.Second, time.Minute
			p := open(t, f, one, o)
			fixed(p, 1)
			r := <-start(after(t, tc.patience), p)
			var e *pool.OpenError
			if !asError(r.err, &e) || e.Attempts != tc.opens || r.took != tc.took || f.Calls(pooltest.Open) != tc.opens {
				t.Errorf("%v after %v and %d opens, want the OpenError of %d attempts after %v: a pause of 1s, and one of 2s",
					r.err, r.took, f.Calls(pooltest.Open), tc.opens, tc.took)
			}
			if got := p.Stats().OpenFailures; got != uint64(tc.opens) {
				t.Errorf("%d failures, want %d", got, tc.opens)
			}
		})
	}
}

// The pool ends in a pause between two attempts.
func TestPoolClosedBetweenAttemptsOfAnInlineOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		f.Always(pooltest.Open, pooltest.Fail(errTest))
		o := inline
		o.OpenAttempts, o.Backoff = 3, time.Hour
		p := open(t, f, one, o)
		fixed(p, 1)
		r := start(t.Context(), p)
		if err := p.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if got := <-r; got.took != 0 {
			t.Errorf("Acquire: %v after %v, want at once", got.err, got.took)
		} else {
			is(t, "Acquire", got.err, pool.ErrClosed)
		}
	})
}

func TestInlineOpenOfAFullBackendIsTheAnswerIfNothingElseIsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		f.Always(pooltest.Open, pooltest.Fail(pooltest.ErrFull))
		p := open(t, f, strategies.Queue{Size: 2}, inline)
		fixed(p, 1)
		r := <-start(t.Context(), p)
		if is(t, "Acquire", r.err, pooltest.ErrFull); r.took != 0 {
			t.Errorf("answered after %v, want at once", r.took)
		}
		f.Next(pooltest.Open, pooltest.OK)
		l := acquire(t, p)
		r = <-start(after(t, time.Minute), p)
		if is(t, "Acquire while another is lent", r.err, context.DeadlineExceeded); r.took != time.Minute {
			t.Errorf("answered after %v, want that it waits for what is lent", r.took)
		}
		release(t, l)
	})
}

func TestGoexitInAnInlineCloseAfterAHookThatFailsLosesNoSeat(t *testing.T) {
	for _, s := range selfOpening {
		synctest.Test(t, func(t *testing.T) {
			f := pooltest.NewFake()
			fails := true
			p := open(t, f, s, inline, pool.Hooks[res]{Checkout: func(context.Context, pool.Event[res]) error {
				if fails {
					return errTest
				}
				return nil
			}})
			for range 3 { // more than there are seats
				f.Next(pooltest.Close, pooltest.Goexit)
				done := make(chan struct{})
				go func() {
					defer close(done)
					defer func() {
						if e := recover(); e != nil {
							t.Errorf("%+v: panic: %v", s, e)
						}
					}()
					_, _ = p.Acquire(t.Context())
				}()
				<-done
			}
			fails = false
			a, b := acquire(t, p), acquire(t, p)
			release(t, a)
			release(t, b)
		})
	}
}

func TestGoexitInAnInlineCloseEndsNeitherUpkeepNorResize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		f.Always(pooltest.Close, pooltest.Goexit)
		o := inline
		o.MaxIdle = time.Second
		p := open(t, f, strategies.Queue{Size: 3}, o)
		fill := func() {
			a, b, c := acquire(t, p), acquire(t, p), acquire(t, p)
			release(t, a)
			release(t, b)
			release(t, c)
		}
		for range 2 {
			fill()
			time.Sleep(10 * time.Second)
			if got := f.OpenNow(); got != 0 {
				t.Errorf("%d open long after MaxIdle, want none", got)
			}
		}
		fill()
		if err := p.Resize(strategies.Queue{Size: 1}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := f.OpenNow(); got != 1 {
			t.Errorf("%d open after a Resize to 1", got)
		}
	})
}
