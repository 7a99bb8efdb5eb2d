package load_test

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lidopool/lido/bench/internal/load"
)

// These run in real time, as what a cycle and a waiting goroutine cost is nothing in a bubble. They
// ask only for what also a busy machine gives.

func measure(t testing.TB, f load.Target, text string, in load.Window) load.Finding {
	t.Helper()
	found, err := load.Measure(context.Background(), f, workload(t, text), in)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestEveryNamedWorkloadFindsSomething(t *testing.T) {
	for _, p := range load.Names() {
		t.Run(p.Name, func(t *testing.T) {
			f := newFake(3)
			if p.Name == "nested" {
				f = newFake(16) // so that no two wait for each other
			}
			found := measure(t, f, p.Name, load.Window{Goroutines: 8, Warm: 5 * time.Millisecond, Length: 100 * time.Millisecond})
			t.Logf("%+v", found.Sample)
			if found.Ops == 0 || found.NsPerOp <= 0 || found.Waits.Count() == 0 || found.WaitMax <= 0 || found.Seconds < 0.075 {
				t.Errorf("%+v", found.Sample)
			}
			if cpu := found.CPUPerOp * float64(found.Ops) / 1e9; found.CPUPerOp == 0 || cpu > 64*found.Seconds {
				t.Errorf("%v ns of a processor for each of %d ops in %v s", found.CPUPerOp, found.Ops, found.Seconds)
			}
			if found.CPUWaiting != -1 {
				t.Errorf("CPUWaiting is %v, but nobody has asked", found.CPUWaiting)
			}
		})
	}
}

func TestAllocationsAreThoseOfAnOp(t *testing.T) {
	for _, name := range []string{"cycle", "query"} {
		f := &allocating{fake: newFake(3)}
		f.use = takes(100 * time.Microsecond)
		found := measure(t, f, name, load.Window{Goroutines: 2, Warm: 5 * time.Millisecond, Length: 200 * time.Millisecond})
		// The fake allocates a little itself. On a busy machine the edges of the window blur: it
		// takes a moment to read what has been allocated.
		if a, b := found.AllocsPerOp, found.BytesPerOp; a < 6 || a > 30 || b < 6_000 || b > 30_000 {
			t.Errorf("%s: %.1f allocations, %.0f bytes per op, want 10 of 1000 bytes, and a few", name, a, b)
		}
	}
}

// allocating makes garbage, 10 times 1000 bytes for each acquire.
type allocating struct {
	*fake
	sink atomic.Pointer[[1000]byte]
}

func (a *allocating) Cycle(ctx context.Context, n int) error {
	for range n {
		a.litter()
	}
	return a.fake.Cycle(ctx, n)
}

func (a *allocating) Visit(ctx context.Context, during func(context.Context, load.Conn) error) error {
	a.litter()
	return a.fake.Visit(ctx, during)
}

func (a *allocating) litter() {
	for range 10 {
		a.sink.Store(new([1000]byte))
	}
}

// A cycle's figures come without reading the clock for each, and its waits with it.
func TestCyclesAreCountedInBatchesAndTheirWaitsTimedAfterwards(t *testing.T) {
	f := &counting{fake: newFake(1)}
	found := measure(t, f, "cycle", load.Window{Goroutines: 1, Warm: time.Millisecond, Length: 100 * time.Millisecond})
	cycles, calls, visits := f.cycles.Load(), f.calls.Load(), f.visits.Load()
	if found.Ops > uint64(cycles) || found.Ops < uint64(cycles)/2 {
		t.Errorf("%d ops of %d cycles", found.Ops, cycles)
	}
	if cycles < 10*calls {
		t.Errorf("%d cycles in %d batches: the clock is read for each few", cycles, calls)
	}
	if n := found.Waits.Count(); n == 0 || n > visits || n < visits/2 {
		t.Errorf("%d waits of %d visits", n, visits)
	}
	if found.Seconds < 0.075 || found.Seconds > 1 {
		t.Errorf("the ops are those of %v s, want three quarters of the window", found.Seconds)
	}
}

// Without that each of 50 goroutines would get its turn of 10 ms too late for a window of 200.
func TestFairnessIsThatOfThePoolAndNotOfTheScheduler(t *testing.T) {
	for _, name := range []string{"cycle", "query"} {
		found := measure(t, nothing{}, name, load.Window{Goroutines: 50, Warm: 10 * time.Millisecond, Length: 200 * time.Millisecond})
		if found.Jain < 0.5 {
			t.Errorf("%s: Jain is %v, where nobody waits for anybody", name, found.Jain)
		}
	}
}

type counting struct {
	*fake
	cycles, calls, visits atomic.Int64
}

func (c *counting) Cycle(ctx context.Context, n int) error {
	c.cycles.Add(int64(n))
	c.calls.Add(1)
	return c.fake.Cycle(ctx, n)
}

func (c *counting) Visit(ctx context.Context, during func(context.Context, load.Conn) error) error {
	c.visits.Add(1)
	return c.fake.Visit(ctx, during)
}

// CPUWaiting of who sleeps is next to nothing, that of who spins a core and more. Others use the
// machine, too, so one in ten tries must show it.
func TestCPUWaitingTellsSleepersFromSpinners(t *testing.T) {
	in := load.Window{Goroutines: 4, Size: 2, Length: 50 * time.Millisecond}
	var sleeping, awake float64
	for range 10 {
		sleeping = measure(t, newFake(2), "query", in).CPUWaiting
		if sleeping < 0 && runtime.GOOS == "windows" {
			t.Skip("the time of processors is known on unix only: run this there")
		}
		awake = measure(t, spinning{newFake(2)}, "query", in).CPUWaiting
		if sleeping >= 0 && awake > 10*max(sleeping, 0.005) {
			return
		}
	}
	t.Errorf("who sleeps uses %v cores, who spins %v", sleeping, awake)
}

type spinning struct{ *fake }

func (s spinning) Visit(ctx context.Context, during func(context.Context, load.Conn) error) error {
	for {
		select {
		case c := <-s.conns:
			err := during(ctx, c)
			s.conns <- c
			return err
		default:
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
}

func (s spinning) Gauges() load.Gauges { return load.Gauges{Waiting: -1} }

func TestCPUWaitingIsNotMeasuredWhereNobodyWaits(t *testing.T) {
	in := load.Window{Goroutines: 4, Size: 2, Length: 50 * time.Millisecond}
	for name, target := range map[string]load.Target{
		"a pool that shares":           sharing{newFake(1)},
		"a pool of more":               newFake(3),
		"a pool that refuses the rest": full{newFake(2)},
		"a pool that refuses holders":  full{newFake(1)},
		"a pool in which fewer wait":   quiet{newFake(2)},
	} {
		if got := measure(t, target, "query", in).CPUWaiting; got != -1 {
			t.Errorf("%s: CPUWaiting is %v", name, got)
		}
	}
	few := in
	few.Goroutines = 2
	if got := measure(t, newFake(2), "query", few).CPUWaiting; got != -1 {
		t.Errorf("as many as resources: CPUWaiting is %v", got)
	}
}

type sharing struct{ *fake }

func (s sharing) Visit(ctx context.Context, during func(context.Context, load.Conn) error) error {
	return during(ctx, &conn{s.fake})
}

func (sharing) Gauges() load.Gauges { return load.Gauges{Waiting: -1} }

type full struct{ *fake }

func (f full) Visit(ctx context.Context, during func(context.Context, load.Conn) error) error {
	select {
	case c := <-f.conns:
		defer func() { f.conns <- c }()
		return during(ctx, c)
	default:
		return errRefused
	}
}

func (full) Gauges() load.Gauges { return load.Gauges{Waiting: -1} }

type quiet struct{ *fake }

func (q quiet) Gauges() load.Gauges { return load.Gauges{Waiting: 1} }

// BenchmarkEngine: what Measure itself adds to a visit, on a target that does nothing. There is another
// goroutine beside it, as far as the machine has a processor for it.
func BenchmarkEngine(b *testing.B) {
	for _, text := range []string{"contention", "query", "query?deadline=1s", "cancel", "burst?rate=1000000&burst=1", "nested?deadline=0"} {
		b.Run(text, func(b *testing.B) {
			for b.Loop() {
				found, err := load.Measure(context.Background(), nothing{}, workload(b, text), load.Window{Goroutines: 2, Warm: 10 * time.Millisecond, Length: 300 * time.Millisecond})
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(2*found.NsPerOp, "ns/visit")
				b.ReportMetric(found.AllocsPerOp, "allocs/visit")
				b.ReportMetric(found.WaitMean, "wait-ns")
			}
		})
	}
}

// nothing is what it costs to measure.
type nothing struct{}

func (nothing) Cycle(ctx context.Context, n int) error {
	for range n {
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}
func (nothing) Visit(ctx context.Context, during func(context.Context, load.Conn) error) error {
	return during(ctx, nothing{})
}
func (nothing) Use(context.Context, bool) error { return nil }
func (nothing) Kind(error) string               { return "other" }
func (nothing) Gauges() load.Gauges             { return load.Gauges{} }
func (nothing) Close(context.Context) error     { return nil }
