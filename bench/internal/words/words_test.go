package words_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/lidopool/lido/bench/internal/result"
	"github.com/lidopool/lido/bench/internal/result/resulttest"
	"github.com/lidopool/lido/bench/internal/words"
)

func TestFiguresAreWrittenWithThreeDigitsAndAUnit(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		write func(float64) string
		x     float64
		want  string
	}{
		{words.Time, 0, "0"}, {words.Time, 0.25, "0.25 ns"}, {words.Time, 1, "1 ns"}, {words.Time, 999.4, "999 ns"}, {words.Time, 999.6, "1 µs"},
		{words.Time, 1234, "1.23 µs"}, {words.Time, 12_340, "12.3 µs"}, {words.Time, 123_400, "123 µs"}, {words.Time, 9.996e6, "10 ms"},
		{words.Time, 2.5e9, "2.5 s"}, {words.Time, 5400e9, "5400 s"}, {words.Time, -1, "–"}, {words.Time, nan, "–"}, {words.Time, inf, "–"},
		{words.Count, 0, "0"}, {words.Count, 0.001, "0.001"}, {words.Count, 0.00012, "0.00012"}, {words.Count, 0.05, "0.05"}, {words.Count, 7, "7"},
		{words.Count, 100, "100"}, {words.Count, 12_345, "12.3 k"}, {words.Count, 999_600, "1 M"}, {words.Count, 4.2e9, "4.2 G"},
		{words.Count, -1500, "-1.5 k"}, {words.Count, nan, "–"}, {words.Count, -inf, "–"},
		{words.Bytes, 12, "12 B"}, {words.Bytes, 1536, "1.54 kB"}, {words.Bytes, nan, "–"},
		{words.Ratio, 1, "1.00×"}, {words.Ratio, 1.314, "1.31×"}, {words.Ratio, 0.0123, "0.012×"}, {words.Ratio, 47.59, "47.6×"}, {words.Ratio, 1301.25, "1301×"}, {words.Ratio, 0, "–"}, {words.Ratio, nan, "–"},
		{words.Percent, 0, "0 %"}, {words.Percent, 0.0351, "3.5 %"}, {words.Percent, 0.0996, "10 %"}, {words.Percent, 1, "100 %"}, {words.Percent, inf, "–"},
	} {
		if got := c.write(c.x); got != c.want {
			t.Errorf("%g is written %q, want %q", c.x, got, c.want)
		}
	}
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 12_345_678: "12,345,678", math.MaxUint64: "18,446,744,073,709,551,615"} {
		if got := words.Whole(n); got != want {
			t.Errorf("%d is written %q, want %q", n, got, want)
		}
	}
}

func TestListsReadAsInASentence(t *testing.T) {
	for want, items := range map[string][]string{"": nil, "a": {"a"}, "a and b": {"a", "b"}, "a, b and c": {"a", "b", "c"}, "a, b, c and 2 more": {"a", "b", "c", "d", "e"}} {
		if got := words.List(items, 3); got != want {
			t.Errorf("%q reads %q, want %q", items, got, want)
		}
	}
}

// A pool is one in a test: its throughput, and its p99 wait, in each of three rounds.
func cell(pool string, ops, wait float64, more ...func(*result.Cell)) result.Cell {
	c := result.Cell{Workload: "cycle", Spec: "cycle", Backend: "synthetic", Pool: pool, Goroutines: 8, Size: 4}
	for _, off := range []float64{1, 0.99, 1.01} {
		c.Samples = append(c.Samples, result.Sample{Ops: uint64(ops), Seconds: 1, OpsPerSec: ops * off, WaitP99: int64(wait * off)})
	}
	for _, change := range more {
		change(&c)
	}
	if len(c.Samples) > 0 {
		c.Median = c.Samples[0]
	}
	return c
}

func in(workload string) func(*result.Cell) {
	return func(c *result.Cell) { c.Workload, c.Spec = workload, workload }
}

func with(goroutines, size int) func(*result.Cell) {
	return func(c *result.Cell) { c.Goroutines, c.Size = goroutines, size }
}

func wavering(c *result.Cell) {
	for i, off := range []float64{1, 0.8, 1.2} {
		c.Samples[i].OpsPerSec *= off
		c.Samples[i].WaitP99 = int64(float64(c.Samples[i].WaitP99) * off)
	}
}

