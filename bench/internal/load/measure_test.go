package load_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/lidopool/lido/bench/internal/load"
	"github.com/lidopool/lido/bench/internal/result"
)

// Time is a bubble's, so that nothing takes any but what the test says, and so figures are exact. A
// bubble also fails the test if a goroutine of Measure outlives it. The warm-up ends beside whole
// milliseconds, so that nothing that takes whole ones ends in the moment in which the window begins
// or ends.

const warm = 1*time.Second + 500*time.Microsecond

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.Abs(got-want) > tolerance*want {
		t.Errorf("%s is %v, want %v within %v %%", what, got, want, 100*tolerance)
	}
}

func takes(d time.Duration) func(bool) time.Duration {
	return func(bool) time.Duration { return d }
}

func TestBusyResourcesDoAsMuchAsTheUtilizationLawSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(2)
		f.use = takes(10 * time.Millisecond)
		from := time.Now().Add(warm)
		found := measure(t, f, "query", load.Window{Goroutines: 5, Warm: warm, Length: 10 * time.Second})
		if found.Ops != 2000 || found.Seconds != 10 || found.OpsPerSec != 200 || found.NsPerOp != 5e6 {
			t.Errorf("%d ops in %v s, %v ops/s, %v ns/op; want 2000, 10, 200, 5e6", found.Ops, found.Seconds, found.OpsPerSec, found.NsPerOp)
		}
		to := from.Add(10 * time.Second)
		if got := f.within(from, to, used); got != 20*time.Second {
			t.Errorf("the 2 resources were in use for %v of 10s each", got)
		}
		// 3 of 5 always wait, and one is served every 5 ms.
		if got := time.Duration(found.WaitMean); got < 14990*time.Microsecond || got > 15010*time.Microsecond {
			t.Errorf("the mean wait is %v, want 15 ms", got)
		}
		if found.WaitMax != 20e6 || found.WaitP50 < 10e6 {
			t.Errorf("half wait up to %d ns, all up to %d, want 10 or 20 ms, 20 ms", found.WaitP50, found.WaitMax)
		}
	})
}

// In a closed network R = N/X - Z, whatever the distributions.
func TestThinkTimeKeepsTheResponseTimeLaw(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(2)
		from := time.Now().Add(warm)
		const length = 200 * time.Second
		found := measure(t, f, "hold-sleep?for=exp:2ms&think=exp:10ms", load.Window{Goroutines: 12, Warm: warm, Length: length, Seed: 3})
		hold := f.within(from, from.Add(length), used).Seconds() / float64(found.Ops)
		near(t, "the response time", found.WaitMean/1e9+hold, 12/found.OpsPerSec-0.010, 0.015) // the mean of 200,000 think times is as good as 0.5 % of it
		near(t, "the hold time", hold, 0.002, 0.01)
	})
}

func TestThinkTimeOfOneIsBetweenItsVisits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		found := measure(t, newFake(1), "hold-sleep?for=1ms&think=3ms", load.Window{Goroutines: 1, Warm: warm, Length: 4 * time.Second})
		if found.Ops != 1000 || found.WaitMax != 0 || found.Jain != 0 {
			t.Errorf("%d ops, the longest wait %d ns, Jain %v; want 1000, 0, 0 (of one there is none)", found.Ops, found.WaitMax, found.Jain)
		}
	})
}

