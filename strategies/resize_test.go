package strategies_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

// resize must succeed.
func (r *rig) resize(s pool.Strategy) {
	r.Helper()
	if err := r.Resize(s); err != nil {
		r.Fatalf("Resize(%+v): %v, want nil", s, err)
	}
	if r.Strategy() != s {
		r.Errorf("Strategy() = %+v after Resize, want %+v", r.Strategy(), s)
	}
}

// open asserts how many resources are open, and how many of them are idle, once all is quiet.
func (r *rig) open(open, idle int, why string) {
	r.Helper()
	synctest.Wait()
	if s := r.Stats(); s.Open != open || s.Idle != idle || r.fake.OpenNow() != open {
		r.Errorf("%d open, %d idle, and %d by the backend's count; want %d open, %d idle: %s", s.Open, s.Idle, r.fake.OpenNow(), open, idle, why)
	}
}

// own is a ctx of an owner of its own.
func (r *rig) own() context.Context {
	ctx, _ := pool.WithScope(r.Context())
	return ctx
}

// resizable are strategies of n seats each.
var resizable = map[string]func(n int) pool.Strategy{
	"affine":    func(n int) pool.Strategy { return strategies.Queue{Size: n} },
	"lifo":      func(n int) pool.Strategy { return strategies.Queue{Size: n, Order: strategies.LIFO} },
	"fifo":      func(n int) pool.Strategy { return strategies.Queue{Size: n, Order: strategies.FIFO} },
	"bounded":   func(n int) pool.Strategy { return strategies.Queue{Size: n, Fairness: strategies.Bounded} },
	"overflow":  func(n int) pool.Strategy { return strategies.Queue{Size: 1, MaxOverflow: n - 1} },
	"null":      func(n int) pool.Strategy { return strategies.Null{Max: n} },
	"singleton": func(n int) pool.Strategy { return strategies.Singleton{Size: n} },
}

// eachResizable runs a test on each of them, with and without something to reset.
func eachResizable(t *testing.T, n int, test func(r *rig, sized func(n int) pool.Strategy)) {
	for name, sized := range resizable {
		for _, plain := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, plain %t", name, plain), func(t *testing.T) {
				withOptions(t, sized(n), pool.Options{NoReset: plain}, func(r *rig) { test(r, sized) })
			})
		}
	}
}

func TestGrowingServesThoseWhoWait(t *testing.T) {
	eachResizable(t, 1, func(r *rig, sized func(int) pool.Strategy) {
		r.fake.Always(pooltest.Open, pooltest.Slow(100*time.Millisecond))
		held := r.getIn(r.own())
		a, b, c := r.ask(r.own()), r.ask(r.own()), r.ask(r.own())
		grown := r.now()
		r.resize(sized(3))
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		if !a.done() || !b.done() || c.done() {
			r.Fatalf("one open time after 1 seat became 3: first waiter served %t, second %t, third %t; want the first two", a.done(), b.done(), c.done())
		}
		if want := grown + 100*time.Millisecond; a.err != nil || b.err != nil || a.at != want || b.at != want {
			r.Errorf("served at %v (%v) and %v (%v), want one open time after the Resize, %v", a.at, a.err, b.at, b.err, want)
		}
		r.end(held)
		<-c.answered
		if c.err != nil {
			r.Errorf("the third waiter: %v, want what was returned", c.err)
		}
		r.end(a.lease, b.lease, c.lease)
	})
}

