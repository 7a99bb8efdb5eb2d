package pool_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

const ms = time.Millisecond

// dials writes down when opens begin, and how many are under way at once.
type dials struct {
	start time.Time

	mu        sync.Mutex
	at        []time.Duration
	now, most int
}

func newDials() *dials { return &dials{start: time.Now()} }

// act does as the act says, and writes it down.
func (d *dials) act(a pooltest.Act) pooltest.Act {
	return func(ctx context.Context) error {
		d.mu.Lock()
		d.at = append(d.at, time.Since(d.start))
		d.now++
		d.most = max(d.most, d.now)
		d.mu.Unlock()
		defer func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.now--
		}()
		return a(ctx)
	}
}

func (d *dials) times() []time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.at)
}

// peak is the most that were under way at once so far.
func (d *dials) peak() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.most
}

// first is times, but no more than n of them.
func (d *dials) first(n int) []time.Duration {
	at := d.times()
	return at[:min(n, len(at))]
}

// begin asserts when opens have begun so far.
func (d *dials) begin(t *testing.T, promise string, want ...time.Duration) {
	t.Helper()
	if got := d.times(); !slices.Equal(got, want) {
		t.Errorf("opens began at %v, want %v: %s", got, want, promise)
	}
}

// fixed is what each draw of the jitter is.
func fixed(p *testPool, draw float64) { p.FixDraw(func() float64 { return draw }) }

// eachStrategy runs a test with each kind of strategy, with room for so many resources.
func eachStrategy(t *testing.T, size int, test func(*testing.T, pool.Strategy)) {
	for _, s := range []pool.Strategy{
		strategies.Queue{Size: size}, strategies.Null{Max: size}, strategies.Singleton{Size: size}, strategies.Static{},
	} {
		t.Run(s.Kind(), func(t *testing.T) { synctest.Test(t, func(t *testing.T) { test(t, s) }) })
	}
}

// eachSeated is eachStrategy, but for static, where all want one resource.
func eachSeated(t *testing.T, size int, test func(*testing.T, pool.Strategy)) {
	eachStrategy(t, size, func(t *testing.T, s pool.Strategy) {
		if s.Kind() != "static" {
			test(t, s)
		}
	})
}

// crowd starts n acquirers.
func crowd(ctx context.Context, p *testPool, n int) (out []<-chan result) {
	for range n {
		out = append(out, start(ctx, p))
	}
	return out
}

func TestNoMoreOpensAreUnderWayThanOpensAtOnce(t *testing.T) {
	const callers = 20
	for _, tc := range []struct {
		strategy pool.Strategy
		atOnce   int
		most     int
	}{
		{strategies.Queue{Size: callers}, 0, 4},
		{strategies.Queue{Size: 2, MaxOverflow: pool.Unlimited}, 0, 4},
		{strategies.Queue{Size: callers}, 1, 1},
		{strategies.Queue{Size: callers}, 7, 7},
		{strategies.Queue{Size: callers}, pool.Unlimited, callers},
		{strategies.Queue{Size: 3}, 7, 3},
		{strategies.Queue{Size: 0, MaxOverflow: callers}, 0, callers},
		{strategies.Singleton{Size: callers}, 0, 4},
		{strategies.Singleton{Size: callers}, 3, 3},
		{strategies.Singleton{Size: callers}, pool.Unlimited, callers},
		{strategies.Null{Max: pool.Unlimited}, 0, callers},
		{strategies.Null{Max: pool.Unlimited}, 6, 6},
		{strategies.Static{}, 0, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			f, d := pooltest.NewFake(), newDials()
			f.Always(pooltest.Open, d.act(pooltest.Slow(100*ms)))
			p := open(t, f, tc.strategy, pool.Options{OpensAtOnce: tc.atOnce})
			var all []<-chan result
			for range callers {
				out := make(chan result, 1)
				go func() { // which ends only with the test, so that a singleton has an owner for each
					l, err := p.Acquire(after(t, time.Minute))
					out <- result{lease: l, err: err, took: time.Since(d.start)}
					<-t.Context().Done()
				}()
				all = append(all, out)
			}
			synctest.Wait()
			served := 0
			if p.Limits().Seats == 3 {
				served = callers - 3 // nobody gives anything back
			}
			var last time.Duration
			for range callers - served {
				time.Sleep(100 * ms)
				synctest.Wait()
				for _, out := range all {
					select {
					case r := <-out:
						if r.err != nil {
							t.Fatalf("%+v: Acquire: %v", tc.strategy, r.err)
						}
						last = r.took
					default:
					}
				}
			}
			if d.peak() != tc.most {
				t.Errorf("%+v, OpensAtOnce %d: %d opens were under way at once, want %d", tc.strategy, tc.atOnce, d.peak(), tc.most)
			}
			rounds := (len(d.times()) + tc.most - 1) / tc.most
			if want := time.Duration(rounds) * 100 * ms; last != want {
				t.Errorf("%+v, OpensAtOnce %d: the last was served after %v, want %v: who waits for a turn gets it when one is free", tc.strategy, tc.atOnce, last, want)
			}
		})
	}
}

func TestSpikeOnASingletonDoesNotWaitForAnOpenEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		f.Always(pooltest.Open, pooltest.Slow(150*ms))
		p := open(t, f, strategies.Singleton{Size: 50}, pool.Options{})
		// Four opens serve those for whom they were asked, and then whoever no open has been asked for.
		// The next four, asked for when the first had ended, are waited for.
		if worst, _ := rush(t, 50, 2*ms, fromPool(p)); worst != 300*ms {
			t.Errorf("the longest wait was %v, want 300ms: two opens, and not 13", worst)
		}
		if n := f.Calls(pooltest.Open); n > 8 {
			t.Errorf("%d opens, want 8 at most", n)
		}
		time.Sleep(time.Second)
	})
}