// One use stalls for a second. A thousand arrivals are due meanwhile, and a thousand more while
// the line is worked off, twice as fast as they come.
func TestOpenLoopShowsAStallInAllWhoWereDueMeanwhile(t *testing.T) {
	for _, bounds := range []string{"", "&deadline=1m", "&cancel=0.5&patience=1m"} { // which nobody meets
		synctest.Test(t, func(t *testing.T) {
			f := stalling()
			found := measure(t, f, "burst?rate=1000&burst=1&even=true"+bounds, load.Window{Goroutines: 4, Length: 20 * time.Second})
			if n := found.Waits.Count(); found.Ops < 19_998 || n < 19_998 || n > 20_000 {
				t.Fatalf("%d ops, %d waits, want 20000, or less one or two at the ends", found.Ops, n)
			}
			// The k-th after the stall began waits 1000 - k + (k-1)/2 ms.
			near(t, "the 99th percentile", float64(found.WaitP99), 900e6, 0.002)
			near(t, "the longest", float64(found.WaitMax), 999e6, 0.001)
			near(t, "the mean", found.WaitMean, 0.9995*0.9995/20*1e9, 0.002) // a triangle of 999.5 ms and 1999 arrivals
			if _, ok := found.Errors["unserved"]; ok {
				t.Errorf("errors %v", found.Errors)
			}
		})
	}
}

func TestClosedLoopHidesTheSameStallFromAllButOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		found := measure(t, stalling(), "query", load.Window{Goroutines: 2, Length: 20 * time.Second})
		if found.WaitP99 > 500_500 || found.WaitP999 > 500_500 || found.WaitMax != 1e9 {
			t.Errorf("99 %% wait up to %d ns, 99.9 %% %d, the longest %d, want 0.5 ms, 0.5 ms, 1 s", found.WaitP99, found.WaitP999, found.WaitMax)
		}
	})
}

func stalling() *fake {
	f := newFake(1)
	start := time.Now()
	stalled := false
	f.use = func(bool) time.Duration {
		if !stalled && time.Since(start) > 5*time.Second {
			stalled = true
			return time.Second
		}
		return 500 * time.Microsecond
	}
	return f
}

func TestArrivalsKeepTheirTimesHoweverThePoolFares(t *testing.T) {
	came := func(hold string, burst int) (all []time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			f, start := newFake(100), time.Now()
			text := fmt.Sprintf("hold-sleep?for=%s&rate=1000&burst=%d", hold, burst)
			measure(t, f, text, load.Window{Goroutines: 500, Length: time.Second, Seed: 9})
			for _, s := range f.stays {
				all = append(all, s.came.Sub(start))
			}
			slices.Sort(all)
		})
		return all
	}
	quick, slow := came("1us", 1), came("70ms", 1)
	n := min(len(quick), len(slow))
	if n < 900 || n > 1100 || !slices.Equal(quick[:n], slow[:n]) {
		t.Errorf("%d arrivals to a quick pool, %d to a slow one, at other times", len(quick), len(slow))
	}
	bursts := map[time.Duration]int{}
	for _, at := range came("1us", 5) {
		bursts[at]++
	}
	for at, n := range bursts {
		if n != 5 {
			t.Errorf("at %v came %d, want bursts of 5", at, n)
		}
	}
	if len(bursts) < 150 || len(bursts) > 250 {
		t.Errorf("%d bursts, want about 200", len(bursts))
	}
}

// As far as that goes: who of those that come in the same moment is first, nobody draws. So nobody
// does here.
func TestOneSeedGivesOneFinding(t *testing.T) {
	for _, text := range []string{
		"burst?hold=sleep&for=exp:1ms&burst=1&cancel=0.1&patience=exp:1ms",
		"cancel?hold=sleep&for=exp:1ms&think=exp:5ms",
		"mixed?think=exp:5ms&cancel=0.1&patience=exp:1ms",
	} {
		sample := func(seed uint64) (s result.Sample) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(2)
				f.use = func(write bool) time.Duration {
					if write {
						return 3*time.Millisecond + 1
					}
					return time.Millisecond
				}
				s = measure(t, f, text, load.Window{Goroutines: 8, Warm: warm, Length: 10 * time.Second, Seed: seed}).Sample
			})
			s.AllocsPerOp, s.BytesPerOp, s.CPUPerOp = 0, 0, 0 // the only ones that are of the real machine
			return s
		}
		one, again, other := sample(1), sample(1), sample(2)
		if diff := cmp.Diff(one, again); diff != "" {
			t.Errorf("%s: with one seed (-once +again):\n%s", text, diff)
		}
		if cmp.Equal(one, other) {
			t.Errorf("%s: two seeds give the same: %+v", text, one)
		}
	}
}

