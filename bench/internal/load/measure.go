package load

import (
	"context"
	"time"

	"github.com/lidopool/lido/bench/internal/result"
)

// A Window is how long a measurement lasts.
type Window struct {
	Goroutines   int
	Size         int // resources of the pool, for how many must be held to make all others wait. 0: do not measure CPUWaiting
	Warm, Length time.Duration
	Seed         uint64
}

// A Finding is what Measure found.
type Finding struct {
	result.Sample
	Waits *Histogram
}

// TODO(issue 6): the engine. Measure puts w on t for a window. It returns once all its goroutines have
// ended; if ctx ends first, with what was found until then, and ctx's cause.
func Measure(ctx context.Context, t Target, w Workload, in Window) (Finding, error) {
	panic("load: not built yet")
}