func TestShrinkingClosesWhatIsIdleAndTooMany(t *testing.T) {
	eachResizable(t, 5, func(r *rig, sized func(int) pool.Strategy) {
		leases := make([]lease, 5)
		for i := range leases {
			leases[i] = r.getIn(r.own())
		}
		r.end(leases[:4]...)
		keep := min(2, r.Limits().Keep)
		r.resize(sized(2))
		if keep == 2 {
			r.open(2, 1, "one is lent, and two may be open")
		}
		if got := r.Limits().Seats; got != 2 {
			r.Errorf("Limits().Seats = %d after Resize, want 2", got)
		}
		r.end(leases[4])
		r.open(keep, keep, "so many are kept")
		a, b, c := r.ask(r.own()), r.ask(r.own()), r.ask(r.own())
		if !a.done() || !b.done() || c.done() {
			r.Errorf("with two seats, first served %t, second %t, third %t; want two", a.done(), b.done(), c.done())
		}
		r.end(a.lease, b.lease)
		<-c.answered
		r.end(c.lease)
	})
}

func TestShrinkingBelowWhatIsInUseTakesNothingAwayAndOpensNothing(t *testing.T) {
	eachResizable(t, 4, func(r *rig, sized func(int) pool.Strategy) {
		held := []lease{r.getIn(r.own()), r.getIn(r.own()), r.getIn(r.own()), r.getIn(r.own())}
		r.resize(sized(2))
		a := r.ask(r.own())
		for i, l := range held {
			l.Value().Use(r)
			r.end(l)
			synctest.Wait()
			if served := i >= 2; a.done() != served {
				r.Fatalf("after %d of 4 came back to 2 seats, the waiter is served: %t, want %t", i+1, a.done(), served)
			}
			if max := max(3-i, 2); r.fake.OpenNow() > max {
				r.Errorf("after %d of 4 came back to 2 seats, %d are open, want %d at most", i+1, r.fake.OpenNow(), max)
			}
		}
		r.end(a.lease)
		if r.fake.MaxOpen() != 4 {
			r.Errorf("%d were open at once, want 4: nothing is opened until it fits", r.fake.MaxOpen())
		}
	})
}

func TestShrinkingClosesNoMoreThanItMustWhileClosesAreSlow(t *testing.T) {
	eachResizable(t, 6, func(r *rig, sized func(int) pool.Strategy) {
		if r.Limits().Keep < 2 {
			return // it closes what comes back anyway
		}
		r.fake.Always(pooltest.Close, pooltest.Stuck(time.Second))
		var held []lease
		for range 6 {
			held = append(held, r.getIn(r.own()))
		}
		r.end(held[5]) // one idle, five lent
		r.resize(sized(2))
		var all sync.WaitGroup
		for _, l := range held[:5] {
			all.Go(func() { r.end(l) })
		}
		all.Wait()
		time.Sleep(time.Minute)
		r.open(2, 2, "four of six are too many, and not more because those four take a while to close")
		if r.fake.Closed() != 4 {
			r.Errorf("%d were closed, want 4", r.fake.Closed())
		}
		r.fake.Always(pooltest.Close, pooltest.OK)
	})
}

func TestShrinkingGivesUpOpensThatHaveNotBegun(t *testing.T) {
	for _, name := range []string{"lifo", "null", "singleton"} {
		for _, interval := range []time.Duration{100 * time.Millisecond, 10 * time.Second} { // less and more than an open takes
			t.Run(fmt.Sprintf("%s, one open each %v", name, interval), func(t *testing.T) {
				sized := resizable[name]
				withOptions(t, sized(4), pool.Options{OpenInterval: interval}, func(r *rig) {
					r.fake.Always(pooltest.Open, pooltest.Slow(time.Second))
					askers := []*asker{r.ask(r.own()), r.ask(r.own()), r.ask(r.own()), r.ask(r.own())}
					r.resize(sized(1))
					for i, a := range askers {
						<-a.answered
						synctest.Wait()
						if a.err != nil {
							r.Errorf("acquirer %d: %v, want what the one before returned", i, a.err)
						}
						r.end(a.lease)
					}
					if opened := r.fake.Opened(); opened != 1 && name != "null" {
						r.Errorf("%d were opened, want 1, which serves all", opened)
					}
					if r.fake.MaxOpen() != 1 {
						r.Errorf("%d were open at once, want 1", r.fake.MaxOpen())
					}
				})
			})
		}
	}
}

