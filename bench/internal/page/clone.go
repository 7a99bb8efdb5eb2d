package page

import (
	"maps"
	"slices"

	"github.com/lidopool/lido/bench/internal/result"
)

// clone is a copy of f that shares nothing with it.
func clone(f result.File) result.File {
	f.Summary, f.Warnings = slices.Clone(f.Summary), slices.Clone(f.Warnings)
	f.Cells, f.Timelines = slices.Clone(f.Cells), slices.Clone(f.Timelines)
	for i := range f.Cells {
		c := &f.Cells[i]
		c.Samples, c.Waits = slices.Clone(c.Samples), slices.Clone(c.Waits)
		c.Median.Errors = maps.Clone(c.Median.Errors)
		for j := range c.Samples {
			c.Samples[j].Errors = maps.Clone(c.Samples[j].Errors)
		}
	}
	for i := range f.Timelines {
		t := &f.Timelines[i]
		t.Marks, t.Points = slices.Clone(t.Marks), slices.Clone(t.Points)
		t.Verdict.Errors = maps.Clone(t.Verdict.Errors)
	}
	return f
}
