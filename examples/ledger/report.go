package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/strategies"
)

// result is what one strategy did under the load.
type result struct {
	name       string // short, for the table
	config     strategies.Config
	limits     pool.Limits
	goroutines int
	elapsed    time.Duration
	partial    bool // cut short

	acquire, read, write times
	operations           int
	errors               int
	firstError           error

	opens, peak int
	open        times

	// Of a strategy that allows one holder only:
	rivals, refused int // acquirers that came while there was one
}

// times is a sample, sorted.
type times []time.Duration

func newTimes(sample []time.Duration) times {
	slices.Sort(sample)
	return sample
}

// at returns the time which the given part of the sample does not exceed: at(0.5) is the median. It
// is always one that was measured, by the nearest-rank rule; 0 if there is none.
func (t times) at(part float64) time.Duration {
	if len(t) == 0 {
		return 0
	}
	return t[max(0, int(math.Ceil(part*float64(len(t))))-1)]
}

// perSecond is the throughput.
func (r result) perSecond() float64 { return float64(r.operations) / r.elapsed.Seconds() }

// report is the table and what it teaches, if there is something: results are of so many wanted.
func report(results []result, wanted int) string {
	if len(results) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteByte('\n')
	results = named(results)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(cells ...any) {
		for _, c := range cells {
			fmt.Fprintf(w, "%v\t", c)
		}
		fmt.Fprintln(w)
	}
	row("", "", "acquire", "acquire", "read", "write", "", "peak", "")
	row("strategy", "ops/s", "p50", "p99", "p99", "p99", "opens", "open", "errors")
	for _, r := range results {
		row(r.name, count(int(math.Round(r.perSecond()))), short(r.acquire.at(0.5)), short(r.acquire.at(0.99)),
			short(r.read.at(0.99)), short(r.write.at(0.99)), count(r.opens), r.peak, count(r.errors))
	}
	w.Flush()
	b.WriteString(legend(results, wanted))
	b.WriteString("\nWhat the figures say:\n")
	for _, r := range results {
		b.WriteString(paragraph(r.name, lesson(r, results)))
	}
	b.WriteString("\nRead next: README.md, then docs/architecture.md for how a pool works, and\nstrategies/doc.go to choose a strategy.\n")
	return b.String()
}

// legend explains the columns, and the marks in this table.
func legend(results []result, wanted int) string {
	text := "\nacquire: waiting for a lease. read, write: from having it to giving it back.\n" +
		"The percentiles are exact, from every operation. The books balance after every run.\n"
	for _, r := range results {
		if r.partial {
			text += "* interrupted: these figures are partial.\n"
		}
	}
	if n := wanted - len(results); n > 0 {
		text += fmt.Sprintf("Interrupted: %d of %d strategies did not run.\n", n, wanted)
	}
	return text
}

// named names each result by its kind if that says enough, else by all of its config string.
func named(results []result) []result {
	results = slices.Clone(results)
	kinds := map[string]int{}
	for _, r := range results {
		kinds[r.config.Kind]++
	}
	for i := range results {
		r := &results[i]
		r.name = r.config.Kind
		if kinds[r.config.Kind] > 1 {
			r.name = r.config.String()
		}
		if r.partial {
			r.name += "*"
		}
	}
	return results
}

// paragraph wraps a text to fit a terminal, under its name.
func paragraph(name, text string) string {
	const indent, width = 14, 92
	line := fmt.Sprintf("  %-*s", indent-2, name)
	if len(name) > indent-3 {
		line = "  " + name + "\n" + strings.Repeat(" ", indent)
	}
	var b strings.Builder
	at := indent
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
			b.WriteString(line)
		case at+1+len(word) > width:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			at = indent
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += len(word)
	}
	b.WriteByte('\n')
	return b.String()
}

// count writes a number with commas.
func count(n int) string {
	s := strconv.Itoa(n)
	for at := len(s) - 3; at > 0; at -= 3 {
		s = s[:at] + "," + s[at:]
	}
	return s
}

// short writes a time with at most three digits that count.
func short(d time.Duration) string {
	for _, unit := range []struct {
		size time.Duration
		name string
	}{{time.Second, "s"}, {time.Millisecond, "ms"}, {time.Microsecond, "µs"}} {
		if d >= unit.size {
			x := float64(d) / float64(unit.size)
			return strconv.FormatFloat(x, 'f', max(0, 2-int(math.Log10(x))), 64) + " " + unit.name
		}
	}
	return strconv.Itoa(int(d)) + " ns"
}
