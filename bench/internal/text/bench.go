package text

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/lidopool/lido/bench/internal/result"
)

// Bench writes the rounds of f as Go's benchmarks write theirs, a line for each round, so that
// benchstat reads them:
//
//	BenchmarkLido/workload=query/pool=queue/goroutines=8/size=4-2  51234  19518 ns/op  …
//
// Cells that were not measured have no lines, nor have rounds in which nothing was done.
func Bench(w io.Writer, f result.File) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "goos: %s\ngoarch: %s\npkg: github.com/lidopool/lido/bench\ncpu: %s\n", f.Env.OS, f.Env.Arch, f.Env.CPU)
	if f.Env.Commit != "" {
		fmt.Fprintf(b, "commit: %s\n", f.Env.Commit)
	}
	fmt.Fprintln(b, "Unit ops/s better=higher")
	procs := ""
	if f.Env.GOMAXPROCS > 1 {
		procs = fmt.Sprintf("-%d", f.Env.GOMAXPROCS)
	}
	backend := ""
	for _, c := range f.Cells {
		if c.Backend != backend && len(c.Samples) > 0 {
			backend = c.Backend
			fmt.Fprintf(b, "backend: %s\n", backend)
		}
		name := fmt.Sprintf("BenchmarkLido/workload=%s/pool=%s/goroutines=%d", word(c.Workload), word(c.Pool), c.Goroutines)
		if c.Size > 0 {
			name += fmt.Sprintf("/size=%d", c.Size)
		}
		for _, s := range c.Samples {
			if s.Ops == 0 {
				continue
			}
			fmt.Fprintf(b, "%s%s\t%8d\t%.4g ns/op\t%.6g ops/s", name, procs, s.Ops, s.NsPerOp, s.OpsPerSec)
			fmt.Fprintf(b, "\t%d p50-wait-ns\t%d p99-wait-ns\t%d p99.9-wait-ns\t%d max-wait-ns", s.WaitP50, s.WaitP99, s.WaitP999, s.WaitMax)
			fmt.Fprintf(b, "\t%.1f B/op\t%.3f allocs/op", s.BytesPerOp, s.AllocsPerOp)
			if s.CPUPerOp > 0 {
				fmt.Fprintf(b, "\t%.4g cpu-ns/op", s.CPUPerOp)
			}
			if n := s.Failures(); n > 0 {
				fmt.Fprintf(b, "\t%.4g errors/op", float64(n)/float64(s.Ops+n))
			}
			fmt.Fprintln(b)
		}
	}
	return b.Flush()
}

// word makes a text one part of a benchmark's name: what would end the name, or begin another part, is
// replaced.
func word(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == '/' || !unicode.IsPrint(r) {
			return '_'
		}
		return r
	}, text)
}