func TestWhoIsStillDueWhenTheWindowEndsIsUnserved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		f.use = takes(10 * time.Millisecond)
		start := time.Now()
		found := measure(t, f, "burst?rate=1000&burst=1&even=true", load.Window{Goroutines: 4, Warm: warm, Length: 10 * time.Second})
		if found.Ops != 1000 {
			t.Errorf("%d ops, want 1000", found.Ops)
		}
		// 1000 were due before the window, so that of the 1100 that were served, the one that was
		// held in the end, and the 3 that waited in the pool, only the last 104 or so were due in
		// it.
		if n := found.Errors["unserved"]; n < 9895 || n > 9897 {
			t.Errorf("%d unserved, want 9896 or one beside", n)
		}
		if n := found.Waits.Count(); n < 9999 || n > 10_001 {
			t.Errorf("%d waits, want 10000: one for each arrival of the window, or one beside", n)
		}
		near(t, "the longest wait", float64(found.WaitMax), 10e9, 0.02)
		if took := time.Since(start); took > warm+10*time.Second+100*time.Millisecond {
			t.Errorf("it took %v to end a window of 10 s", took)
		}
	})
}

func TestFairnessIsOneWhereAllAreServedInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		found := measure(t, newFake(2), "hold-sleep", load.Window{Goroutines: 8, Warm: warm, Length: 8 * time.Second})
		if found.Jain != 1 || found.MaxMin != 1 || found.Ops != 16_000 {
			t.Errorf("Jain %v, max/min %v, %d ops, want 1, 1, 16000", found.Jain, found.MaxMin, found.Ops)
		}
	})
}

// A mutex whose last waiter is served first.
type stack struct {
	*fake
	mu      sync.Mutex
	held    bool
	waiters []chan struct{}
}

func (s *stack) Visit(ctx context.Context, during func(context.Context, load.Conn) error) error {
	s.mu.Lock()
	if s.held {
		turn := make(chan struct{})
		s.waiters = append(s.waiters, turn)
		s.mu.Unlock()
		<-turn
	} else {
		s.held = true
		s.mu.Unlock()
	}
	err := during(ctx, nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.waiters); n > 0 {
		close(s.waiters[n-1])
		s.waiters = s.waiters[:n-1]
	} else {
		s.held = false
	}
	return err
}

func TestFairnessIsLowWhereTheLastIsServedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		found := measure(t, &stack{fake: newFake(1)}, "hold-sleep", load.Window{Goroutines: 8, Warm: warm, Length: 8 * time.Second})
		if math.Abs(found.Jain-0.25) > 0.01 || found.MaxMin != 4000 || found.WaitMax < 8e9 {
			t.Errorf("Jain %v, max/min %v, the longest wait %d ns; want 0.25, as 2 of 8 take turns, 4000, more than the window", found.Jain, found.MaxMin, found.WaitMax)
		}
	})
}

func TestNestedAcquiresLieWithinEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(6)
		f.use = takes(time.Millisecond)
		found := measure(t, f, "query?nested=2", load.Window{Goroutines: 2, Length: 3*time.Second + 500*time.Microsecond})
		// The last visit of each is cut short when the window ends: it uses, and acquires, no more.
		if found.Ops != 2000 || f.depths[0] != 2002 || f.depths[1] != 2002 && f.depths[1] != 2000 {
			t.Errorf("%d ops, acquires by depth %v, want 2000, and as many at depths 0 to 2", found.Ops, f.depths)
		}
		if f.depths[2] != 2000 || f.depths[3] != 0 {
			t.Errorf("acquires by depth %v, want 2000 at 2 and none deeper", f.depths)
		}
		if n := found.Waits.Count(); n < 5990 || n > 6006 {
			t.Errorf("%d waits, want one for each acquire of 2000 visits", n)
		}
	})
}

