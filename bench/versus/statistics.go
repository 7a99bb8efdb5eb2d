package main

import (
	"math/bits"
	"slices"
	"time"
)

// median is the middle of the values, or the mean of the two in the middle. Of none it is 0.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// jain is the index of fairness: 1 if all got the same, 1/len if one got everything, 0 if
// nobody got anything.
func jain(counts []int) float64 {
	sum, squares := 0.0, 0.0
	for _, n := range counts {
		sum += float64(n)
		squares += float64(n) * float64(n)
	}
	if squares == 0 {
		return 0
	}
	return sum * sum / (float64(len(counts)) * squares)
}

// fine is how many bits of a value a histogram keeps below the first: what it says is at
// most 1/32 too much.
const fine = 5

// A histogram counts durations, of one goroutine: it has no lock. Those under 2^fine ns have
// a bucket each, and each doubling above has 2^fine of them, up to 18 minutes.
type histogram struct {
	buckets [36 << fine]uint32
	longest time.Duration
}

func (h *histogram) add(d time.Duration) {
	h.buckets[min(bucketOf(uint64(max(d, 0))), len(h.buckets)-1)]++
	h.longest = max(h.longest, d)
}

func bucketOf(ns uint64) int {
	shift := max(bits.Len64(ns)-fine-1, 0)
	return shift<<fine + int(ns>>shift)
}

// lastOf is the longest duration that falls into bucket b.
func lastOf(b int) time.Duration {
	shift := max(b>>fine-1, 0)
	return time.Duration(uint64(b-shift<<fine+1)<<shift - 1)
}

func (h *histogram) merge(o *histogram) {
	for b, n := range o.buckets {
		h.buckets[b] += n
	}
	h.longest = max(h.longest, o.longest)
}

// quantile is what a share of the durations do not exceed. Of none it is 0.
func (h *histogram) quantile(share float64) time.Duration {
	total := 0
	for _, n := range h.buckets {
		total += int(n)
	}
	seen := 0
	for b, n := range h.buckets {
		seen += int(n)
		if n > 0 && float64(seen) >= share*float64(total) {
			return min(lastOf(b), h.longest)
		}
	}
	return 0
}
