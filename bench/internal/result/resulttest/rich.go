// Package resulttest makes results for tests: as a run would find them, without running it, and the
// same every time.
package resulttest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/lidopool/lido/bench/internal/result"
)

// Pools are the pools of Rich, the baseline first.
var Pools = []string{"queue", "static", "null", "singleton", "assertion"}

// Rich is a result with all that a result can have: workloads of one condition and of many, an open
// loop, a pool that is unfit, one that failed, one that has errors, and scenarios.
func Rich() result.File {
	m := maker{rand.New(rand.NewPCG(1, 2))}
	f := Empty()
	f.Warnings = []string{"The machine was busy with other work: a fixed calculation took between 1.00 and 1.18 times its shortest time."}
	f.Cells = append(f.Cells, m.cells("cycle", "cycle", 0, 1, 10)...)
	f.Cells = append(f.Cells, m.cells("query", "query", 0, 8, 10)...)
	for _, g := range []int{1, 2, 8, 64} {
		for _, size := range []int{1, 10, 64} {
			f.Cells = append(f.Cells, m.cells("contention", "contention?hold=yield", 0, g, size)...)
		}
	}
	for _, g := range []int{1, 4, 16} {
		f.Cells = append(f.Cells, m.cells("think", "think?hold=query&think=exp:1ms", 0, g, 10)...)
	}
	f.Cells = append(f.Cells, m.cells("burst", "burst?rate=5000&burst=50&hold=sleep&for=exp:1ms", 5000, 200, 10)...)
	nested := m.cells("nested", "nested?nested=2", 0, 16, 10)
	nested[3] = Unfit(nested[3], "all goroutines share one resource, and a nested acquire would be of the same")
	nested[4] = Failed(nested[4], "load: a wake-up was lost: 3 goroutines wait and 4 of 10 resources are free")
	f.Cells = append(f.Cells, nested...)
	f.Timelines = m.timelines()
	return f
}

// Empty is a result in which nothing was measured.
func Empty() result.File {
	return result.File{
		Format: result.Format,
		Env: result.Environment{
			Go: "go1.26.8", OS: "linux", Arch: "amd64", CPU: "Intel(R) Xeon(R) Processor @ 2.60GHz", Cores: 8, GOMAXPROCS: 8,
			Commit: "9f4630b1c2d3-dirty", Version: "v0.6.0",
		},
		Method:  result.Method{Rounds: 5, Warm: 50 * time.Millisecond, Window: 300 * time.Millisecond, Seed: 42, Baseline: "queue"},
		Started: time.Date(2026, 11, 26, 9, 30, 0, 0, time.UTC),
		Seconds: 212.4,
	}
}

// Many is a result of at least n cells.
func Many(n int) result.File {
	m := maker{rand.New(rand.NewPCG(3, 4))}
	f := Empty()
	for g := 1; len(f.Cells) < n; g++ {
		for size := 1; size <= 10 && len(f.Cells) < n; size++ {
			f.Cells = append(f.Cells, m.cells("contention", "contention", 0, g, size)...)
		}
	}
	return f
}

// Unfit is c as if its pool could not do the work.
func Unfit(c result.Cell, why string) result.Cell {
	c = bare(c)
	c.Unfit = why
	return c
}

// Failed is c as if its measurement had failed at once.
func Failed(c result.Cell, why string) result.Cell {
	c = bare(c)
	c.Failed = why
	return c
}

func bare(c result.Cell) result.Cell {
	c.Samples, c.Median, c.Spread, c.Ratio, c.Waits = nil, result.Sample{}, 0, 0, nil
	return c
}

type maker struct{ r *rand.Rand }

// cells are those of all pools under one condition.
func (m maker) cells(workload, spec string, rate float64, goroutines, size int) []result.Cell {
	var cells []result.Cell
	for i, pool := range Pools {
		// What an op takes: some pools are quicker, and contention costs.
		ns := []float64{210, 95, 1900, 60, 120}[i] * (1 + 0.12*math.Log2(float64(goroutines)))
		if goroutines > size && pool != "singleton" {
			ns *= 1.6
		}
		if workload != "cycle" && workload != "contention" {
			ns += 30_000 / float64(min(goroutines, size))
		}
		c := result.Cell{
			Workload: workload, Spec: spec, Backend: "sqlite", Pool: pool, Config: fmt.Sprintf("%s?size=%d", pool, size),
			Goroutines: goroutines, Size: size, Rate: rate, Ratio: 1,
		}
		for range 5 {
			c.Samples = append(c.Samples, m.sample(c, ns*(1+0.04*m.r.NormFloat64())))
		}
		sorted := slices.Clone(c.Samples)
		slices.SortFunc(sorted, func(a, b result.Sample) int { return int(math.Copysign(1, a.NsPerOp-b.NsPerOp)) })
		c.Median = sorted[2]
		c.Spread = (sorted[3].NsPerOp - sorted[1].NsPerOp) / sorted[2].NsPerOp
		if i > 0 {
			c.Ratio = c.Median.OpsPerSec / cells[0].Median.OpsPerSec
		}
		c.Waits = curve(c.Median, float64(goroutines)/float64(size))
		cells = append(cells, c)
	}
	return cells
}