func TestShrinkingCountsWhatIsClosedToBeReplacedUntilItIsGone(t *testing.T) {
	for _, name := range []string{"lifo", "singleton"} {
		t.Run(name, func(t *testing.T) {
			sized := resizable[name]
			withOptions(t, sized(2), pool.Options{OpenInterval: 10 * time.Second, CloseTimeout: time.Minute}, func(r *rig) {
				mine := r.own()
				l := r.getIn(mine)
				other := r.ask(r.own()) // its open may begin after ten seconds
				r.Invalidate(nil)
				r.fake.Next(pooltest.Close, pooltest.Slow(20*time.Second))
				r.end(l)
				again := r.ask(mine) // by now one of the two has the old resource replaced
				r.resize(sized(1))
				time.Sleep(time.Minute)
				synctest.Wait()
				for range 2 {
					synctest.Wait()
					switch {
					case other.done() && other.lease != (lease{}):
						r.end(other.lease)
						other.lease = lease{}
					case again.done():
						r.end(again.lease)
					}
				}
				if !other.done() || !again.done() || other.err != nil || again.err != nil {
					r.Errorf("the two got %v and %v, want a lease each", other.err, again.err)
				}
				if n := r.fake.MaxOpen(); n != 1 {
					r.Errorf("%d were open at once, want 1: what is being closed is open", n)
				}
			})
		})
	}
}

func TestMaxWaitersAndLingerFollowAResize(t *testing.T) {
	with(t, strategies.Queue{Size: 1, MaxOverflow: 1}, func(r *rig) {
		held := []lease{r.get(), r.get()}
		a := r.ask(r.own())
		r.resize(strategies.Queue{Size: 1, MaxOverflow: 1, MaxWaiters: 1, Linger: time.Minute})
		if _, err := r.Acquire(r.own()); !errors.Is(err, pool.ErrOverloaded) {
			r.Errorf("the second in a line for 1: %v, want ErrOverloaded", err)
		}
		if a.done() {
			r.Errorf("who stood in line before was answered: %v", a.err)
		}
		r.end(held...)
		<-a.answered
		r.end(a.lease)
		r.open(2, 2, "overflow may linger now")
		time.Sleep(2 * time.Minute)
		r.open(1, 1, "but not longer than Linger")
		r.resize(strategies.Queue{Size: 1, MaxOverflow: 1})
		held = []lease{r.get(), r.get()}
		r.end(held...)
		r.open(1, 1, "overflow lingers no more")
	})
	with(t, strategies.Singleton{Size: 1}, func(r *rig) {
		held := r.getIn(r.own())
		a := r.ask(r.own())
		r.resize(strategies.Singleton{Size: 1, MaxWaiters: 1})
		if _, err := r.Acquire(r.own()); !errors.Is(err, pool.ErrOverloaded) {
			r.Errorf("the second in a line for 1: %v, want ErrOverloaded", err)
		}
		r.end(held)
		<-a.answered
		r.end(a.lease)
	})
}

func TestKeepingFewerClosesTheOthersAtOnce(t *testing.T) {
	with(t, strategies.Queue{Size: 4}, func(r *rig) {
		held := []lease{r.get(), r.get(), r.get(), r.get()}
		r.end(held...)
		r.resize(strategies.Queue{Size: 1, MaxOverflow: 3})
		r.open(1, 1, "one is kept, though four may be open")
		r.resize(strategies.Queue{Size: 4})
		held = []lease{r.get(), r.get(), r.get(), r.get()}
		r.end(held...)
		r.open(4, 4, "four are kept again")
	})
}

