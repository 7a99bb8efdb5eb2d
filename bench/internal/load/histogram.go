package load

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/lidopool/lido/bench/internal/result"
)

// A Histogram counts waits, from 1 ns to an hour, to three digits. It has no lock.
type Histogram struct {
	h *hdrhistogram.Histogram
}

// TODO(issue 6): the rest of it.

// Add counts a wait.
func (h *Histogram) Add(d time.Duration) { panic("load: not built yet") }

// Merge adds what o has counted.
func (h *Histogram) Merge(o *Histogram) { panic("load: not built yet") }

// Quantile is what a share of the waits, 0 to 1, do not exceed. Of none it is 0.
func (h *Histogram) Quantile(share float64) time.Duration { panic("load: not built yet") }

// Curve is what result.Cell.Waits wants.
func (h *Histogram) Curve() []result.Quantile { panic("load: not built yet") }
