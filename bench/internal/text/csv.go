package text

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/lidopool/lido/bench/internal/result"
)

// A field of a line of CSV.
type field[T any] struct {
	name string
	of   func(T) any
}

// A round is a line about a cell: one of its samples, or that there is none.
type round struct {
	result.Cell
	number int // from 1. 0: it was not measured
	result.Sample
}

var roundFields = []field[round]{
	{"workload", func(r round) any { return r.Workload }},
	{"spec", func(r round) any { return r.Spec }},
	{"backend", func(r round) any { return r.Backend }},
	{"pool", func(r round) any { return r.Pool }},
	{"config", func(r round) any { return r.Config }},
	{"goroutines", func(r round) any { return r.Goroutines }},
	{"size", func(r round) any { return r.Size }},
	{"rate", func(r round) any { return r.Rate }},
	{"unfit", func(r round) any { return r.Unfit }},
	{"failed", func(r round) any { return r.Failed }},
	{"round", func(r round) any { return r.number }},
	{"ops", func(r round) any { return r.Ops }},
	{"seconds", func(r round) any { return r.Seconds }},
	{"ops_per_sec", func(r round) any { return r.OpsPerSec }},
	{"ns_per_op", func(r round) any { return r.NsPerOp }},
	{"wait_mean_ns", func(r round) any { return r.WaitMean }},
	{"wait_p50_ns", func(r round) any { return r.WaitP50 }},
	{"wait_p90_ns", func(r round) any { return r.WaitP90 }},
	{"wait_p99_ns", func(r round) any { return r.WaitP99 }},
	{"wait_p999_ns", func(r round) any { return r.WaitP999 }},
	{"wait_max_ns", func(r round) any { return r.WaitMax }},
	{"jain", func(r round) any { return r.Jain }},
	{"max_min", func(r round) any { return r.MaxMin }},
	{"opens", func(r round) any { return r.Opens }},
	{"closes", func(r round) any { return r.Closes }},
	{"peak_open", func(r round) any { return r.PeakOpen }},
	{"sessions", func(r round) any { return r.Sessions }},
	{"allocs_per_op", func(r round) any { return r.AllocsPerOp }},
	{"bytes_per_op", func(r round) any { return r.BytesPerOp }},
	{"cpu_ns_per_op", func(r round) any { return r.CPUPerOp }},
	{"cpu_waiting", func(r round) any { return r.CPUWaiting }},
	{"errors", func(r round) any { return r.Failures() }},
	{"error_kinds", func(r round) any { return kindList(r.Errors) }},
}

// A moment is a line about a timeline: one of its points.
type moment struct {
	result.Timeline
	result.Point
}

var momentFields = []field[moment]{
	{"scenario", func(m moment) any { return m.Scenario }},
	{"backend", func(m moment) any { return m.Backend }},
	{"pool", func(m moment) any { return m.Pool }},
	{"config", func(m moment) any { return m.Config }},
	{"at_sec", func(m moment) any { return m.At }},
	{"open", func(m moment) any { return m.Open }},
	{"in_use", func(m moment) any { return m.InUse }},
	{"waiting", func(m moment) any { return m.Waiting }},
	{"ops", func(m moment) any { return m.Ops }},
	{"errors", func(m moment) any { return m.Point.Errors }},
	{"wait_p99_ns", func(m moment) any { return m.WaitP99 }},
}

// CSV writes a line for each cell and round, with the names of the JSON in the first line; of a cell that was not
// measured one line, of round 0. A File of scenarios has a line for each point instead.
func CSV(w io.Writer, f result.File) error {
	if len(f.Cells) == 0 && len(f.Timelines) > 0 {
		var lines []moment
		for _, t := range f.Timelines {
			for _, p := range t.Points {
				lines = append(lines, moment{t, p})
			}
		}
		return writeCSV(w, momentFields, lines)
	}
	var lines []round
	for _, c := range f.Cells {
		for i, s := range c.Samples {
			lines = append(lines, round{c, i + 1, s})
		}
		if len(c.Samples) == 0 {
			lines = append(lines, round{Cell: c})
		}
	}
	return writeCSV(w, roundFields, lines)
}

func writeCSV[T any](w io.Writer, fields []field[T], lines []T) error {
	out := csv.NewWriter(w)
	line := make([]string, len(fields))
	for i, f := range fields {
		line[i] = f.name
	}
	out.Write(line) // errors stay, until Error
	for _, of := range lines {
		for i, f := range fields {
			line[i] = plain(f.of(of))
		}
		out.Write(line)
	}
	out.Flush()
	return out.Error()
}

// plain is a value without an exponent, which not every reader of CSV knows.
func plain(v any) string {
	if f, ok := v.(float64); ok {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

func kindList(errors map[string]uint64) string {
	var all []string
	for _, kind := range slices.SortedFunc(maps.Keys(errors), cmp.Compare[string]) {
		all = append(all, fmt.Sprintf("%s:%d", kind, errors[kind]))
	}
	return strings.Join(all, ";")
}
