package strategies_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

func TestSingletonNestedAcquiresOfAGoroutineShare(t *testing.T) {
	with(t, strategies.Singleton{Size: 1}, func(r *rig) {
		a, b := r.get(), r.get()
		r.wants(a, 1, "the first")
		r.wants(b, 1, "the same goroutine holds it")
		r.end(b)
		r.wants(a, 1, "the inner release ends only the inner lease")
		r.end(a)
		if got, want := r.fake.Story(), "open 1, reset 1"; got != want {
			r.Errorf("it went %q, want %q: nested leases are one checkout", got, want)
		}
	})
}

func TestSingletonOtherGoroutinesGetTheirOwn(t *testing.T) {
	with(t, strategies.Singleton{Size: 2}, func(r *rig) {
		l := r.get()
		other := r.ask(r.Context())
		r.wants(l, 1, "the first")
		r.wants(other.lease, 2, "another goroutine")
		third := r.ask(r.Context())
		if third.done() {
			r.Errorf("a third owner was answered (%v) with both seats held, want it to wait", third.err)
		}
		r.end(other.lease)
		synctest.Wait()
		r.wants(third.lease, 2, "returned by the second")
		r.end(l, third.lease)
	})
}

func TestSingletonReleaseInAnyOrder(t *testing.T) {
	with(t, strategies.Singleton{Size: 1}, func(r *rig) {
		outer, inner := r.get(), r.get()
		r.end(outer)
		r.wants(inner, 1, "the inner lease holds on")
		waiting := r.ask(r.Context())
		if waiting.done() {
			r.Error("a resource with a holder left was lent to another goroutine")
		}
		r.end(inner)
		synctest.Wait()
		r.wants(waiting.lease, 1, "its last holder has left")
		r.end(waiting.lease)
	})
}

func TestSingletonOwnerKeepsItsResourceBetweenAcquires(t *testing.T) {
	with(t, strategies.Singleton{Size: 3}, func(r *rig) {
		gs := []*goroutine{r.spawn(), r.spawn(), r.spawn()}
		for range 3 {
			for i, g := range gs {
				if id := r.once(g); id != i+1 {
					r.Errorf("goroutine %d got resource %d, want its own", i+1, id)
				}
			}
		}
		for _, g := range gs {
			g.end()
		}
	})
}

func TestSingletonLongestRestedOwnerLosesFirst(t *testing.T) {
	with(t, strategies.Singleton{Size: 3}, func(r *rig) {
		a, b, c, d := r.spawn(), r.spawn(), r.spawn(), r.spawn()
		r.once(a)
		r.once(b)
		r.once(c)
		r.once(a) // so b has rested longest
		if id := r.once(d); id != 2 {
			r.Errorf("a fourth owner got resource %d, want 2, of the owner that rested longest", id)
		}
		if id := r.once(b); id != 3 {
			r.Errorf("the robbed owner got resource %d, want 3, of the owner that now rested longest", id)
		}
		if id := r.once(a); id != 1 {
			r.Errorf("an owner that was left alone got resource %d, want its own, 1", id)
		}
		for _, g := range []*goroutine{a, b, c, d} {
			g.end()
		}
		if n := r.fake.Opened(); n != 3 || r.fake.Closed() != 0 {
			r.Errorf("%d opened, %d closed; want 3 and none: a change of owner closes nothing", n, r.fake.Closed())
		}
	})
}

func TestSingletonResourceInUseIsNeverTaken(t *testing.T) {
	with(t, strategies.Singleton{Size: 1}, func(r *rig) {
		l := r.get()
		g := r.ask(r.Context())
		time.Sleep(time.Hour)
		if g.done() {
			r.Fatalf("another goroutine was answered: %v", g.err)
		}
		if v, err := l.Get(); err != nil {
			r.Errorf("Get by the holder: %v, want its resource", err)
		} else {
			v.Use(r)
		}
		r.end(l)
		synctest.Wait()
		r.end(g.lease)
		if n := r.fake.Closed(); n != 0 {
			r.Errorf("%d resources were closed, want none", n)
		}
	})
}

