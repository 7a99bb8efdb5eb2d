package main

import (
	"math"
	"testing"
	"time"
)

func TestMedianIsTheMiddle(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{nil, 0},
		{[]float64{3}, 3},
		{[]float64{9, 1, 2}, 2},
		{[]float64{4, 1, 9, 2}, 3},
	} {
		if got := median(c.values); got != c.want {
			t.Errorf("median(%v) = %v, want %v", c.values, got, c.want)
		}
	}
}

func TestJainIsOneIfAllGotTheSame(t *testing.T) {
	for _, c := range []struct {
		counts []int
		want   float64
	}{
		{[]int{7, 7, 7}, 1},
		{[]int{8, 0, 0, 0}, 0.25},
		{[]int{1, 3}, 0.8},
		{[]int{0, 0}, 0},
		{nil, 0},
	} {
		if got := jain(c.counts); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("jain(%v) = %v, want %v", c.counts, got, c.want)
		}
	}
}

func TestHistogramKeepsADurationToAThirtySecond(t *testing.T) {
	for d := time.Duration(0); d < 10*time.Minute; d += d/7 + 1 {
		got := lastOf(bucketOf(uint64(d)))
		if got < d || got > d+d/32 {
			t.Fatalf("%d ns came back as %d ns", d, got)
		}
		if next := bucketOf(uint64(got) + 1); next != bucketOf(uint64(d))+1 {
			t.Fatalf("after bucket %d, which ends at %d ns, comes %d", bucketOf(uint64(d)), got, next)
		}
	}
}

func TestQuantileAndLongestAreOfAllThatWereMerged(t *testing.T) {
	var sum histogram
	if got := sum.quantile(0.99); got != 0 {
		t.Errorf("quantile of nothing = %v, want 0", got)
	}
	for i := range 4 {
		var h histogram
		for d := i + 1; d <= 1000; d += 4 {
			h.add(time.Duration(d) * time.Microsecond)
		}
		sum.merge(&h)
	}
	if got, want := sum.quantile(0.99), 990*time.Microsecond; got < want || got > want+want/32 {
		t.Errorf("0.99 of 1 µs … 1000 µs = %v, want %v and at most 1/32 more", got, want)
	}
	sum.add(time.Hour)
	if sum.longest != time.Hour || sum.quantile(1) > time.Hour {
		t.Errorf("longest = %v, quantile(1) = %v, want an hour and not more", sum.longest, sum.quantile(1))
	}
}
