package scenario

import (
	"time"

	"github.com/lidopool/lido/strategies"
)

// A Scenario is a bad moment.
type Scenario struct {
	Name  string // "spike", "outage", "slow", "saturation", "rolling-restart", "leak"
	About string // what happens, a sentence
	// Backend is what --backend is if nobody says otherwise.
	Backend string
	// Size is how many resources the pool keeps, and Overflow how many it may have beyond: see Fit.
	Size, Overflow int
	Length         time.Duration // with a scale of 1

	plan func(scale float64) plan
	tell func(*run) string // the verdict in words
}

// Fit gives a config the size that the scenario is made for. One of a kind without a size stays as it is.
func (s Scenario) Fit(c strategies.Config) strategies.Config {
	switch c.Kind {
	case "queue":
		c.Size, c.MaxOverflow = s.Size, s.Overflow
	case "singleton":
		c.Size = s.Size + s.Overflow
	}
	return c
}

// A Setting is how a scenario is run.
type Setting struct {
	Tick  time.Duration // default 50 ms
	Scale float64       // default 1
}

func (s Setting) withDefaults() Setting {
	if s.Tick <= 0 {
		s.Tick = 50 * time.Millisecond
	}
	if s.Scale <= 0 {
		s.Scale = 1
	}
	return s
}
