package trial

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/lidopool/lido/bench/internal/load"
	"github.com/lidopool/lido/bench/internal/result"
)

// A cell is a subject under conditions, and what was found out about it. As long as it has not
// failed it has a sample for each round.
type cell struct {
	subject    Subject
	workload   load.Workload
	goroutines int
	size       int // as Subject.Open takes it
	base       *cell

	row   result.Cell
	waits load.Histogram // of all rounds, packed
}

func (p Plan) newCell(s Subject, w load.Workload, goroutines, size int) *cell {
	c := &cell{subject: s, workload: w, goroutines: goroutines, size: size}
	c.row = result.Cell{
		Workload: w.Name, Spec: w.String(), Backend: p.Backend, Pool: s.Name,
		Goroutines: goroutines, Size: c.seats(), Rate: w.Rate, Shared: s.Shared && goroutines > 1,
	}
	if s.Config != nil {
		c.row.Config = s.Config(size)
	}
	if s.Unfit != nil {
		c.row.Unfit = s.Unfit(w, goroutines, size)
	}
	return c
}

// seats is how many resources the pool may have. 0: its own affair.
func (c *cell) seats() int {
	if c.subject.Sized {
		return c.size
	}
	return c.subject.Size
}

// runs says whether there is something left to be measured.
func (c *cell) runs() bool { return c.row.Unfit == "" && c.row.Failed == "" }

// under names the conditions, which all cells that are compared with each other share.
func (c *cell) under() string {
	s := fmt.Sprintf("%s with %d goroutine", c.row.Workload, c.goroutines)
	if c.goroutines > 1 {
		s += "s"
	}
	return s
}

func (c *cell) String() string {
	if c.subject.Sized {
		return fmt.Sprintf("%s, %s of size %d", c.under(), c.row.Pool, c.size)
	}
	return c.under() + ", " + c.row.Pool
}

// closeTimeout is how long a pool may take to close. All has gone home by then; only a resource that
// does not close can keep it.
const closeTimeout = 10 * time.Second

// measure puts a new pool under the workload for a window. Its error is ctx's cause if that has ended.
func (c *cell) measure(ctx context.Context, in load.Window) (load.Finding, error) {
	runtime.GC() // what the pool before has left
	t, err := c.subject.Open(ctx, c.size)
	if err != nil {
		return load.Finding{}, ended(ctx, fmt.Errorf("open: %w", err))
	}
	found, err := load.Measure(ctx, t, c.workload, in)
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if failed := t.Close(closing); failed != nil {
		err = errors.Join(err, fmt.Errorf("close: %w", failed))
	}
	return found, ended(ctx, err)
}

func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// add takes in what a round has found.
func (c *cell) add(f load.Finding) {
	c.row.Samples = append(c.row.Samples, f.Sample)
	if f.Waits != nil {
		c.waits.Merge(f.Waits)
	}
	c.row.Median = median(c.row.Samples)
	c.row.Spread = spread(c.row.Samples)
	c.row.Waits = c.waits.Curve()
	c.waits.Pack() // there may be a thousand cells
}

func (c *cell) fail(round int, err error) {
	c.row.Failed = fmt.Sprintf("round %d: %s", round+1, strings.ReplaceAll(err.Error(), "\n", "; "))
}

// compare sets the ratio to the baseline, of the rounds that both have.
func (c *cell) compare() {
	var ratios []float64
	for i := range min(len(c.row.Samples), len(c.base.row.Samples)) {
		if base := c.base.row.Samples[i].OpsPerSec; base > 0 {
			ratios = append(ratios, c.row.Samples[i].OpsPerSec/base)
		}
	}
	c.row.Ratio = middle(ratios)
}
