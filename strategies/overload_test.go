package strategies_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

// turnedAway asserts that it was answered at once, with pool.ErrOverloaded and a text that says why.
func (a *asker) turnedAway(r *rig, why, what string) {
	r.Helper()
	if !a.done() || !errors.Is(a.err, pool.ErrOverloaded) || !strings.Contains(a.err.Error(), why) {
		r.Errorf("%s: answered %t, error %v; want at once an ErrOverloaded that says %q", what, a.done(), a.err, why)
	}
	if errors.Is(a.err, pool.ErrTimeout) || errors.Is(a.err, pool.ErrExhausted) {
		r.Errorf("%s: error %v is ErrTimeout or ErrExhausted too, want ErrOverloaded alone", what, a.err)
	}
}

// waits asserts that it stands in line.
func (a *asker) waits(r *rig, what string) {
	r.Helper()
	if a.done() {
		r.Errorf("%s was answered with %v, want it to stand in line", what, a.err)
	}
}

// ends waits for the lease of each, in turn, and releases it.
func (r *rig) ends(all ...*asker) {
	r.Helper()
	for _, a := range all {
		if <-a.answered; a.err != nil {
			r.Errorf("a waiter got %v, want a lease", a.err)
		} else {
			r.end(a.lease)
		}
	}
}

// scoped is a ctx with an owner of its own for the singleton.
func scoped(r *rig) context.Context {
	ctx, end := pool.WithScope(r.Context())
	r.Cleanup(end)
	return ctx
}

func TestFullLineTurnsAwayWhoComes(t *testing.T) {
	for _, s := range []pool.Strategy{
		strategies.Queue{Size: 2, MaxWaiters: 3},
		strategies.Queue{Size: 2, MaxWaiters: 3, Order: strategies.FIFO},
		strategies.Queue{Size: 2, MaxWaiters: 3, Fairness: strategies.Bounded},
		strategies.Queue{MaxOverflow: 2, MaxWaiters: 3},
		strategies.Null{Max: 2, MaxWaiters: 3},
		strategies.Singleton{Size: 2, MaxWaiters: 3},
	} {
		with(t, s, func(r *rig) {
			a, b := r.getIn(scoped(r)), r.getIn(scoped(r))
			leaving, leave := context.WithCancel(scoped(r))
			first, second, third := r.ask(leaving), r.ask(scoped(r)), r.ask(scoped(r))
			third.waits(r, "the third waiter of at most three")
			r.ask(scoped(r)).turnedAway(r, "overloaded: the line is full: 3 waiting of at most 3: 2 of 2 in use", "the fourth")
			r.ask(scoped(r)).turnedAway(r, "the line is full", "the fifth")
			if _, err := r.TryAcquire(scoped(r)); !errors.Is(err, pool.ErrExhausted) || errors.Is(err, pool.ErrOverloaded) {
				r.Errorf("TryAcquire: %v, want ErrExhausted: it would not have stood in line", err)
			}
			leave()
			synctest.Wait()
			fourth := r.ask(scoped(r))
			fourth.waits(r, "one that came after a waiter had left")
			r.end(a)
			synctest.Wait()
			fifth := r.ask(scoped(r))
			fifth.waits(r, "one that came after a waiter had been served")
			if n := r.Stats(); n.Shed != 2 || n.Waited != 5+2 || n.Waiting != 3 {
				r.Errorf("%d shed, %d waited, %d waiting; want 2, 7 (two for their opens), 3", n.Shed, n.Waited, n.Waiting)
			}
			if <-first.answered; !errors.Is(first.err, context.Canceled) {
				r.Errorf("who left: %v, want Canceled", first.err)
			}
			r.end(b)
			r.ends(second, third, fourth, fifth)
		})
	}
}