func failing(share float64) func(*result.Cell) {
	return func(c *result.Cell) {
		for i := range c.Samples {
			c.Samples[i].Errors = map[string]uint64{"refused": uint64(float64(c.Samples[i].Ops) * share / (1 - share)), "timeout": 1}
		}
	}
}

func broken(c *result.Cell) {
	for i := range c.Samples {
		c.Samples[i].Errors = map[string]uint64{"use failed": 40}
	}
}

func TestASummarySaysWhoLeadsWhereAndWhoDoesNot(t *testing.T) {
	rated := func(c *result.Cell) { c.Workload, c.Spec, c.Rate, c.Goroutines = "burst", "burst", 1000, 50 }
	for name, c := range map[string]struct {
		f    result.File
		want []string
	}{
		"nothing":                {result.File{}, []string{"Nothing has been measured yet."}},
		"one pool is no contest": {result.File{Cells: []result.Cell{cell("queue", 1000, 50)}}, []string{"Only queue has been measured: there is nothing to compare it with."}},
		"nothing in common":      {result.File{Cells: []result.Cell{cell("queue", 1000, 50), cell("null", 1000, 50, with(1, 4))}}, []string{"queue and null have been measured, but nothing that can be compared."}},
		"where nothing succeeds all are told off": {result.File{Cells: []result.Cell{cell("queue", 0, 50, broken), cell("null", 0, 80, broken)}}, []string{
			"queue fails: up to 100 % of its ops (cycle), by use failed. Its waits do not compare.",
			"null fails: up to 100 % of its ops (cycle), by use failed. Its waits do not compare.",
		}},
		"a winner": {result.File{Cells: []result.Cell{cell("queue", 1000, 50), cell("null", 500, 80), cell("static", 100, 90)}}, []string{
			"The highest throughput: queue in cycle, 2.00× the next.",
			"The lowest p99 wait: queue in cycle, where the next waits 1.60× as long.",
		}},
		"a tie within the spread": {result.File{Cells: []result.Cell{cell("queue", 1000, 50, wavering), cell("null", 1100, 80), cell("static", 100, 90)}}, []string{
			"Ties in throughput, within the spread of the rounds: null and queue in cycle.",
			"The lowest p99 wait: queue in cycle, where the next waits 1.60× as long.",
		}},
		"two per cent are a tie": {result.File{Cells: []result.Cell{cell("queue", 1000, 50), cell("null", 1015, 50)}}, []string{
			"Ties in throughput, within the spread of the rounds: null and queue in cycle.",
			"Ties in p99 wait, within the spread of the rounds: null and queue in cycle.",
		}},
		"a sweep": {result.File{Cells: []result.Cell{
			cell("queue", 1000, 50, with(1, 4)), cell("static", 500, 50, with(1, 1)), cell("queue", 900, 50, with(1, 8)),
			cell("queue", 300, 50, with(8, 4)), cell("static", 600, 50, with(8, 1)), cell("queue", 900, 50, with(8, 8)),
		}}, []string{
			"The highest throughput: queue in cycle (3 of 4 conditions), up to 2.00× the next (cycle with 1 goroutine, size 4); " +
				"static in cycle with 8 goroutines, size 4, 2.00× the next.",
			"Ties in p99 wait, within the spread of the rounds: queue and static in cycle (all 4 conditions).",
		}},
		"one size is not named": {result.File{Cells: []result.Cell{
			cell("queue", 1000, 50, with(1, 4)), cell("null", 500, 50, with(1, 4)), cell("queue", 300, 50, with(8, 4)), cell("null", 600, 80, with(8, 4)),
		}}, []string{
			"The highest throughput: queue in cycle with 1 goroutine, 2.00× the next; null in cycle with 8 goroutines, 2.00× the next.",
			"The lowest p99 wait: queue in cycle with 8 goroutines, where the next waits 1.60× as long.",
			"Ties in p99 wait, within the spread of the rounds: null and queue in cycle with 1 goroutine.",
		}},
		"an open loop": {result.File{Cells: []result.Cell{cell("queue", 1000, 50, rated), cell("null", 990, 80, rated, failing(0.009)), cell("static", 700, 90, rated, failing(0.3))}}, []string{
			"The lowest p99 wait: queue in burst, where the next waits 1.60× as long.",
			"With 1 k arrivals/s (burst) queue and null keep up; static did 70 % of it.",
			"static fails: up to 30 % of its ops (burst), by refused and timeout. Its waits do not compare.",
		}},
		"an open loop that one of two keeps up with": {result.File{Cells: []result.Cell{cell("queue", 1000, 50, rated), cell("static", 700, 90, rated, failing(0.3))}}, []string{
			"The lowest p99 wait: queue in burst.",
			"With 1 k arrivals/s (burst) queue keeps up; static did 70 % of it.",
			"static fails: up to 30 % of its ops (burst), by refused and timeout. Its waits do not compare.",
		}},
		"fewer arrivals than the rate by chance are no failing": {result.File{Cells: []result.Cell{cell("queue", 900, 50, rated), cell("null", 900, 80, rated)}}, []string{
			"The lowest p99 wait: queue in burst, where the next waits 1.60× as long.",
			"With 1 k arrivals/s (burst) all keep up.",
		}},
		"an open loop with two sizes": {result.File{Cells: []result.Cell{cell("queue", 1000, 50, rated), cell("queue", 1000, 50, rated, with(50, 8))}}, []string{
			"With 1 k arrivals/s (burst, size 4) all keep up.",
			"With 1 k arrivals/s (burst, size 8) all keep up.",
		}},
		"unfit and failed": {result.File{Cells: []result.Cell{
			cell("queue", 1000, 50), resulttest.Unfit(cell("static", 1, 1), "100% cannot nest."), resulttest.Unfit(cell("static", 1, 1, in("nested")), "100% cannot nest."),
			resulttest.Failed(cell("null", 1, 1), "open: refused"),
		}}, []string{
			"static is unfit for cycle and nested: 100% cannot nest.",
			"null failed in cycle: open: refused.",
		}},
		"unfit in a part of a workload": {result.File{Cells: []result.Cell{cell("queue", 1000, 50, with(1, 4)), cell("queue", 1000, 50),
			cell("static", 1000, 50, with(1, 4)), resulttest.Unfit(cell("static", 1, 1), "it lends to one")}}, []string{
			"Ties in throughput, within the spread of the rounds: queue and static in cycle with 1 goroutine.",
			"Ties in p99 wait, within the spread of the rounds: queue and static in cycle with 1 goroutine.",
			"static is unfit for cycle with 8 goroutines: it lends to one.",
		}},
		"who fails does not win by waiting little": {result.File{Cells: []result.Cell{cell("queue", 1000, 50), cell("null", 500, 80), cell("assertion", 900, 1, failing(0.4))}}, []string{
			"The highest throughput: queue in cycle, 1.11× the next.",
			"The lowest p99 wait: queue in cycle, where the next waits 1.60× as long.",
			"assertion fails: up to 40 % of its ops (cycle), by refused and timeout. Its waits do not compare.",
		}},
		"who failed on the way does not win": {result.File{Cells: []result.Cell{cell("queue", 1000, 50), cell("null", 500, 80),
			cell("static", 5000, 1, func(c *result.Cell) { c.Failed = "round 4: a wake-up was lost" })}}, []string{
			"The highest throughput: queue in cycle, 2.00× the next.",
			"The lowest p99 wait: queue in cycle, where the next waits 1.60× as long.",
			"static failed in cycle with 8 goroutines: round 4: a wake-up was lost.",
		}},
		"who shares does not win by waiting within the use": {result.File{Cells: []result.Cell{cell("queue", 1000, 50), cell("null", 500, 80),
			cell("static", 100, 1, func(c *result.Cell) { c.Shared = true })}}, []string{
			"The highest throughput: queue in cycle, 2.00× the next.",
			"The lowest p99 wait: queue in cycle, where the next waits 1.60× as long.",
			"static: whoever acquires at once may wait for others within the use of what all share. Such waits do not compare.",
		}},
		"one pool in a scenario": {result.File{Timelines: []result.Timeline{{Scenario: "slow", Pool: "queue", Verdict: result.Verdict{Ops: 1}}}}, []string{
			"Only queue has been measured: there is nothing to compare it with.",
		}},
		"where all fail by design nobody is told off": {result.File{Cells: []result.Cell{cell("queue", 1000, 50, failing(0.2)), cell("null", 500, 80, failing(0.2))}}, []string{
			"The highest throughput: queue in cycle, 2.00× the next.",
			"The lowest p99 wait: queue in cycle, where the next waits 1.60× as long.",
		}},
		"a baseline": {result.File{Method: result.Method{Baseline: "queue"}, Cells: []result.Cell{cell("queue", 1000, 50), cell("null", 1000, 50, func(c *result.Cell) { c.Ratio = 1 })}}, []string{
			"Ties in throughput, within the spread of the rounds: null and queue in cycle.",
			"Ties in p99 wait, within the spread of the rounds: null and queue in cycle.",
			"Ratios are multiples of the throughput of queue in the same rounds.",
		}},
		"scenarios": {result.File{Timelines: []result.Timeline{
			{Scenario: "outage", Pool: "null", Verdict: result.Verdict{Ops: 9, Recovery: 0.9, WaitP99: 3e6}},
			{Scenario: "outage", Pool: "queue", Verdict: result.Verdict{Ops: 9, Recovery: 0.25, WaitP99: 5e6}},
			{Scenario: "outage", Pool: "static", Verdict: result.Verdict{Recovery: -1}},
			{Scenario: "outage", Pool: "assertion", Verdict: result.Verdict{Ops: 9, Errors: map[string]uint64{"refused": 9}, Recovery: 1.5, WaitP99: 1e6}},
			{Scenario: "leak", Pool: "queue", Verdict: result.Verdict{Leaked: 3}},
			{Scenario: "leak", Pool: "null", Failed: "cannot"},
		}}, []string{
			"Scenario outage: queue is back to nine tenths after 250 ms, null after 900 ms and assertion after 1.5 s; static did not come back; the lowest p99 wait is that of null, 3 ms.",
			"Scenario leak: queue still misses 3 of its resources; null failed (cannot).",
		}},
		"who refuses in a scenario does not win by waiting little": {result.File{Timelines: []result.Timeline{
			{Scenario: "saturation", Pool: "assertion", Verdict: result.Verdict{Ops: 10, WaitP99: 1e3, Errors: map[string]uint64{"already acquired": 990}}},
			{Scenario: "saturation", Pool: "queue", Verdict: result.Verdict{Ops: 500, WaitP99: 5e6, Errors: map[string]uint64{"timeout": 500}}},
			{Scenario: "saturation", Pool: "static", Verdict: result.Verdict{Ops: 495, WaitP99: 6e6, Errors: map[string]uint64{"timeout": 505}}},
		}}, []string{"Scenario saturation: the lowest p99 wait is that of queue, 5 ms."}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := words.Summarize(c.f); !slices.Equal(got, c.want) {
				t.Errorf("the summary differs (-want +got):\n%s", cmp.Diff(c.want, got))
			}
		})
	}
}

