package load_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lidopool/lido/bench/internal/load"
)

// exact is the least of sorted that a share of them do not exceed.
func exact(sorted []time.Duration, share float64) time.Duration {
	rank := int(math.Ceil(share*float64(len(sorted)) - 1e-9))
	return sorted[max(rank, 1)-1]
}

func TestHistogramAgreesWithASortedSlice(t *testing.T) {
	for _, text := range []string{"1us", "exp:100ns", "exp:1ms", "uniform:1ms-3ms", "lognormal:3us,1ms", "uniform:0s-3ns"} {
		for _, n := range []int{1, 2, 10, 99, 1000, 54_321} {
			d, r := dist(t, text), rand.New(rand.NewPCG(3, uint64(n)))
			var h load.Histogram
			var sum float64
			all := make([]time.Duration, n)
			for i := range all {
				all[i] = d.Draw(r)
				h.Add(all[i])
				sum += float64(all[i])
			}
			slices.Sort(all)
			if h.Count() != int64(n) || h.Max() != all[n-1] {
				t.Errorf("%s: Count %d, Max %v, want %d, %v", text, h.Count(), h.Max(), n, all[n-1])
			}
			if got, want := h.Mean(), sum/float64(n); math.Abs(float64(got)-want) > 1 {
				t.Errorf("%s: Mean of %d is %v, want %v ns", text, n, got, want)
			}
			for _, share := range []float64{0, 0.01, 0.07, 0.25, 0.5, 0.9, 0.99, 0.999, 0.9999, 1} {
				got, want := h.Quantile(share), exact(all, share)
				if got < want || float64(got) > 1.001*float64(want) {
					t.Errorf("%s: Quantile(%v) of %d is %v, want %v or up to 0.1 %% more", text, share, n, got, want)
				}
			}
			checkCurve(t, &h, all)
		}
	}
}

func TestAPackedHistogramGoesOnAsIfNothingHadBeen(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 0))
	d := dist(t, "lognormal:3us,1ms")
	var packed, plain, other load.Histogram
	for range 200 {
		switch packed.Pack(); r.IntN(3) {
		case 0:
			packed.Merge(&other)
			plain.Merge(&other)
		case 1:
			other.Add(d.Draw(r))
			other.Pack()
		default:
			for range r.IntN(20) {
				wait := d.Draw(r)
				packed.Add(wait)
				plain.Add(wait)
			}
		}
		packed.Pack()
		if diff := cmp.Diff(plain.Curve(), packed.Curve()); diff != "" || packed.Count() != plain.Count() || packed.Mean() != plain.Mean() || packed.Max() != plain.Max() {
			t.Fatalf("after %d waits of %d, mean %v of %v (-want +got):\n%s", packed.Count(), plain.Count(), packed.Mean(), plain.Mean(), diff)
		}
	}
}

func checkCurve(t *testing.T, h *load.Histogram, sorted []time.Duration) {
	t.Helper()
	curve := h.Curve()
	if len(curve) == 0 || len(curve) > 60 || curve[len(curve)-1].Share != 1 {
		t.Fatalf("a curve of %d points: %v", len(curve), curve)
	}
	for i, q := range curve {
		if want := exact(sorted, q.Share); q.Ns < int64(want) || float64(q.Ns) > 1.001*float64(want) {
			t.Errorf("the curve is %d ns at %v, want %v", q.Ns, q.Share, want)
		}
		if i > 0 && (q.Share <= curve[i-1].Share || q.Ns < curve[i-1].Ns) {
			t.Errorf("the curve falls: %v after %v", q, curve[i-1])
		}
	}
}

func TestCurveHasTheQuantilesThatPeopleNameAndNoneBeyondTheLastWait(t *testing.T) {
	var h load.Histogram
	for i := range 1000 {
		h.Add(time.Duration(i+1) * time.Millisecond)
	}
	shares := map[float64]bool{}
	for _, q := range h.Curve() {
		shares[q.Share] = true
	}
	for _, want := range []float64{0, 0.5, 0.9, 0.99, 0.998, 1} {
		if !shares[want] {
			t.Errorf("no %v in %v", want, h.Curve())
		}
	}
	if shares[0.9991] {
		t.Error("a tenth of a wait lies beyond 0.9991")
	}
}

// 0.07 of 100 is a little more than 7, as floats are.
func TestQuantileIsOfTheRankThatPeopleCount(t *testing.T) {
	var h load.Histogram
	for i := range 100 {
		h.Add(time.Duration(i+1) * time.Millisecond)
	}
	if got := h.Quantile(0.07).Round(100 * time.Microsecond); got != 7*time.Millisecond {
		t.Errorf("7 of 100 do not exceed %v, want 7ms", got)
	}
}

func TestHistogramClampsAndDropsNothing(t *testing.T) {
	var h load.Histogram
	for _, d := range []time.Duration{-time.Second, 0, time.Hour, 3 * time.Hour} {
		h.Add(d)
	}
	if h.Count() != 4 || h.Max() != 3*time.Hour || h.Mean() != time.Hour {
		t.Errorf("Count %d, Max %v, Mean %v, want 4, 3h, 1h", h.Count(), h.Max(), h.Mean())
	}
	if h.Quantile(0.5) != 0 || h.Quantile(1) != 3*time.Hour {
		t.Errorf("half are up to %v, all up to %v, want 0, 3h", h.Quantile(0.5), h.Quantile(1))
	}
	if got := h.Quantile(0.75); got < time.Hour || got > time.Hour+4*time.Second {
		t.Errorf("three quarters are up to %v, want 1h", got)
	}
}

func TestMergedHistogramsAreAsIfOneHadCountedAll(t *testing.T) {
	var one, a, b, empty load.Histogram
	d, r := dist(t, "lognormal:1ms,1s"), rand.New(rand.NewPCG(1, 1))
	for i := range 10_000 {
		wait := d.Draw(r)
		one.Add(wait)
		if i%3 == 0 {
			a.Add(wait)
		} else {
			b.Add(wait)
		}
	}
	a.Merge(&empty)
	a.Merge(&b)
	empty.Merge(&a)
	for _, h := range []*load.Histogram{&a, &empty} {
		if h.Count() != one.Count() || h.Max() != one.Max() || !slices.Equal(h.Curve(), one.Curve()) {
			t.Errorf("merged: %d, %v, want %d, %v, and the same curve", h.Count(), h.Max(), one.Count(), one.Max())
		}
		if diff := h.Mean() - one.Mean(); diff < -1 || diff > 1 {
			t.Errorf("merged: the mean is %v, want %v", h.Mean(), one.Mean())
		}
	}
}

func TestHistogramOfNothingIsZero(t *testing.T) {
	var h load.Histogram
	if h.Count() != 0 || h.Max() != 0 || h.Mean() != 0 || h.Quantile(0.99) != 0 || h.Curve() != nil {
		t.Errorf("%d, %v, %v, %v, %v", h.Count(), h.Max(), h.Mean(), h.Quantile(0.99), h.Curve())
	}
}

func BenchmarkHistogramAdd(b *testing.B) {
	var h load.Histogram
	for b.Loop() {
		h.Add(123_456)
	}
}