func TestWhoHasAResourceOpenedIsNotTurnedAway(t *testing.T) {
	for _, s := range []pool.Strategy{
		strategies.Queue{Size: 3, MaxWaiters: 1},
		strategies.Null{Max: 3, MaxWaiters: 1},
		strategies.Singleton{Size: 3, MaxWaiters: 1},
	} {
		with(t, s, func(r *rig) {
			r.fake.Always(pooltest.Open, pooltest.Slow(time.Second))
			var all []*asker
			for range 3 {
				all = append(all, r.ask(scoped(r)))
			}
			all = append(all, r.ask(scoped(r)))
			for _, a := range all {
				a.waits(r, "one of three with a seat to open in, and one that waits")
			}
			r.ask(scoped(r)).turnedAway(r, "1 waiting of at most 1", "a second one without a seat to open in")
			r.ends(all...)
		})
	}
}

// However many seats there are, while a backend is down only so many opens are under way.
func TestFullLineIsFullAlsoWhileEmptySeatsHaveToWaitForTheirTurn(t *testing.T) {
	withOptions(t, strategies.Queue{Size: 100, MaxWaiters: 5}, pool.Options{OpensAtOnce: 2}, func(r *rig) {
		r.fake.Always(pooltest.Open, pooltest.Slow(time.Second))
		var all []*asker
		for range 2 + 5 {
			all = append(all, r.ask(r.Context()))
		}
		r.ask(r.Context()).turnedAway(r, "5 waiting of at most 5", "the eighth, with two opens under way")
		r.ends(all...)
	})
}

func TestReplacementIsNeverTurnedAway(t *testing.T) {
	for _, s := range []pool.Strategy{strategies.Queue{Size: 1, MaxWaiters: 1}, strategies.Null{Max: 1, MaxWaiters: 1}, strategies.Singleton{Size: 1, MaxWaiters: 1}} {
		with(t, s, func(r *rig) {
			a := r.getIn(scoped(r))
			first := r.ask(scoped(r))
			r.Invalidate(nil)
			r.fake.Always(pooltest.Open, pooltest.Slow(time.Second))
			r.end(a)
			synctest.Wait() // the first found an outdated resource, and has it replaced
			second := r.ask(scoped(r))
			r.ask(scoped(r)).turnedAway(r, "1 waiting of at most 1", "a third")
			r.ends(first, second)
		})
	}
}

func TestAcquirerWhosePingHangsIsNotTurnedAway(t *testing.T) {
	withOptions(t, strategies.Queue{Size: 2, MaxWaiters: 1}, pool.Options{Ping: true, PingTimeout: time.Second}, func(r *rig) {
		a, b := r.get(), r.get()
		r.end(a)
		time.Sleep(time.Nanosecond) // or it would count as opened just now
		r.fake.Next(pooltest.Ping, pooltest.Stuck(time.Minute))
		pinging := r.ask(r.Context())
		waiting := r.ask(r.Context())
		time.Sleep(2 * time.Second) // the ping is overdue: its acquirer needs another seat
		pinging.waits(r, "an acquirer whose ping hangs, with as many in line as may be")
		r.ask(r.Context()).turnedAway(r, "2 waiting of at most 1", "who comes next")
		r.end(b)
		r.ends(waiting, pinging)
	})
}

func TestNestedAcquireIsServedBesideAFullLine(t *testing.T) {
	with(t, strategies.Singleton{Size: 1, MaxWaiters: 1}, func(r *rig) {
		mine := scoped(r)
		outer := r.getIn(mine)
		other := r.ask(scoped(r))
		inner := r.getIn(mine)
		r.end(inner, outer)
		r.ends(other)
	})
}

func TestWhoWaitsForItsOwnResourceIsNotTurnedAway(t *testing.T) {
	with(t, strategies.Singleton{Size: 1, MaxWaiters: 1}, func(r *rig) {
		mine := scoped(r)
		a := r.getIn(mine)
		other := r.ask(scoped(r))
		r.fake.Next(pooltest.Reset, pooltest.Slow(time.Second))
		go r.end(a)
		synctest.Wait()
		again := r.ask(mine)
		again.waits(r, "an owner whose own resource is being reset")
		r.ask(scoped(r)).turnedAway(r, "1 waiting of at most 1", "one without a resource")
		r.ends(other, again)
	})
}
