package trial

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"time"

	"github.com/lidopool/lido/bench/internal/load"
	"github.com/lidopool/lido/bench/internal/result"
	"github.com/lidopool/lido/bench/internal/words"
)

// A run is a plan being carried out.
type run struct {
	plan    Plan
	cells   []*cell
	order   *rand.Rand
	noise   noise
	started time.Time
	partial bool

	done, all      int           // windows
	behind, before time.Duration // what was, and is, expected of them
}

func newRun(p Plan) *run {
	r := &run{plan: p, cells: p.cells(), order: rand.New(rand.NewPCG(p.Seed, 0)), started: time.Now()}
	r.all = p.Windows()
	for _, c := range r.cells {
		r.before += time.Duration(p.Rounds) * p.expect(c)
	}
	return r
}

func (r *run) measure(ctx context.Context, watch func(result.File, Progress)) (result.File, error) {
	if watch == nil {
		watch = func(result.File, Progress) {}
	}
	for round := range r.plan.Rounds {
		next := r.round()
		if round == 0 {
			watch(r.file(), r.progress(next))
		}
		r.noise.add(spin())
		for len(next) > 0 {
			c := next[0]
			next = next[1:]
			found, err := c.measure(ctx, r.window(c, round))
			if ctx.Err() != nil {
				r.partial = true
				return r.file(), context.Cause(ctx)
			}
			r.count(c, round, found, err)
			watch(r.file(), r.progress(next))
		}
	}
	return r.file(), nil
}

// round is what is measured in a round, in order. What is compared with each other stands
// together, so that it meets the machine in the same mood; else everything is shuffled, so that
// nobody is always first, or always after the same one.
func (r *run) round() []*cell {
	var groups [][]*cell
	for _, c := range r.cells {
		switch last := len(groups) - 1; {
		case !c.runs():
		case last >= 0 && groups[last][0].workload.Name == c.workload.Name && groups[last][0].goroutines == c.goroutines && groups[last][0].size == c.size:
			groups[last] = append(groups[last], c)
		default:
			groups = append(groups, []*cell{c})
		}
	}
	r.order.Shuffle(len(groups), func(i, k int) { groups[i], groups[k] = groups[k], groups[i] })
	var all []*cell
	for _, g := range groups {
		r.order.Shuffle(len(g), func(i, k int) { g[i], g[k] = g[k], g[i] })
		all = append(all, g...)
	}
	return all
}

// window is how c is measured in a round. All pools under the same conditions get the same seed, and so
// the same arrivals; another round has others.
func (r *run) window(c *cell, round int) load.Window {
	h := fnv.New64a()
	fmt.Fprint(h, r.plan.Seed, c.row.Spec, c.goroutines, round)
	return load.Window{
		Goroutines: c.goroutines, Size: c.seats(),
		Warm: r.plan.Warm, Length: r.plan.Window, Seed: h.Sum64(),
	}
}

func (r *run) count(c *cell, round int, found load.Finding, err error) {
	expected := r.plan.expect(c)
	r.done++
	r.behind += expected
	r.before -= expected
	if err != nil {
		c.fail(round, err)
		left := r.plan.Rounds - round - 1
		r.all -= left
		r.before -= time.Duration(left) * expected
		return
	}
	c.add(found)
	for _, other := range r.cells {
		if other == c || other.base == c {
			other.compare()
		}
	}
}

func (r *run) progress(next []*cell) Progress {
	p := Progress{Done: r.done, All: r.all, Left: r.before}
	if len(next) > 0 {
		p.Now = next[0].String()
	}
	if r.behind > 0 { // by now it is known how wrong the estimate is
		p.Left = time.Duration(float64(time.Since(r.started)) * (float64(r.before) / float64(r.behind)))
	}
	return p
}

func (r *run) file() result.File {
	f := result.File{
		Format: result.Format, Env: r.plan.Env,
		Method: result.Method{
			Rounds: r.plan.Rounds, Warm: r.plan.Warm, Window: r.plan.Window, Seed: r.plan.Seed, Baseline: r.plan.baseline(),
		},
		Started: r.started, Seconds: time.Since(r.started).Seconds(), Partial: r.partial,
		Warnings: r.noise.warnings(),
	}
	var unsteady []string
	most := 0.0
	for _, c := range r.cells {
		f.Cells = append(f.Cells, c.row)
		if c.base == c && c.row.Spread > spreadTooMuch {
			where := c.under()
			if c.subject.Sized && len(r.plan.Sizes) > 1 {
				where += fmt.Sprintf(" and size %d", c.size)
			}
			unsteady = append(unsteady, where)
			most = max(most, c.row.Spread)
		}
	}
	if len(unsteady) > 0 {
		f.Warnings = append(f.Warnings, fmt.Sprintf("the baseline was unsteady under %s: its rounds differ by up to %s, so smaller differences there say nothing; raise --rounds or --window",
			words.List(unsteady, mostNamed), words.Percent(most)))
	}
	return f
}

// mostNamed is how many conditions a warning names.
const mostNamed = 4