func TestHoldersThatWaitForEachOtherAreSentHomeByTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(2)
		f.use = takes(time.Millisecond)
		found := measure(t, f, "nested?deadline=50ms", load.Window{Goroutines: 2, Length: 10 * time.Second})
		if found.Errors["timeout"] == 0 || len(found.Errors) != 1 {
			t.Errorf("errors %v, want timeouts", found.Errors)
		}
		if found.WaitMax != 50e6 {
			t.Errorf("the longest wait is %d ns, want the deadline, 50 ms", found.WaitMax)
		}
		if found.Ops > 0 && f.depths[1] == 0 {
			t.Errorf("acquires by depth %v: what the pool put into ctx is lost", f.depths)
		}
	})
}

func TestWritesAreTheirShareOfUses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(2)
		f.use = takes(time.Millisecond)
		measure(t, f, "mixed", load.Window{Goroutines: 2, Length: 10 * time.Second, Seed: 2})
		near(t, "the share of writes", float64(f.writes)/float64(f.reads+f.writes), 0.2, 0.06)

		none := newFake(2)
		none.use = f.use
		measure(t, none, "query", load.Window{Goroutines: 2, Length: time.Second})
		if none.writes > 0 {
			t.Errorf("%d writes without writes=", none.writes)
		}
	})
}

// An acquire takes 1 ms; those who give up do so after half of it.
func TestCancelIsTheShareThatGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(8)
		f.visit = slowly(time.Millisecond)
		found := measure(t, f, "hold-sleep?cancel=0.25&patience=500us", load.Window{Goroutines: 8, Length: 10 * time.Second, Seed: 4})
		all := float64(found.Ops + found.Failures())
		near(t, "the share that gave up", float64(found.Errors["canceled"])/all, 0.25, 0.03)
		if found.Ops == 0 || len(found.Errors) != 1 || found.WaitMax != 1e6 || found.Waits.Quantile(0) != 1e6 {
			t.Errorf("%d ops, errors %v, waits from %v to %d ns; want ops, some canceled, and no wait but of those served, 1 ms",
				found.Ops, found.Errors, found.Waits.Quantile(0), found.WaitMax)
		}
	})
}

func TestWhoHasBeenServedIsNotGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(2)
		f.use = takes(10 * time.Millisecond)
		found := measure(t, f, "query?cancel=1&patience=1ms&deadline=2ms&nested=1", load.Window{Goroutines: 1, Length: 10 * time.Second})
		if found.Failures() > 0 || found.Ops < 499 {
			t.Errorf("%d ops, errors %v: acquires took no time, and uses are not bounded", found.Ops, found.Errors)
		}
	})
}

func TestWhatADeadlineEndedCountsAsAWaitAsLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		f.use = takes(25 * time.Millisecond)
		found := measure(t, f, "query?deadline=10ms", load.Window{Goroutines: 2, Warm: warm, Length: 10 * time.Second})
		if found.Ops != 400 || found.Errors["timeout"] < 400 {
			t.Errorf("%d ops, errors %v, want 400, and more than 400 timeouts", found.Ops, found.Errors)
		}
		if found.WaitP50 != 10e6 || found.WaitMax != 10e6 {
			t.Errorf("half wait up to %d ns, all up to %d, want 10 ms", found.WaitP50, found.WaitMax)
		}
	})
}

