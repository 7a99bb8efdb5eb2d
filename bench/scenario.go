package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/lidopool/lido/bench/internal/result"
	"github.com/lidopool/lido/bench/internal/scenario"
	"github.com/lidopool/lido/bench/internal/text"
	"github.com/lidopool/lido/bench/internal/trial"
	"github.com/lidopool/lido/bench/internal/words"
	"github.com/lidopool/lido/internal/settings"
)

// A drama is what the flags of scenario ask for.
type drama struct {
	backend    string
	strategies []string
	size       int
	scale      float64
	tick       time.Duration
	quiet      bool
	outputs    outputs
	live       live
}

func scenarioCommand() *cobra.Command {
	var d drama
	c := &cobra.Command{
		Use:   "scenario [NAME]...",
		Short: "Put strategies into bad moments",
		Long: `Scenario puts each strategy into bad moments that users know, such as an outage of the backend, and records how
it fares. Without names it plays all of them; lidobench list shows them. Each has a backend and a size of its own.`,
		Example: `  lidobench scenario outage
        the backend goes away and comes back, for all strategies
  lidobench scenario spike saturation --strategy 'queue,queue?shed=true' --html report.html
        two kinds of queue, drawn as a page
  lidobench scenario --backend env:DATABASE_URL --scale 0.5
        all of them on your own database, each in half of the time`,
		ValidArgsFunction: completeWords(scenarioWords),
		RunE:              func(c *cobra.Command, names []string) error { return d.run(c, names) },
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&d.backend, "backend", "", backendHelp+"; default the scenario's own")
	f.StringArrayVar(&d.strategies, "strategy", []string{defaultStrategies}, "`strategies`, with commas between them; lidobench list shows them")
	f.IntVar(&d.size, "size", 0, "how many resources a pool may have that does not say so itself, null too; 0 is what the scenario is made for, and null without a bound")
	f.Float64Var(&d.scale, "scale", 1, "how long a scenario is, as a multiple of its own length")
	f.DurationVar(&d.tick, "tick", 50*time.Millisecond, "the time between two points of a timeline")
	d.outputs = newOutputs(c, "json", "csv", "html")
	d.live.flags(c)
	f.BoolVarP(&d.quiet, "quiet", "q", false, "tell nothing while it goes on")
	f.Lookup("strategy").DefValue = defaultStrategies
	completeBackend(c)
	completeFlag(c, "strategy", completeList(strategyWords))
	return c
}

func scenarioWords() []string {
	var all []string
	for _, s := range scenario.All() {
		all = append(all, s.Name+"\t"+s.About)
	}
	return all
}

// chosen are the scenarios of these names, or all.
func chosen(names []string) ([]scenario.Scenario, error) {
	all := scenario.All()
	if len(names) == 0 {
		return all, nil
	}
	var known []string
	byName := map[string]scenario.Scenario{}
	for _, s := range all {
		known = append(known, s.Name)
		byName[s.Name] = s
	}
	var some []scenario.Scenario
	for _, name := range names {
		s, ok := byName[name]
		if !ok {
			return nil, fmt.Errorf("scenario %.64q: %s", shown(name), settings.Unknown(name, known))
		}
		for _, other := range some {
			if other.Name == name {
				return nil, fmt.Errorf("scenario %q is given twice", name)
			}
		}
		some = append(some, s)
	}
	return some, nil
}

