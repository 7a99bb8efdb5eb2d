package load

import (
	"math"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/lidopool/lido/bench/internal/result"
)

// A Histogram counts waits, from 1 ns to an hour, to three digits; what is longer counts as an
// hour. The zero one has counted nothing. It has no lock, and takes 250 KB once it counts, unless it is packed.
type Histogram struct {
	h       *hdrhistogram.Histogram // nil: see packed
	packed  []bar                   // what h has counted
	sum     float64                 // ns
	longest time.Duration
}

// A bar is how many waits fell into one of the intervals that a histogram tells apart.
type bar struct {
	at    int
	count int64
}

// Pack has it take no more than 16 bytes for each different wait, until it is used again, which then takes
// a moment longer.
func (h *Histogram) Pack() {
	if h.h == nil {
		return
	}
	for at, count := range h.h.Export().Counts {
		if count > 0 {
			h.packed = append(h.packed, bar{at, count})
		}
	}
	h.h = nil
}

// unpack is the opposite of Pack. The zero one can count after it.
func (h *Histogram) unpack() {
	if h.h != nil {
		return
	}
	h.h = hdrhistogram.New(1, int64(longestTime), 3)
	if len(h.packed) > 0 {
		all := h.h.Export()
		for _, b := range h.packed {
			all.Counts[b.at] = b.count
		}
		h.h, h.packed = hdrhistogram.Import(all), nil
	}
}

// Add counts a wait.
func (h *Histogram) Add(d time.Duration) {
	if h.h == nil {
		h.unpack()
	}
	d = max(d, 0)
	_ = h.h.RecordValue(int64(min(d, longestTime))) // it refuses only what is outside of its range
	h.sum += float64(d)
	h.longest = max(h.longest, d)
}

// Merge adds what o has counted.
func (h *Histogram) Merge(o *Histogram) {
	if o.Count() == 0 {
		return
	}
	h.unpack()
	h.h.Merge(o.h) // drops nothing, as both have one range
	h.sum += o.sum
	h.longest = max(h.longest, o.longest)
}

// Count is how many it has counted.
func (h *Histogram) Count() int64 {
	if h.h == nil && len(h.packed) == 0 {
		return 0
	}
	h.unpack()
	return h.h.TotalCount()
}

// Mean is exact, as is Max. Of none both are 0.
func (h *Histogram) Mean() time.Duration {
	return time.Duration(math.Round(quotient(h.sum, float64(h.Count()))))
}

// Max is the longest, also where that is more than an hour.
func (h *Histogram) Max() time.Duration { return h.longest }

// Quantile is what a share of the waits, 0 to 1, do not exceed: at most 0.1 % more than the
// least such. Of none it is 0.
func (h *Histogram) Quantile(share float64) time.Duration {
	n := float64(h.Count())
	if n == 0 {
		return 0
	}
	// Less a little, as 0.07 of 100 is a little more than 7 in binary.
	rank := max(math.Ceil(share*n*(1-1e-12)), 1)
	if rank >= n {
		return h.longest
	}
	// The library rounds to the nearest rank, so it is asked for one.
	return min(time.Duration(h.h.ValueAtPercentile(100*rank/n)), h.longest)
}

// Curve is what result.Cell.Waits wants: quantiles in ascending order, closer to each other the
// closer to 1 they are, so that each ninth is another 9 (0.9, 0.99, …). The last is 1. There are at
// most 55, and none where less than one wait would lie beyond.
func (h *Histogram) Curve() []result.Quantile {
	n := float64(h.Count())
	if n == 0 {
		return nil
	}
	var curve []result.Quantile
	for whole := 10.0; whole <= 1e6; whole *= 10 {
		for rest := 10.0; rest > 1 && rest/whole*n >= 1; rest-- {
			share := (whole - rest) / whole
			curve = append(curve, result.Quantile{Share: share, Ns: int64(h.Quantile(share))})
		}
	}
	return append(curve, result.Quantile{Share: 1, Ns: int64(h.longest)})
}

// quotient is a/b, or 0 where b is.
func quotient(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
