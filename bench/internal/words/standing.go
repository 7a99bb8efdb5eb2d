package words

import (
	"math"
	"slices"

	"github.com/lidopool/lido/bench/internal/result"
)

const (
	// Below this a difference is called a tie whatever the rounds say: what moves a program about
	// in memory makes as much. Arbitrary, but see docs/performance.md for what two runs differ by.
	tie = 0.02
	// Of fewer rounds than fewRounds the spread is unknown, and this stands for it.
	unknownSpread = 0.1
	fewRounds     = 3
	// A pool that serves this share of what arrives keeps up: the last arrivals may fall out of the window.
	keepsUp = 0.97
	// A pool of which more than this share of the ops fail, beyond what fails with the best, does not
	// take part in the contest for the lowest wait: who refuses at once has short waits.
	failing = 0.01
)

// Measured says whether a cell has figures.
func Measured(c result.Cell) bool { return c.Unfit == "" && len(c.Samples) > 0 && c.Median.Seconds > 0 }

// Leaders are the pools of n whose figure is the best, with those that tie with it, and how many
// times the next is worse: 0 if there is no next. They are the indexes into n.Cells, the best first.
type Leaders struct {
	Pools []int
	Lead  float64
}

// Fastest are those of the highest throughput.
func (n Condition) Fastest() Leaders {
	return n.lead(func(c result.Cell) (figure, spread float64) {
		return c.Median.OpsPerSec, spreadOf(c, func(s result.Sample) float64 { return s.OpsPerSec })
	}, false)
}

// Calmest are those of the lowest p99 wait, of the pools that do not fail more often than others, and lend
// a resource to one at a time.
func (n Condition) Calmest() Leaders {
	least := math.Inf(1)
	for _, c := range n.Cells {
		if Measured(c) && c.Median.Ops > 0 {
			least = min(least, FailureShare(c))
		}
	}
	return n.lead(func(c result.Cell) (figure, spread float64) {
		if c.Median.Ops == 0 || c.Shared || FailureShare(c) > least+failing {
			return 0, 0
		}
		return float64(c.Median.WaitP99), spreadOf(c, func(s result.Sample) float64 { return float64(s.WaitP99) })
	}, true)
}

// lead ranks by a figure; a cell whose figure is not above 0 does not take part, nor does one that failed on
// the way, however fast it was until then.
func (n Condition) lead(of func(result.Cell) (figure, spread float64), lowest bool) Leaders {
	type entry struct {
		pool           int
		figure, spread float64
	}
	var all []entry
	for i, c := range n.Cells {
		if !Measured(c) || c.Failed != "" {
			continue
		}
		if figure, spread := of(c); figure > 0 && finite(figure) {
			all = append(all, entry{i, figure, spread})
		}
	}
	slices.SortStableFunc(all, func(a, b entry) int {
		if (a.figure < b.figure) == lowest {
			return -1
		}
		return 1
	})
	var l Leaders
	for _, e := range all {
		best := all[0]
		ratio := max(best.figure, e.figure) / min(best.figure, e.figure)
		if len(l.Pools) > 0 && ratio-1 > max(tie, best.spread, e.spread) {
			l.Lead = ratio
			break
		}
		l.Pools = append(l.Pools, e.pool)
	}
	return l
}

// KeepsUp says whether a pool served what arrived. That is counted, and not taken from the rate: by chance fewer
// arrive in one window, and more in another. Closed loops have no arrivals: all keep up.
func KeepsUp(c result.Cell) bool { return c.Rate <= 0 || Served(c) >= keepsUp }

// Served is the share of a cell's ops, or of what arrived, that ended well, over all rounds.
func Served(c result.Cell) float64 { return 1 - FailureShare(c) }

// FailureShare is the share of a cell's ops that ended with an error, over all rounds.
func FailureShare(c result.Cell) float64 {
	var ops, errors uint64
	for _, s := range c.Samples {
		ops += s.Ops
		errors += s.Failures()
	}
	if errors == 0 {
		return 0
	}
	return float64(errors) / float64(ops+errors)
}

// Spread is a cell's own spread for people. Of one round there is none.
func Spread(c result.Cell) string {
	if len(c.Samples) < 2 {
		return None
	}
	return Percent(c.Spread)
}

// spreadOf is the middle half of a figure of the rounds, as a share of their median.
func spreadOf(c result.Cell, figure func(result.Sample) float64) float64 {
	if len(c.Samples) < fewRounds {
		return unknownSpread
	}
	low, mid, high := Quartiles(c.Samples, figure)
	if mid <= 0 {
		return 0
	}
	return (high - low) / mid
}

// Quartiles are the quartiles and the median of a figure of the rounds, of which there must be one.
func Quartiles(samples []result.Sample, figure func(result.Sample) float64) (low, mid, high float64) {
	var all []float64
	for _, s := range samples {
		all = append(all, figure(s))
	}
	slices.Sort(all)
	at := func(share float64) float64 {
		place := share * float64(len(all)-1)
		i := int(place)
		if i+1 == len(all) {
			return all[i]
		}
		return all[i] + (place-float64(i))*(all[i+1]-all[i])
	}
	return at(0.25), at(0.5), at(0.75)
}