func TestOfFewRoundsTenPerCentAreATie(t *testing.T) {
	once := func(c *result.Cell) { c.Samples = c.Samples[:1] }
	got := words.Summarize(result.File{Cells: []result.Cell{cell("queue", 1000, 50, once), cell("null", 920, 80, once)}})
	if !strings.HasPrefix(got[0], "Ties in throughput") {
		t.Errorf("of one round: %q", got)
	}
}

func TestAPoolOfOneSizeStandsBesideAllSizesOfOthers(t *testing.T) {
	got := words.Conditions([]result.Cell{
		cell("queue", 1, 1, with(8, 4)), cell("static", 1, 1, with(8, 1)), cell("queue", 1, 1, with(8, 2)), cell("own", 1, 1, with(8, 0)),
		cell("queue", 1, 1, with(2, 4)), cell("static", 1, 1, with(2, 1)),
		cell("queue", 1, 1, in("think")),
	})
	var lines []string
	for _, n := range got {
		line := n.Workload + " " + n.Setting() + ":"
		for _, c := range n.Cells {
			line += " " + c.Pool
		}
		lines = append(lines, line)
	}
	want := []string{
		"cycle 2 goroutines, size 4: queue static",
		"cycle 8 goroutines, size 2: static queue own",
		"cycle 8 goroutines, size 4: queue static own",
		"think 8 goroutines, size 4: queue",
	}
	if !slices.Equal(lines, want) {
		t.Errorf("conditions differ (-want +got):\n%s", cmp.Diff(want, lines))
	}
}
