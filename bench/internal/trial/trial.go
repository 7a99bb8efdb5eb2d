package trial

import (
	"context"
	"time"

	"github.com/lidopool/lido/bench/internal/load"
	"github.com/lidopool/lido/bench/internal/result"
)

// A Subject is a kind of pool that takes part.
type Subject struct {
	Name string
	// Config is what result.Cell.Config says of it with so many resources. Nil: it has none.
	Config func(size int) string
	// Sized says whether it is a different pool with another size; one that is not is measured once for all sizes.
	Sized bool
	// Size is how many resources one that is not Sized may have. 0: its own affair.
	Size int
	// Open makes a new pool with so many resources, which is closed after a window.
	Open func(ctx context.Context, size int) (load.Target, error)
	// Shared says that several hold a resource of it at the same time.
	Shared bool
	// Unfit says why it cannot do a workload with so many goroutines, or nothing. Nil: it can do all.
	Unfit func(w load.Workload, goroutines, size int) string
}

// A Plan is what is to be measured: each subject under each workload, with each number of
// goroutines and each size. A workload with a rate is measured with the greatest number of
// goroutines only: there it is no more than a bound on how many arrivals may be served at once.
type Plan struct {
	Backend    string // its name
	Subjects   []Subject
	Workloads  []load.Workload
	Goroutines []int
	Sizes      []int
	Rounds     int
	Warm       time.Duration
	Window     time.Duration
	Seed       uint64
	Baseline   string // the name of a subject. "": the first
	Env        result.Environment
}

// A Progress is how far a run is.
type Progress struct {
	Done, All int           // windows
	Left      time.Duration // until the end, as it looks now
	Now       string        // what is measured next
}

// Run measures. Before the first window and after each, watch, if not nil, is called with the result so far,
// which it must not keep or change, from one goroutine. A cell whose pool cannot be
// opened, measured or closed is Failed, and the others go on. If ctx ends first the result is Partial,
// without the window that was under way, and the error ctx's cause. Any other error says
// that the plan cannot be carried out, and nothing was measured.
func Run(ctx context.Context, p Plan, watch func(result.File, Progress)) (result.File, error) {
	if err := p.validate(); err != nil {
		return result.File{}, err
	}
	return newRun(p).measure(ctx, watch)
}
