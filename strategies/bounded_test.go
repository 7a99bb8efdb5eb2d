package strategies_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

func TestBoundedQueueKeepsThePromisesOfAStrategy(t *testing.T) {
	queues := []strategies.Queue{{Size: 2, MaxOverflow: 1}, {Size: 3}, {Size: 3, Order: strategies.FIFO}}
	if underRace {
		queues = queues[:1] // seconds each; TestStress has the others
	}
	for _, q := range queues {
		q.Fairness = strategies.Bounded
		t.Run(fmt.Sprintf("%+v", q), func(t *testing.T) {
			pooltest.TestStrategy(t, func() pool.Strategy { return q }, pooltest.PassesOver(strategies.Passing))
		})
	}
}

// moment is how long a short line under Bounded is open at a time.
const moment = strategies.Passing / 8

// openLine makes the line of a pool with one seat open: somebody comes back for another after each hand-off, which
// in a bubble take no time. The seat is idle then, though at least two wait.
func openLine(r *rig, newCtx func() context.Context) (waiting []*asker) {
	r.Helper()
	held := r.get()
	waiting = append(waiting, r.ask(newCtx()), r.ask(newCtx()))
	for range 10 {
		waiting = append(waiting, r.ask(newCtx()))
		r.end(held)
		synctest.Wait()
		if !waiting[0].done() {
			if s := r.Stats(); s.Idle != 1 || s.Waiting != len(waiting) {
				r.Fatalf("after a hand-off that served nobody: %v, want 1 idle and %d waiting", s, len(waiting))
			}
			return waiting
		}
		held, waiting = waiting[0].lease, waiting[1:]
	}
	r.Fatal("the line did not open in ten hand-offs that took no time; this test shows nothing")
	return nil
}

// withOpenLine runs a test with a line that has just opened. Whoever still waits or holds at its end is
// served and returns what it got.
func withOpenLine(t *testing.T, q strategies.Queue, test func(r *rig, waiting []*asker)) {
	t.Helper()
	q.Fairness = strategies.Bounded
	for _, order := range []strategies.Order{strategies.Affine, strategies.LIFO} {
		q.Order = order
		for _, o := range []pool.Options{{}, {NoReset: true}} {
			withOptions(t, q, o, func(r *rig) {
				waiting := openLine(r, r.Context)
				test(r, waiting)
				for _, a := range waiting {
					if <-a.answered; a.err == nil {
						_ = a.lease.Release() // perhaps for the second time
					}
				}
			})
		}
	}
}

