package main

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lidopool/lido/bench/internal/load"
	"github.com/lidopool/lido/bench/internal/result"
	"github.com/lidopool/lido/bench/internal/target"
	"github.com/lidopool/lido/bench/internal/trial"
)

// A contest is workloads of lidobench with all peers, over one backend. Without workloads there is none.
type contest struct {
	workloads  []load.Workload
	backend    string
	goroutines numbers
	seats      numbers
}

// What a contest is if nobody says otherwise. Opening takes 5 ms and a use 1 ms, as with a database nearby.
// 8 goroutines always find one of 10 seats, 64 must wait.
func newContest() contest {
	return contest{backend: "synthetic?open=5ms&use=1ms", goroutines: numbers{8, 64}, seats: numbers{10}}
}

// set reads which workloads there are: "none", "all", or their texts as lidobench takes them, with
// commas between them.
func (c *contest) set(list string) error {
	c.workloads = nil
	texts := splitList(list)
	switch list {
	case "none":
		return nil
	case "all":
		texts = workloadNames()
	}
	for _, text := range texts {
		w, err := load.ParseWorkload(text)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(c.workloads, func(o load.Workload) bool { return o.Name == w.Name }) {
			return fmt.Errorf("%q is given twice", w.Name)
		}
		c.workloads = append(c.workloads, w)
	}
	return nil
}

// A comma before a number is within the settings of a workload: think=lognormal:1ms,10ms.
var between = regexp.MustCompile(`,(?:[^0-9]|$)`)

func splitList(list string) (texts []string) {
	for {
		at := between.FindStringIndex(list)
		if at == nil {
			return append(texts, list)
		}
		texts, list = append(texts, list[:at[0]]), list[at[0]+1:]
	}
}

// numbers is a flag such as 8,64.
type numbers []int

// Set implements flag.Value.
func (n *numbers) Set(text string) error {
	var all []int
	for s := range strings.SplitSeq(text, ",") {
		i, err := strconv.Atoi(s)
		if err != nil || i < 1 || i > 100_000 || slices.Contains(all, i) {
			return fmt.Errorf("%.32q is none: give different whole numbers from 1 to 100000, with commas between them", s)
		}
		all = append(all, i)
	}
	*n = all
	return nil
}

func (n *numbers) String() string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(*n), " ", ","), "[]")
}

// plan is what a trial needs to know.
func (c contest) plan(b target.Backend, all []peer, p pace, env result.Environment) trial.Plan {
	t := trial.Plan{
		Backend: b.Name(), Workloads: c.workloads, Goroutines: c.goroutines, Sizes: c.seats,
		Rounds: p.rounds, Warm: p.trialWarm, Window: p.trial, Seed: 1, Env: env,
	}
	for _, p := range all {
		t.Subjects = append(t.Subjects, p.entrant(b, false))
		if p.fair {
			t.Subjects = append(t.Subjects, p.entrant(b, true))
		}
	}
	return t
}

// entrant is p as a subject of a trial over b.
func (p peer) entrant(b target.Backend, bounded bool) trial.Subject {
	s := trial.Subject{
		Name: p.name, Sized: true,
		Open:  func(_ context.Context, seats int) (load.Target, error) { return p.over(b, seats, bounded) },
		Unfit: p.unfit,
	}
	if p.fair {
		s.Config = func(seats int) string { return lidoConfig(seats, bounded) }
	}
	if bounded {
		s.Name += "-bounded"
	}
	return s
}

func workloadNames() []string {
	var names []string
	for _, p := range load.Names() {
		names = append(names, p.Name)
	}
	return names
}

// measure carries t out. If ctx ends first the file is partial, and has what was found by then.
func measure(ctx context.Context, t trial.Plan, progress io.Writer) (result.File, error) {
	fmt.Fprintf(progress, "versus: %d windows on %s, about %v\n", t.Windows(), t.Backend, t.Estimate().Round(time.Second))
	due := time.Now()
	return trial.Run(ctx, t, func(_ result.File, at trial.Progress) {
		if now := time.Now(); !now.Before(due) && at.Done < at.All {
			fmt.Fprintf(progress, "versus: %d of %d, %v left: %s\n", at.Done, at.All, at.Left.Round(time.Second), at.Now)
			due = now.Add(5 * time.Second) // few enough for a log, and enough to see that it lives
		}
	})
}
