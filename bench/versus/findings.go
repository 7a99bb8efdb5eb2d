package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/lidopool/lido/bench/internal/result"
	"github.com/lidopool/lido/bench/internal/target"
	"github.com/lidopool/lido/bench/internal/words"
)

// findings are what a run found: the works, as scripts read them, and all as lidobench has it, works
// first.
type findings struct {
	report report
	file   result.File
}

// find measures, or reads, what o says; b is for the workloads. The code is that of run; there are no findings if works could not be
// read, or were interrupted.
func (o order) find(ctx context.Context, b target.Backend, stderr io.Writer) (f findings, code int) {
	started := time.Now()
	if o.draw != "" {
		r, err := readReport(o.draw)
		if err != nil {
			fmt.Fprintln(stderr, "versus:", err)
			return findings{}, 1
		}
		return newFindings(r, result.File{Started: r.Env.Date, Warnings: []string{
			"the figures were read from a file that has medians only: how far rounds differ, what is open, and bytes are not known"}}), 0
	}
	env := newEnvironment(ctx, o.commit, o.quick)
	jobs := plan(o.peers, o.works)
	found, err := measureAll(ctx, jobs, o.pace, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "versus: interrupted, nothing is written")
		return findings{}, 130
	}
	file := result.File{Started: started, Method: result.Method{Rounds: o.rounds, Warm: o.warm, Window: o.cycles}}
	if len(o.workloads) > 0 {
		file, err = measure(ctx, o.plan(b, o.peers, o.pace, env.result()), stderr)
		switch {
		case ctx.Err() != nil:
			fmt.Fprintln(stderr, "versus: interrupted, the workloads are partial")
			code = 130
		case err != nil:
			fmt.Fprintln(stderr, "versus:", err)
			code = 1
		}
	}
	file.Started, file.Seconds = started, time.Since(started).Seconds()
	return newFindings(report{env, found.rows(jobs)}, file), code
}

// newFindings are r, and the file of the workloads, if there were any.
func newFindings(r report, f result.File) findings {
	f.Format, f.Env = result.Format, r.Env.result()
	f.Cells = append(r.cells(), f.Cells...)
	f.Method.Baseline = "lido"
	for _, x := range r.Rows {
		if x.Runs > 0 && x.Error != "" {
			f.Warnings = append(f.Warnings, fmt.Sprintf("%s, %s: failed in some rounds, and the figures are of the others: %s",
				x.Work, x.Pool, strings.ReplaceAll(x.Error, "\n", "; ")))
		}
	}
	f.Summary = words.Summarize(f)
	return findings{r, f}
}

// workloads are what was found about those alone.
func (f findings) workloads() result.File {
	alone := f.file
	alone.Cells = alone.Cells[len(f.report.cells()):]
	alone.Summary = words.Summarize(alone)
	return alone
}

// empty says that there is nothing to show, as the run was ended before anything was measured.
func (f findings) empty() bool {
	measured := slices.ContainsFunc(f.file.Cells, func(c result.Cell) bool { return len(c.Samples) > 0 })
	return len(f.file.Cells) == 0 || f.file.Partial && !measured
}

func (f findings) lidoFailed() bool {
	return slices.ContainsFunc(f.report.Rows, func(x row) bool { return x.Pool == "lido" && x.Error != "" }) ||
		slices.ContainsFunc(f.file.Cells, func(c result.Cell) bool { return c.Config != "" && c.Failed != "" })
}
