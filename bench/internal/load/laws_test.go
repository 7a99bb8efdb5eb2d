//go:build !race

// The race detector would make half a minute of these seconds, and see what it sees in the other tests.

package load_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/bench/internal/load"
)

// erlangC is the share of arrivals that must wait, where they come at random to c servers that
// are offered a load of a.
func erlangC(c int, a float64) float64 {
	term, sum := 1.0, 0.0 // a^k/k!, and those for k < c
	for k := 1; k <= c; k++ {
		sum += term
		term *= a / float64(k)
	}
	all := term * float64(c) / (float64(c) - a)
	return all / (sum + all)
}

// The tolerance is the more, the fuller the servers are: the longer the line, the more one wait is
// like the next, and the less many of them say. Seeds are fixed, so that it either holds or does not.
func TestRandomArrivalsWaitAsErlangSays(t *testing.T) {
	const hold = time.Millisecond
	for _, tt := range []struct {
		servers   int
		load      float64 // of each server
		arrivals  float64
		tolerance float64
	}{
		{1, 0.5, 100_000, 0.02}, {1, 0.8, 200_000, 0.03}, {1, 0.95, 400_000, 0.06},
		{2, 0.5, 100_000, 0.02}, {2, 0.8, 200_000, 0.03}, {2, 0.95, 400_000, 0.06},
		{10, 0.5, 200_000, 0.03}, {10, 0.8, 200_000, 0.03}, {10, 0.95, 400_000, 0.06},
	} {
		t.Run(fmt.Sprintf("M/M/%d at %v", tt.servers, tt.load), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				rate := tt.load * float64(tt.servers) / hold.Seconds()
				found := checkStation(t, tt.servers, "hold-sleep?for=exp:1ms", rate, tt.arrivals, tt.tolerance)
				mean := erlangC(tt.servers, tt.load*float64(tt.servers)) / (1 - tt.load) / float64(tt.servers) * float64(hold)
				near(t, "the mean wait", found.WaitMean, mean, tt.tolerance)
			})
		})
	}
}

func TestRandomArrivalsToAServerOfConstantTimeWaitAsPollaczekAndKhinchineSay(t *testing.T) {
	for _, load := range []float64{0.5, 0.8, 0.95} {
		t.Run(fmt.Sprintf("M/D/1 at %v", load), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				found := checkStation(t, 1, "hold-sleep?for=1ms", load*1000, 300_000, 0.04)
				near(t, "the mean wait", found.WaitMean, load*float64(time.Millisecond)/(2*(1-load)), 0.04)
			})
		})
	}
}

// checkStation lets so many arrivals come to servers, and checks the laws that hold however long
// who waits: the utilization law, U = X·S, and Little's law, L = X·W.
func checkStation(t *testing.T, servers int, text string, rate, arrivals, tolerance float64) load.Finding {
	t.Helper()
	f := newFake(servers)
	length := time.Duration(arrivals / rate * float64(time.Second))
	from := time.Now().Add(length / 20)
	found := measure(t, f, fmt.Sprintf("%s&rate=%v", text, rate), load.Window{Goroutines: 200, Warm: length / 20, Length: length, Seed: 1})
	to := from.Add(length)

	near(t, "the rate of ops", found.OpsPerSec, rate, 0.01)
	near(t, "how many wait (Little)", f.within(from, to, waited).Seconds()/length.Seconds(), found.OpsPerSec*found.WaitMean/1e9, 0.01)
	near(t, "how many are in use (utilization)", f.within(from, to, used).Seconds()/length.Seconds(), found.OpsPerSec*time.Millisecond.Seconds(), 0.02)
	return found
}