func TestOpenLineServesItsFirstWhenTheMomentIsOver(t *testing.T) {
	withOpenLine(t, strategies.Queue{Size: 1}, func(r *rig, waiting []*asker) {
		opened := r.now()
		time.Sleep(moment - 1)
		synctest.Wait()
		if waiting[0].done() {
			r.Errorf("with the line open the first in it was served after %v, want %v: who runs comes first till then", waiting[0].at-opened, moment)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if !waiting[0].done() || waiting[0].at-opened != moment {
			r.Fatalf("with an idle seat, and nobody there who runs, the first in line was served: %t, after %v; want %v exactly",
				waiting[0].done(), waiting[0].at-opened, moment)
		}
		for i, a := range waiting[1:] { // each within a moment of the return before
			before := r.now()
			r.end(waiting[i].lease)
			<-a.answered
			if d := a.at - before; a.err != nil || d > moment {
				r.Errorf("the next in line was served %v after a return (error %v), want %v at most", d, a.err, moment)
			}
		}
	})
}

func TestOpenLineLetsPassWhoRuns(t *testing.T) {
	withOpenLine(t, strategies.Queue{Size: 1}, func(r *rig, waiting []*asker) {
		opened := r.now()
		for _, acquire := range []func(context.Context) (lease, error){r.Acquire, r.TryAcquire, r.Acquire} {
			time.Sleep(10 * time.Microsecond)
			before := r.now()
			l, err := acquire(r.Context())
			if took := r.now() - before; err != nil || took != 0 {
				r.Fatalf("acquire of the idle seat of an open line: %v after %v, want a lease at once", err, took)
			}
			r.end(l)
			synctest.Wait()
		}
		if waiting[0].done() {
			r.Errorf("the first in line was served after %v, want %v: the line was open", waiting[0].at-opened, moment)
		}
		// Who still has it when the moment is over gives it to the first in line.
		l := r.get()
		time.Sleep(3 * moment)
		r.end(l)
		synctest.Wait()
		if want := 30*time.Microsecond + 3*moment; !waiting[0].done() || waiting[0].at-opened != want {
			r.Errorf("the first in line was served: %t, after %v; want %v, at the first return after the moment", waiting[0].done(), waiting[0].at-opened, want)
		}
	})
}

func TestOpenLineHeedsCancellation(t *testing.T) {
	for _, all := range []bool{false, true} {
		withOpenLineOf(t, func(r *rig, waiting []*asker, cancel []context.CancelCauseFunc) {
			opened := r.now()
			time.Sleep(moment / 2)
			gone := waiting[:1]
			if all {
				gone = waiting
			}
			for i, a := range gone {
				cancel[i](errDown)
				synctest.Wait()
				if !a.done() || a.at-opened != moment/2 || !errors.Is(a.err, errDown) {
					r.Fatalf("a waiter in an open line that was canceled after %v: answered %t, after %v, with %v; want the cause at once",
						moment/2, a.done(), a.at-opened, a.err)
				}
			}
			if all {
				l := r.get()
				if took := r.now() - opened; took != moment/2 {
					r.Errorf("after all waiters left the next acquire took %v, want no time", took-moment/2)
				}
				next := r.ask(r.Context())
				r.end(l)
				synctest.Wait()
				if !next.done() {
					r.Errorf("after all waiters left the first of the next line was not served by a return: their line is open still")
				}
				<-next.answered
				r.end(next.lease)
				return
			}
			next := waiting[1]
			<-next.answered
			if next.err != nil || next.at-opened != moment {
				r.Errorf("the waiter behind one that was canceled was served after %v (error %v), want %v", next.at-opened, next.err, moment)
			}
		})
	}
}

// withOpenLineOf is withOpenLine where each waiter has a ctx of its own that can be canceled.
func withOpenLineOf(t *testing.T, test func(r *rig, waiting []*asker, cancel []context.CancelCauseFunc)) {
	t.Helper()
	with(t, strategies.Queue{Size: 1, Fairness: strategies.Bounded}, func(r *rig) {
		var cancel []context.CancelCauseFunc
		waiting := openLine(r, func() context.Context {
			ctx, c := context.WithCancelCause(r.Context())
			cancel = append(cancel, c)
			return ctx
		})
		test(r, waiting, cancel[len(cancel)-len(waiting):])
		for _, a := range waiting {
			if <-a.answered; a.err == nil {
				r.end(a.lease)
			}
		}
		for _, c := range cancel {
			c(nil)
		}
	})
}

// A waiter whose Timeout ends while its line is open beside an idle seat: whether it gets that is open, but it is
// answered at that moment.
func TestOpenLineHeedsTheTimeout(t *testing.T) {
	const timeout = 20 * time.Microsecond
	withOpenLine(t, strategies.Queue{Size: 1, Timeout: timeout}, func(r *rig, waiting []*asker) {
		opened := r.now()
		for i, a := range waiting {
			<-a.answered
			if a.err != nil && !errors.Is(a.err, pool.ErrTimeout) || a.at-opened > timeout || i == 0 && a.at-opened != timeout {
				r.Errorf("waiter %d of an open line was answered after %v with %v, want a lease or ErrTimeout after its Timeout, %v", i+1, a.at-opened, a.err, timeout)
			}
			if a.err == nil {
				r.end(a.lease)
			}
		}
		time.Sleep(moment)
		r.end(r.get())
	})
}

func TestOpenLineIsWokenByClose(t *testing.T) {
	withOpenLine(t, strategies.Queue{Size: 1, Timeout: time.Hour}, func(r *rig, waiting []*asker) {
		closed := r.now()
		if err := r.Close(); err != nil {
			r.Errorf("Close: %v, want nil", err)
		}
		synctest.Wait()
		for _, a := range waiting {
			if !a.done() || !errors.Is(a.err, pool.ErrClosed) || a.at != closed {
				r.Errorf("a waiter in an open line at Close: answered %t, %v later, with %v; want ErrClosed at once", a.done(), a.at-closed, a.err)
			}
		}
		if s := r.Stats(); s.Open != 0 {
			r.Errorf("after Close: %v, want nothing open", s)
		}
	})
}

func TestOpenLineIsServedAfterADiscard(t *testing.T) {
	for _, fate := range []error{nil, errDown} {
		withOpenLine(t, strategies.Queue{Size: 1}, func(r *rig, waiting []*asker) {
			opened := r.now()
			l := r.get()
			if fate != nil {
				r.fake.Next(pooltest.Open, pooltest.Fail(fate))
			}
			if err := l.Discard(nil); err != nil {
				r.Errorf("Discard: %v, want nil", err)
			}
			synctest.Wait()
			first, next := waiting[0], waiting[1]
			<-first.answered
			if d := first.at - opened; !errors.Is(first.err, fate) || d > moment || fate != nil && d != 0 {
				r.Errorf("the first of an open line whose open ended with %v was answered after %v with %v; want that, within %v, or at once if it failed",
					fate, d, first.err, moment)
			}
			before := r.now()
			if first.err == nil {
				r.end(first.lease)
			}
			<-next.answered
			if d := next.at - before; next.err != nil || d > moment {
				r.Errorf("the next was served after %v (error %v), want within %v", d, next.err, moment)
			}
		})
	}
}

// visit is an acquire of somebody, when it was served.
type visit struct {
	who int
	at  time.Duration
}

// Where hands change slowly, Bounded is Strict: who is served when is what a simulation of a plain queue says.
func TestBoundedIsStrictWhereHoldsAreSlow(t *testing.T) {
	const who, times = 7, 12
	arrives := func(i int) time.Duration { return time.Duration(i) * 1701 }
	holds := func(i, seats int) time.Duration {
		return time.Duration(seats)*20*time.Microsecond + time.Duration(i*103)
	}
	for seats := 1; seats <= 3; seats++ {
		for _, fairness := range []strategies.Fairness{strategies.Strict, strategies.Bounded} {
			with(t, strategies.Queue{Size: seats, Fairness: fairness}, func(r *rig) {
				warm := make([]lease, seats)
				for i := range warm {
					warm[i] = r.get()
				}
				r.end(warm...)
				var mu sync.Mutex
				var got []visit
				var all sync.WaitGroup
				for i := range who {
					all.Go(func() {
						time.Sleep(arrives(i))
						for range times {
							l := r.get()
							mu.Lock()
							got = append(got, visit{i, r.now()})
							mu.Unlock()
							time.Sleep(holds(i, seats))
							r.end(l)
						}
					})
				}
				all.Wait()
				if want := simulate(who, times, seats, arrives, holds); !slices.Equal(got, want) {
					r.Errorf("%s with %d seats, held for 20 µs or more each: served\n%v, want\n%v", fairness, seats, got, want)
				}
			})
		}
	}
}

// simulate is a plain queue in which each of so many comes a number of times.
func simulate(who, times, seats int, arrives func(int) time.Duration, holds func(i, seats int) time.Duration) (served []visit) {
	var coming []visit // when each comes to the line next
	for i := range who {
		coming = append(coming, visit{i, arrives(i)})
	}
	free := make([]time.Duration, seats) // when each seat comes back
	left := make([]int, who)
	for len(coming) > 0 {
		slices.SortStableFunc(coming, func(a, b visit) int { return cmp.Compare(a.at, b.at) })
		slices.Sort(free)
		next := coming[0]
		coming = coming[1:]
		at := max(next.at, free[0])
		free[0] = at + holds(next.who, seats)
		served = append(served, visit{next.who, at})
		if left[next.who]++; left[next.who] < times {
			coming = append(coming, visit{next.who, free[0]})
		}
	}
	return served
}

func TestBoundedPassesNobodyOverForLong(t *testing.T) {
	const hold = time.Microsecond
	for _, c := range []struct{ seats, runners int }{{1, 5}, {2, 30}, {3, 150}} {
		withOptions(t, strategies.Queue{Size: c.seats, Fairness: strategies.Bounded}, pool.Options{NoReset: true}, func(r *rig) {
			var mu sync.Mutex
			var longest time.Duration
			least := 1 << 30
			var all sync.WaitGroup
			for range c.runners {
				all.Go(func() {
					n := 0
					for ; r.now() < 5*time.Millisecond; n++ {
						before := r.now()
						l := r.get()
						waited := r.now() - before
						mu.Lock()
						longest = max(longest, waited)
						mu.Unlock()
						time.Sleep(hold)
						r.end(l)
					}
					mu.Lock()
					least = min(least, n)
					mu.Unlock()
				})
			}
			all.Wait()
			r.Logf("%d who come again and again to %d seats waited %v at most, and each was served %d times at least", c.runners, c.seats, longest, least)
			// Passed over, and then behind all others in a line that is strict.
			if bound := strategies.Passing + time.Duration(c.runners)*hold; longest > bound {
				r.Errorf("%d who come again and again to %d seats: the longest wait was %v, want %v at most", c.runners, c.seats, longest, bound)
			}
			if least == 0 {
				r.Error("somebody was never served")
			}
		})
	}
}

// A line of n is open for the share of Passing that those who were served before it are of the line; so whoever is last
// is passed over for Passing until its turn comes, however often the line opens.
func TestLongLineOpensOftenAndForLittle(t *testing.T) {
	for i, n := range []int{20, 100, 400, 60} {
		shrinks := i == 3
		withOptions(t, strategies.Queue{Size: 1, Fairness: strategies.Bounded}, pool.Options{NoReset: true}, func(r *rig) {
			held := r.get()
			var line []*asker
			for range n {
				line = append(line, r.ask(r.Context()))
			}
			last := line[n-1]
			var moments, open time.Duration
			longest := time.Duration(0)
			for began := r.now(); !last.done(); {
				ctx, cancel := context.WithCancel(r.Context())
				defer cancel()
				line = append(line, r.ask(ctx)) // so that the line stays as long
				r.end(held)
				before := r.now()
				<-line[0].answered
				if took := r.now() - before; took > 0 {
					moments++
					open += took
					longest = max(longest, took)
				}
				held, line = line[0].lease, line[1:]
				if shrinks { // those who come do not stay
					cancel()
					synctest.Wait()
					line = line[:len(line)-1]
				}
				if r.now()-began > time.Second {
					r.Fatal("the last in line has waited for a second")
				}
			}
			r.Logf("%d in line: it was open %d times until the last was served, for %v in all, and %v at most", n, moments, open, longest)
			if open > strategies.Passing {
				r.Errorf("%d in line: the last was passed over for %v, want %v at most", n, open, strategies.Passing)
			}
			if open < strategies.Passing/4 { // it might be twice as often if somebody came while it is open
				r.Errorf("%d in line: it was open for %v until the last was served, want a part of %v: that is what Bounded is for", n, open, strategies.Passing)
			}
			if most := max(strategies.Passing*5/time.Duration(n), strategies.Passing/80); n >= 100 && longest > most {
				r.Errorf("%d in line: it was open for %v at a time, want %v at most: a long line opens for little", n, longest, most)
			}
			r.end(held)
			for _, a := range line {
				<-a.answered
				r.end(a.lease)
			}
		})
	}
}

// With overflow open each return has to be counted, lest more stay idle than are to be kept.
func TestLineDoesNotOpenWhileThereIsOverflow(t *testing.T) {
	for _, o := range []pool.Options{{}, {NoReset: true}} {
		withOptions(t, strategies.Queue{Size: 1, MaxOverflow: 2, Fairness: strategies.Bounded}, o, func(r *rig) {
			held := []lease{r.get(), r.get(), r.get()}
			waiting := []*asker{r.ask(r.Context()), r.ask(r.Context())}
			for i := range 50 {
				waiting = append(waiting, r.ask(r.Context()))
				r.end(held[i%3])
				synctest.Wait()
				if !waiting[0].done() {
					r.Fatalf("return %d of those that take no time served nobody: the line is open, with overflow", i+1)
				}
				held[i%3], waiting = waiting[0].lease, waiting[1:]
			}
			r.end(held...)
			for _, a := range waiting {
				<-a.answered
				r.end(a.lease)
			}
			if s := r.Stats(); s.Idle != 1 || s.Open != 1 {
				r.Errorf("at rest: %v, want 1 idle: that many are to be kept", s)
			}
		})
	}
}

func TestBoundedKeepsNoMoreThanItsSizeAtRest(t *testing.T) {
	for round := range 12 {
		withOptions(t, strategies.Queue{Size: 2, MaxOverflow: 2, Fairness: strategies.Bounded}, pool.Options{NoReset: round%2 == 0}, func(r *rig) {
			if round%4 < 2 {
				r.fake.Always(pooltest.Open, pooltest.Slow(7*time.Microsecond))
			}
			var all sync.WaitGroup
			for range 12 {
				all.Go(func() {
					for range 50 {
						ctx, cancel := context.WithTimeout(r.Context(), time.Duration(rand.IntN(300))*time.Microsecond)
						l, err := r.Acquire(ctx)
						switch {
						case err != nil:
						case rand.IntN(10) == 0:
							time.Sleep(time.Microsecond)
							_ = l.Discard(nil)
						default:
							r.end(l)
						}
						cancel()
					}
				})
			}
			all.Wait()
			time.Sleep(strategies.Passing)
			synctest.Wait()
			if s := r.Stats(); s.Idle > 2 || s.Open != s.Idle || s.Waiting+s.InUse+s.Opening != 0 || r.fake.OpenNow() != s.Open {
				r.Errorf("at rest: %v, with %d open; want no more than 2 idle, and nothing else", s, r.fake.OpenNow())
			}
			held := []lease{r.get(), r.get(), r.get(), r.get()} // every seat came home
			r.end(held...)
			if s := r.Stats(); s.Idle != 2 {
				r.Errorf("after all four were held and returned: %v, want 2 idle", s)
			}
		})
	}
}

// The line opens when the first in it has 20 µs left, less than a moment.
func TestWaiterOfAnOpenLineDoesNotTimeOutBesideAnIdleSeat(t *testing.T) {
	const timeout = time.Second
	with(t, strategies.Queue{Size: 1, Timeout: timeout, Fairness: strategies.Bounded}, func(r *rig) {
		held := r.get()
		waiting := []*asker{r.ask(r.Context()), r.ask(r.Context()), r.ask(r.Context())}
		time.Sleep(timeout - 20*time.Microsecond)
		for waiting[0].done() == false {
			fresh := r.ask(r.Context())
			waiting = append(waiting, fresh)
			r.end(held)
			synctest.Wait()
			if !waiting[0].done() {
				break // the line is open, and the seat idle
			}
			held, waiting = waiting[0].lease, waiting[1:]
		}
		s := r.Stats()
		<-waiting[0].answered
		if errors.Is(waiting[0].err, pool.ErrTimeout) && s.Idle == 1 {
			r.Errorf("with %v the first in line failed: %v; want the idle seat", s, waiting[0].err)
		}
		for _, a := range waiting {
			if <-a.answered; a.err == nil {
				r.end(a.lease)
			}
		}
	})
}