func TestSingletonResourceOfAnEndedGoroutineIsReclaimedBeforeOneIsOpened(t *testing.T) {
	n := 10_000
	if testing.Short() {
		n = 1000
	}
	for _, size := range []int{5, pool.Unlimited} {
		with(t, strategies.Singleton{Size: size}, func(r *rig) {
			const atOnce = 4
			for range n / atOnce {
				for range atOnce {
					go func() {
						l, err := r.Acquire(r.Context())
						if err != nil {
							r.Errorf("Acquire: %v, want a lease", err)
							return
						}
						r.end(l)
					}()
				}
				synctest.Wait() // until they have ended
			}
			if opened := r.fake.Opened(); opened > 5 || r.fake.Closed() != 0 {
				r.Errorf("size %d: %d goroutines, %d at once: %d opens and %d closes, want 5 and none at most", size, n, atOnce, opened, r.fake.Closed())
			}
		})
	}
}

func TestSingletonRobsTheDeadBeforeTheLiving(t *testing.T) {
	with(t, strategies.Singleton{Size: 2}, func(r *rig) {
		living, dead, next := r.spawn(), r.spawn(), r.spawn()
		r.once(living)
		r.once(dead)
		dead.end()
		if id := r.once(next); id != 2 {
			r.Errorf("the next owner got resource %d, want 2: its goroutine has ended, though it rested less long", id)
		}
		if id := r.once(living); id != 1 {
			r.Errorf("the living owner got resource %d, want its own, 1", id)
		}
		living.end()
		next.end()
	})
}

func TestSingletonScopeSharesAcrossGoroutines(t *testing.T) {
	with(t, strategies.Singleton{Size: 2}, func(r *rig) {
		ctx, end := pool.WithScope(r.Context())
		defer end()
		l := r.getIn(ctx)
		same, other := r.ask(ctx), r.ask(r.Context())
		r.wants(same.lease, 1, "another goroutine in the same scope")
		r.wants(other.lease, 2, "a goroutine outside the scope")
		mine := r.ask(r.Context())
		if mine.done() {
			r.Errorf("a third owner got an answer (%v), want it to wait", mine.err)
		}
		r.end(l)
		if mine.done() {
			r.Error("a scope's resource was lent on while a goroutine of the scope holds it")
		}
		r.end(same.lease)
		synctest.Wait()
		r.wants(mine.lease, 1, "the scope's last holder has left")
		r.end(mine.lease, other.lease)
	})
}

func TestSingletonScopeIsAnotherOwnerThanItsGoroutine(t *testing.T) {
	with(t, strategies.Singleton{Size: 3}, func(r *rig) {
		outer, end := pool.WithScope(r.Context())
		defer end()
		inner, end := pool.WithScope(outer)
		defer end()
		a, b, c := r.get(), r.getIn(outer), r.getIn(inner)
		r.wants(a, 1, "the goroutine")
		r.wants(b, 2, "the scope")
		r.wants(c, 3, "the scope within, which is the one that counts")
		r.end(a, b, c)
	})
}

func TestSingletonResourceOfAnEndedScopeIsReclaimed(t *testing.T) {
	for name, scope := range map[string]func(context.Context) (context.Context, func()){
		"by its end": pool.WithScope,
		"by its parent": func(ctx context.Context) (context.Context, func()) {
			ctx, cancel := context.WithCancel(ctx)
			ctx, _ = pool.WithScope(ctx)
			return ctx, cancel
		},
	} {
		t.Run(name, func(t *testing.T) {
			with(t, strategies.Singleton{Size: pool.Unlimited}, func(r *rig) {
				for range 100 {
					ctx, end := scope(r.Context())
					l := r.getIn(ctx)
					r.wants(l, 1, "the scope before has ended")
					r.end(l)
					end()
				}
			})
		})
	}
}

