package strategies_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

func TestQueueOpensNothingBeforeItIsAsked(t *testing.T) {
	with(t, strategies.Queue{Size: 5}, func(r *rig) {
		synctest.Wait()
		if n := r.fake.Calls(pooltest.Open); n != 0 {
			r.Errorf("a new pool made %d opens, want none before the first Acquire", n)
		}
	})
}

func TestQueueReusesWhatWasReturned(t *testing.T) {
	with(t, strategies.Queue{Size: 5}, func(r *rig) {
		for range 10 {
			l := r.get()
			r.wants(l, 1, "the returned resource is there for the next")
			r.end(l)
		}
	})
}

func TestQueueClosesOverflowWhenEnoughAreIdle(t *testing.T) {
	with(t, strategies.Queue{Size: 2, MaxOverflow: 2}, func(r *rig) {
		held := []lease{r.get(), r.get(), r.get(), r.get()}
		if _, err := r.TryAcquire(context.Background()); !errors.Is(err, pool.ErrExhausted) {
			r.Errorf("fifth acquire of size 2 and overflow 2: %v, want ErrExhausted", err)
		}
		r.end(held...)
		s := r.Stats()
		if s.Idle != 2 || s.ClosedBy[pool.ReasonOverflow] != 2 {
			r.Errorf("after 4 returns: %d idle, closed %v; want 2 idle and 2 closed as overflow", s.Idle, s.ClosedBy)
		}
	})
}

func TestQueueNeverClosesAHealthyResourceInFavorOfAnEmptySeat(t *testing.T) {
	with(t, strategies.Queue{Size: 1, MaxOverflow: 2}, func(r *rig) {
		a, b, c := r.get(), r.get(), r.get()
		if err := a.Discard(nil); err != nil {
			r.Fatal(err)
		}
		r.end(b)
		if s := r.Stats(); s.Idle != 1 {
			r.Errorf("one seat empty, one resource returned: %d idle, want 1 (it is healthy, and nothing else is kept)", s.Idle)
		}
		r.end(c)
		if s := r.Stats(); s.Idle != 1 || s.ClosedBy[pool.ReasonOverflow] != 1 {
			r.Errorf("after the second return: %d idle, closed %v; want 1 and 1 as overflow", s.Idle, s.ClosedBy)
		}
	})
}

func TestQueueUnlimitedKeepsAllThatWereWantedAtOnce(t *testing.T) {
	for _, c := range []struct {
		queue strategies.Queue
		keeps int
	}{
		{strategies.Queue{Size: pool.Unlimited}, 50},
		{strategies.Queue{Size: 3, MaxOverflow: pool.Unlimited}, 3},
		{strategies.Queue{Size: 0, MaxOverflow: pool.Unlimited}, 0},
	} {
		t.Run(fmt.Sprintf("%+v", c.queue), func(t *testing.T) {
			with(t, c.queue, func(r *rig) {
				var held []lease
				for range 50 {
					held = append(held, r.get())
				}
				if took := r.now(); took != 0 {
					r.Errorf("50 acquires took %v, want no wait", took)
				}
				r.end(held...)
				if s := r.Stats(); s.Idle != c.keeps || s.Open != c.keeps {
					r.Errorf("after 50 returns %d are idle and %d open, want %d", s.Idle, s.Open, c.keeps)
				}
			})
		})
	}
}

func TestQueueLendsIdleResourcesInItsOrder(t *testing.T) {
	for order, want := range map[strategies.Order][]int{
		strategies.LIFO: {3, 1, 2},
		strategies.FIFO: {2, 1, 3},
	} {
		t.Run("order "+string(order), func(t *testing.T) {
			with(t, strategies.Queue{Size: 3, Order: order}, func(r *rig) {
				a, b, c := r.get(), r.get(), r.get()
				r.end(b, a, c)
				var held []lease
				for _, id := range want {
					l := r.get()
					r.wants(l, id, "resources came back in the order 2, 1, 3")
					held = append(held, l)
				}
				r.end(held...)
			})
		})
	}
}

func TestQueueServesWaitersInOrderOfArrivalWhateverTheOrderOfIdle(t *testing.T) {
	for _, order := range []strategies.Order{strategies.Affine, strategies.LIFO, strategies.FIFO} {
		with(t, strategies.Queue{Size: 1, Order: order}, func(r *rig) {
			l := r.get()
			first, second := r.ask(r.Context()), r.ask(r.Context())
			r.end(l)
			synctest.Wait()
			if !first.done() || second.done() {
				r.Errorf("%s: first waiter served: %t, second: %t; want only the first", order, first.done(), second.done())
			}
			r.end(first.lease)
			synctest.Wait()
			r.end(second.lease)
		})
	}
}

