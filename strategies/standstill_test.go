package strategies_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

// still is the time after which a line stands still, for which nobody was served.
const still = 10 * time.Millisecond

// askBriefly is ask for who waits only while the line moves.
func (r *rig) askBriefly(ctx context.Context) *asker {
	a := &asker{answered: make(chan struct{})}
	go func() {
		defer close(a.answered)
		a.lease, a.err = r.AcquireWhileMoving(ctx)
		a.at = r.now()
	}()
	synctest.Wait()
	return a
}

func TestWhoWaitsWhileTheLineMovesIsServedInTurn(t *testing.T) {
	with(t, strategies.Queue{Size: 1}, func(r *rig) {
		l := r.get()
		var order []int
		const n = 30
		all := make(chan struct{}, n)
		for i := range n {
			go func() {
				defer func() { all <- struct{}{} }()
				acquire := r.Acquire
				if i%3 > 0 {
					acquire = r.AcquireWhileMoving
				}
				l, err := acquire(context.Background())
				if err != nil {
					r.Errorf("the acquirer no. %d, in a line that moves every %v: %v, want a lease", i, still/4, err)
					return
				}
				order = append(order, i)
				time.Sleep(still / 4) // 75 ms in all
				r.end(l)
			}()
			synctest.Wait()
		}
		r.end(l)
		for range n {
			<-all
		}
		if len(order) != n || !slices.IsSorted(order) {
			r.Errorf("served in the order %v, want that of arrival", order)
		}
	})
}

func TestALineThatStandsStillIsLeftByWhoWaitsWhileItMoves(t *testing.T) {
	for _, q := range []strategies.Queue{{Size: 1}, {Size: 1, Fairness: strategies.Bounded}, {Size: 1, Order: strategies.FIFO}} {
		with(t, q, func(r *rig) {
			l := r.get()
			stays, brief, other := r.ask(r.Context()), r.askBriefly(r.Context()), r.askBriefly(r.Context())
			time.Sleep(2*still + time.Microsecond)
			synctest.Wait()
			for _, a := range []*asker{brief, other} {
				if !a.done() || !errors.Is(a.err, pool.ErrExhausted) || a.at < still || a.at > 2*still {
					r.Fatalf("nobody was served for %v: answered %t at %v with %v; want ErrExhausted after %v to twice that", r.now(), a.done(), a.at, a.err, still)
				}
				var e *pool.AcquireError
				if !errors.As(a.err, &e) || e.Waited != a.at {
					r.Errorf("error %v, want one that says it waited %v", a.err, a.at)
				}
			}
			if stays.done() {
				r.Errorf("who waits for good was sent away too: %v", stays.err)
			}
			if n := r.Stats().Waiting; n != 1 {
				r.Errorf("%d are waiting, want the one who stays", n)
			}
			r.end(l)
			synctest.Wait()
			r.end(stays.lease)
			late := r.askBriefly(r.Context())
			if !late.done() || late.err != nil {
				r.Fatalf("AcquireWhileMoving beside an idle resource: %v, want it", late.err)
			}
			again := r.askBriefly(r.Context()) // the timer must have been set anew
			time.Sleep(2 * still)
			synctest.Wait()
			if !again.done() || !errors.Is(again.err, pool.ErrExhausted) {
				r.Errorf("at the second standstill: answered %t, %v; want ErrExhausted", again.done(), again.err)
			}
			r.end(late.lease)
		})
	}
}

func TestALineThatMovesIsLeftAfterATenthOfASecond(t *testing.T) {
	with(t, strategies.Queue{Size: 1}, func(r *rig) {
		l := r.get()
		var all []*asker
		for range 40 {
			all = append(all, r.ask(r.Context()))
		}
		brief := r.askBriefly(r.Context())
		for _, a := range all { // one every 5 ms
			time.Sleep(still / 2)
			r.end(l)
			<-a.answered
			l = a.lease
		}
		synctest.Wait()
		if !brief.done() || !errors.Is(brief.err, pool.ErrExhausted) || brief.at < 10*still || brief.at > 11*still {
			r.Errorf("answered %t at %v, %v; want ErrExhausted after %v to %v", brief.done(), brief.at, brief.err, 10*still, 11*still)
		}
		r.end(l)
	})
}