func TestTryAcquireOnASingletonHasAResourceOpenedThoughOthersAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		f.Always(pooltest.Open, pooltest.Slow(100*ms))
		p := open(t, f, strategies.Singleton{Size: 2}, pool.Options{OpensAtOnce: 1})
		out := start(t.Context(), p)
		if _, err := p.TryAcquire(t.Context()); err != nil {
			t.Errorf("TryAcquire with a free seat: %v, want a resource", err)
		}
		<-out
	})
}

func TestFreedTurnIsUsedAtOnce(t *testing.T) {
	eachSeated(t, 5, func(t *testing.T, s pool.Strategy) {
		f, d := pooltest.NewFake(), newDials()
		for _, took := range []time.Duration{10, 100, 20, 30, 40} {
			f.Next(pooltest.Open, d.act(pooltest.Slow(took*ms)))
		}
		p := open(t, f, s, pool.Options{OpensAtOnce: 2})
		for _, out := range crowd(t.Context(), p, 5) {
			if r := <-out; r.err != nil {
				t.Errorf("Acquire: %v", r.err)
			}
		}
		d.begin(t, "whenever one of two ends, the next begins", 0, 0, 10*ms, 30*ms, 60*ms)
	})
}

func TestOpensBeginOpenIntervalApart(t *testing.T) {
	eachSeated(t, 6, func(t *testing.T, s pool.Strategy) {
		f, d := pooltest.NewFake(), newDials()
		fails := d.act(pooltest.Fail(errTest))
		works := d.act(pooltest.Slow(35 * ms))
		f.Next(pooltest.Open, works, fails, fails, works)
		f.Always(pooltest.Open, works)
		p := open(t, f, s, pool.Options{OpenInterval: 20 * ms, Backoff: pool.NoBackoff, OpensAtOnce: pool.Unlimited, OnOpenFailure: pool.KeepWaiting})
		for _, out := range crowd(t.Context(), p, 4) {
			if r := <-out; r.err != nil {
				t.Errorf("Acquire: %v", r.err)
			}
		}
		d.begin(t, "whether they fail or not", 0, 20*ms, 40*ms, 60*ms, 80*ms, 100*ms)
		time.Sleep(865 * ms) // it is 1 s
		for _, out := range crowd(t.Context(), p, 2) {
			<-out
		}
		if s.Kind() == "null" || s.Kind() == "queue" {
			d.begin(t, "the first after a pause begins at once, the next in its time", 0, 20*ms, 40*ms, 60*ms, 80*ms, 100*ms, 1000*ms, 1020*ms)
		}
	})
}

func TestPausesAfterFailuresDoubleUpToBackoffMax(t *testing.T) {
	for _, tc := range []struct {
		base, top time.Duration
		pauses    []time.Duration
	}{
		{0, 0, []time.Duration{20 * ms, 40 * ms, 80 * ms, 160 * ms, 320 * ms, 640 * ms, time.Second, time.Second}},
		{30 * ms, 100 * ms, []time.Duration{30 * ms, 60 * ms, 100 * ms, 100 * ms}},
		{3 * time.Second, 0, []time.Duration{3 * time.Second, 3 * time.Second}},
		{time.Second, 1<<63 - 1, []time.Duration{1 * time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second}},
	} {
		eachStrategy(t, 1, func(t *testing.T, s pool.Strategy) {
			f, d := pooltest.NewFake(), newDials()
			f.Always(pooltest.Open, d.act(pooltest.Slow(5*ms, pooltest.Fail(errTest))))
			p := open(t, f, s, pool.Options{Backoff: tc.base, BackoffMax: tc.top, OnOpenFailure: pool.KeepWaiting})
			fixed(p, 1)
			want := []time.Duration{0}
			for _, pause := range tc.pauses {
				want = append(want, want[len(want)-1]+5*ms+pause)
			}
			<-start(after(t, want[len(want)-1]+time.Nanosecond), p)
			d.begin(t, fmt.Sprintf("with Backoff %v and BackoffMax %v, and the longest pauses drawn", tc.base, tc.top), want...)
		})
	}
}

func TestPausesMayBeDrawnAsNothing(t *testing.T) {
	for _, backoff := range []time.Duration{0, pool.NoBackoff} {
		eachStrategy(t, 1, func(t *testing.T, s pool.Strategy) {
			f, d := pooltest.NewFake(), newDials()
			f.Always(pooltest.Open, d.act(pooltest.Slow(10*ms, pooltest.Fail(errTest))))
			p := open(t, f, s, pool.Options{Backoff: backoff, OnOpenFailure: pool.KeepWaiting})
			if fixed(p, 0); backoff == pool.NoBackoff {
				fixed(p, 1)
			}
			<-start(after(t, 35*ms), p)
			d.begin(t, "nothing lies between the end of one and the next", 0, 10*ms, 20*ms, 30*ms)
		})
	}
}

func TestPausesAreDrawnEvenly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const draws, buckets, most = 10_000, 20, 100 * ms
		f, d := pooltest.NewFake(), newDials()
		f.Always(pooltest.Open, d.act(pooltest.Fail(errTest)))
		p := open(t, f, one, pool.Options{Backoff: most, BackoffMax: most, OnOpenFailure: pool.KeepWaiting})
		p.FixDraw(rand.New(rand.NewPCG(1, 2)).Float64)
		ctx, cancel := context.WithCancel(t.Context())
		out := start(ctx, p)
		for len(d.times()) <= draws {
			time.Sleep(time.Second)
		}
		cancel()
		<-out
		at := d.times()
		var found [buckets]float64
		for i := range draws {
			pause := at[i+1] - at[i]
			if pause < 0 || pause >= most {
				t.Fatalf("a pause of %v, want 0 to %v", pause, most)
			}
			found[pause*buckets/most]++
		}
		chi := 0.0
		for _, n := range found {
			const want = draws / buckets
			chi += (n - want) * (n - want) / want
		}
		if chi > 43.8 { // 19 degrees of freedom, 0.1 %
			t.Errorf("chi-square %.1f of pauses %v in %d equal parts, want a flat distribution", chi, found, buckets)
		}
	})
}