func TestSingletonUniqueIsSharedWithNobody(t *testing.T) {
	with(t, strategies.Singleton{Size: 3}, func(r *rig) {
		mine := r.get()
		u, err := r.AcquireUnique(r.Context())
		if err != nil {
			r.Fatalf("AcquireUnique: %v, want a lease", err)
		}
		r.wants(u, 2, "not the one this goroutine holds")
		again := r.get()
		r.wants(again, 1, "not the unique one")
		v, err := r.AcquireUnique(r.Context())
		if err != nil {
			r.Fatalf("second AcquireUnique: %v, want a lease", err)
		}
		r.wants(v, 3, "not the other unique one")
		r.end(u)
		other := r.ask(r.Context())
		r.wants(other.lease, 2, "a unique lease leaves no owner behind")
		r.end(mine, again, v, other.lease)
	})
}

func TestSingletonServesTheLineInOrder(t *testing.T) {
	with(t, strategies.Singleton{Size: 1}, func(r *rig) {
		l := r.get()
		a, b, c := r.ask(r.Context()), r.ask(r.Context()), r.ask(r.Context())
		for _, next := range []*asker{a, b, c} {
			if next.done() {
				r.Fatal("served out of turn")
			}
			r.end(l)
			synctest.Wait()
			if !next.done() {
				r.Fatal("not served in its turn")
			}
			l = next.lease
		}
		r.end(l)
	})
}

func TestSingletonDiscardInANestedCall(t *testing.T) {
	with(t, strategies.Singleton{Size: 1}, func(r *rig) {
		outer, inner := r.get(), r.get()
		_ = inner.Discard(errDown)
		if _, err := outer.Get(); !errors.Is(err, pool.ErrInvalidated) {
			r.Errorf("Get of the outer lease after the inner Discard: %v, want ErrInvalidated", err)
		}
		again := r.get() // must not wait for the outer lease, which is this goroutine's own
		r.wants(again, 2, "the first was discarded")
		r.end(outer)
		r.wants(again, 2, "the release of a void lease takes nothing away")
		r.end(again)
	})
}

func TestSingletonRetireInANestedCallTakesEffectAtTheNextCheckout(t *testing.T) {
	with(t, strategies.Singleton{Size: 1}, func(r *rig) {
		outer, inner := r.get(), r.get()
		_ = inner.Retire(nil)
		r.end(inner)
		again := r.get() // must not wait for the outer lease
		r.wants(again, 1, "the checkout goes on")
		r.end(again, outer)
		next := r.get()
		r.wants(next, 2, "the first was retired")
		r.end(next)
	})
}

func TestSingletonFailedOpenFailsOnlyItsOwner(t *testing.T) {
	with(t, strategies.Singleton{Size: 2}, func(r *rig) {
		r.fake.Next(pooltest.Open, pooltest.Slow(time.Second, pooltest.Fail(errDown)), pooltest.Slow(2*time.Second))
		ctx, end := pool.WithScope(r.Context())
		defer end()
		mine := []*asker{r.ask(ctx), r.ask(ctx)}
		other := r.ask(r.Context())
		time.Sleep(2 * time.Second)
		synctest.Wait()
		for i, a := range mine {
			if !errors.Is(a.err, errDown) || a.at != time.Second {
				r.Errorf("acquirer %d of the failed owner: %v after %v, want the open's error after 1 s", i+1, a.err, a.at)
			}
		}
		if other.err != nil || other.at != 2*time.Second {
			r.Errorf("the other owner: %v after %v, want its lease after 2 s", other.err, other.at)
		}
		r.end(other.lease)
	})
}

func TestSingletonThatDoesNotWaitRefusesStrangersOnly(t *testing.T) {
	with(t, strategies.Singleton{Size: 1, Timeout: strategies.NoWait}, func(r *rig) {
		a := r.get()
		b := r.get()
		stranger := r.ask(r.Context())
		if !errors.Is(stranger.err, pool.ErrExhausted) {
			r.Errorf("another goroutine: done %t, %v; want ErrExhausted at once", stranger.done(), stranger.err)
		}
		r.end(a, b)
		stranger = r.ask(r.Context())
		r.wants(stranger.lease, 1, "returned by its owner")
		r.end(stranger.lease)
	})
}