func slowly(d time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func TestErrorsAreCountedByKindAndEndNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		f.use = takes(time.Millisecond)
		visits, uses := 0, 0
		f.visit = func(context.Context) error {
			if visits++; visits%10 == 0 {
				return errRefused
			}
			return nil
		}
		f.useFail = func() error {
			if uses++; uses%3 == 2 {
				return errUse
			}
			return nil
		}
		found := measure(t, f, "query", load.Window{Goroutines: 1, Warm: warm, Length: 9 * time.Second})
		if found.Ops != 6000 || !maps.Equal(found.Errors, map[string]uint64{"refused": 1000, "use failed": 3000}) {
			t.Errorf("%d ops, errors %v, want 6000, 1000 refused, 3000 uses failed", found.Ops, found.Errors)
		}
		if n := found.Waits.Count(); n != 9000 {
			t.Errorf("%d waits, want those of the 9000 that were served", n)
		}
	})
}

// In a bubble a goroutine that never sleeps would make time stand still, and the test hang.
func TestWhoIsRefusedAtOnceDoesNotAskAgainAndAgain(t *testing.T) {
	for _, name := range []string{"query", "cycle", "contention"} {
		synctest.Test(t, func(t *testing.T) {
			f := refusing{newFake(1)}
			found, err := load.Measure(context.Background(), f, workload(t, name), load.Window{Goroutines: 2, Length: 4 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			if n := found.Errors["refused"]; found.Ops != 0 || n < 2000 || n > 8020 {
				t.Errorf("%s: %d ops, errors %v, want about 1 a millisecond of each goroutine", name, found.Ops, found.Errors)
			}
		})
	}
}

func TestWhatFailsSlowlyIsTriedAgainAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		f.use = takes(time.Millisecond)
		f.useFail = func() error { return errUse }
		found := measure(t, f, "query", load.Window{Goroutines: 1, Warm: warm, Length: 2 * time.Second})
		if found.Ops != 0 || found.Errors["use failed"] != 2000 {
			t.Errorf("%d ops, errors %v, want 2000 uses failed, one a millisecond", found.Ops, found.Errors)
		}
	})
}

type refusing struct{ *fake }

func (refusing) Cycle(context.Context, int) error { return errRefused }
func (refusing) Visit(context.Context, func(context.Context, load.Conn) error) error {
	return errRefused
}

func TestAnEndedContextGivesWhatWasFoundUntilThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		f.use = takes(10 * time.Millisecond)
		stopped := errors.New("stopped")
		ctx, cancel := context.WithCancelCause(context.Background())
		time.AfterFunc(warm+3*time.Second, func() { cancel(stopped) })
		start := time.Now()
		found, err := load.Measure(ctx, f, workload(t, "query"), load.Window{Goroutines: 3, Size: 1, Warm: warm, Length: time.Hour})
		if err != stopped {
			t.Errorf("error is %v, want the ctx's cause", err)
		}
		if found.Ops != 300 || found.Seconds != 3 || found.OpsPerSec != 100 || found.Failures() != 0 || found.Waits.Count() == 0 {
			t.Errorf("found %+v, want 300 ops in 3 s, and no error", found.Sample)
		}
		if took := time.Since(start) - warm - 3*time.Second; took > 10*time.Millisecond {
			t.Errorf("it returned %v after ctx had ended", took)
		}
	})
}

func TestAContextThatHasEndedMeasuresNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		f.use = takes(10 * time.Millisecond)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		found, err := load.Measure(ctx, f, workload(t, "query"), load.Window{Goroutines: 3, Size: 1, Warm: warm, Length: time.Hour})
		if err != context.Canceled || found.Ops != 0 || found.Waits == nil || found.CPUWaiting >= 0 {
			t.Errorf("found %+v, %v", found, err)
		}
	})
}

func TestHoldsAndThoughtsAreCutShortWhenTheWindowEnds(t *testing.T) {
	for text, longest := range map[string]int64{
		"hold-sleep?for=1h&think=1s": 14e9, // 48 have waited for all of the window but the first second
		"query?think=1h":             0,
	} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			found, err := load.Measure(context.Background(), newFake(2), workload(t, text), load.Window{Goroutines: 50, Length: 10 * time.Second})
			if err == nil || !strings.Contains(err.Error(), "not one visit ended within the window of 10s, nor in 5s more: make it longer") {
				t.Errorf("%s: error is %v", text, err)
			}
			if took := time.Since(start); took != 15*time.Second {
				t.Errorf("%s: it took %v, want 15 s", text, took)
			}
			if found.WaitMax != longest {
				t.Errorf("%s: the longest wait is %d ns, want %d", text, found.WaitMax, longest)
			}
		})
	}
}

func TestAWindowIsLongerUntilSomethingHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		found := measure(t, newFake(1), "hold-sleep?for=3s", load.Window{Goroutines: 2, Length: time.Second})
		if found.Ops != 1 || found.Seconds != 3 || found.NsPerOp != 3e9 || time.Since(start) != 3*time.Second {
			t.Errorf("%d ops in %v s, after %v, want 1 in 3 s", found.Ops, found.Seconds, time.Since(start))
		}
	})
}

func TestWhoMustGoDoesNotWaitForWhatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		start := time.Now()
		_, err := load.Measure(ctx, hanging{newFake(1)}, workload(t, "query"), load.Window{Goroutines: 3, Length: time.Second})
		if took := time.Since(start); err != context.DeadlineExceeded || took != 2*time.Second {
			t.Errorf("after %v: %v; want that of ctx, 1 s after the window", took, err)
		}
	})
}

// A forgetful pool serves its first visits, and wakes nobody who waits longer.
type forgetful struct {
	*fake
	deaf  chan struct{} // if not nil, it does not even heed ctx, until this is closed
	after atomic.Int64
}

func (f *forgetful) Visit(ctx context.Context, during func(context.Context, load.Conn) error) error {
	if f.after.Add(-1) >= 0 {
		return f.fake.Visit(ctx, during)
	}
	if f.deaf != nil {
		<-f.deaf
		return errRefused
	}
	<-ctx.Done()
	return ctx.Err()
}

func TestALostWakeUpIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &forgetful{fake: newFake(2)}
		f.use = takes(time.Millisecond)
		f.after.Store(100)
		start := time.Now()
		found, err := load.Measure(context.Background(), f, workload(t, "query"), load.Window{Goroutines: 2, Length: time.Second})
		if want := "load: 2 of 2 goroutines still waited 5s after all others had gone and nothing was held: a wake-up was lost"; err == nil || err.Error() != want {
			t.Errorf("error is %v, want %s", err, want)
		}
		if took := time.Since(start); took != 6*time.Second || found.Ops != 100 {
			t.Errorf("it took %v and found %d ops, want 6 s, 100", took, found.Ops)
		}
	})
}

func TestALineThatMovesSlowlyIsNoLostWakeUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		found := measure(t, reluctant{newFake(1)}, "query", load.Window{Goroutines: 5, Length: 4 * time.Second})
		if took := time.Since(start); found.Ops != 1 || took != 18*time.Second {
			t.Errorf("it took %v and found %d ops, want 18 s, as the last of 6 comes home then, and 1", took, found.Ops)
		}
	})
}

// reluctant takes 3 s to take back what it has lent.
type reluctant struct{ *fake }

func (r reluctant) Visit(ctx context.Context, during func(context.Context, load.Conn) error) error {
	return r.fake.Visit(ctx, func(ctx context.Context, c load.Conn) error {
		err := during(ctx, c)
		time.Sleep(3 * time.Second)
		return err
	})
}

func TestAUseThatDoesNotEndIsNoLostWakeUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		found, err := load.Measure(context.Background(), hanging{newFake(1)}, workload(t, "query"), load.Window{Goroutines: 3, Length: time.Second})
		if want := "load: 1 uses did not end within 5s after the window"; err == nil || err.Error() != want {
			t.Errorf("found %+v, error is %v, want %s", found.Sample, err, want)
		}
	})
}

type hanging struct{ *fake }

func (h hanging) Visit(ctx context.Context, during func(context.Context, load.Conn) error) error {
	return h.fake.Visit(ctx, func(_ context.Context, c load.Conn) error { return during(ctx, hangingConn{}) })
}

