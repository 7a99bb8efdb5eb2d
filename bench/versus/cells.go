package main

import (
	"math"
	"slices"
	"time"

	"github.com/lidopool/lido/bench/internal/result"
	"github.com/lidopool/lido/bench/internal/words"
	"github.com/lidopool/lido/strategies"
)

// free is the backend of works, as results name it.
const free = "resources that cost nothing"

// cells are the rows as lidobench shows them.
func (r report) cells() []result.Cell {
	var all []result.Cell
	for _, x := range r.Rows {
		i := slices.IndexFunc(works, func(w work) bool { return w.name == x.Work })
		if i >= 0 { // else it is of another version of this program
			all = append(all, x.cell(works[i]))
		}
	}
	return all
}

func (x row) cell(w work) result.Cell {
	c := result.Cell{
		Workload: w.name, Spec: w.about(), Backend: free, Pool: x.Pool,
		Goroutines: w.crowd.goroutines, Size: w.crowd.seats,
	}
	if x.Pool == "lido" {
		c.Config = lidoConfig(w.crowd.seats, w.bounded)
	}
	if x.Runs == 0 {
		c.Failed = x.Error
		return c
	}
	rounds := x.rounds
	if rounds == nil { // x was read from a file, which has none
		rounds = []sample{x.median()}
	}
	for _, s := range rounds {
		c.Samples = append(c.Samples, s.result())
	}
	c.Median = x.median().result()
	for _, s := range c.Samples {
		c.Median.PeakOpen = max(c.Median.PeakOpen, s.PeakOpen)
	}
	c.Median.BytesPerOp = median(each(c.Samples, func(s result.Sample) float64 { return s.BytesPerOp }))
	low, mid, high := words.Quartiles(c.Samples, func(s result.Sample) float64 { return s.NsPerOp })
	c.Spread = ratio(high-low, mid)
	c.Ratio = ratio(1, x.RatioToLido)
	return c
}

// median is x as a round, of a second.
func (x row) median() sample {
	return sample{
		ops: int(math.Round(ratio(1e9, x.NsPerOp))), seconds: 1, nsPerOp: x.NsPerOp, allocsPerOp: x.AllocsPerOp,
		p99: time.Duration(x.P99WaitNs), longest: time.Duration(x.MaxWaitNs), jain: x.Jain,
	}
}

func (s sample) result() result.Sample {
	return result.Sample{
		Ops: uint64(s.ops), Seconds: s.seconds, OpsPerSec: ratio(1e9, s.nsPerOp), NsPerOp: s.nsPerOp,
		WaitP99: int64(s.p99), WaitMax: int64(s.longest), Jain: s.jain,
		PeakOpen: s.opened, AllocsPerOp: s.allocsPerOp, BytesPerOp: s.bytesPerOp, CPUWaiting: -1,
	}
}

// lidoConfig is what newLido makes, as a text.
func lidoConfig(seats int, bounded bool) string {
	c := strategies.Config{Kind: "queue", Size: seats}
	if bounded {
		c.Fairness = strategies.Bounded
	}
	return c.String()
}

// result is e as lidobench has it.
func (e environment) result() result.Environment {
	return result.Environment{
		Go: e.Go, OS: e.GOOS, Arch: e.GOARCH, CPU: e.CPU, Cores: e.Cores, GOMAXPROCS: e.GOMAXPROCS, Commit: e.Commit,
	}
}