func TestSingletonTimeoutEndsTheWait(t *testing.T) {
	with(t, strategies.Singleton{Size: 1, Timeout: 30 * time.Second}, func(r *rig) {
		l := r.get()
		a := r.ask(r.Context())
		time.Sleep(30 * time.Second)
		synctest.Wait()
		const want = "pool: acquire timed out after 30s waiting: 1 of 1 in use, 0 waiting"
		if !a.done() || a.at != 30*time.Second || a.err == nil || a.err.Error() != want {
			r.Errorf("answered: %t, after %v, with\n%v\nwant after 30 s\n%s", a.done(), a.at, a.err, want)
		}
		r.end(l)
	})
}

func TestSingletonOwnerWhosePingHangsGetsAnotherSeat(t *testing.T) {
	for name, o := range map[string]pool.Options{
		"before it is lent": {Ping: true, PingTimeout: time.Second},
		"while it is idle":  {KeepAlive: 8 * time.Second, PingTimeout: time.Hour, Jitter: pool.NoJitter},
	} {
		t.Run(name, func(t *testing.T) {
			withOptions(t, strategies.Singleton{Size: 3}, o, func(r *rig) {
				mine, _ := pool.WithScope(r.Context())
				r.end(r.getIn(mine))
				hung := make(chan struct{})
				r.fake.Next(pooltest.Ping, pooltest.Hang(hung))
				time.Sleep(10 * time.Second) // the idle one is pinged at the ninth
				a := r.ask(mine)
				time.Sleep(time.Second)
				synctest.Wait()
				if !a.done() {
					r.Error("the owner whose resource hangs in a ping has no answer after a second, want another seat")
				}
				close(hung)
				<-a.answered
				if a.err != nil {
					r.Fatalf("Acquire: %v, want a lease", a.err)
				}
				r.wants(a.lease, 2, "its own was out of reach")
				r.end(a.lease)
			})
		})
	}
}

func TestSingletonPingThatHangsKeepsNobodyOfItsOwnerFromAnotherSeat(t *testing.T) {
	o := pool.Options{Ping: true, PingTimeout: time.Second}
	withOptions(t, strategies.Singleton{Size: 2}, o, func(r *rig) {
		mine, _ := pool.WithScope(r.Context())
		r.end(r.getIn(mine))
		time.Sleep(time.Second)
		hung := make(chan struct{})
		r.fake.Next(pooltest.Ping, pooltest.Hang(hung))
		first, second := r.ask(mine), r.ask(mine)
		time.Sleep(time.Second) // the ping is overdue; the other seat is empty
		synctest.Wait()
		for i, a := range []*asker{first, second} {
			if !a.done() {
				r.Errorf("acquirer %d of the owner has no answer though a seat is empty, want a lease of another resource", i+1)
			}
		}
		close(hung)
		<-first.answered
		<-second.answered
		if first.err != nil || second.err != nil {
			r.Fatalf("Acquire: %v and %v, want two leases", first.err, second.err)
		}
		r.wants(first.lease, 2, "its own was out of reach")
		r.wants(second.lease, 2, "its owner has that now")
		r.end(first.lease, second.lease)
	})
}

func TestSingletonOwnerWhosePingHangsGetsAnotherSeatAfterAPause(t *testing.T) {
	o := pool.Options{KeepAlive: 8 * time.Second, PingTimeout: time.Hour, Jitter: pool.NoJitter}
	withOptions(t, strategies.Singleton{Size: 2}, o, func(r *rig) {
		mine, _ := pool.WithScope(r.Context())
		r.end(r.getIn(mine))
		r.Suspend()
		hung := make(chan struct{})
		r.fake.Next(pooltest.Ping, pooltest.Hang(hung))
		a := r.ask(mine)
		time.Sleep(time.Minute) // what it waits for is pinged meanwhile
		r.Resume()
		synctest.Wait()
		if !a.done() {
			r.Error("the owner whose resource hangs in a ping has no answer after Resume, want another seat")
		}
		close(hung)
		<-a.answered
		if a.err != nil {
			r.Fatalf("Acquire: %v, want a lease", a.err)
		}
		r.wants(a.lease, 2, "its own was out of reach")
		r.end(a.lease)
	})
}
