package load

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lidopool/lido/bench/internal/result"
)

// A Window is how long a measurement lasts.
type Window struct {
	Goroutines int // that ask; with a rate, at most at once
	Size       int // resources of the pool, for how many must be held to make all others wait. 0: do not measure CPUWaiting
	// Warm is before anything counts, and Length is what counts. CPUWaiting takes about 150 ms more.
	Warm, Length time.Duration
	Seed         uint64 // of everything drawn at random
}

// A Finding is what Measure found.
type Finding struct {
	result.Sample
	Waits *Histogram
}

// Measure puts w on t for a window. It returns once all its goroutines have ended; if ctx ends
// first, with what was found until then, and ctx's cause. Visits that fail are counted in
// Sample.Errors, and end nothing. It is an error if the window or the workload makes no sense, if
// nothing at all ended within the window, which is up to 5 s longer until something has, or if
// somebody has still not been served 5 s after all others had gone: then a wake-up was lost. Only
// if even ending the ctx of who waits does not send them home, another 5 s later, Measure leaves
// their goroutines behind, and says so.
//
// What ends in the window counts as an op or an error. A wait counts if its acquire began, or was
// due, in the window, or if it lasted all of the window and longer. Who waits when the window ends
// is served without holding anything, so the last wait of a goroutine may count as shorter than it
// would have been, but as no shorter than it was. An acquire that its deadline ended counts as a
// wait as long as that; no other that failed is a wait. An arrival that still waited for a
// goroutine when the window ended is an error of the kind "unserved", and a wait.
//
// Reading the clock takes as long as a cycle. So for workloads that hold for no time, the figures
// are from the first three quarters of the window, in which it is not read (a cycle is then a call
// of Target.Cycle), and the waits from the last quarter, in which it is. For others it is read
// twice for each acquire, which makes a visit 0.1 to 0.3 µs longer; BenchmarkEngine says what all
// that is not the pool's takes.
//
// After an error a goroutine of a closed loop pauses, the longer the more come in a row, up to 1
// ms, less what the failed visit took, and not if it gave up itself: a pool that refuses at once is
// not asked again and again until nobody else has a processor.
//
// Where there are more goroutines than processors, each yields between visits, once in 100 µs or
// so: Go would let it run for 10 ms, and then the fairness of a short window would be that of the
// scheduler.
//
// In a bubble of testing/synctest something must take time, a use or a hold, and a hold must not
// Spin: the clock stands still for who computes.
func Measure(ctx context.Context, t Target, w Workload, in Window) (Finding, error) {
	w = w.plain()
	if err := errors.Join(w.Validate(), in.validate()); err != nil {
		return Finding{}, err
	}
	f, err := newRun(t, w, in).window(ctx)
	f.CPUWaiting = unmeasured
	if err == nil && in.Size > 0 && in.Goroutines > in.Size {
		f.CPUWaiting, err = cpuWaiting(ctx, t, in)
	}
	return f, err
}

func (in Window) validate() error {
	if in.Goroutines < 1 || in.Length <= 0 || in.Warm < 0 || in.Size < 0 {
		return fmt.Errorf("load: window %+v: give at least 1 goroutine and a length, and nothing negative", in)
	}
	return nil
}

// The phases of a run.
const (
	warming  = iota
	counting // ops, errors, and what the process uses
	timing   // waits, where reading the clock would distort the rest; else there is no such phase
	ended
)

// A run is a measurement under way.
type run struct {
	target  Target
	w       Workload
	in      Window
	apart   bool  // the waits are timed in a phase of their own
	waiting int32 // the phase whose waits count
	bounded bool  // an acquire may end before it is served
	crowded bool  // there are more goroutines than processors

	gone  chan struct{} // closed when the last phase has ended: cuts long sleeps short
	found chan struct{} // closed when the first visit has counted
	once  sync.Once     // closes found
	// The moments of a run are counted from here: that is read in half the time of a time.Time.
	begin         time.Time
	started, over time.Duration // of the phase whose waits count; written before phase says so

	_     [128]byte // what is below is read by all, all the time
	phase atomic.Int32
	_     [124]byte

	shards []shard
}

// A shard of the waits: a histogram for each goroutine would take a gigabyte where they are many.
type shard struct {
	sync.Mutex
	waits Histogram
	_     [128]byte
}

func newRun(t Target, w Workload, in Window) *run {
	r := &run{target: t, w: w, in: in, gone: make(chan struct{}), found: make(chan struct{}), waiting: counting, begin: time.Now()}
	r.bounded = w.Deadline > 0 || w.Cancel > 0
	r.apart = w.Rate == 0 && w.Think.IsZero() && !r.bounded && (w.Hold.Kind == None || w.Hold.Kind == Yield)
	if r.apart {
		r.waiting = timing
	}
	r.crowded = in.Goroutines > runtime.GOMAXPROCS(0)
	r.shards = make([]shard, min(runtime.GOMAXPROCS(0), in.Goroutines))
	return r
}

// now is the moment.
func (r *run) now() time.Duration { return time.Since(r.begin) }

