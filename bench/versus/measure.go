package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lidopool/lido/bench/internal/load"
)

// A pace is how long each part of a measurement lasts.
type pace struct {
	rounds  int
	warm    time.Duration // before each window
	cycles  time.Duration // window of a crowd that does not wait
	visits  time.Duration // window of a crowd that waits
	waits   time.Duration // the window after it, in which each wait is timed
	batch   int           // operations of a cycle before a goroutine looks whether the window has ended
	waiters int           // of a crowd that is cancelled, at most

	// Of the workloads. Opening all seats must be over when the warm-up is.
	trialWarm, trial time.Duration
}

// Arbitrary, but for their sums, about 45 s and 7 minutes on 2 cores, and for the batch: a look
// is less than a thousandth of it. More rounds are worth more than longer windows where others
// use the machine.
var (
	quick = pace{rounds: 3, warm: 10 * time.Millisecond, cycles: 40 * time.Millisecond,
		visits: 80 * time.Millisecond, waits: 35 * time.Millisecond, batch: 1000, waiters: 10_000,
		trialWarm: 30 * time.Millisecond, trial: 50 * time.Millisecond}
	full = pace{rounds: 5, warm: 50 * time.Millisecond, cycles: 300 * time.Millisecond,
		visits: 600 * time.Millisecond, waits: 300 * time.Millisecond, batch: 1000, waiters: 10_000,
		trialWarm: 30 * time.Millisecond, trial: 150 * time.Millisecond}
)

// patience is how long anything may take that should be done at once, before it is an error
// of the pool under measurement.
const patience = 5 * time.Second

// A sample is what one measurement of one subject found.
type sample struct {
	ops                              int
	seconds                          float64
	nsPerOp, allocsPerOp, bytesPerOp float64
	p99, longest                     time.Duration // waits. 0: not measured
	jain                             float64       // 0: not measured
	opened                           int           // resources, warm-up included
}

// cycles measures a crowd in which nobody ever waits.
func cycles(ctx context.Context, c *crowd, s subject, p pace) (sample, error) {
	background := context.Background()
	again := func(int) step {
		return func(bool) error { return s.Cycle(background, p.batch) }
	}
	first := window{c.goroutines, 0, p.warm} // so that pool and scheduler have all they keep
	if _, err := first.watch(ctx, func() {}, again); err != nil && !errors.Is(err, errIdle) {
		return sample{}, err
	}
	w := window{c.goroutines, p.warm, p.cycles}
	seen, err := w.watch(ctx, func() {}, again)
	return seen.sample(p.batch), err
}

// visits measures a crowd in which there are more goroutines than seats: first how many
// visits there are, then how long each waits, as reading the clock costs as much as a visit.
func visits(ctx context.Context, c *crowd, s subject, p pace) (sample, error) {
	visiting, cancel := context.WithCancel(context.Background())
	defer cancel()
	watches := make([]stopwatch, c.goroutines)
	hold := c.hold // made once: it is a closure
	w := window{c.goroutines, p.warm, p.visits * c.slower}
	seen, err := w.watch(ctx, cancel, func(int) step {
		return func(bool) error {
			err := s.Visit(visiting, hold)
			c.after()
			return err
		}
	})
	if err != nil {
		return sample{}, err
	}

	w.length = p.waits * c.slower
	timed, err := w.watch(ctx, cancel, func(i int) step {
		waiting := &watches[i]
		during := func(context.Context, load.Conn) error {
			waiting.stop()
			c.during()
			return nil
		}
		return func(counted bool) error {
			waiting.start(counted)
			err := s.Visit(visiting, during)
			c.after()
			return err
		}
	})
	found := seen.sample(1)
	settled := timed.sample(1) // by now pool and scheduler have all they keep
	found.allocsPerOp, found.bytesPerOp = settled.allocsPerOp, settled.bytesPerOp
	found.jain = jain(seen.counts)
	var waits histogram
	for i := range watches {
		waits.merge(&watches[i].times)
	}
	found.p99, found.longest = waits.quantile(0.99), waits.longest
	return found, err
}

// A stopwatch is one goroutine's. It is as large as its histogram, so that two share no cache line
// that both write.
type stopwatch struct {
	started time.Time
	counted bool
	times   histogram
}

func (w *stopwatch) start(counted bool) { w.counted, w.started = counted, time.Now() }

func (w *stopwatch) stop() {
	if w.counted {
		w.times.add(time.Since(w.started))
	}
}

// A step is what a goroutine does again and again. It is told whether it counts.
type step func(counted bool) error

// A window is the time in which the steps of goroutines are counted.
type window struct {
	goroutines   int
	warm, length time.Duration
}

// A view is what was seen in a window.
type view struct {
	counts  []int // steps of each goroutine
	elapsed time.Duration
	counted int    // their sum
	all     int    // steps, also those of the warm-up
	memory  memory // allocated in all of them
}

func (v view) sample(opsPerStep int) sample {
	return sample{
		ops:         v.counted * opsPerStep,
		seconds:     v.elapsed.Seconds(),
		nsPerOp:     ratio(float64(v.elapsed.Nanoseconds()), float64(v.counted*opsPerStep)),
		allocsPerOp: ratio(float64(v.memory.objects), float64(v.all*opsPerStep)),
		bytesPerOp:  ratio(float64(v.memory.bytes), float64(v.all*opsPerStep)),
	}
}

// The phases of a window.
const (
	warming = iota
	counting
	ended
)

var errIdle = errors.New("no step began in the window")

