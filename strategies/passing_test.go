package strategies_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

func TestOpenLineKeepsNoMoreThanItsSize(t *testing.T) {
	with(t, strategies.Queue{Size: 3, MaxOverflow: 3, Fairness: strategies.Bounded}, func(r *rig) {
		a := r.get()
		r.fake.Always(pooltest.Open, pooltest.Slow(10*time.Microsecond))
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		all := []*asker{r.ask(r.Context()), r.ask(ctx)}
		r.end(a)
		synctest.Wait()
		for range 4 {
			all = append(all, r.ask(ctx))
		}
		time.Sleep(20 * time.Microsecond)
		cancel()
		synctest.Wait()
		for _, a := range all {
			if <-a.answered; a.err == nil {
				r.end(a.lease)
			}
		}
		time.Sleep(time.Second)
		if s := r.Stats(); s.Idle > 3 {
			r.Errorf("at rest %d are idle with size 3: overflow that was opened while the line was open has stayed", s.Idle)
		}
	})
}

// In a bubble no time passes while seats change hands, so a line under Bounded opens whenever it may.
func TestLineDoesNotOpenForThoseWhoDoNotComeBack(t *testing.T) {
	for _, seats := range []int{1, 2, 5} {
		withOptions(t, strategies.Queue{Size: seats, Fairness: strategies.Bounded}, pool.Options{NoReset: true}, func(r *rig) {
			var held []lease
			for range seats {
				held = append(held, r.get())
			}
			var all []*asker
			for range 39 {
				all = append(all, r.ask(r.Context()))
			}
			before := r.now()
			var wg sync.WaitGroup
			for _, a := range all {
				wg.Go(func() {
					<-a.answered
					r.end(a.lease)
				})
			}
			r.end(held...)
			wg.Wait()
			if took := r.now() - before; took != 0 {
				r.Errorf("%d seats: 39 waiters who come once were served after %v, want at once: nobody was there to overtake them", seats, took)
			}
		})
	}
}

func TestHungOpenLeavesItsNeighborsSeats(t *testing.T) {
	t.Run("whose own open failed", func(t *testing.T) {
		with(t, strategies.Queue{Size: 2}, func(r *rig) {
			r.fake.Next(pooltest.Open, pooltest.Stuck(25*time.Second))
			ctx, cancel := context.WithTimeout(r.Context(), 100*time.Millisecond)
			defer cancel()
			r.ask(ctx)
			r.fake.Next(pooltest.Open, pooltest.Slow(200*time.Millisecond, pooltest.Fail(errDown)))
			next := r.ask(r.Context())
			time.Sleep(5 * time.Second)
			synctest.Wait()
			if !next.done() {
				r.Error("with a free seat beside a hung open a waiter has not been served after 5 s")
			}
			<-next.answered
			if next.err == nil {
				r.end(next.lease)
			}
		})
	})
	t.Run("whose own open served another", func(t *testing.T) {
		with(t, strategies.Queue{Size: 3}, func(r *rig) {
			r.fake.Next(pooltest.Open, pooltest.Stuck(25*time.Second))
			first := r.ask(r.Context())
			r.fake.Next(pooltest.Open, pooltest.Slow(10*time.Millisecond))
			next := r.ask(r.Context())
			time.Sleep(5 * time.Second)
			synctest.Wait()
			if !next.done() {
				r.Error("with a third seat that was never opened a waiter has not been served after 5 s")
			}
			<-next.answered
			r.end(first.lease, next.lease)
		})
	})
}
