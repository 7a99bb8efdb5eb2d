package strategies_test

import (
	"context"
	"errors"
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

// caller comes at a time, waits no longer than within, and has the resource for as long as holds says.
type caller struct {
	comes, within, holds time.Duration

	served   bool
	shed     bool
	answered time.Duration // at which time
}

// call has all callers call, in order of time.
func (r *rig) call(all []caller) {
	begin := time.Now()
	var wg sync.WaitGroup
	for i := range all {
		c := &all[i]
		time.Sleep(c.comes - time.Since(begin))
		wg.Go(func() {
			ctx, cancel := r.Context(), context.CancelFunc(func() {})
			if c.within > 0 {
				ctx, cancel = context.WithTimeout(ctx, c.within)
			}
			defer cancel()
			l, err := r.Acquire(ctx)
			c.answered = time.Since(begin)
			switch {
			case err == nil:
				c.served = true
				time.Sleep(c.holds)
				r.end(l)
			case errors.Is(err, pool.ErrOverloaded):
				c.shed = true
			case !errors.Is(err, pool.ErrTimeout):
				r.Errorf("Acquire: %v, want a lease, ErrTimeout or ErrOverloaded", err)
			}
		})
	}
	wg.Wait()
}

// crowdOne has somebody without a deadline come, and hold for so long.
func (r *rig) crowdOne(service time.Duration) {
	go func() {
		l, err := r.Acquire(context.Background())
		if err != nil {
			r.Errorf("Acquire: %v, want a lease", err)
			return
		}
		time.Sleep(service)
		r.end(l)
	}()
	synctest.Wait()
}

// crowded lets a line of so many form, with that time of service, and returns after the hand-off of the last but two.
func (r *rig) crowded(n int, service time.Duration) {
	for range n {
		r.crowdOne(service)
	}
	time.Sleep(time.Duration(n-2)*service - service/2)
}

// With a constant time of service it is known to the nanosecond who will be served when.
func TestShedTurnsAwayExactlyThoseWhoWouldTimeOut(t *testing.T) {
	const service = 100 * time.Millisecond
	for _, s := range []strategies.Queue{
		{Size: 1, Shed: true},
		{Size: 1, Shed: true, Timeout: 2500 * time.Millisecond},
		{Size: 1, Shed: true, Order: strategies.FIFO, Timeout: 2500 * time.Millisecond},
	} {
		for seed := range uint64(5) {
			with(t, s, func(r *rig) {
				r.crowded(20, service)
				rng := rand.New(rand.NewPCG(seed, 1))
				all := make([]caller, 1000)
				at := time.Duration(1)
				for i := range all {
					at += time.Duration(rng.Int64N(int64(150 * time.Millisecond)))
					all[i] = caller{comes: at, holds: service}
					if s.Timeout == 0 || rng.IntN(2) == 0 {
						all[i].within = 2*service + time.Duration(rng.Int64N(int64(service)*30))
					}
				}
				r.call(all)
				// One after the other, by hand: the seat is free again at that time.
				free := service/2 + 2*service // first, there are two in line
				shed := 0
				for i, c := range all {
					end := c.comes + min(time.Hour, allowed(c.within, s.Timeout))
					starts := max(free, c.comes)
					if c.served != (starts <= end) || c.shed == c.served {
						r.Fatalf("caller %d at %v, which could have had the seat at %v and had until %v: served %t, shed %t", i, c.comes, starts, end, c.served, c.shed)
					}
					if c.shed {
						shed++
						if c.answered != c.comes {
							r.Errorf("caller %d was turned away after %v, want at once", i, c.answered-c.comes)
						}
						continue
					}
					if c.answered != starts {
						r.Errorf("caller %d was served at %v, want %v", i, c.answered, starts)
					}
					free = starts + service
				}
				if shed < 100 || shed > 600 {
					r.Errorf("%d of 1000 were turned away: that shows nothing", shed)
				}
			})
		}
	}
}

// allowed is how long somebody may wait, by its own limit and that of the strategy; 0: none.
func allowed(own, strategys time.Duration) time.Duration {
	switch {
	case own == 0:
		return strategys
	case strategys == 0:
		return own
	}
	return min(own, strategys)
}

func TestShedSaysWhyAndCounts(t *testing.T) {
	with(t, strategies.Queue{Size: 1, Shed: true}, func(r *rig) {
		const service = 30 * time.Millisecond
		r.crowded(42, service)
		before := r.Stats()
		for range 38 {
			r.crowdOne(service)
		}
		ctx, cancel := context.WithTimeout(r.Context(), 500*time.Millisecond)
		defer cancel()
		a := r.ask(ctx)
		a.turnedAway(r, "overloaded: cannot be served before its deadline: 40 ahead, about 1.22s, 500ms left: 1 of 1 in use, 40 waiting", "one with too little time")
		if n := r.Stats(); n.Shed != 1 || n.Waited-before.Waited != 38 || n.TimedOut != 0 {
			r.Errorf("%d shed, %d more waited, %d timed out; want 1, 38, none", n.Shed, n.Waited-before.Waited, n.TimedOut)
		}
		patient := r.ask(context.Background())
		patient.waits(r, "one without a deadline")
		if _, err := r.TryAcquire(ctx); !errors.Is(err, pool.ErrExhausted) {
			r.Errorf("TryAcquire: %v, want ErrExhausted", err)
		}
		r.ends(patient)
	})
}

// The simulation: callers come at random, as many as a multiple of what ten seats can serve, and hold for
// random times, both exponential; each waits for 20 such times. It is done twice, with the same
// callers. Nobody can tell beforehand who is lucky, so what counts is how many are: the capacity is the same,
// and whoever is served in place of another is no gain.
func TestShedAnswersAtOnceWhoWouldWaitInVain(t *testing.T) {
	const (
		callers = 20_000
		seats   = 10
		service = 10 * time.Millisecond
		within  = 200 * time.Millisecond
	)
	t.Log("load  shed   in time  in vain  turned away")
	for _, load := range []float64{0.8, 1, 1.2, 2} {
		rng := rand.New(rand.NewPCG(7, 7))
		plan := make([]caller, callers)
		at := 0.0
		for i := range plan {
			at += rng.ExpFloat64() * float64(service) / seats / load
			plan[i] = caller{comes: time.Duration(at), within: within, holds: time.Duration(rng.ExpFloat64() * float64(service))}
		}
		var inTime, inVain [2]int
		turnedAway := 0
		for on, shed := range []bool{false, true} {
			withOptions(t, strategies.Queue{Size: seats, Shed: shed}, pool.Options{NoReset: true}, func(r *rig) {
				all := slices.Clone(plan)
				r.call(all)
				for _, c := range all {
					switch {
					case c.served:
						inTime[on]++
					case !c.shed:
						inVain[on]++
						if c.answered-c.comes != within {
							r.Errorf("one who waited in vain was answered after %v, want %v", c.answered-c.comes, within)
						}
					default:
						turnedAway++
						if c.answered != c.comes {
							r.Errorf("one was turned away after %v, want at once", c.answered-c.comes)
						}
					}
				}
				t.Logf("%4v  %-5t  %7d  %7d  %11d", load, shed, inTime[on], inVain[on], turnedAway)
			})
		}
		if inTime[1] < inTime[0]-callers/50 {
			t.Errorf("load %v: %d were served in time, %d without Shed; want as many, to 2 per cent of all", load, inTime[1], inTime[0])
		}
		if inVain[1]*5 > inVain[0] {
			t.Errorf("load %v: %d waited in vain, %d without Shed; want a fifth at most", load, inVain[1], inVain[0])
		}
		if load < 1 && turnedAway > 0 {
			t.Errorf("load %v: %d were turned away, want nobody: all can be served", load, turnedAway)
		}
	}
}

// impatient is a ctx that gives up soon.
func impatient(r *rig, within time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(r.Context(), within)
	r.Cleanup(cancel)
	return ctx
}

func TestShedTurnsNobodyAwayBeforeItHasMeasured(t *testing.T) {
	with(t, strategies.Queue{Size: 1, Shed: true}, func(r *rig) {
		for range 12 {
			r.crowdOne(time.Second)
		}
		time.Sleep(8*time.Second + time.Second/2) // hand-offs at 1 s to 8 s: 7 intervals while somebody waited
		a := r.ask(impatient(r, time.Millisecond))
		a.waits(r, "an impatient one with 3 ahead, of whom the line knows 7 intervals")
		time.Sleep(time.Second)
		r.ask(impatient(r, time.Millisecond)).turnedAway(r, "2 ahead", "an impatient one when the line knows 8")
		time.Sleep(time.Minute)
	})
}

func TestShedForgetsWhatIsLongPast(t *testing.T) {
	for _, tc := range []struct {
		service, after time.Duration // after the last hand-off
		turnsAway      bool
	}{
		{time.Millisecond, time.Second, true},
		{time.Millisecond, time.Second + 1, false},
		{time.Second, 19 * time.Second, true}, // it took as long to measure it
		{time.Second, 19*time.Second + 1, false},
	} {
		with(t, strategies.Queue{Size: 1, Shed: true}, func(r *rig) {
			for range 20 {
				r.crowdOne(tc.service)
			}
			time.Sleep(18*tc.service + tc.service/2)
			r.crowdOne(time.Hour) // the pool stalls
			time.Sleep(tc.service)
			for range 2 {
				r.crowdOne(0)
			}
			time.Sleep(tc.service/2 + tc.after) // from the last hand-off, to the one that stalls
			if a := r.ask(impatient(r, 1)); tc.turnsAway {
				a.turnedAway(r, "2 ahead", "one with 1ns left")
			} else {
				a.waits(r, "one with 1ns left, long after the last hand-off")
			}
			time.Sleep(2 * time.Hour)
		})
	}
}

// A pool that was so slow that only those who may always wait did, is fast again, and nobody is patient.
func TestShedRecoversFromWhatItMeasured(t *testing.T) {
	for _, order := range []strategies.Order{strategies.Affine, strategies.LIFO} {
		with(t, strategies.Queue{Size: 2, Shed: true, Order: order}, func(r *rig) {
			slow := make([]caller, 100)
			for i := range slow {
				slow[i] = caller{comes: time.Duration(i) * 4 * time.Second, holds: 10 * time.Second}
			}
			r.call(slow)
			// 1000 a second, of what can be served 2000; each second they come ten at a time.
			fast := make([]caller, 5000)
			for i := range fast {
				fast[i] = caller{comes: time.Duration(i/10) * 10 * time.Millisecond, within: time.Second, holds: time.Millisecond}
			}
			r.call(fast)
			shed := 0
			for i, c := range fast {
				if c.shed {
					shed++
					if i > 4000 {
						r.Fatalf("%s: caller %d is still turned away, %v after it has become fast", order, i, c.comes)
					}
				}
			}
			if shed == 0 {
				r.Errorf("%s: nobody was turned away at first: that shows nothing", order)
			}
			r.Logf("%s: %d were turned away", order, shed)
		})
	}
}

// Two of three seats have become empty, with four in line.
func TestShedLetsStandWhoIsToHaveASeatOpened(t *testing.T) {
	for _, tc := range []struct {
		atOnce int
		why    string
	}{
		{1, "a seat is empty, though its open has to wait for its turn"},
		{pool.Unlimited, "a resource is being opened for two of three in line"}, // and one ahead is not too many for anybody
	} {
		withOptions(t, strategies.Queue{Size: 3, Shed: true}, pool.Options{OpensAtOnce: tc.atOnce}, func(r *rig) {
			held := []lease{r.get(), r.get()}
			for range 20 {
				r.crowdOne(time.Second)
			}
			time.Sleep(15*time.Second + time.Second/2) // one seat serves
			r.ask(impatient(r, 1)).turnedAway(r, "4 ahead", "an impatient one while all seats are taken")
			r.fake.Always(pooltest.Open, pooltest.Slow(time.Hour))
			for _, l := range held {
				if err := l.Discard(nil); err != nil {
					r.Error(err)
				}
			}
			synctest.Wait()
			if tc.atOnce != 1 {
				time.Sleep(time.Second) // 3 in line
			}
			r.ask(impatient(r, 1)).waits(r, "an impatient one, when "+tc.why)
			time.Sleep(5 * time.Hour)
		})
	}
}

func TestShedLooksAtTheClass(t *testing.T) {
	with(t, strategies.Queue{Size: 1, Shed: true, Shares: "0,10"}, func(r *rig) {
		for range 30 {
			r.crowdOne(time.Second)
		}
		time.Sleep(9*time.Second + time.Second/2) // 20 of class 0 wait
		low := func() context.Context { return pool.WithClass(impatient(r, 9*time.Second), 1) }
		// Its share takes it to the seat after 10 hand-offs at the latest, not 20.
		r.ask(pool.WithClass(impatient(r, 9400*time.Millisecond), 1)).turnedAway(r, "9 ahead", "one of class 1 with a little too little time")
		in := r.ask(pool.WithClass(impatient(r, 9600*time.Millisecond), 1))
		in.waits(r, "one of class 1 with as much as its share needs")
		r.ask(low()).turnedAway(r, "19 ahead", "a second one of class 1")
		r.ask(impatient(r, 9*time.Second)).turnedAway(r, "20 ahead", "one of class 0: the lower class does not count")
		r.ends(in)
		time.Sleep(time.Minute)
	})
}

func TestShedKeepsThePromisesOfAStrategy(t *testing.T) {
	pooltest.TestStrategy(t, func() pool.Strategy { return strategies.Queue{Size: 2, MaxOverflow: 1, Shed: true} })
}
