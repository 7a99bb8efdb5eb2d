package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"time"

	"github.com/lidopool/lido/bench/internal/trial"
)

// A report is what a run found, as it is written to a file.
type report struct {
	Env  environment `json:"env"`
	Rows []row       `json:"rows"`
}

// An environment is what a figure depends on besides the code that it measures.
type environment struct {
	GOOS       string            `json:"goos"`
	GOARCH     string            `json:"goarch"`
	CPU        string            `json:"cpu"`
	Cores      int               `json:"cores"`
	GOMAXPROCS int               `json:"gomaxprocs"`
	Go         string            `json:"go"`
	Commit     string            `json:"commit"`
	Date       time.Time         `json:"date"`
	Quick      bool              `json:"quick"`
	Peers      map[string]string `json:"peers"` // versions; a peer of the standard library has that of Go
}

// A row is a pool at a work. What was not measured is 0.
type row struct {
	Work        string  `json:"work"`
	Pool        string  `json:"pool"`
	NsPerOp     float64 `json:"ns_per_op"`     // median of the runs
	AllocsPerOp float64 `json:"allocs_per_op"` // median
	P99WaitNs   float64 `json:"p99_wait_ns"`   // median
	MaxWaitNs   float64 `json:"max_wait_ns"`   // the longest of all runs
	Jain        float64 `json:"jain"`          // median
	Runs        int     `json:"runs"`          // those that went well
	MinNs       float64 `json:"min_ns"`        // the least ns_per_op
	MaxNs       float64 `json:"max_ns"`        // the greatest
	RatioToLido float64 `json:"ratio_to_lido"` // of ns_per_op
	Error       string  `json:"error,omitempty"`

	rounds []sample // those that went well. Not in files
}

// newEnvironment describes this machine. An empty commit is found out, if it can be.
func newEnvironment(ctx context.Context, commit string, quick bool) environment {
	here := trial.Environment(ctx)
	e := environment{
		GOOS: here.OS, GOARCH: here.Arch, CPU: here.CPU, Cores: here.Cores, GOMAXPROCS: here.GOMAXPROCS, Go: here.Go,
		Commit: cmp.Or(commit, here.Commit, "unknown"), Date: time.Now().UTC().Truncate(time.Second), Quick: quick, Peers: map[string]string{},
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			for _, p := range peers {
				if p.module == m.Path {
					e.Peers[p.name] = m.Version
				}
			}
		}
	}
	return e
}

func (e environment) String() string {
	s := fmt.Sprintf("%s/%s, %s, %d cores, %s, commit %s, %s", e.GOOS, e.GOARCH, e.CPU, e.Cores, e.Go, e.Commit, e.Date.Format(time.DateOnly))
	if e.Quick {
		s += ", a quick run"
	}
	return s
}

// readReport reads what json wrote.
func readReport(name string) (report, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return report{}, err
	}
	var r report
	if err := json.Unmarshal(text, &r); err != nil {
		return report{}, fmt.Errorf("%s: %w", name, err)
	}
	if len(r.Rows) == 0 {
		return report{}, fmt.Errorf("%s: no rows: want what -out wrote", name)
	}
	return r, nil
}

func (r report) json() ([]byte, error) {
	text, err := json.MarshalIndent(r, "", "\t")
	return append(text, '\n'), err
}

func rowsOf(rows []row, work string) []row {
	first := slices.IndexFunc(rows, func(x row) bool { return x.Work == work })
	if first < 0 {
		return nil
	}
	n := slices.IndexFunc(rows[first:], func(x row) bool { return x.Work != work })
	if n < 0 {
		return rows[first:]
	}
	return rows[first : first+n]
}

// verdict is how many times as long as Lido a pool takes, or that it failed.
func (x row) verdict() string {
	switch {
	case x.Runs == 0:
		return "failed"
	case x.Error != "":
		return times(x.RatioToLido) + " !" // see notes
	}
	return times(x.RatioToLido)
}

// notes say what one has to know about some of the pools.
func (r report) notes() []string {
	var all []string
	for _, name := range r.pools() {
		if less := lacks(name); less != "" {
			all = append(all, name+": "+less)
		}
	}
	if slices.ContainsFunc(r.Rows, func(x row) bool { return x.Runs > 0 && x.Error != "" }) {
		all = append(all, "! failed in some rounds, measured in the others")
	}
	return all
}

// pools are those that stand in the report.
func (r report) pools() []string {
	var names []string
	for _, x := range r.Rows {
		if !slices.Contains(names, x.Pool) {
			names = append(names, x.Pool)
		}
	}
	return names
}