// watch lets every goroutine take steps, its own from newStep, and counts those that begin
// in the window. All have ended when it returns. If some do not, it calls cancel.
func (w window) watch(ctx context.Context, cancel func(), newStep func(i int) step) (view, error) {
	// A step that begins in the window and ends after it counts, one that began before it does
	// not: on average that is neither too many nor too few.
	var phase struct {
		atomic.Int32
		_ [124]byte // all read it: no line that somebody writes
	}
	var group sync.WaitGroup
	v := view{counts: make([]int, w.goroutines)}
	warmups := make([]int, w.goroutines)
	errs := make([]error, w.goroutines)
	gate := make(chan struct{})
	for i := range w.goroutines {
		take := newStep(i)
		group.Go(func() {
			<-gate
			n, warmup := 0, 0 // written once: counters side by side would share cache lines
			for at := phase.Load(); at != ended; at = phase.Load() {
				if err := take(at == counting); err != nil {
					errs[i] = err
					break
				}
				if at == counting {
					n++
				} else {
					warmup++
				}
			}
			v.counts[i], warmups[i] = n, warmup
		})
	}
	before := allocated()
	close(gate)
	sleep(ctx, w.warm)
	start := time.Now()
	phase.Store(counting)
	sleep(ctx, w.length)
	phase.Store(ended)
	v.elapsed = time.Since(start)

	stuck := time.AfterFunc(patience, cancel)
	group.Wait()
	if !stuck.Stop() {
		return view{}, fmt.Errorf("somebody still waited %v after the others had left: a wake-up was lost", patience)
	}
	v.memory = allocated().since(before)
	for i, err := range errs {
		if err != nil {
			return view{}, err
		}
		v.counted += v.counts[i]
		v.all += v.counts[i] + warmups[i]
	}
	if v.counted == 0 && ctx.Err() == nil {
		return view{}, errIdle
	}
	return v, ctx.Err()
}

// cancelled measures how long it takes to send home all who stand in line, and that they
// took no seat with them.
func cancelled(ctx context.Context, c *crowd, s subject, p pace) (sample, error) {
	if _, err := cancelOnce(ctx, c, s, p); err != nil { // what a pool keeps for the next waiter is there afterwards
		return sample{}, err
	}
	return cancelOnce(ctx, c, s, p)
}

func cancelOnce(ctx context.Context, c *crowd, s subject, p pace) (sample, error) {
	release := make(chan struct{})
	held := make(chan struct{}, c.seats)
	var holders sync.WaitGroup
	failed := make(chan error, c.seats)
	for range c.seats {
		holders.Go(func() {
			if err := s.Visit(context.Background(), func(context.Context, load.Conn) error {
				held <- struct{}{}
				<-release
				return nil
			}); err != nil {
				failed <- err
			}
		})
	}
	for range c.seats {
		select {
		case <-held:
		case err := <-failed:
			close(release)
			return sample{}, err
		}
	}

	waiting, cancel := context.WithCancel(context.Background())
	defer cancel()
	var waiters sync.WaitGroup
	var served atomic.Int32
	count := min(c.goroutines, p.waiters)
	parked := parkedGoroutines()
	for range count {
		waiters.Go(func() {
			if s.Visit(waiting, func(context.Context, load.Conn) error { return nil }) == nil {
				served.Add(1)
			}
		})
	}
	err := until(func() bool { return parkedGoroutines() >= parked+count },
		fmt.Sprintf("not all %d goroutines wait", count))
	before := allocated()
	start := time.Now()
	cancel()
	waiters.Wait()
	elapsed := time.Since(start)
	memory := allocated().since(before)
	close(release)
	holders.Wait()

	if n := served.Load(); n > 0 {
		err = errors.Join(err, fmt.Errorf("%d were served by seats that were held", n))
	}
	again, stop := context.WithTimeout(ctx, patience)
	defer stop()
	if next := visitAll(again, s, c.seats, func(*resource) {}); next != nil {
		err = errors.Join(err, fmt.Errorf("after all waiters were cancelled, not every seat came home: %w", next))
	}
	return sample{
		ops:         count,
		seconds:     elapsed.Seconds(),
		nsPerOp:     float64(elapsed.Nanoseconds()) / float64(count),
		allocsPerOp: float64(memory.objects) / float64(count),
		bytesPerOp:  float64(memory.bytes) / float64(count),
	}, err
}

// visitAll holds n seats at once, and calls look with what is in each.
func visitAll(ctx context.Context, s subject, n int, look func(*resource)) error {
	if n == 0 {
		return nil
	}
	return s.Visit(ctx, func(_ context.Context, r load.Conn) error {
		look(r.(*resource))
		return visitAll(ctx, s, n-1, look)
	})
}

// until waits for a state of the scheduler, which nobody announces.
func until(reached func() bool, otherwise string) error {
	for start := time.Now(); !reached(); time.Sleep(time.Millisecond) {
		if time.Since(start) > patience {
			return errors.New(otherwise)
		}
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// memory is what the process has allocated.
type memory struct{ objects, bytes uint64 }

func allocated() memory {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return memory{m.Mallocs, m.TotalAlloc}
}

func (m memory) since(before memory) memory {
	return memory{m.objects - before.objects, m.bytes - before.bytes}
}

// parkedGoroutines is how many wait for something.
func parkedGoroutines() int {
	s := []metrics.Sample{{Name: "/sched/goroutines/waiting:goroutines"}}
	metrics.Read(s)
	return int(s[0].Value.Uint64())
}