func TestWhileTheBackendIsDownThereIsOneProbeAtATime(t *testing.T) {
	eachSeated(t, 20, func(t *testing.T, s pool.Strategy) {
		f, d, probes := pooltest.NewFake(), newDials(), newDials()
		// Those that were under way when the first failed fail while the first probe is.
		for _, took := range []time.Duration{10, 40, 70, 100} {
			f.Next(pooltest.Open, d.act(pooltest.Slow(took*ms, pooltest.Fail(errTest))))
		}
		f.Always(pooltest.Open, probes.act(pooltest.Slow(500*ms, pooltest.Fail(errTest))))
		p := open(t, f, s, pool.Options{OpensAtOnce: 4, OnOpenFailure: pool.KeepWaiting})
		fixed(p, 1)
		for _, out := range crowd(after(t, 4*time.Second), p, 20) {
			<-out
		}
		d.begin(t, "nothing was known then", 0, 0, 0, 0)
		if probes.peak() != 1 {
			t.Errorf("%d probes were under way at once, want 1", probes.peak())
		}
		// Two failures in a row when the first probe has failed: those that were under way together are one.
		probes.begin(t, "the next begins when one has ended and the back-off is over", 30*ms, 570*ms, 1150*ms, 1810*ms, 2630*ms, 3770*ms)
	})
}

func TestProbeThatHangsDoesNotKeepThePoolFromProbing(t *testing.T) {
	eachSeated(t, 3, func(t *testing.T, s pool.Strategy) {
		f, d := pooltest.NewFake(), newDials()
		hung := make(chan struct{})
		f.Next(pooltest.Open, d.act(pooltest.Fail(errTest)), d.act(pooltest.Hang(hung)))
		f.Always(pooltest.Open, d.act(pooltest.OK))
		p := open(t, f, s, pool.Options{OpensAtOnce: 3, Backoff: 100 * ms, BackoffMax: 2 * time.Second})
		fixed(p, 1)
		is(t, "the one whose open fails", (<-start(t.Context(), p)).err, errTest)
		a, b := start(t.Context(), p), start(t.Context(), p)
		time.Sleep(2099 * ms)
		if s := p.Stats(); !s.Down || s.Pending != 1 || s.Opening != 2 {
			t.Errorf("%+v, want a probe that hangs and one that waits for its turn", s)
		}
		time.Sleep(ms)
		synctest.Wait()
		if got, want := d.first(3), []time.Duration{0, 100 * ms, 2100 * ms}; !slices.Equal(got, want) {
			t.Errorf("opens began at %v, want %v: the next probe goes ahead when the one that hangs has taken BackoffMax", got, want)
		}
		if p.Stats().Down {
			t.Error("Stats.Down after an open that succeeded")
		}
		close(hung)
		for _, out := range []<-chan result{a, b} {
			if r := <-out; r.err != nil || r.took != 2100*ms {
				t.Errorf("Acquire: %v after %v, want a resource after 2.1s", r.err, r.took)
			}
		}
	})
}

func TestOpenThatSucceedsEndsTheBackoffForAll(t *testing.T) {
	eachSeated(t, 6, func(t *testing.T, s pool.Strategy) {
		f, d := pooltest.NewFake(), newDials()
		f.Next(pooltest.Open, d.act(pooltest.Fail(errTest)), d.act(pooltest.Slow(50*ms)))
		f.Always(pooltest.Open, d.act(pooltest.Slow(200*ms)))
		p := open(t, f, s, pool.Options{OpensAtOnce: pool.Unlimited, OnOpenFailure: pool.KeepWaiting, Backoff: time.Second})
		fixed(p, 1)
		for _, out := range crowd(t.Context(), p, 6) {
			if r := <-out; r.err != nil {
				t.Errorf("Acquire: %v", r.err)
			}
		}
		d.begin(t, "the line goes at once when the probe has succeeded", 0, 1000*ms, 1050*ms, 1050*ms, 1050*ms, 1050*ms, 1050*ms)
	})
}

func TestOlderOpenThatSucceedsEndsTheBackoffToo(t *testing.T) {
	for draw, third := range map[float64]time.Duration{
		1:    50 * ms, // during the pause
		0.01: 20 * ms, // during the probe
	} {
		eachSeated(t, 6, func(t *testing.T, s pool.Strategy) {
			f, d := pooltest.NewFake(), newDials()
			f.Next(pooltest.Open, d.act(pooltest.Slow(10*ms, pooltest.Fail(errTest))), d.act(pooltest.Slow(50*ms)))
			f.Always(pooltest.Open, d.act(pooltest.Slow(200*ms)))
			p := open(t, f, s, pool.Options{OpensAtOnce: 2, OnOpenFailure: pool.KeepWaiting, Backoff: time.Second})
			fixed(p, draw)
			for _, out := range crowd(t.Context(), p, 4) {
				if r := <-out; r.err != nil {
					t.Errorf("Acquire: %v", r.err)
				}
			}
			if got, want := d.first(4), []time.Duration{0, 0, third, 50 * ms}; !slices.Equal(got, want) {
				t.Errorf("opens began at %v, want %v: after 50 ms it is known that the backend is there", got, want)
			}
		})
	}
}

