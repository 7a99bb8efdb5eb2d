package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lidopool/lido/bench/internal/load"
	"github.com/lidopool/lido/bench/internal/result"
	"github.com/lidopool/lido/bench/internal/target"
	"github.com/lidopool/lido/bench/internal/text"
	"github.com/lidopool/lido/bench/internal/trial"
	"github.com/lidopool/lido/bench/internal/words"
	"github.com/lidopool/lido/internal/settings"
)

// What a run does if nobody says otherwise: it shows what most want to know, and ends within a minute. Five rounds
// are one more than a comparison needs. The pool has 4 resources, for 8 goroutines to wait for.
const (
	defaultBackend   = "sqlite"
	defaultWorkloads = "query,cycle,mixed,burst"
	defaultSize      = 4
	defaultRounds    = 5
	defaultWindow    = 150 * time.Millisecond
	defaultWarm      = 50 * time.Millisecond
)

var defaultGoroutines = []int{1, 8}

// Bounds of what can be asked for. They are arbitrary: beyond them a slip of the finger is likelier than an intention.
const (
	mostGoroutines = 100_000
	mostSize       = 10_000
	mostRounds     = 1_000
	longestWindow  = time.Hour
)

// An order is what the flags of run ask for.
type order struct {
	backend    string
	strategies []string
	workloads  []string
	goroutines numbers
	sizes      numbers
	rounds     int
	window     time.Duration
	warm       time.Duration
	seed       uint64
	baseline   string
	quiet      bool
	outputs    outputs
	live       live
}

func runCommand() *cobra.Command {
	o := order{
		goroutines: numbers{defaultGoroutines, mostGoroutines},
		sizes:      numbers{[]int{defaultSize}, mostSize},
	}
	c := &cobra.Command{
		Use:   "run",
		Short: "Measure strategies under workloads",
		Long: `Run measures each strategy under each workload, with each number of goroutines and each size of pool. Every
round measures all of them once, in random order and each on a new pool; what is shown is the median of the
rounds, how far they differ (±), and the ratio to a baseline in the same rounds.`,
		Example: `  lidobench run
        all strategies on embedded SQLite: under a minute
  lidobench run --strategy 'queue,queue?order=lifo' --workload cycle --goroutines 1,2,8,64 --size 1,10
        a sweep over two kinds of queue
  lidobench run --backend 'synthetic?open=exp:5ms&use=1ms' --workload 'burst?rate=500' --html report.html
        a resource that takes 5 ms to open and 1 ms to use, drawn as a page
  DATABASE_URL=postgres://… lidobench run --backend env:DATABASE_URL --json new.json
        your own database, its password out of sight, the result kept for lidobench compare
  lidobench run --bench - | benchstat -col /pool -
        benchstat's view of it`,
		Args: none,
		RunE: func(c *cobra.Command, _ []string) error { return o.run(c) },
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&o.backend, "backend", defaultBackend, backendHelp)
	f.StringArrayVar(&o.strategies, "strategy", []string{defaultStrategies}, "`strategies`, with commas between them, such as queue,'singleton?timeout=1s'; lidobench list shows them")
	f.StringArrayVar(&o.workloads, "workload", []string{defaultWorkloads}, "`workloads`, with commas between them, such as cycle,'think?think=exp:2ms'; lidobench list shows them")
	f.Var(&o.goroutines, "goroutines", "how many goroutines ask; several make a sweep")
	f.Var(&o.sizes, "size", "how many resources a pool may have that does not say so itself; several make a sweep")
	f.IntVar(&o.rounds, "rounds", defaultRounds, "how often each is measured; more show smaller differences")
	f.DurationVar(&o.window, "window", defaultWindow, "how long each is measured in a round")
	f.DurationVar(&o.warm, "warm", defaultWarm, "how long each works before it is measured")
	f.Uint64Var(&o.seed, "seed", 1, "of all that is drawn at random: the order, arrivals, times")
	f.StringVar(&o.baseline, "baseline", "", "the `strategy` that ratios are to; default the first")
	o.outputs = newOutputs(c, "json", "csv", "bench", "html")
	o.live.flags(c)
	f.BoolVarP(&o.quiet, "quiet", "q", false, "tell nothing while measuring")
	f.Lookup("strategy").DefValue, f.Lookup("workload").DefValue = defaultStrategies, defaultWorkloads
	completeBackend(c)
	completeFlag(c, "strategy", completeList(strategyWords))
	completeFlag(c, "baseline", completeWords(strategyWords))
	completeFlag(c, "workload", completeList(workloadWords))
	return c
}

func workloadWords() []string {
	var all []string
	for _, p := range load.Names() {
		all = append(all, p.Name+"\t"+p.About)
	}
	return all
}

// plan is what is to be measured, over a backend that is set later.
func (o *order) plan() (trial.Plan, []strategy, error) {
	pools, err := parseStrategies(o.strategies)
	if err != nil {
		return trial.Plan{}, nil, err
	}
	texts, err := splitList("workload", o.workloads)
	if err != nil {
		return trial.Plan{}, nil, err
	}
	p := trial.Plan{
		Goroutines: o.goroutines.all, Sizes: o.sizes.all, Rounds: o.rounds,
		Warm: o.warm, Window: o.window, Seed: o.seed, Baseline: o.baseline,
	}
	for _, text := range texts {
		w, err := load.ParseWorkload(text)
		if err != nil {
			return trial.Plan{}, nil, fmt.Errorf("--workload: %w", err)
		}
		for _, other := range p.Workloads {
			if other.Name == w.Name {
				return trial.Plan{}, nil, fmt.Errorf("--workload: %q is given twice", w.Name)
			}
		}
		p.Workloads = append(p.Workloads, w)
	}
	return p, pools, o.check(pools)
}