func TestThoseWhoComeDoNotPutOffThatOthersLeave(t *testing.T) {
	with(t, strategies.Queue{Size: 1}, func(r *rig) {
		l := r.get()
		first := r.askBriefly(r.Context())
		for range 4 {
			time.Sleep(still / 2)
			r.askBriefly(r.Context())
		}
		if !first.done() || !errors.Is(first.err, pool.ErrExhausted) {
			r.Errorf("%v in a line that others join and that stands still: answered %t, %v; want ErrExhausted", r.now(), first.done(), first.err)
		}
		time.Sleep(2 * still)
		synctest.Wait()
		r.end(l)
	})
}

func TestNothingLooksWhileNobodyWaitsBriefly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if strategies.LooksForever() {
			t.Error("after all have left the line, something still looks whether it moves")
		}
	})
}

func TestWhoWaitsWhileTheLineMovesWaitsForAnOpen(t *testing.T) {
	with(t, strategies.Queue{Size: 2}, func(r *rig) {
		l := r.get()
		r.fake.Next(pooltest.Open, pooltest.Slow(time.Second))
		a := r.askBriefly(r.Context())
		time.Sleep(time.Second)
		synctest.Wait()
		if !a.done() || a.err != nil {
			r.Fatalf("a second later, when its open is over: answered %t, %v; want the resource that was opened for it", a.done(), a.err)
		}
		r.end(l, a.lease)
	})
	with(t, strategies.Queue{Size: 2}, func(r *rig) { // but not for one that nobody will get before Resume
		l := r.get()
		r.fake.Next(pooltest.Open, pooltest.Slow(time.Second))
		a := r.askBriefly(r.Context())
		r.Suspend()
		time.Sleep(2 * still)
		synctest.Wait()
		if !a.done() || !errors.Is(a.err, pool.ErrSuspended) {
			r.Errorf("of a pool that was suspended during the open: answered %t, %v; want ErrSuspended", a.done(), a.err)
		}
		r.Resume()
		r.end(l)
	})
}

func TestASuspendedPoolIsLeftByWhoWaitsWhileTheLineMoves(t *testing.T) {
	with(t, strategies.Queue{Size: 1}, func(r *rig) {
		l := r.get()
		a := r.askBriefly(r.Context())
		r.Suspend()
		if b := r.askBriefly(r.Context()); !b.done() || !errors.Is(b.err, pool.ErrSuspended) {
			r.Errorf("of a suspended pool: answered %t, %v; want ErrSuspended at once", b.done(), b.err)
		}
		time.Sleep(2 * still)
		synctest.Wait()
		if !a.done() || !errors.Is(a.err, pool.ErrSuspended) {
			r.Errorf("who waited already: answered %t, %v; want ErrSuspended", a.done(), a.err)
		}
		r.Resume()
		r.end(l)
	})
}

func TestOtherEndsOfAWaitComeBeforeAStandstill(t *testing.T) {
	with(t, strategies.Queue{Size: 1, Timeout: still / 2, MaxWaiters: 2}, func(r *rig) {
		l := r.get()
		a := r.askBriefly(r.Context())
		ctx, cancel := context.WithTimeout(r.Context(), still/4)
		defer cancel()
		b := r.askBriefly(ctx)
		if c := r.askBriefly(r.Context()); !c.done() || !errors.Is(c.err, pool.ErrOverloaded) {
			r.Errorf("the third in a line of two: answered %t, %v; want ErrOverloaded", c.done(), c.err)
		}
		time.Sleep(still / 2)
		synctest.Wait()
		if !a.done() || !errors.Is(a.err, pool.ErrTimeout) || a.at != still/2 {
			r.Errorf("after the Timeout: answered %t at %v, %v; want ErrTimeout", a.done(), a.at, a.err)
		}
		if !b.done() || !errors.Is(b.err, context.DeadlineExceeded) || b.at != still/4 {
			r.Errorf("after the deadline of its ctx: answered %t at %v, %v; want DeadlineExceeded", b.done(), b.at, b.err)
		}
		r.end(l)
	})
}

func TestWhereNobodyWaitsNobodyWaitsWhileTheLineMoves(t *testing.T) {
	for _, s := range []pool.Strategy{strategies.Queue{Size: 1, Timeout: strategies.NoWait}, strategies.Singleton{Size: 1}, strategies.Assertion{}, strategies.Assertion{NoStack: true}} {
		with(t, s, func(r *rig) {
			l := r.get()
			a := r.askBriefly(r.Context()) // on another goroutine
			if !a.done() || a.err == nil {
				r.Errorf("%T: answered %t, %v; want a refusal at once", s, a.done(), a.err)
			}
			r.end(l)
		})
	}
}