func (m maker) sample(c result.Cell, ns float64) result.Sample {
	s := result.Sample{Seconds: 0.3, NsPerOp: ns, OpsPerSec: 1e9 / ns}
	if c.Rate > 0 {
		s.OpsPerSec = c.Rate * (1 - 0.005*m.r.Float64())
		if c.Pool == "null" {
			s.OpsPerSec *= 0.6
		}
		s.NsPerOp = 1e9 / s.OpsPerSec
	}
	s.Ops = uint64(s.OpsPerSec * s.Seconds)
	// A line makes waits long.
	wait := ns * max(1, float64(c.Goroutines)/float64(max(1, c.Size))) * 0.8
	for _, q := range []struct {
		to    *int64
		times float64
	}{{&s.WaitP50, 1}, {&s.WaitP90, 1.7}, {&s.WaitP99, 4}, {&s.WaitP999, 21}, {&s.WaitMax, 180}} {
		*q.to = int64(wait * q.times * (1 + 0.03*m.r.NormFloat64()))
	}
	s.WaitMean = wait * 1.2
	if c.Goroutines > 1 && c.Rate == 0 {
		s.Jain, s.MaxMin = 1-0.02*m.r.Float64(), 1+0.3*m.r.Float64()
	}
	s.PeakOpen, s.Opens = min(c.Size, c.Goroutines), uint64(min(c.Size, c.Goroutines))
	if c.Pool == "null" {
		s.Opens, s.Closes = s.Ops, s.Ops
	}
	s.AllocsPerOp, s.BytesPerOp, s.CPUPerOp, s.CPUWaiting = 0.001, 0.3, ns*1.1, -1
	if c.Goroutines > c.Size {
		s.CPUWaiting = 0.004
	}
	if c.Pool == "assertion" && c.Goroutines > 1 {
		s.Errors = map[string]uint64{"already acquired": s.Ops / 2, "timeout": 3}
	}
	return s
}

// curve goes through the percentiles of s, in the steps of a histogram.
func curve(s result.Sample, crowd float64) []result.Quantile {
	var all []result.Quantile
	for i := range 48 {
		share := 1 - math.Pow(2, -float64(i)/3)
		times := 0.35 + 0.65*math.Pow(float64(i)/3, 1.5+0.1*math.Min(crowd, 4))
		all = append(all, result.Quantile{Share: share, Ns: int64(float64(s.WaitP50) * times)})
	}
	return append(all, result.Quantile{Share: 1, Ns: max(s.WaitMax, all[len(all)-1].Ns)})
}

func (m maker) timelines() []result.Timeline {
	var all []result.Timeline
	for _, s := range []struct {
		name, about, begin, end string
	}{
		{"outage", "The backend is down for two seconds: nothing opens, and what is open is broken.", "backend down", "backend back"},
		{"spike", "Four hundred goroutines come at once, for two seconds, where eight were before.", "400 goroutines come", "they go"},
	} {
		for i, pool := range []string{"queue", "static", "null"} {
			t := result.Timeline{
				Scenario: s.name, About: s.about, Backend: "synthetic?open=exp:20ms&use=1ms", Pool: pool, Config: pool + "?size=10",
				Marks: []result.Mark{{At: 2, Text: s.begin}, {At: 4, Text: s.end}},
			}
			recovery := []float64{0.25, 0.9, 0.1}[i]
			for at := 0.05; at < 7; at += 0.05 {
				p := result.Point{At: at, Open: 10, InUse: 7 + m.r.IntN(3), Ops: uint64(380 + m.r.IntN(40)), WaitP99: int64(2e6 * (1 + 0.3*m.r.Float64()))}
				bad := at > 2 && at < 4+recovery
				switch {
				case bad && s.name == "outage":
					p.Open, p.InUse, p.Waiting, p.Ops, p.Errors, p.WaitP99 = m.r.IntN(2), 0, 40+m.r.IntN(5), 0, uint64(10+m.r.IntN(20)), int64(1e9*math.Min(at-2, 1))
					if at < 2.3 {
						p.WaitP99 = 0 // nothing was acquired, so nothing waited to the end
					}
				case bad:
					p.InUse, p.Waiting, p.Ops, p.WaitP99 = 10, 300+m.r.IntN(90), uint64(460+m.r.IntN(20)), int64(4e7*(1+0.4*m.r.Float64()))
				}
				t.Points = append(t.Points, p)
				t.Verdict.Ops += p.Ops
				t.Verdict.WaitMax = max(t.Verdict.WaitMax, p.WaitP99)
			}
			t.Verdict.PeakOpen, t.Verdict.Opens, t.Verdict.WaitP50, t.Verdict.WaitP99, t.Verdict.Recovery = 10, 24, 900_000, t.Verdict.WaitMax*9/10, recovery
			if s.name == "outage" {
				t.Verdict.Errors = map[string]uint64{"open failed": 310, "timeout": 42}
			}
			t.Verdict.Text = fmt.Sprintf("Back at nine tenths of the throughput %.2f s after the trouble had ended.", recovery)
			all = append(all, t)
		}
	}
	return all
}