// vitess#20158, and deadpool 0.12.2, which panicked.
func TestShrinkingAndGrowingInQuickSuccessionLosesNoSeat(t *testing.T) {
	eachResizable(t, 4, func(r *rig, sized func(int) pool.Strategy) {
		r.fake.Always(pooltest.Close, pooltest.Slow(time.Millisecond))
		for range 3 {
			held := []lease{r.getIn(r.own()), r.getIn(r.own()), r.getIn(r.own()), r.getIn(r.own())}
			for _, n := range []int{1, 4, 2, 3, 1, 4} {
				r.resize(sized(n))
				if len(held) > 0 {
					r.end(held[0])
					held = held[1:]
				}
			}
			a, b, c, d := r.ask(r.own()), r.ask(r.own()), r.ask(r.own()), r.ask(r.own())
			time.Sleep(time.Second)
			synctest.Wait()
			for i, a := range []*asker{a, b, c, d} {
				if !a.done() || a.err != nil {
					r.Fatalf("acquirer %d of 4 has no lease (done %t, %v), though there are 4 seats again", i, a.done(), a.err)
				}
				r.end(a.lease)
			}
		}
		if r.fake.MaxOpen() > 4 {
			r.Errorf("%d were open at once, want 4 at most", r.fake.MaxOpen())
		}
	})
}

func TestNewTimeoutCountsForThoseInLineFromWhenTheyCame(t *testing.T) {
	for _, tc := range []struct {
		name     string
		old, new time.Duration
		want     time.Duration // after the waiter came; the Resize is one second after that
	}{
		{"shorter", 10 * time.Second, 3 * time.Second, 3 * time.Second},
		{"longer", 2 * time.Second, 5 * time.Second, 5 * time.Second},
		{"over already", 10 * time.Second, time.Millisecond, time.Second},
		{"from none", 0, 3 * time.Second, 4 * time.Second},
		{"to none", 2 * time.Second, 0, 20 * time.Second},
		{"to none for newcomers", 2 * time.Second, strategies.NoWait, 20 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			with(t, strategies.Queue{Size: 1, Timeout: tc.old}, func(r *rig) {
				held := r.get()
				ctx, cancel := context.WithTimeout(r.Context(), 20*time.Second)
				defer cancel()
				came := r.now()
				a := r.ask(ctx)
				time.Sleep(time.Second)
				r.resize(strategies.Queue{Size: 1, Timeout: tc.new})
				<-a.answered
				if !errors.Is(a.err, pool.ErrTimeout) || a.at-came != tc.want {
					r.Errorf("answered %v after it came with %v, want ErrTimeout after %v", a.at-came, a.err, tc.want)
				}
				r.end(held)
			})
		})
	}
}

func TestTimeoutsOfThoseWhoCameBeforeAndAfterAResizeRunOutInOrder(t *testing.T) {
	with(t, strategies.Queue{Size: 1}, func(r *rig) {
		held := r.get()
		before := r.ask(r.Context())
		time.Sleep(time.Hour)
		resized := r.now()
		r.resize(strategies.Queue{Size: 1, Timeout: 2 * time.Second})
		time.Sleep(time.Second)
		after := r.ask(r.Context())
		<-before.answered
		<-after.answered
		if before.at != resized+2*time.Second || after.at != resized+3*time.Second {
			r.Errorf("answered %v and %v after the Resize, want 2s and 3s", before.at-resized, after.at-resized)
		}
		r.end(held)
	})
}

func TestSharedSeatsWaitersKeepTheirTimeout(t *testing.T) {
	with(t, strategies.Singleton{Size: 1, Timeout: 2 * time.Second}, func(r *rig) {
		held := r.getIn(r.own())
		a := r.ask(r.own())
		r.resize(strategies.Singleton{Size: 1, Timeout: 5 * time.Second})
		b := r.ask(r.own())
		<-a.answered
		<-b.answered
		if a.at != 2*time.Second || b.at != 5*time.Second {
			r.Errorf("answered after %v and %v, want 2s and 5s: each has the Timeout it came with", a.at, b.at)
		}
		r.end(held)
	})
}