func TestOpenThatIsOverdueFreesItsTurn(t *testing.T) {
	for _, then := range []pooltest.Act{pooltest.OK, pooltest.Fail(errTest)} {
		eachSeated(t, 6, func(t *testing.T, s pool.Strategy) {
			f, d := pooltest.NewFake(), newDials()
			f.Next(pooltest.Open, d.act(pooltest.Stuck(2300*ms, then)))
			f.Always(pooltest.Open, d.act(pooltest.Slow(500*ms)))
			p := open(t, f, s, pool.Options{OpensAtOnce: 1, OpenTimeout: time.Second, Backoff: pool.NoBackoff})
			first, second := start(t.Context(), p), start(t.Context(), p)
			if r := <-first; r.err == nil || r.took != 1100*ms {
				t.Errorf("the one who relied on it: %v after %v, want an error 100 ms after OpenTimeout", r.err, r.took)
			}
			if r := <-second; r.err != nil || r.took != 1600*ms {
				t.Errorf("the next: %v after %v, want a resource after 1.6s", r.err, r.took)
			}
			d.begin(t, "an open that is overdue does not count any more", 0, 1100*ms)
			if s := p.Stats(); s.Stuck != 1 || s.Overdue != 1 {
				t.Errorf("%+v, want one stuck", s)
			}
			time.Sleep(900 * ms) // it is 2.5 s, and the open has returned
			if s := p.Stats(); s.Stuck != 0 || s.Overdue != 1 || s.Down {
				t.Errorf("%+v, Down %v, want none stuck, and nothing new about the backend", s, s.Down)
			}
			for _, out := range crowd(t.Context(), p, 3) {
				if r := <-out; r.err != nil {
					t.Errorf("Acquire: %v", r.err)
				}
			}
			for i, at := range d.times()[2:] {
				if want := 2500*ms + time.Duration(i)*500*ms; at != want {
					t.Errorf("open %d began at %v, want %v: its return did not free a turn once more", i, at, want)
				}
			}
		})
	}
}

func TestOpenNobodyNeedsWhenItsTurnComesIsNotBegun(t *testing.T) {
	eachSeated(t, 2, func(t *testing.T, s pool.Strategy) {
		f, d := pooltest.NewFake(), newDials()
		f.Always(pooltest.Open, d.act(pooltest.OK))
		p := open(t, f, s, pool.Options{OpenInterval: 100 * ms})
		acquire(t, p)
		out := start(after(t, 50*ms), p)
		if s := p.Stats(); s.Pending != 1 || s.Opening != 1 {
			t.Errorf("%+v, want an open that waits for its turn", s)
		}
		is(t, "the waiter out of time", (<-out).err, pool.ErrTimeout)
		time.Sleep(55 * ms) // it is 105 ms
		if s := p.Stats(); s.Pending != 0 || s.Opening != 0 {
			t.Errorf("%+v, want nothing under way", s)
		}
		if r := <-start(t.Context(), p); r.err != nil || r.took != 0 {
			t.Errorf("the next acquirer: %v after %v, want a resource at once: the seat is free, and an open that was not begun costs no interval", r.err, r.took)
		}
		d.begin(t, "nobody needed what would have begun at 100 ms", 0, 105*ms)
	})
}

func TestReturnSparesAnOpenThatWaitsForItsTurn(t *testing.T) {
	for _, s := range []pool.Strategy{strategies.Queue{Size: 2}, strategies.Queue{Size: 1, MaxOverflow: 1, Order: strategies.LIFO}} {
		synctest.Test(t, func(t *testing.T) {
			f, d := pooltest.NewFake(), newDials()
			f.Always(pooltest.Open, d.act(pooltest.OK))
			p := open(t, f, s, pool.Options{OpenInterval: 100 * ms})
			l := acquire(t, p)
			out := start(t.Context(), p)
			time.Sleep(50 * ms)
			release(t, l)
			if r := <-out; r.err != nil || r.took != 50*ms {
				t.Errorf("the waiter: %v after %v, want what was returned after 50ms", r.err, r.took)
			}
			time.Sleep(time.Second)
			d.begin(t, "the waiter was served by a return", 0)
		})
	}
}

func TestOpenThatHasBegunIsFinishedForTheNext(t *testing.T) {
	eachStrategy(t, 1, func(t *testing.T, s pool.Strategy) {
		f, d := pooltest.NewFake(), newDials()
		f.Next(pooltest.Open, d.act(pooltest.Fail(errTest)))
		f.Always(pooltest.Open, d.act(pooltest.Slow(100*ms)))
		p := open(t, f, s, pool.Options{Backoff: 40 * ms, OnOpenFailure: pool.KeepWaiting})
		fixed(p, 1)
		is(t, "the waiter out of time while the open is under way", (<-start(after(t, 60*ms), p)).err, pool.ErrTimeout)
		if r := <-start(after(t, time.Second), p); r.err != nil || r.took != 80*ms {
			t.Errorf("the next: %v after %v, want a resource after 80ms", r.err, r.took)
		}
		d.begin(t, "one failed, and one served", 0, 40*ms)
	})
}

func TestAttemptsTakeTurnsWithTheBackoffBetween(t *testing.T) {
	eachStrategy(t, 1, func(t *testing.T, s pool.Strategy) {
		f, d := pooltest.NewFake(), newDials()
		f.Always(pooltest.Open, d.act(pooltest.Slow(5*ms, pooltest.Fail(errTest))))
		p := open(t, f, s, pool.Options{OpenAttempts: 3})
		fixed(p, 1)
		r := <-start(t.Context(), p)
		var e *pool.OpenError
		if !asError(r.err, &e) || e.Attempts != 3 || r.took != 75*ms {
			t.Errorf("Acquire: %v after %v, want an OpenError of 3 attempts after 75ms", r.err, r.took)
		}
		d.begin(t, "the back-off lies between attempts", 0, 25*ms, 70*ms)
	})
}

