package trial

import (
	"fmt"
	"slices"
	"time"
)

// noise is how steady the machine was: how long a fixed computation took at the beginning of each
// round, and what part of that time the process had a processor.
type noise struct {
	walls []time.Duration
	share float64 // the least
}

const (
	// noiseTooMuch and spreadTooMuch are where the differences that one wants to see, of a few per cent to a
	// few tens, are as likely the machine's. They are arbitrary.
	noiseTooMuch  = 0.10
	stealTooMuch  = 0.10
	spreadTooMuch = 0.20

	// spinSteps take 10 to 30 ms: long enough for a clock, and for others to come between.
	spinSteps = 10_000_000
	spinTime  = 20 * time.Millisecond
)

// A spun is a computation that has been timed. cpu is negative where it cannot be measured.
type spun struct{ wall, cpu time.Duration }

// spin is the computation. It needs no memory, so that its time is that of the processor alone.
func spin() spun {
	begin, cpu := time.Now(), cpuTime()
	x := uint64(88172645463325252)
	for range spinSteps {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	s := spun{time.Since(begin), cpuTime() - cpu}
	if cpu < 0 || x == 0 { // x is never 0; it must be used or there is nothing to compute
		s.cpu = -1
	}
	return s
}

func (n *noise) add(s spun) {
	if s.wall <= 0 {
		return // in a bubble of testing/synctest, where computing takes no time
	}
	n.walls = append(n.walls, s.wall)
	if share := float64(s.cpu) / float64(s.wall); s.cpu >= 0 && (n.share == 0 || share < n.share) {
		n.share = share
	}
}

func (n *noise) warnings() (all []string) {
	if len(n.walls) == 0 {
		return nil
	}
	least, greatest := slices.Min(n.walls), slices.Max(n.walls)
	if more := float64(greatest)/float64(least) - 1; more > noiseTooMuch {
		all = append(all, fmt.Sprintf("the machine was unsteady: the same computation took from %.1f to %.1f ms, %.0f %% more, from round to round; "+
			"close what else runs, keep the processor's clock steady, or raise --rounds", ms(least), ms(greatest), 100*more))
	}
	if n.share > 0 && n.share < 1-stealTooMuch {
		all = append(all, fmt.Sprintf("others used the processor: a computation that wants all of one got %.0f %% of it; close what else runs, or measure on a machine of your own", 100*n.share))
	}
	return all
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
