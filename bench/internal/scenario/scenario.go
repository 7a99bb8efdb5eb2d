package scenario

import (
	"context"
	"time"

	"github.com/lidopool/lido/bench/internal/load"
	"github.com/lidopool/lido/bench/internal/result"
	"github.com/lidopool/lido/bench/internal/target"
)

// A Scenario is a bad moment.
type Scenario struct {
	Name  string // "spike", "outage", "slow", "saturation", "rolling-restart", "leak"
	About string // what happens, a sentence
	// Backend is what --backend is if nobody says otherwise; Size the resources of the pool.
	Backend string
	Size    int
	Length  time.Duration
}

// TODO(issue 6): the scenarios.

// All are the scenarios, in the order in which they are shown.
func All() []Scenario { panic("scenario: not built yet") }

// Run puts t, a new pool over b, through s, and closes it. Every tick there is a point; seen, if
// not nil, is called with each, from one goroutine. scale stretches the scenario: 0.5 is half as long. If
// ctx ends first the timeline ends there, and the error is ctx's cause.
func Run(ctx context.Context, s Scenario, t load.Target, b target.Backend, in Setting) (result.Timeline, error) {
	panic("scenario: not built yet")
}

// A Setting is how a scenario is run.
type Setting struct {
	Tick  time.Duration // default 50 ms
	Scale float64       // default 1
	Seed  uint64
	Seen  func(result.Point)
}
