package trial

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"github.com/lidopool/lido/bench/internal/result"
)

// median is the sample in the middle, figure by figure; what is a maximum is the greatest, since that it
// was so in most rounds is no comfort. A kind of error that came in any round counts 1 at least.
func median(samples []result.Sample) result.Sample {
	if len(samples) == 0 {
		return result.Sample{}
	}
	busy := slices.DeleteFunc(slices.Clone(samples), idle)
	return result.Sample{
		Ops:       mid(samples, func(s result.Sample) uint64 { return s.Ops }),
		Seconds:   mid(samples, func(s result.Sample) float64 { return s.Seconds }),
		OpsPerSec: mid(samples, func(s result.Sample) float64 { return s.OpsPerSec }),
		NsPerOp:   nsPerOp(samples),

		WaitMean: mid(samples, func(s result.Sample) float64 { return s.WaitMean }),
		WaitP50:  mid(samples, func(s result.Sample) int64 { return s.WaitP50 }),
		WaitP90:  mid(samples, func(s result.Sample) int64 { return s.WaitP90 }),
		WaitP99:  mid(samples, func(s result.Sample) int64 { return s.WaitP99 }),
		WaitP999: mid(samples, func(s result.Sample) int64 { return s.WaitP999 }),
		WaitMax:  most(samples, func(s result.Sample) int64 { return s.WaitMax }),

		Jain:   mid(samples, func(s result.Sample) float64 { return s.Jain }),
		MaxMin: mid(samples, func(s result.Sample) float64 { return s.MaxMin }),

		Opens:    mid(samples, func(s result.Sample) uint64 { return s.Opens }),
		Closes:   mid(samples, func(s result.Sample) uint64 { return s.Closes }),
		PeakOpen: most(samples, func(s result.Sample) int { return s.PeakOpen }),
		Sessions: most(samples, func(s result.Sample) int { return s.Sessions }),

		AllocsPerOp: mid(busy, func(s result.Sample) float64 { return s.AllocsPerOp }),
		BytesPerOp:  mid(busy, func(s result.Sample) float64 { return s.BytesPerOp }),
		CPUPerOp:    mid(busy, func(s result.Sample) float64 { return s.CPUPerOp }),
		CPUWaiting:  waiting(samples),

		Errors: kinds(samples),
	}
}

// idle says whether nothing went well in a round: then nothing is known per op.
func idle(s result.Sample) bool { return s.NsPerOp == 0 }

// nsPerOp is the median, where an idle round took for ever: 0 ns would be the best of all.
func nsPerOp(samples []result.Sample) float64 {
	m := middle(values(samples, func(s result.Sample) float64 {
		if idle(s) {
			return math.Inf(1)
		}
		return s.NsPerOp
	}))
	if math.IsInf(m, 0) || math.IsNaN(m) {
		return 0 // in most of the rounds nothing was done
	}
	return m
}

// waiting is the median of the rounds in which it was measured.
func waiting(samples []result.Sample) float64 {
	measured := slices.DeleteFunc(slices.Clone(samples), func(s result.Sample) bool { return s.CPUWaiting < 0 })
	if len(measured) == 0 {
		return -1
	}
	return mid(measured, func(s result.Sample) float64 { return s.CPUWaiting })
}

func kinds(samples []result.Sample) map[string]uint64 {
	all := map[string]uint64{}
	for _, s := range samples {
		for kind := range maps.Keys(s.Errors) {
			all[kind] = max(1, mid(samples, func(s result.Sample) uint64 { return s.Errors[kind] }))
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all
}

type number interface {
	~int | ~int64 | ~uint64 | ~float64
}

func values[N number](samples []result.Sample, of func(result.Sample) N) []N {
	all := make([]N, len(samples))
	for i, s := range samples {
		all[i] = of(s)
	}
	return all
}

func mid[N number](samples []result.Sample, of func(result.Sample) N) N {
	return middle(values(samples, of))
}

func most[N number](samples []result.Sample, of func(result.Sample) N) N {
	return slices.Max(values(samples, of))
}

// middle is the median, or the mean of the two in the middle. Of none it is 0.
func middle[N number](all []N) N {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.SortedFunc(slices.Values(all), cmp.Compare[N])
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return sorted[half-1] + (sorted[half]-sorted[half-1])/2
}

// spread is the middle half of the times per op, as a share of their median. With fewer than four samples it is
// all of them.
func spread(samples []result.Sample) float64 {
	ns := slices.Sorted(slices.Values(values(samples, func(s result.Sample) float64 { return s.NsPerOp })))
	m := middle(ns)
	if m == 0 { // in most rounds nothing was done; if in some something was, that is as unsteady as can be
		if len(ns) > 0 && ns[len(ns)-1] > 0 {
			return 1
		}
		return 0
	}
	if len(ns) < 4 {
		return (ns[len(ns)-1] - ns[0]) / m
	}
	return (quartile(ns, 0.75) - quartile(ns, 0.25)) / m
}

// quartile lies between the two sorted values nearest to it.
func quartile(sorted []float64, share float64) float64 {
	at := share * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[i]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}