func TestFurtherAttemptComesBeforeTheOpensThatWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		f.Next(pooltest.Open, pooltest.Slow(10*ms, pooltest.Fail(errTest)))
		f.Always(pooltest.Open, pooltest.Slow(10*ms))
		p := open(t, f, strategies.Singleton{Size: 2}, pool.Options{OpensAtOnce: 1, OpenAttempts: 2})
		fixed(p, 1)
		for n, out := range crowd(t.Context(), p, 2) {
			if r, want := <-out, time.Duration(40+10*n)*ms; r.err != nil || r.took != want {
				t.Errorf("number %d: %v after %v, want a resource after %v, in order of arrival", n, r.err, r.took, want)
			}
		}
	})
}

func TestFurtherAttemptThatNobodyNeedsIsNotMade(t *testing.T) {
	eachStrategy(t, 1, func(t *testing.T, s pool.Strategy) {
		f, d := pooltest.NewFake(), newDials()
		f.Next(pooltest.Open, d.act(pooltest.Fail(errTest)))
		f.Always(pooltest.Open, d.act(pooltest.OK))
		p := open(t, f, s, pool.Options{OpenAttempts: 3, Backoff: 20 * ms})
		fixed(p, 1)
		is(t, "the waiter out of time", (<-start(after(t, 10*ms), p)).err, pool.ErrTimeout)
		time.Sleep(90 * ms)
		d.begin(t, "nobody waits any more", 0)
		if s := p.Stats(); s.Opening != 0 || s.Open != 0 {
			t.Errorf("%+v, want the seat empty", s)
		}
		acquire(t, p)
		d.begin(t, "the back-off is over", 0, 100*ms)
	})
}

// answers collects when each of a crowd was answered, and asserts that all got an error that is target.
func answers(t *testing.T, out []<-chan result, target error) (took []time.Duration) {
	t.Helper()
	for _, o := range out {
		r := <-o
		is(t, "Acquire", r.err, target)
		took = append(took, r.took)
	}
	return took
}

func TestSecondFailureInARowIsTheAnswerToAllInLine(t *testing.T) {
	eachSeated(t, 4, func(t *testing.T, s pool.Strategy) {
		f := pooltest.NewFake()
		f.Always(pooltest.Open, pooltest.Slow(10*ms, pooltest.Fail(errTest)))
		p := open(t, f, s, pool.Options{OpensAtOnce: 1})
		fixed(p, 1)
		got := answers(t, crowd(t.Context(), p, 10), errTest)
		want := slices.Concat([]time.Duration{10 * ms}, slices.Repeat([]time.Duration{40 * ms}, 9))
		if !slices.Equal(got, want) {
			t.Errorf("answered after %v, want %v: one by the first failure, all by the second", got, want)
		}
	})
}

func TestOpensThatFailTogetherAreNotFailuresInARow(t *testing.T) {
	eachSeated(t, 20, func(t *testing.T, s pool.Strategy) {
		f := pooltest.NewFake()
		f.Next(pooltest.Open, slices.Repeat([]pooltest.Act{pooltest.Slow(10*ms, pooltest.Fail(errTest))}, 4)...)
		p := open(t, f, s, pool.Options{OpensAtOnce: 4})
		fixed(p, 1)
		failed := 0
		for _, out := range crowd(t.Context(), p, 20) {
			switch r := <-out; {
			case r.err != nil:
				is(t, "Acquire", r.err, errTest)
				failed++
			case r.took != 30*ms:
				t.Errorf("got a resource after %v, want it as soon as the first back-off is over, after 30ms", r.took)
			}
		}
		if failed != 4 {
			t.Errorf("%d acquirers failed, want the four whose opens did: one accident is not two failures in a row", failed)
		}
	})
}

func TestOpensThatTakeAllTheirTimeTogetherAreTheAnswerToAllInLine(t *testing.T) {
	eachSeated(t, 20, func(t *testing.T, s pool.Strategy) {
		f := pooltest.NewFake()
		f.Always(pooltest.Open, pooltest.Slow(time.Hour))
		p := open(t, f, s, pool.Options{OpensAtOnce: 4, OpenTimeout: time.Second})
		fixed(p, 1)
		got := answers(t, crowd(t.Context(), p, 20), context.DeadlineExceeded)
		if want := slices.Repeat([]time.Duration{time.Second}, 20); !slices.Equal(got, want) {
			t.Errorf("answered after %v, want all after 1s: the last of four that failed leaves nothing to wait for", got)
		}
	})
}

// hesitant is a strategy that takes its time over the first of several failures.
type hesitant struct{ pool.Strategy }

func (h hesitant) Start(host pool.Host) (pool.Seating, error) {
	s, err := h.Strategy.Start(host)
	return hesitantSeating{s}, err
}

type hesitantSeating struct{ pool.Seating }

func (s hesitantSeating) Failed(at pool.Seat, err error, a pool.Answer) {
	if a == pool.AnswerOne {
		for range 1000 {
			runtime.Gosched()
		}
	}
	s.Seating.Failed(at, err, a)
}

func TestFailuresThatComeTogetherAreAnsweredInTheOrderInWhichTheyCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		f.Always(pooltest.Open, pooltest.Slow(time.Hour))
		p := open(t, f, hesitant{strategies.Queue{Size: 20}}, pool.Options{OpenTimeout: 10 * ms})
		fixed(p, 1)
		for _, took := range answers(t, crowd(t.Context(), p, 20), context.DeadlineExceeded) {
			if took != 10*ms {
				t.Errorf("answered after %v, want 10ms: the last of four says it to all", took)
			}
		}
	})
}