func TestQueueTimeoutIsExactAndTellsTheLoad(t *testing.T) {
	with(t, strategies.Queue{Size: 1, MaxOverflow: 1, Timeout: 30 * time.Second}, func(r *rig) {
		held := []lease{r.get(), r.get()}
		a := r.ask(r.Context())
		time.Sleep(time.Second)
		for range 3 {
			r.ask(r.Context())
		}
		time.Sleep(29*time.Second - 1)
		synctest.Wait()
		if a.done() {
			r.Fatalf("answered after %v, want the Timeout of 30 s to the nanosecond", a.at)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if !a.done() || a.at != 30*time.Second {
			r.Fatalf("answered: %t, after %v; want 30 s exactly", a.done(), a.at)
		}
		const want = "pool: acquire timed out after 30s waiting: 2 of 2 in use (1 overflow), 3 waiting"
		if a.err.Error() != want {
			r.Errorf("error is\n%s\nwant\n%s", a.err, want)
		}
		if !errors.Is(a.err, pool.ErrTimeout) || !errors.Is(a.err, context.DeadlineExceeded) {
			r.Errorf("%v is neither ErrTimeout nor DeadlineExceeded, want both", a.err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if s := r.Stats(); s.Waited != 6 || s.TimedOut != 4 || s.Canceled != 0 || s.Waiting != 0 {
			r.Errorf("Stats: %d waited, %d timed out, %d canceled, %d waiting; want 6 (2 for their open), 4, 0, 0", s.Waited, s.TimedOut, s.Canceled, s.Waiting)
		}
		r.end(held...)
	})
}

func TestQueueTimeoutBoundsTheOpenToo(t *testing.T) {
	with(t, strategies.Queue{Size: 1, Timeout: 2 * time.Second}, func(r *rig) {
		r.fake.Next(pooltest.Open, pooltest.Slow(5*time.Second))
		_, err := r.Acquire(r.Context())
		if took := r.now(); !errors.Is(err, pool.ErrTimeout) || took != 2*time.Second {
			r.Errorf("Acquire with Timeout 2 s and an open of 5 s: %v after %v, want ErrTimeout after 2 s", err, took)
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if s := r.Stats(); s.Idle != 1 {
			r.Errorf("the open that nobody waited for has left %d idle, want 1: it is fit for the next", s.Idle)
		}
	})
}

func TestQueueTimeoutAndDeadlineWhicheverIsFirst(t *testing.T) {
	with(t, strategies.Queue{Size: 1, Timeout: 2 * time.Second}, func(r *rig) {
		l := r.get()
		for deadline, want := range map[time.Duration]time.Duration{
			time.Second:     time.Second,
			3 * time.Second: 2 * time.Second,
		} {
			ctx, cancel := context.WithTimeout(r.Context(), deadline)
			before := r.now()
			_, err := r.Acquire(ctx)
			if took := r.now() - before; took != want || !errors.Is(err, pool.ErrTimeout) {
				r.Errorf("Acquire with Timeout 2 s and deadline %v: %v after %v, want ErrTimeout after %v", deadline, err, took, want)
			}
			cancel()
		}
		r.end(l)
	})
}

func TestQueueThatDoesNotWaitStillOpens(t *testing.T) {
	with(t, strategies.Queue{Size: 1, Timeout: strategies.NoWait}, func(r *rig) {
		r.fake.Next(pooltest.Open, pooltest.Slow(time.Second))
		l := r.get()
		if _, err := r.Acquire(r.Context()); !errors.Is(err, pool.ErrExhausted) || r.now() != time.Second {
			r.Errorf("Acquire under NoWait with the only seat held: %v after %v, want ErrExhausted at once", err, r.now()-time.Second)
		}
		r.end(l)
	})
}

func TestQueueIsFairToHoldersWhoReacquireAtOnce(t *testing.T) {
	for _, c := range []struct{ size, goroutines int }{{1, 2}, {2, 8}, {3, 12}} {
		t.Run(fmt.Sprintf("%d on %d", c.goroutines, c.size), func(t *testing.T) {
			with(t, strategies.Queue{Size: c.size}, func(r *rig) {
				ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
				defer cancel()
				served := make([]int, c.goroutines)
				var wg sync.WaitGroup
				for i := range served {
					wg.Go(func() {
						for {
							l, err := r.Acquire(ctx)
							if err != nil {
								return
							}
							time.Sleep(time.Millisecond)
							served[i]++
							r.end(l)
						}
					})
				}
				wg.Wait()
				least, most := served[0], served[0]
				for _, n := range served {
					least, most = min(least, n), max(most, n)
				}
				if most-least > 1 || least == 0 {
					r.Errorf("served %v, want as often each, by one (SQLAlchemy's queue: 1083 against 1)", served)
				}
			})
		})
	}
}

func TestQueueTakesAReturnBeforeASlowOpen(t *testing.T) {
	with(t, strategies.Queue{Size: 2}, func(r *rig) {
		l := r.get()
		r.fake.Next(pooltest.Open, pooltest.Slow(150*time.Millisecond))
		a := r.ask(r.Context())
		time.Sleep(10 * time.Millisecond)
		r.end(l)
		synctest.Wait()
		if !a.done() || a.at != 10*time.Millisecond {
			r.Fatalf("served: %t, after %v; want 10 ms, when the first was returned", a.done(), a.at)
		}
		time.Sleep(140 * time.Millisecond)
		synctest.Wait()
		if s := r.Stats(); s.Idle != 1 || s.InUse != 1 {
			r.Errorf("the surplus open left %v, want it idle", s)
		}
		r.end(a.lease)
	})
}

func TestQueueClosesSurplusOpensThatItDoesNotKeep(t *testing.T) {
	with(t, strategies.Queue{Size: 1, MaxOverflow: 1}, func(r *rig) {
		l := r.get()
		r.fake.Next(pooltest.Open, pooltest.Slow(150*time.Millisecond))
		a := r.ask(r.Context())
		r.end(l)
		synctest.Wait()
		r.end(a.lease)
		time.Sleep(150 * time.Millisecond)
		synctest.Wait()
		if s := r.Stats(); s.Idle != 1 || s.ClosedBy[pool.ReasonUnwanted] != 1 {
			r.Errorf("a surplus open with size 1 full: %d idle, closed %v; want 1, and 1 as unwanted", s.Idle, s.ClosedBy)
		}
	})
}

func TestQueueOpensOnlyForThoseWhoNeedIt(t *testing.T) {
	with(t, strategies.Queue{Size: 20}, func(r *rig) {
		r.fake.Always(pooltest.Open, pooltest.Slow(time.Second))
		var all []*asker
		for range 50 {
			all = append(all, r.ask(r.Context()))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n := r.fake.Calls(pooltest.Open); n != 20 {
			r.Errorf("50 acquirers on 20 seats: %d opens, want 20", n)
		}
		for i, a := range all {
			if a.done() != (i < 20) {
				r.Errorf("acquirer %d served: %t; the first 20 should be", i+1, a.done())
			}
		}
		for _, a := range all { // each makes room for one behind it
			<-a.answered
			r.end(a.lease)
		}
	})
}

func TestQueueHungOpenDoesNotHideFailuresFromTheNext(t *testing.T) {
	with(t, strategies.Queue{Size: 2}, func(r *rig) {
		r.fake.Next(pooltest.Open, pooltest.Stuck(time.Minute))
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		r.ask(ctx)
		time.Sleep(5 * time.Second) // its caller has gone, and nobody knows what it does
		r.fake.Always(pooltest.Open, pooltest.Slow(10*time.Millisecond, pooltest.Fail(errDown)))
		next := r.ask(r.Context())
		time.Sleep(time.Second)
		synctest.Wait()
		if !next.done() || !errors.Is(next.err, errDown) {
			r.Errorf("the next acquirer opened in the other seat, which failed after 10 ms; a second later it is done: %t, want the open's error", next.done())
		}
		if n := r.fake.Calls(pooltest.Open); n != 2 {
			r.Errorf("%d opens, want 2: the hung one and the next acquirer's", n)
		}
		r.fake.Always(pooltest.Open, pooltest.OK)
		<-next.answered
		time.Sleep(time.Minute)
		if next.err == nil {
			r.end(next.lease)
		}
	})
}

func TestQueueHungOpenLeavesTheOtherSeatsToTheNext(t *testing.T) {
	for _, gap := range []time.Duration{2 * time.Millisecond, 10 * time.Second} {
		with(t, strategies.Queue{Size: 2}, func(r *rig) {
			r.fake.Next(pooltest.Open, pooltest.Stuck(time.Minute))
			ctx, cancel := context.WithTimeout(r.Context(), time.Millisecond)
			defer cancel()
			r.ask(ctx)
			time.Sleep(gap)
			next := r.ask(r.Context())
			before := r.now()
			<-next.answered
			// How soon it is opened is the strategy's choice; that it waits for the hung one is not.
			if waited := next.at - before; waited > 5*time.Second {
				r.Errorf("an acquirer who came %v after a hung open waited %v with a free seat beside it", gap, waited)
			}
			r.end(next.lease)
		})
	}
}