// check says what is wrong with the other flags.
func (o *order) check(pools []strategy) error {
	var names []string
	known, sized := o.baseline == "", false
	for _, s := range pools {
		names = append(names, s.name)
		known = known || s.name == o.baseline
		sized = sized || s.sized()
	}
	switch {
	case o.rounds < 1 || o.rounds > mostRounds:
		return fmt.Errorf("--rounds is %d: give 1 to %d", o.rounds, mostRounds)
	case o.window < time.Millisecond || o.window > longestWindow:
		return fmt.Errorf("--window is %v: give 1ms to %v", o.window, longestWindow)
	case o.warm < 0 || o.warm > longestWindow:
		return fmt.Errorf("--warm is %v: give 0 to %v", o.warm, longestWindow)
	case !known:
		return fmt.Errorf("--baseline %.64q: %s", o.baseline, settings.Unknown(o.baseline, names))
	case len(o.sizes.all) > 1 && !sized:
		return fmt.Errorf("--size %s: the size of %s is its own affair; leave --size out", o.sizes.String(), strings.Join(names, ", "))
	}
	return nil
}

// run measures, shows, and writes.
func (o *order) run(c *cobra.Command) error {
	ctx := c.Context()
	p, pools, err := o.plan()
	if err != nil {
		return err
	}
	if err := o.outputs.check(); err != nil {
		return err
	}
	url, err := o.live.open()
	if err != nil {
		return err
	}
	defer o.live.close()
	b, err := openBackend(ctx, o.backend)
	if err != nil {
		return err
	}
	p.Backend = b.Name()
	for _, s := range pools {
		p.Subjects = append(p.Subjects, s.subject(b))
	}
	p.Env = trial.Environment(ctx)

	tell := newProgress(c.ErrOrStderr(), o.quiet)
	tell.say("lidobench: %d windows on %s, about %v; Ctrl-C ends it early, with what there is by then", p.Windows(), b.Name(), p.Estimate().Round(time.Second))
	if url != "" {
		tell.say("lidobench: live at %s", url)
	}
	f, left, err := o.measure(ctx, b, p, tell)
	tell.clear()
	if err != nil && ctx.Err() == nil {
		return errors.Join(err, left)
	}
	f.Summary = words.Summarize(f)
	o.live.publish(f, trial.Progress{Done: p.Windows(), All: p.Windows()})
	return errors.Join(finish(c, f, o.outputs, text.Table), left)
}

// measure carries out p over b and closes b, which may leave something behind. Nothing is written before: that may
// wait for a reader.
func (o *order) measure(ctx context.Context, b target.Backend, p trial.Plan, tell *progress) (f result.File, left, err error) {
	defer closeBackend(b, &left)
	f, err = trial.Run(ctx, p, func(f result.File, at trial.Progress) {
		tell.step(at)
		o.live.publish(f, at)
	})
	return f, nil, err
}

// finish shows f and writes it, and says what was wrong with the run.
func finish(c *cobra.Command, f result.File, out outputs, show func(io.Writer, result.File, int) error) error {
	if empty(f) {
		return errInterrupted // and no older file is replaced by nothing
	}
	var shown error
	if !out.toStdout() {
		width, _ := terminal(c.OutOrStdout())
		if err := show(c.OutOrStdout(), f, width); err != nil {
			shown = failed("%w", err) // the files are wanted all the more
		}
	}
	var ended error
	switch {
	case f.Partial:
		ended = fmt.Errorf("%w; the results are partial", errInterrupted)
	case failures(f) > 0:
		ended = failed("%d of %d measurements failed", failures(f), len(f.Cells)+len(f.Timelines))
	}
	return errors.Join(shown, out.save(f, c.OutOrStdout()), ended)
}

// empty says whether nothing at all was measured before the run was ended.
func empty(f result.File) bool {
	if !f.Partial {
		return false
	}
	for _, c := range f.Cells {
		if len(c.Samples) > 0 {
			return false
		}
	}
	return len(f.Timelines) == 0
}

// failures counts the measurements that failed, and those in which nothing ever went well, as with a backend that is
// down: a program that waits for a result should notice.
func failures(f result.File) (n int) {
	for _, c := range f.Cells {
		if c.Failed != "" || len(c.Samples) > 0 && !slices.ContainsFunc(c.Samples, func(s result.Sample) bool { return s.Ops > 0 }) {
			n++
		}
	}
	for _, t := range f.Timelines {
		if t.Failed != "" {
			n++
		}
	}
	return n
}

// closeBackend closes b when nothing is measured any more, and adds to an error what b may have left behind.
func closeBackend(b target.Backend, err *error) {
	if closing := b.Close(); closing != nil {
		*err = errors.Join(*err, failed("close of the backend: %w", closing))
	}
}