func TestFailureIsTheAnswerToOneWhileAResourceIsLent(t *testing.T) {
	for _, s := range []pool.Strategy{strategies.Queue{Size: 5}, strategies.Singleton{Size: 5}} {
		synctest.Test(t, func(t *testing.T) {
			f := pooltest.NewFake()
			p := open(t, f, s, pool.Options{OpensAtOnce: 1})
			fixed(p, 1)
			acquire(t, p)
			f.Always(pooltest.Open, pooltest.Slow(10*ms, pooltest.Fail(errTest)))
			got := answers(t, crowd(t.Context(), p, 4), errTest)
			if want := []time.Duration{10 * ms, 40 * ms, 90 * ms, 180 * ms}; !slices.Equal(got, want) {
				t.Errorf("%s: answered after %v, want %v: whoever relied on the open, since the others may get what is returned", s.Kind(), got, want)
			}
		})
	}
}

func TestKeepWaitingFailsNobodyBeforeItsTime(t *testing.T) {
	eachStrategy(t, 3, func(t *testing.T, s pool.Strategy) {
		f := pooltest.NewFake()
		f.Always(pooltest.Open, pooltest.Slow(10*ms, pooltest.Fail(errTest)))
		p := open(t, f, s, pool.Options{OnOpenFailure: pool.KeepWaiting})
		var all []<-chan result
		for n := range 5 {
			all = append(all, start(after(t, time.Duration(n+1)*time.Second), p))
		}
		for n, out := range all {
			r := <-out
			is(t, "Acquire", r.err, pool.ErrTimeout, context.DeadlineExceeded)
			if want := time.Duration(n+1) * time.Second; r.took != want {
				t.Errorf("answered after %v, want its deadline, %v", r.took, want)
			}
			var e *pool.AcquireError
			if !asError(r.err, &e) || e.LastOpen != errTest || !strings.HasSuffix(r.err.Error(), "; last open error: "+errTest.Error()) {
				t.Errorf("Acquire: %q, want it to tell the last open error", r.err)
			}
		}
	})
}

func TestLastOpenErrorIsForgottenWhenAnOpenSucceeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		f.Next(pooltest.Open, pooltest.Fail(errTest))
		p := open(t, f, one, pool.Options{OnOpenFailure: pool.KeepWaiting})
		acquire(t, p)
		r := <-start(after(t, time.Second), p)
		var e *pool.AcquireError
		if !asError(r.err, &e) || e.LastOpen != nil {
			t.Errorf("Acquire: %v, want nothing of an open error that is over", r.err)
		}
	})
}

func TestFullBackendAnswersNobodyWhileAResourceIsOpen(t *testing.T) {
	for _, s := range []pool.Strategy{strategies.Queue{Size: 5}, strategies.Queue{Size: 1, MaxOverflow: pool.Unlimited}} {
		synctest.Test(t, func(t *testing.T) {
			f := pooltest.NewFake()
			p := open(t, f, s, pool.Options{})
			l := acquire(t, p)
			f.Always(pooltest.Open, pooltest.Slow(10*ms, pooltest.Fail(pooltest.ErrFull)))
			all := crowd(after(t, 2*time.Second), p, 3)
			time.Sleep(time.Second)
			if s := p.Stats(); s.Waiting != 3 || s.OpenFailures < 4 {
				t.Errorf("%+v, want three in line in spite of failed opens", s)
			}
			release(t, l)
			if r := <-all[0]; r.err != nil || r.took != time.Second {
				t.Errorf("the first in line: %v after %v, want what is returned after 1s", r.err, r.took)
			}
			for _, out := range all[1:] {
				is(t, "Acquire", (<-out).err, pool.ErrTimeout)
			}
		})
	}
}

// Of opens that begin together those that are refused can end before those that get the last room.
func TestFullBackendAnswersNobodyWhileOthersAreBeingOpened(t *testing.T) {
	eachSeated(t, 5, func(t *testing.T, s pool.Strategy) {
		f := pooltest.NewFake()
		refused := pooltest.Slow(10*ms, pooltest.Fail(pooltest.ErrFull))
		f.Next(pooltest.Open, refused, refused, pooltest.Slow(20*ms), pooltest.Slow(30*ms))
		p := open(t, f, s, pool.Options{OpensAtOnce: 4})
		fixed(p, 1)
		var users sync.WaitGroup
		for _, out := range crowd(t.Context(), p, 4) {
			users.Go(func() {
				r := <-out
				if r.err != nil {
					t.Errorf("after %v: %v, want a resource, for two of four that began together could be opened", r.took, r.err)
					return
				}
				release(t, r.lease)
			})
		}
		users.Wait()
	})
}

// Where nobody waits for a back-off there is always an open under way: that spares nobody for ever.
func TestFullBackendAnswersThoughOthersAreAlwaysBeingOpened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		n := 0
		f.Always(pooltest.Open, func(ctx context.Context) error {
			n++
			return pooltest.Slow(time.Duration(10+n%7)*ms, pooltest.Fail(pooltest.ErrFull))(ctx)
		})
		p := open(t, f, strategies.Queue{Size: 5}, pool.Options{OpensAtOnce: 4, Backoff: pool.NoBackoff})
		for _, took := range answers(t, crowd(t.Context(), p, 5), pooltest.ErrFull) {
			if took > 100*ms {
				t.Errorf("answered after %v, want within some opens of 10 to 16 ms", took)
			}
		}
	})
}

func TestFullBackendAnswersAllWhileNoResourceIsOpen(t *testing.T) {
	eachStrategy(t, 5, func(t *testing.T, s pool.Strategy) {
		f := pooltest.NewFake()
		f.Always(pooltest.Open, pooltest.Slow(10*ms, pooltest.Fail(pooltest.ErrFull)))
		p := open(t, f, s, pool.Options{OpensAtOnce: 1})
		fixed(p, 1)
		for _, took := range answers(t, crowd(t.Context(), p, 3), pooltest.ErrFull) {
			if took != 10*ms {
				t.Errorf("answered after %v, want 10ms: nothing is open that could be returned", took)
			}
		}
	})
}

