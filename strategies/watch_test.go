package strategies_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/strategies"
)

var errGone = errors.New("the caller has gone")

// watchedCtx is a ctx that knows whether it is watched by context.AfterFunc.
type watchedCtx struct {
	done chan struct{}
	late time.Duration // how long after its end those who watch it are told

	mu               sync.Mutex
	err              error
	funcs            map[int]func()
	watched, stopped int
}

func newWatchedCtx() *watchedCtx {
	return &watchedCtx{done: make(chan struct{}), funcs: make(map[int]func())}
}

func (c *watchedCtx) Deadline() (t time.Time, ok bool) { return t, false }
func (c *watchedCtx) Done() <-chan struct{}            { return c.done }
func (c *watchedCtx) Value(any) any                    { return nil }

func (c *watchedCtx) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// AfterFunc is what context.AfterFunc uses.
func (c *watchedCtx) AfterFunc(f func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watched++
	id := c.watched
	c.funcs[id] = f
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		_, there := c.funcs[id]
		delete(c.funcs, id)
		c.stopped++
		return there
	}
}

func (c *watchedCtx) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = context.Canceled
	close(c.done)
	for _, f := range c.funcs {
		time.AfterFunc(c.late, f)
	}
	c.funcs = nil
}

// counts are how often it has been watched, and how often that was stopped.
func (c *watchedCtx) counts() (watched, stopped int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.watched, c.stopped
}

// comeAgain has somebody with ctx wait for the only seat, which held is of, and be served; so many times.
func comeAgain(r *rig, held lease, times int, ctx context.Context) lease {
	r.Helper()
	for range times {
		a := r.ask(ctx)
		r.end(held)
		synctest.Wait()
		if !a.done() || a.err != nil {
			r.Fatalf("the only waiter after a return: done %t, error %v; want a lease", a.done(), a.err)
		}
		held = a.lease
	}
	return held
}

// often is more than it takes to have the line watch a ctx.
const often = 30

func TestCtxOfManyWaitersIsWatchedOnce(t *testing.T) {
	with(t, strategies.Queue{Size: 1}, func(r *rig) {
		held := r.get()
		ctx := newWatchedCtx()
		held = comeAgain(r, held, 3, ctx)
		if n, _ := ctx.counts(); n != 0 {
			r.Errorf("a ctx that came three times is watched %d times, want not yet: watching costs something", n)
		}
		held = comeAgain(r, held, often, ctx)
		if n, stopped := ctx.counts(); n != 1 || stopped != 0 {
			r.Errorf("a ctx that came again and again is watched %d times, and no more %d times; want once, by the line", n, stopped)
		}
		var waiting []*asker
		for range 50 {
			waiting = append(waiting, r.ask(ctx))
		}
		other := r.ask(r.Context())
		time.Sleep(time.Second)
		before := r.now()
		ctx.end()
		synctest.Wait()
		for i, a := range waiting {
			if !a.done() || a.at != before || !errors.Is(a.err, context.Canceled) {
				r.Errorf("waiter %d of 50 with a ctx that has ended: answered %t, %v later, with %v; want the cause at once", i+1, a.done(), a.at-before, a.err)
			}
		}
		if n, _ := ctx.counts(); n != 1 {
			r.Errorf("50 waiters had their ctx watched %d times, want once for all", n)
		}
		if other.done() {
			r.Errorf("a waiter with another ctx was answered: %v", other.err)
		}
		r.end(held)
		<-other.answered
		r.end(other.lease)
		if s := r.Stats(); s.Canceled != 50 || s.Waiting != 0 {
			r.Errorf("Stats: %d canceled, %d waiting; want 50 and none", s.Canceled, s.Waiting)
		}
	})
}

// A ctx comes to be watched while some who came with it before watch it themselves: each leaves its own way.
func TestWatchedAndUnwatchedWaitersOfOneCtxAllLeave(t *testing.T) {
	with(t, strategies.Queue{Size: 1}, func(r *rig) {
		held := r.get()
		ctx := newWatchedCtx()
		var line []*asker
		for range often + 3 {
			line = append(line, r.ask(ctx))
		}
		for range often {
			r.end(held)
			<-line[0].answered
			held, line = line[0].lease, append(line[1:], r.ask(ctx))
		}
		if n, _ := ctx.counts(); n != 1 {
			r.Fatalf("a ctx that came again and again is watched %d times, want once", n)
		}
		ctx.late = time.Second
		ctx.end()
		time.Sleep(2 * time.Second)
		for i, a := range line {
			if !a.done() || !errors.Is(a.err, context.Canceled) {
				r.Errorf("waiter %d of %d with a ctx that has ended: answered %t, with %v; want its cause", i+1, len(line), a.done(), a.err)
			}
		}
		r.end(held)
		if s := r.Stats(); s.Canceled != uint64(len(line)) || s.Waiting != 0 {
			r.Errorf("%+v, want %d canceled, and nobody waiting", s, len(line))
		}
	})
}