func (r *run) window(ctx context.Context) (Finding, error) {
	// It outlives ctx, so that what ends the window is not taken for errors of the pool.
	visiting, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	visitors := make([]*visitor, r.in.Goroutines)
	arrivals := newSchedule(r.w, r.in)
	all := newCrew(len(visitors) + 1)
	for i := range visitors {
		v := newVisitor(r, i)
		visitors[i] = v
		all.start(func() {
			var leave func()
			v.ctx, leave = context.WithCancel(visiting)
			defer leave()
			switch {
			case r.w.Rate > 0:
				v.arrive(arrivals)
			case r.apart && r.w.Hold.Kind == None && r.w.Nested == 0:
				v.cycle()
				v.comeAgain()
			default:
				v.comeAgain()
			}
			v.flush()
		})
	}
	watched := newGaugeWatch(r.target)
	all.start(func() { watched.until(r.gone) })

	var found Finding
	sleep(ctx, r.in.Warm)
	before := readMeter(r.target)
	start := r.now()
	r.started = start
	r.phase.Store(counting)
	length := r.in.Length
	if r.apart {
		length = length * 3 / 4
	}
	sleep(ctx, length)
	r.waitForOne(ctx)
	elapsed := r.now() - start
	if r.apart {
		r.started = start + elapsed
		r.phase.Store(timing)
		after := readMeter(r.target)
		found.use(before, after)
		sleep(ctx, r.in.Length-length)
	}
	r.over = r.now()
	r.phase.Store(ended)
	if !r.apart {
		found.use(before, readMeter(r.target))
	}
	close(r.gone)
	stuck, left := all.join(ctx, cancel)
	if left > 0 {
		return Finding{Waits: &Histogram{}}, fmt.Errorf("load: %d of %d goroutines are left behind: they still were in the pool, or used what it lent, %v after their ctx had ended", left, len(visitors), patience)
	}
	r.total(&found, visitors, arrivals, elapsed)
	found.PeakOpen = max(watched.peak, r.target.Gauges().Peak)
	found.Sessions = watched.sessions
	switch {
	case ctx.Err() != nil:
		return found, context.Cause(ctx)
	case stuck > 0:
		return found, r.lost(stuck, visitors)
	case found.Ops == 0 && found.Failures() == 0:
		return found, fmt.Errorf("load: not one visit ended within the window of %v, nor in %v more: make it longer", r.in.Length, patience)
	}
	return found, nil
}

// waitForOne makes a window longer in which nothing has ended yet.
func (r *run) waitForOne(ctx context.Context) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-r.found:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// total adds up what the visitors have counted.
func (r *run) total(found *Finding, visitors []*visitor, arrivals *schedule, elapsed time.Duration) {
	counts := make([]uint64, len(visitors))
	for i, v := range visitors {
		counts[i] = v.ops
		found.Ops += v.ops
		for kind, n := range v.errors {
			found.fail(kind, n)
		}
	}
	found.Waits = &Histogram{}
	for i := range r.shards {
		found.Waits.Merge(&r.shards[i].waits)
	}
	if r.w.Rate > 0 {
		for due := arrivals.next().due; due < r.over; due = arrivals.next().due {
			if due >= r.started {
				found.fail(unserved, 1)
				found.Waits.Add(r.over - due)
			}
		}
	}
	found.Seconds = elapsed.Seconds()
	found.OpsPerSec = quotient(float64(found.Ops), found.Seconds)
	found.perOp(elapsed)
	if r.w.Rate == 0 && len(visitors) > 1 {
		found.Jain, found.MaxMin = jain(counts), maxMin(counts)
	}
	waits := found.Waits
	found.WaitMean = float64(waits.Mean())
	found.WaitP50 = int64(waits.Quantile(0.5))
	found.WaitP90 = int64(waits.Quantile(0.9))
	found.WaitP99 = int64(waits.Quantile(0.99))
	found.WaitP999 = int64(waits.Quantile(0.999))
	found.WaitMax = int64(waits.Max())
}

func (f *Finding) fail(kind string, n uint64) {
	if f.Errors == nil {
		f.Errors = map[string]uint64{}
	}
	f.Errors[kind] += n
}

// lost is the error for those who were still there when patience was over.
func (r *run) lost(stuck int, visitors []*visitor) error {
	using := 0
	for _, v := range visitors {
		if v.cut {
			using++
		}
	}
	switch {
	case using > 0:
		return fmt.Errorf("load: %d uses did not end within %v after the window", using, patience)
	case r.w.Nested > 0:
		return fmt.Errorf("load: %d of %d goroutines still waited %v after all others had gone: each waits for what another holds, so give a deadline; or a wake-up was lost", stuck, len(visitors), patience)
	}
	return fmt.Errorf("load: %d of %d goroutines still waited %v after all others had gone and nothing was held: a wake-up was lost", stuck, len(visitors), patience)
}

// jain is the index of fairness: 1 if all got the same, 1/len if one got everything, 0 if nobody
// got anything.
func jain(counts []uint64) float64 {
	sum, squares := 0.0, 0.0
	for _, n := range counts {
		sum += float64(n)
		squares += float64(n) * float64(n)
	}
	return quotient(sum*sum, float64(len(counts))*squares)
}

// maxMin is the most by the fewest, which counts as 1 at least.
func maxMin(counts []uint64) float64 {
	most, fewest := counts[0], counts[0]
	for _, n := range counts {
		most, fewest = max(most, n), min(fewest, n)
	}
	return float64(most) / float64(max(fewest, 1))
}

func sleep(ctx context.Context, d time.Duration) {
	if d <= 0 || ctx.Err() != nil {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