func TestCloseEndsOpensThatWaitForTheirTurn(t *testing.T) {
	for _, o := range []pool.Options{
		{Backoff: time.Hour, OnOpenFailure: pool.KeepWaiting},
		{OpenInterval: time.Hour, Backoff: pool.NoBackoff, OnOpenFailure: pool.KeepWaiting},
		{OpensAtOnce: 1, OpenAttempts: 9, Backoff: time.Hour},
	} {
		eachStrategy(t, 5, func(t *testing.T, s pool.Strategy) {
			f, d := pooltest.NewFake(), newDials()
			f.Always(pooltest.Open, d.act(pooltest.Fail(errTest)))
			p := open(t, f, s, o)
			fixed(p, 1)
			all := crowd(t.Context(), p, 3)
			time.Sleep(time.Second)
			if err := p.Close(); err != nil {
				t.Errorf("Close: %v, want nil", err)
			}
			for _, took := range answers(t, all, pool.ErrClosed) {
				if took != time.Second {
					t.Errorf("answered after %v, want when the pool was closed, 1s", took)
				}
			}
			if n := len(d.times()); n != 1 {
				t.Errorf("%d calls of Backend.Open, want none after the first", n)
			}
			if s := p.Stats(); s.Pending != 0 {
				t.Errorf("%+v, want nothing pending", s)
			}
		})
	}
}

func TestStatsTellThatTheBackendIsDown(t *testing.T) {
	eachSeated(t, 5, func(t *testing.T, s pool.Strategy) {
		f := pooltest.NewFake()
		p := open(t, f, s, pool.Options{Backoff: time.Second, OnOpenFailure: pool.KeepWaiting, OpensAtOnce: 2})
		fixed(p, 1)
		if s := p.Stats(); s.Down || s.Pending != 0 {
			t.Errorf("new: %+v, want neither down nor pending", s)
		}
		f.Next(pooltest.Open, pooltest.Fail(errTest))
		all := crowd(t.Context(), p, 2)
		if s := p.Stats(); !s.Down || s.Pending != 2 || s.Opening != 2 {
			t.Errorf("down: Down %v, %d pending of %d opening, want true, 2 of 2", s.Down, s.Pending, s.Opening)
		}
		for _, out := range all {
			<-out
		}
		if s := p.Stats(); s.Down || s.Pending != 0 {
			t.Errorf("up again: %+v, want neither down nor pending", s)
		}
	})
}

func TestResourceToBeReplacedIsClosedBeforeTheOpen(t *testing.T) {
	for _, s := range []pool.Strategy{one, strategies.Singleton{Size: 1}, strategies.Static{}} {
		synctest.Test(t, func(t *testing.T) {
			f := pooltest.NewFake()
			p := open(t, f, s, pool.Options{Backoff: time.Second, OnOpenFailure: pool.KeepWaiting})
			fixed(p, 1)
			l := acquire(t, p)
			_ = l.Retire(nil)
			release(t, l)
			f.ForgetLog()
			f.Next(pooltest.Open, pooltest.Fail(errTest))
			out := start(t.Context(), p)
			if s := p.Stats(); s.Opening != 1 || s.Pending != 1 || s.Open != 0 || s.InUse != 0 {
				t.Errorf("%s: while the open waits for its turn: %+v, want one opening, one pending", s.Strategy, s)
			}
			if r := <-out; r.err != nil || r.took != time.Second {
				t.Errorf("%s: Acquire: %v after %v, want a resource after 1s", s.Kind(), r.err, r.took)
			}
			if got, want := f.Story(), "reset 1, close 1, open failed, open 2"; !strings.HasSuffix(want, got) || f.MaxOpen() != 1 {
				t.Errorf("%s: %s, %d at once, want %s, never two", s.Kind(), got, f.MaxOpen(), want)
			}
		})
	}
}

func TestCloseThatHangsBeforeAnOpenFailsNobodyUnderKeepWaiting(t *testing.T) {
	for then, took := range map[pool.OpenFailure]time.Duration{pool.FailWaiting: time.Second, pool.KeepWaiting: 5 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			f := pooltest.NewFake()
			f.Next(pooltest.Close, pooltest.Stuck(time.Minute))
			p := open(t, f, one, pool.Options{CloseTimeout: time.Second, OnOpenFailure: then})
			l := acquire(t, p)
			_ = l.Retire(nil)
			release(t, l)
			r := <-start(after(t, 5*time.Second), p)
			var e *pool.OpenError
			if failed := asError(r.err, &e); r.took != took || failed != (then == pool.FailWaiting) {
				t.Errorf("%v: Acquire: %v after %v, want it to end after %v", then, r.err, r.took, took)
			}
			time.Sleep(time.Minute)
		})
	}
}

// watched is a strategy whose seating the test can reach.
type watched struct {
	pool.Strategy
	seating pool.Seating
}

func (w *watched) Start(h pool.Host) (s pool.Seating, err error) {
	w.seating, err = w.Strategy.Start(h)
	return w.seating, err
}

func TestPausedLineIsNotFailedByOpens(t *testing.T) {
	eachStrategy(t, 2, func(t *testing.T, s pool.Strategy) {
		f := pooltest.NewFake()
		f.Always(pooltest.Open, pooltest.Slow(time.Second, pooltest.Fail(errTest)))
		w := &watched{Strategy: s}
		p := open(t, f, w, pool.Options{Backoff: pool.NoBackoff})
		all := crowd(t.Context(), p, 2)
		w.seating.Pause(true)
		time.Sleep(time.Minute)
		f.Always(pooltest.Open, pooltest.Slow(time.Second))
		w.seating.Pause(false)
		for _, out := range all {
			if r := <-out; r.err != nil || r.took != time.Minute+time.Second {
				t.Errorf("Acquire: %v after %v, want a resource once the pause is over, after 1m1s", r.err, r.took)
			}
		}
	})
}