func TestLineWatchesAnotherCtxWhenThatComesAgainAndAgain(t *testing.T) {
	with(t, strategies.Queue{Size: 1}, func(r *rig) {
		held := r.get()
		one, two := newWatchedCtx(), newWatchedCtx()
		held = comeAgain(r, held, often, one)
		held = comeAgain(r, held, often, two)
		n1, stopped1 := one.counts()
		n2, stopped2 := two.counts()
		if n1 != 1 || stopped1 != 1 || n2 != 1 || stopped2 != 0 {
			r.Errorf("of two ctxs that came again and again, one after the other, the first was watched %d times and no more %d times, the second %d and %d; want 1, 1, 1, 0",
				n1, stopped1, n2, stopped2)
		}
		ofOne, ofTwo := r.ask(one), r.ask(two)
		one.end()
		synctest.Wait()
		if !ofOne.done() || ofTwo.done() {
			r.Errorf("after the first ctx ended its waiter is done: %t, that of the second: %t; want only the first", ofOne.done(), ofTwo.done())
		}
		two.end()
		synctest.Wait()
		if !ofTwo.done() || !errors.Is(ofTwo.err, context.Canceled) {
			r.Errorf("after the second ctx ended its waiter is done: %t with %v, want its cause", ofTwo.done(), ofTwo.err)
		}
		r.end(held)

		// Nothing that came of it stays: the next ctx is like the first.
		three := newWatchedCtx()
		held = comeAgain(r, r.get(), often, three)
		last := r.ask(three)
		three.end()
		synctest.Wait()
		if n, _ := three.counts(); n != 1 || !last.done() {
			r.Errorf("a third ctx was watched %d times, and when it ended its waiter is done: %t; want once, and done", n, last.done())
		}
		r.end(held)
	})
}

// Another ctx comes again and again while many still rely on the first.
func TestLineGoesOnWatchingForThoseWhoRelyOnIt(t *testing.T) {
	with(t, strategies.Queue{Size: 1}, func(r *rig) {
		one, two := newWatchedCtx(), newWatchedCtx()
		held := comeAgain(r, r.get(), often, one)
		var ofOne, ofTwo []*asker
		for range 2 * often {
			ofOne = append(ofOne, r.ask(one))
		}
		for range often {
			ofTwo = append(ofTwo, r.ask(two))
			r.end(held)
			synctest.Wait()
			held, ofOne = ofOne[0].lease, ofOne[1:]
		}
		one.end()
		synctest.Wait()
		for i, a := range ofOne {
			if !a.done() || !errors.Is(a.err, context.Canceled) {
				r.Fatalf("waiter %d of %d whose ctx was watched, and has ended, is done: %t, %v; want its cause", i+1, len(ofOne), a.done(), a.err)
			}
		}
		two.end()
		synctest.Wait()
		for i, a := range ofTwo {
			if !a.done() || !errors.Is(a.err, context.Canceled) {
				r.Fatalf("waiter %d of %d whose ctx came later, and has ended, is done: %t, %v; want its cause", i+1, len(ofTwo), a.done(), a.err)
			}
		}
		r.end(held)
	})
}

func TestWatchedCtxAnswersWithItsCause(t *testing.T) {
	for name, derive := range map[string]func(context.Context) context.Context{
		"itself":                 func(ctx context.Context) context.Context { return ctx },
		"one with a value":       func(ctx context.Context) context.Context { return context.WithValue(ctx, t, 1) },
		"one not to be compared": func(ctx context.Context) context.Context { return incomparable{ctx, []int{1}} },
	} {
		t.Run(name, func(t *testing.T) {
			with(t, strategies.Queue{Size: 1}, func(r *rig) {
				ctx, cancel := context.WithCancelCause(r.Context())
				held := comeAgain(r, r.get(), often, derive(ctx))
				var waiting []*asker
				for range 20 {
					waiting = append(waiting, r.ask(derive(ctx)))
				}
				forever := r.ask(context.Background())
				time.Sleep(time.Minute)
				cancel(errGone)
				synctest.Wait()
				for _, a := range waiting {
					if !a.done() || a.at != time.Minute || !errors.Is(a.err, errGone) || !errors.Is(a.err, context.Canceled) {
						r.Errorf("a waiter whose ctx was canceled after a minute: done %t, after %v, with %v; want the cause and context.Canceled at once", a.done(), a.at, a.err)
					}
				}
				if forever.done() {
					r.Errorf("a waiter whose ctx never ends was answered: %v", forever.err)
				}
				r.end(held)
				<-forever.answered
				r.end(forever.lease)
			})
		})
	}
}