type hangingConn struct{}

func (hangingConn) Use(ctx context.Context, write bool) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestAPoolThatHeedsNothingDoesNotHangTheMeasurement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &forgetful{fake: newFake(2), deaf: make(chan struct{})}
		defer close(f.deaf)
		_, err := load.Measure(context.Background(), f, workload(t, "query"), load.Window{Goroutines: 3, Length: time.Second})
		if err == nil || !strings.Contains(err.Error(), "3 of 3 goroutines are left behind") {
			t.Errorf("error is %v", err)
		}
	})
}

func TestCPUWaitingDoesNotWaitForMoreResourcesThanThereAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		found := measure(t, newFake(2), "hold-sleep", load.Window{Goroutines: 8, Size: 5, Length: time.Second})
		if took := time.Since(start); found.CPUWaiting != -1 || took > 1500*time.Millisecond {
			t.Errorf("CPUWaiting is %v, after %v; want -1 soon after the window of 1 s", found.CPUWaiting, took)
		}
	})
}

func TestCPUWaitingFindsALostWakeUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, err := load.Measure(context.Background(), oversleeping{newFake(2)}, workload(t, "hold-sleep"), load.Window{Goroutines: 3, Size: 2, Length: time.Second})
		if want := "load: 1 of 3 goroutines still waited 5s after all that was held had been released: a wake-up was lost"; err == nil || err.Error() != want {
			t.Errorf("error is %v, want %s", err, want)
		}
	})
}

// oversleeping loses who has waited for longer than 20 ms.
type oversleeping struct{ *fake }

func (o oversleeping) Visit(ctx context.Context, during func(context.Context, load.Conn) error) error {
	select {
	case c := <-o.conns:
		err := during(ctx, c)
		o.conns <- c
		return err
	case <-time.After(20 * time.Millisecond):
		<-ctx.Done()
	case <-ctx.Done():
	}
	return ctx.Err()
}

func TestOpensAreThoseOfTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &opening{fake: newFake(1)}
		found := measure(t, f, "hold-sleep", load.Window{Goroutines: 2, Warm: warm, Length: 2 * time.Second})
		if found.Opens != 2000 || found.Closes != 1000 || found.PeakOpen != 7 || found.Sessions != 5 {
			t.Errorf("%d opens, %d closes, peak %d, %d sessions, want 2000, 1000, 7, 5", found.Opens, found.Closes, found.PeakOpen, found.Sessions)
		}
	})
}

// opening says that it opens one resource for each visit, and closes one for every second.
type opening struct {
	*fake
	visits atomic.Uint64
}

func (o *opening) Visit(ctx context.Context, during func(context.Context, load.Conn) error) error {
	err := o.fake.Visit(ctx, during)
	o.visits.Add(1)
	return err
}

func (o *opening) Gauges() load.Gauges {
	n := o.visits.Load()
	sessions := -1
	if n > 500 && n < 600 {
		sessions = 5
	}
	return load.Gauges{Peak: 7, Opened: n, Closed: n / 2, Sessions: sessions}
}

func TestAWindowThatMakesNoSenseIsRefused(t *testing.T) {
	for _, in := range []load.Window{{}, {Goroutines: 1}, {Length: 1}, {Goroutines: 1, Length: 1, Warm: -1}, {Goroutines: 1, Length: 1, Size: -1}} {
		if _, err := load.Measure(context.Background(), newFake(1), workload(t, "cycle"), in); err == nil || !strings.Contains(err.Error(), "load: window") {
			t.Errorf("%+v: error is %v", in, err)
		}
	}
	w := load.Workload{Name: "mine", Writes: 1}
	if _, err := load.Measure(context.Background(), newFake(1), w, load.Window{Goroutines: 1, Length: 1}); err == nil || !strings.Contains(err.Error(), "workload mine: writes is 1") {
		t.Errorf("error is %v", err)
	}
}
