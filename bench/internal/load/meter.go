package load

import (
	"runtime"
	"time"
)

// unmeasured stands for a figure that is not known.
const unmeasured = -1

// A meter is what the process and the pool have used so far.
type meter struct {
	mallocs, bytes uint64
	cpu            time.Duration // negative: unknown
	gauges         Gauges
}

// readMeter stops the world for some microseconds. Package runtime/metrics does not, but counts
// allocations only once a span is full, which may be hundreds too few: more than a short window of
// slow visits makes.
func readMeter(t Target) meter {
	m := meter{gauges: t.Gauges()}
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	m.mallocs, m.bytes = mem.Mallocs, mem.TotalAlloc
	m.cpu = cpuTime()
	return m
}

// use keeps what was used between two readings, in all. perOp divides it.
func (f *Finding) use(before, after meter) {
	f.AllocsPerOp = float64(after.mallocs - before.mallocs)
	f.BytesPerOp = float64(after.bytes - before.bytes)
	f.CPUPerOp = unmeasured
	if before.cpu >= 0 && after.cpu >= 0 {
		f.CPUPerOp = float64(after.cpu - before.cpu)
	}
	f.Opens = after.gauges.Opened - before.gauges.Opened
	f.Closes = after.gauges.Closed - before.gauges.Closed
}

func (f *Finding) perOp(elapsed time.Duration) {
	ops := float64(f.Ops)
	f.NsPerOp = quotient(float64(elapsed), ops)
	f.AllocsPerOp = quotient(f.AllocsPerOp, ops)
	f.BytesPerOp = quotient(f.BytesPerOp, ops)
	if f.CPUPerOp >= 0 {
		f.CPUPerOp = quotient(f.CPUPerOp, ops)
	}
}

// A gaugeWatch sees what a pool counts only at a moment.
type gaugeWatch struct {
	target         Target
	peak, sessions int
}

func newGaugeWatch(t Target) *gaugeWatch { return &gaugeWatch{target: t} }

// until looks until gone is closed. Every 50 ms: sessions are not newer than that.
func (w *gaugeWatch) until(gone <-chan struct{}) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		g := w.target.Gauges()
		w.peak, w.sessions = max(w.peak, g.Peak), max(w.sessions, g.Sessions)
		select {
		case <-tick.C:
		case <-gone:
			return
		}
	}
}