func TestResizeRefusesWhatCannotBeChangedAndChangesNothing(t *testing.T) {
	queue := strategies.Queue{Size: 2, Order: strategies.LIFO}
	for _, tc := range []struct {
		name    string
		have, s pool.Strategy
		field   string
	}{
		{"order", queue, strategies.Queue{Size: 3, Order: strategies.FIFO}, "Order"},
		{"order, to none", queue, strategies.Queue{Size: 3}, "Order"},
		{"order, from none", strategies.Queue{Size: 2}, queue, "Order"},
		{"fairness", queue, strategies.Queue{Size: 3, Order: strategies.LIFO, Fairness: strategies.Bounded}, "Fairness"},
		{"shares", strategies.Queue{Size: 2, Shares: "10,20"}, strategies.Queue{Size: 2, Shares: "10,30"}, "Shares"},
		{"shares, to none", strategies.Queue{Size: 2, Shares: "10,20"}, strategies.Queue{Size: 2}, "Shares"},
		{"no such size", queue, strategies.Queue{Size: -7, Order: strategies.LIFO}, "queue size"},
		{"no seats", strategies.Null{Max: 1}, strategies.Null{}, "null max"},
		{"another kind", queue, strategies.Null{Max: 3}, "strategy"},
		{"another kind that is a line too", strategies.Assertion{}, strategies.Queue{Size: 1}, "strategy"},
		{"another kind that shares", strategies.Static{}, strategies.Singleton{Size: 1}, "strategy"},
		{"stack", strategies.Assertion{}, strategies.Assertion{NoStack: true}, "NoStack"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			with(t, tc.have, func(r *rig) {
				limits := r.Limits()
				err := r.Resize(tc.s)
				var option *pool.OptionError
				if !errors.As(err, &option) || option.Field != tc.field || option.Remedy == "" {
					r.Errorf("Resize: %v, want an OptionError that names %s", err, tc.field)
				}
				if r.Limits() != limits || r.Strategy() != tc.have {
					r.Errorf("after a Resize that failed: %+v of %+v, want what was", r.Limits(), r.Strategy())
				}
			})
		})
	}
}

func TestResizeToWhatItIsIsNoError(t *testing.T) {
	for _, s := range []pool.Strategy{strategies.Queue{Size: 1}, strategies.Queue{Size: 1, Order: strategies.Affine, Timeout: time.Second},
		strategies.Null{Max: 1}, strategies.Singleton{Size: 1}, strategies.Static{Timeout: time.Second}, strategies.Assertion{NoStack: true}} {
		with(t, s, func(r *rig) {
			l := r.get()
			r.resize(s)
			r.end(l)
			r.resize(s)
			l = r.get()
			r.wants(l, r.fake.Opened(), "it was not replaced, or was never kept")
			r.end(l)
		})
	}
}

// The seating's own view, which a pool hides: a strategy of another kind that gets past it.
func TestSeatingsRefuseOtherKinds(t *testing.T) {
	for _, tc := range []struct{ have, s pool.Strategy }{
		{strategies.Queue{Size: 1}, strategies.Null{Max: 1}},
		{strategies.Null{Max: 1}, strategies.Queue{Size: 1}},
		{strategies.Queue{Size: 1}, strategies.Static{}},
		{strategies.Assertion{}, strategies.Queue{Size: 1}},
		{strategies.Static{}, strategies.Singleton{Size: 1}},
		{strategies.Singleton{Size: 1}, strategies.Queue{Size: 1}},
	} {
		seating, err := tc.have.Start(nobodysHost{})
		if err != nil {
			t.Fatal(err)
		}
		err = seating.(pool.Resizer).Resize(tc.s)
		if err == nil || !strings.Contains(err.Error(), tc.s.Kind()) {
			t.Errorf("Resize of %T to %T: %v, want an error that names the kind", tc.have, tc.s, err)
		}
		seating.Close()
	}
}

// nobodysHost opens nothing.
type nobodysHost struct{}

func (nobodysHost) Open(pool.Seat) {}
func (nobodysHost) AtOnce() int    { return pool.Unlimited }
