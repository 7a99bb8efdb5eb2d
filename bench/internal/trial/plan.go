package trial

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// validate says what is wrong with p.
func (p Plan) validate() error {
	switch {
	case len(p.Subjects) == 0:
		return fmt.Errorf("trial: no pools: name at least one")
	case len(p.Workloads) == 0:
		return fmt.Errorf("trial: no workloads: name at least one")
	case len(p.Goroutines) == 0 || slices.Min(p.Goroutines) < 1:
		return fmt.Errorf("trial: goroutines are %v: give numbers of 1 or more", p.Goroutines)
	case len(p.Sizes) == 0 || slices.Min(p.Sizes) < 1:
		return fmt.Errorf("trial: sizes are %v: give numbers of 1 or more", p.Sizes)
	case p.Rounds < 1:
		return fmt.Errorf("trial: rounds are %d: give 1 or more", p.Rounds)
	case p.Window <= 0:
		return fmt.Errorf("trial: the window is %v: give more than 0, such as 250ms", p.Window)
	case p.Warm < 0:
		return fmt.Errorf("trial: the warm-up is %v: give 0 or more", p.Warm)
	}
	names, workloads := map[string]bool{}, map[string]bool{}
	for _, s := range p.Subjects {
		if names[s.Name] {
			return fmt.Errorf("trial: pool %q is named twice: name it once", s.Name)
		}
		names[s.Name] = true
	}
	for _, w := range p.Workloads {
		if workloads[w.Name] {
			return fmt.Errorf("trial: workload %q is named twice: name it once", w.Name)
		}
		workloads[w.Name] = true
	}
	if !names[p.baseline()] {
		return fmt.Errorf("trial: baseline %q is not among the pools: name one that is measured", p.Baseline)
	}
	return nil
}

func (p Plan) baseline() string { return cmp.Or(p.Baseline, p.Subjects[0].Name) }

// Estimate is how long Run will take, more or less.
func (p Plan) Estimate() time.Duration {
	each := time.Duration(0)
	for _, c := range p.cells() {
		each += p.expect(c)
	}
	return time.Duration(p.Rounds) * (each + spinTime)
}

// Windows is how many windows Run will measure.
func (p Plan) Windows() int {
	n := 0
	for _, c := range p.cells() {
		if c.row.Unfit == "" {
			n += p.Rounds
		}
	}
	return n
}

const (
	// aroundWindow is what it takes to collect garbage, to open a pool, and to close it: SQLite on two
	// slow cores, measured. It is for estimates only.
	aroundWindow = 25 * time.Millisecond
	// probeTime is what package load takes to see what waiting costs.
	probeTime = 150 * time.Millisecond
)

// expect is how long a window of c takes, with all around it.
func (p Plan) expect(c *cell) time.Duration {
	if c.row.Unfit != "" {
		return 0
	}
	d := p.Warm + p.Window + aroundWindow
	if c.goroutines > c.seats() && c.seats() > 0 {
		d += probeTime
	}
	return d
}

// cells are all that is to be measured or is unfit, in the order of the plan.
func (p Plan) cells() []*cell {
	var all []*cell
	for _, w := range p.Workloads {
		goroutines := p.Goroutines
		if w.Rate > 0 {
			goroutines = []int{slices.Max(goroutines)}
		}
		for _, g := range goroutines {
			alone := len(all)
			for i, size := range p.Sizes {
				first := len(all)
				for _, s := range p.Subjects {
					if s.Sized || i == 0 {
						all = append(all, p.newCell(s, w, g, size))
					}
				}
				for _, c := range all[first:] {
					c.base = p.baseOf(all[first:], all[alone:])
				}
			}
		}
	}
	return all
}

// baseOf is the baseline: of the same size, or if its size is its own affair the one there is.
func (p Plan) baseOf(same, others []*cell) *cell {
	is := func(c *cell) bool { return c.subject.Name == p.baseline() }
	if i := slices.IndexFunc(same, is); i >= 0 {
		return same[i]
	}
	return others[slices.IndexFunc(others, is)]
}
