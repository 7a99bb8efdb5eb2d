package load

import (
	"math/rand/v2"
	"time"
)

// A Dist is a distribution of times. Its text is a time, or kind:mean: "1ms", "exp:1ms",
// "uniform:1ms-3ms", "lognormal:1ms,10ms" with the median and the 99th percentile. The zero Dist is 0.
type Dist struct {
	kind string
	a, b time.Duration
}

// TODO(issue 6): the rest of it.

// ParseDist reads the text of a Dist.
func ParseDist(text string) (Dist, error) { panic("load: not built yet") }

// Draw returns a time.
func (d Dist) Draw(r *rand.Rand) time.Duration { panic("load: not built yet") }

// Mean is what the times are on average.
func (d Dist) Mean() time.Duration { panic("load: not built yet") }
func (d Dist) String() string      { panic("load: not built yet") }