// Waiters are used again, and those who were sent away together were in a list of their own.
func TestWaitersSentAwayTogetherLeaveNoTraceInTheNextLine(t *testing.T) {
	with(t, strategies.Queue{Size: 1}, func(r *rig) {
		ctx, cancel := context.WithCancel(r.Context())
		held := comeAgain(r, r.get(), often, ctx)
		for range 20 {
			r.ask(ctx)
		}
		cancel()
		synctest.Wait()
		var leave []context.CancelFunc
		for range 10 {
			one, cancel := context.WithCancel(r.Context())
			leave = append(leave, cancel)
			r.ask(one)
		}
		for _, leave := range leave { // in order, so that the last is the only one in line
			leave()
			synctest.Wait()
		}
		r.end(held)
		if err := r.Close(); err != nil {
			r.Error(err)
		}
		if n := r.Stats().Waiting; n != 0 {
			r.Errorf("%d wait in the end, want none: somebody was sent away twice", n)
		}
	})
}

// incomparable is a ctx that cannot be compared with ==.
type incomparable struct {
	context.Context
	_ []int
}

// The ctx ends between the look at it and its being watched, in each of the rounds in which that may happen.
func TestCtxThatEndsWhileItsWaiterComesIsHeeded(t *testing.T) {
	for round := range often {
		with(t, strategies.Queue{Size: 1}, func(r *rig) {
			ctx, cancel := context.WithCancelCause(r.Context())
			held := comeAgain(r, r.get(), round, ctx)
			a := r.ask(&endsWhenAsked{Context: ctx, end: func() { cancel(errGone) }})
			if !a.done() || !errors.Is(a.err, errGone) {
				r.Errorf("after %d rounds a waiter came with a ctx that ended then: done %t, error %v; want the cause", round, a.done(), a.err)
				r.end(held)
				<-a.answered
				held = a.lease
			}
			r.end(held)
		})
	}
}

// endsWhenAsked is a ctx that says that it has not ended, and ends.
type endsWhenAsked struct {
	context.Context
	end func()
}

func (c *endsWhenAsked) Err() error {
	if c.end != nil {
		c.end()
		c.end = nil
		return nil
	}
	return c.Context.Err()
}

func TestWaitsAreCountedToTheNanosecond(t *testing.T) {
	for name, watched := range map[string]int{"each watching its own ctx": 0, "watched by the line": often} {
		t.Run(name, func(t *testing.T) {
			with(t, strategies.Queue{Size: 1, Timeout: time.Hour}, func(r *rig) {
				ctx, cancel := context.WithCancel(r.Context())
				late, stop := context.WithTimeout(r.Context(), 10*time.Minute)
				defer stop()
				held := comeAgain(r, r.get(), watched, ctx)
				before := r.Stats()
				var want time.Duration
				ask := func(ctx context.Context, n int) {
					for range n {
						r.ask(ctx)
						time.Sleep(time.Second + 1)
					}
				}
				for i := range 5 {
					want += time.Duration(5-i) * (time.Second + 1) // till the cancellation
				}
				ask(ctx, 5)
				cancel()
				synctest.Wait()
				held = comeAgain(r, held, watched, late)
				for range 3 {
					want += 10*time.Minute - r.now()
					r.ask(late)
					time.Sleep(time.Second)
				}
				want += time.Hour
				timesOut := r.ask(r.Context())
				<-timesOut.answered
				served := r.ask(r.Context())
				time.Sleep(7 * time.Second)
				r.end(held)
				<-served.answered
				want += 7 * time.Second
				r.end(served.lease)
				s := r.Stats()
				if got := s.WaitTime - before.WaitTime; got != want {
					r.Errorf("Stats.WaitTime has grown by %v, want %v", got, want)
				}
				if s.Canceled != 5 || s.TimedOut != 3+1 || s.Waited-before.Waited != uint64(5+3+1+1+watched) {
					r.Errorf("Stats: %d waited more, %d canceled, %d timed out; want %d, 5 and 4", s.Waited-before.Waited, s.Canceled, s.TimedOut, 10+watched)
				}
				var refused *pool.AcquireError
				if !errors.As(timesOut.err, &refused) || refused.Waited != time.Hour {
					r.Errorf("the one that timed out got %v, want an AcquireError after an hour", timesOut.err)
				}
			})
		})
	}
}