// TryAcquire gets a resource here: there are free seats, and opens take their turns.
func TestWhoWaitsWhileTheLineMovesWaitsForTheTurnOfAnOpen(t *testing.T) {
	for name, acquire := range map[string]func(*rig, context.Context) (lease, error){
		"TryAcquire":         func(r *rig, ctx context.Context) (lease, error) { return r.TryAcquire(ctx) },
		"AcquireWhileMoving": func(r *rig, ctx context.Context) (lease, error) { return r.AcquireWhileMoving(ctx) },
	} {
		withOptions(t, strategies.Queue{Size: 3}, pool.Options{OpensAtOnce: 1}, func(r *rig) {
			for range 3 {
				r.fake.Next(pooltest.Open, pooltest.Slow(5*still))
			}
			type answer struct {
				l   lease
				err error
			}
			answers := make(chan answer, 3)
			for range 3 {
				go func() { l, err := acquire(r, context.Background()); answers <- answer{l, err} }()
			}
			for range 3 {
				a := <-answers
				if a.err != nil {
					r.Errorf("%s while free seats are opened one after the other: %v after %v, want a lease", name, a.err, r.now())
					continue
				}
				r.end(a.l)
			}
		})
	}
}

// "unless a resource is being opened for it"
func TestWhoHasAnOpenOfItsOwnStaysWhateverStandsBehindIt(t *testing.T) {
	with(t, strategies.Queue{Size: 2}, func(r *rig) {
		l := r.get()
		r.fake.Next(pooltest.Open, pooltest.Slow(time.Second))
		a := r.askBriefly(r.Context()) // its open has begun
		b := r.ask(r.Context())        // nothing can be opened for this one
		time.Sleep(time.Second)
		synctest.Wait()
		if !a.done() || a.err != nil {
			r.Errorf("answered %t at %v, %v; want the resource that was being opened for it", a.done(), a.at, a.err)
		} else {
			r.end(a.lease)
		}
		r.end(l)
		synctest.Wait()
		r.end(b.lease)
	})
}

// A resource changed hands 5 ms before, but not by way of the line.
func TestWhoComesToALineThatWasEmptyIsNotSentAwayAtOnce(t *testing.T) {
	with(t, strategies.Queue{Size: 1}, func(r *rig) {
		l := r.get()
		ctx, cancel := context.WithCancel(r.Context())
		a := r.askBriefly(ctx)
		time.Sleep(still / 10)
		cancel()
		synctest.Wait()
		if !a.done() {
			r.Fatal("who gave up still waits")
		}
		r.end(l)
		time.Sleep(still / 2)
		l = r.get() // served
		time.Sleep(still * 3 / 10)
		b := r.askBriefly(r.Context())
		time.Sleep(still / 5)
		synctest.Wait()
		if b.done() {
			r.Errorf("sent away at %v, having come at %v, though a resource was lent at %v: %v", b.at, still*9/10, still*6/10, b.err)
		}
		r.end(l)
		synctest.Wait()
		time.Sleep(still)
		if b.err == nil {
			r.end(b.lease)
		}
	})
}

// The open that is meant for it fails again and again: what it waits for is that a holder returns.
func TestWhoseOpenFailsForWantOfRoomLeavesALineThatStandsStill(t *testing.T) {
	for name, fails := range map[string]struct {
		pool.Options
		error
	}{
		"full":        {pool.Options{Backoff: time.Millisecond}, pooltest.ErrFull},
		"KeepWaiting": {pool.Options{Backoff: time.Millisecond, OnOpenFailure: pool.KeepWaiting}, errDown},
	} {
		t.Run(name, func(t *testing.T) {
			withOptions(t, strategies.Queue{Size: 2}, fails.Options, func(r *rig) {
				l := r.get()
				r.fake.Always(pooltest.Open, pooltest.Fail(fails.error))
				a := r.askBriefly(r.Context())
				time.Sleep(time.Minute)
				synctest.Wait()
				if !a.done() {
					r.Errorf("has waited for %v, though nobody was served and every open failed", r.now())
				}
				r.end(l)
				synctest.Wait()
				if a.done() && a.err == nil {
					r.end(a.lease)
				}
			})
		})
	}
}