func (d *drama) run(c *cobra.Command, names []string) (err error) {
	ctx := c.Context()
	scenes, err := chosen(names)
	if err != nil {
		return err
	}
	pools, err := parseStrategies(d.strategies)
	if err != nil {
		return err
	}
	switch {
	case d.size < 0 || d.size > mostSize:
		return fmt.Errorf("--size is %d: give 1 to %d, or 0 for what the scenario says", d.size, mostSize)
	case !(d.scale >= 0.01 && d.scale <= 1000): // NaN is neither
		return fmt.Errorf("--scale is %v: give 0.01 to 1000", d.scale)
	case d.tick < time.Millisecond || d.tick > time.Minute:
		return fmt.Errorf("--tick is %v: give 1ms to 1m", d.tick)
	}
	if err := d.outputs.check(); err != nil {
		return err
	}
	url, err := d.live.open()
	if err != nil {
		return err
	}
	defer d.live.close()
	// What cannot be reached is found out now, not after minutes.
	if d.backend != "" {
		b, err := openBackend(ctx, d.backend)
		if err != nil {
			return err
		}
		if err := b.Close(); err != nil {
			return failed("close of the backend: %w", err)
		}
	}

	tell := newProgress(c.ErrOrStderr(), d.quiet)
	p := d.playFor(scenes, pools)
	tell.say("lidobench: %s with %s, about %v; Ctrl-C ends it early, with what there is by then",
		plural(len(scenes), "scenario", "scenarios"), plural(len(pools), "strategy", "strategies"), p.left().Round(time.Second))
	if url != "" {
		tell.say("lidobench: live at %s", url)
	}
	p.file.Env = trial.Environment(ctx)
	p.watch = func(f result.File, at trial.Progress) {
		tell.step(at)
		d.live.publish(f, at)
	}
	err = p.run(ctx)
	tell.clear()
	if err != nil {
		return err
	}
	p.file.Summary = words.Summarize(p.file)
	d.live.publish(p.file, trial.Progress{Done: p.done, All: len(scenes) * len(pools)})
	return errors.Join(finish(c, p.file, d.outputs, text.Timelines), p.behind)
}

// A play is scenarios under way.
type play struct {
	*drama
	scenes []scenario.Scenario
	pools  []strategy
	file   result.File
	watch  func(result.File, trial.Progress)
	done   int
	behind error // what the backend of a scenario that was ended may have left behind
}

func (d *drama) playFor(scenes []scenario.Scenario, pools []strategy) *play {
	return &play{drama: d, scenes: scenes, pools: pools, file: result.File{
		Format: result.Format, Started: time.Now(),
	}}
}

// left is how long it will take from here.
func (p *play) left() time.Duration {
	var sum time.Duration
	for i, s := range p.scenes {
		for k := range p.pools {
			if i*len(p.pools)+k >= p.done {
				sum += time.Duration(float64(s.Length) * p.scale)
			}
		}
	}
	return sum
}

// run plays all. Its error is of what was asked for; what goes wrong with a pool is in its timeline.
func (p *play) run(ctx context.Context) error {
	for _, s := range p.scenes {
		for _, pool := range p.pools {
			p.file.Seconds = time.Since(p.file.Started).Seconds()
			p.watch(p.file, trial.Progress{Done: p.done, All: len(p.scenes) * len(p.pools), Left: p.left(), Now: s.Name + ", " + pool.name})
			t, err := p.one(ctx, s, pool)
			var left *failure
			switch {
			case err == nil:
			case ctx.Err() == nil && t.Failed != "":
				t.Failed += "; " + err.Error()
			case ctx.Err() == nil:
				t.Failed = err.Error()
			case errors.As(err, &left): // that it was ended is known
				p.behind = left
			}
			if ctx.Err() == nil || len(t.Points) > 0 {
				p.file.Timelines = append(p.file.Timelines, t)
			}
			p.done++
			if ctx.Err() != nil {
				p.file.Partial = true
				p.file.Seconds = time.Since(p.file.Started).Seconds()
				return nil
			}
		}
	}
	p.file.Seconds = time.Since(p.file.Started).Seconds()
	return nil
}

// one plays a scenario with a pool, over a backend of its own.
func (p *play) one(ctx context.Context, s scenario.Scenario, pool strategy) (t result.Timeline, err error) {
	backend := cmp.Or(p.backend, s.Backend)
	config := pool.config
	switch {
	case p.size > 0:
		config = pool.with(p.size)
	case pool.sized():
		config = s.Fit(config)
		if pool.given.Has("max_overflow") {
			config.MaxOverflow = pool.config.MaxOverflow
		}
	}
	about := s.About
	if p.scale != 1 {
		about += fmt.Sprintf(" (Here it took %v times as long.)", p.scale)
	}
	t = result.Timeline{Scenario: s.Name, About: about, Pool: pool.name, Config: config.String()}
	b, err := openBackend(ctx, backend)
	if err != nil {
		return t, err
	}
	defer closeBackend(b, &err)
	t.Backend = b.Name()
	target, err := b.Target(config)
	if err != nil {
		return t, err
	}
	found, err := scenario.Run(ctx, s, target, b, scenario.Setting{Tick: p.tick, Scale: p.scale})
	found.Scenario, found.About, found.Backend, found.Pool, found.Config = t.Scenario, t.About, t.Backend, t.Pool, t.Config
	return found, err
}