// beforeOpen makes hooks of one function.
func beforeOpen(f func(context.Context, pool.Event[res]) (context.Context, error)) pool.Hooks[res] {
	return pool.Hooks[res]{BeforeOpen: f}
}

func TestBeforeOpenHandsOnWhatIsFreshAtEachAttempt(t *testing.T) {
	eachStrategy(t, 1, func(t *testing.T, s pool.Strategy) {
		type token struct{}
		type second struct{}
		var inOpen, inConnect []any
		f := pooltest.NewFake()
		f.Always(pooltest.Open, func(ctx context.Context) error {
			if at, ok := ctx.Deadline(); !ok || time.Until(at) != 7*time.Second {
				t.Errorf("ctx of Open ends in %v, want OpenTimeout, 7s", time.Until(at))
			}
			if inOpen = append(inOpen, ctx.Value(token{})); len(inOpen) < 3 {
				return errTest
			}
			return nil
		})
		n := 0
		hooks := beforeOpen(func(ctx context.Context, e pool.Event[res]) (context.Context, error) {
			if e.Open || e.Pool != "orders" {
				t.Errorf("BeforeOpen is told %+v, want no resource yet", e)
			}
			n++
			return context.WithValue(ctx, token{}, n), nil
		})
		hooks.Connect = func(ctx context.Context, _ pool.Event[res]) error {
			inConnect = append(inConnect, ctx.Value(token{}), ctx.Value(second{}))
			return nil
		}
		quiet := beforeOpen(func(context.Context, pool.Event[res]) (context.Context, error) { return nil, nil })
		then := beforeOpen(func(ctx context.Context, _ pool.Event[res]) (context.Context, error) {
			return context.WithValue(ctx, second{}, ctx.Value(token{})), nil
		})
		p := open(t, f, s, pool.Options{Name: "orders", OpenAttempts: 3, OpenTimeout: 7 * time.Second}, hooks, quiet, then)
		acquire(t, p)
		if want := []any{1, 2, 3}; !slices.Equal(inOpen, want) {
			t.Errorf("Backend.Open saw the tokens %v, want %v: a fresh one at each attempt", inOpen, want)
		}
		if want := []any{3, 3}; !slices.Equal(inConnect, want) {
			t.Errorf("Connect saw %v, want %v: the ctx of the last hook, made from those before", inConnect, want)
		}
	})
}

func TestBeforeOpenThatFailsFailsTheOpen(t *testing.T) {
	for _, tc := range []struct {
		act   pooltest.Act
		is    error
		panic bool
	}{
		{pooltest.Fail(errTest), errTest, false},
		{pooltest.Panic(errTest), errTest, true},
		{pooltest.Goexit, pool.ErrGoexit, false},
		{pooltest.Slow(time.Hour), context.DeadlineExceeded, false},
	} {
		eachStrategy(t, 1, func(t *testing.T, s pool.Strategy) {
			f := pooltest.NewFake()
			fails := true
			p := open(t, f, s, pool.Options{OpenTimeout: time.Second}, beforeOpen(func(ctx context.Context, _ pool.Event[res]) (context.Context, error) {
				if fails {
					return ctx, tc.act(ctx)
				}
				return ctx, nil
			}))
			r := <-start(t.Context(), p)
			var e *pool.OpenError
			if is(t, "Acquire", r.err, tc.is); !asError(r.err, &e) {
				t.Errorf("Acquire: %v, want an OpenError", r.err)
			}
			var panicked *pool.PanicError
			if got := asError(r.err, &panicked); got != tc.panic || got && panicked.Op != "before_open hook" {
				t.Errorf("Acquire: %#v, want a PanicError of before_open hook: %v", r.err, tc.panic)
			}
			if f.Calls(pooltest.Open) != 0 {
				t.Error("Backend.Open was called although a hook before it failed")
			}
			fails = false
			acquire(t, p)
		})
	}
}

func TestStressOpensTakeTurns(t *testing.T) {
	for _, s := range []pool.Strategy{
		strategies.Queue{Size: 3, MaxOverflow: 7}, strategies.Null{Max: 10}, strategies.Singleton{Size: 10}, strategies.Static{},
	} {
		t.Run(s.Kind(), func(t *testing.T) {
			f, d := pooltest.NewFake(), newDials()
			f.Always(pooltest.Open, d.act(func(ctx context.Context) error {
				switch rand.IntN(8) {
				case 0:
					return errTest
				case 1:
					return pooltest.ErrFull
				case 2:
					return pooltest.Slow(time.Hour)(ctx)
				case 3:
					return pooltest.Slow(ms)(ctx)
				}
				return nil
			}))
			p := open(t, f, s, pool.Options{OpensAtOnce: 2, Backoff: 200 * time.Microsecond, BackoffMax: ms, OpenTimeout: 2 * ms, OpenAttempts: 2})
			until := time.Now().Add(stressFor(t))
			var all sync.WaitGroup
			for range 32 {
				all.Go(func() {
					for time.Now().Before(until) {
						ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rand.IntN(5_000))*time.Microsecond)
						if l, err := p.Acquire(ctx); err == nil {
							if rand.IntN(3) == 0 {
								_ = l.Retire(nil)
							}
							_ = l.Release()
						}
						cancel()
					}
				})
			}
			all.Wait()
			if late := int(p.Stats().Overdue); d.peak() > 2+late { // which there are if the machine stops for 100 ms
				t.Errorf("%d opens were under way at once, %d ever overdue, want at most OpensAtOnce, 2", d.peak(), late)
			}
			for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(ms) { // until what was begun has ended: real time
				s := p.Stats()
				if s.Opening+s.InUse+s.Closing+s.Pending+s.Waiting == 0 {
					return
				}
				if time.Now().After(deadline) {
					t.Fatalf("at rest: %+v, want nothing under way", s)
				}
			}
		})
	}
}
