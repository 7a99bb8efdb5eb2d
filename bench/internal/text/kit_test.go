package text_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/lidopool/lido/bench/internal/result"
)

var update = flag.Bool("update", false, "write what is printed to testdata")

// golden checks a text against testdata/name.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v: go test -update writes it", err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what is printed; if it should be, go test -update.\nprinted:\n%s\nwanted:\n%s", file, got, want)
	}
}

// file is a run with something of everything.
func file() result.File {
	f := result.File{
		Format: result.Format,
		Env: result.Environment{
			Go: "go1.26.8", OS: "linux", Arch: "amd64", CPU: "Sample CPU @ 3.00GHz", Cores: 8, GOMAXPROCS: 4, Commit: "0123456789ab-dirty",
		},
		Method: result.Method{
			Rounds: 3, Warm: 50 * time.Millisecond, Window: 150 * time.Millisecond, Seed: 7, Baseline: "queue",
		},
		Started: time.Date(2026, 11, 26, 9, 30, 0, 0, time.UTC), Seconds: 93.4,
		Summary:  []string{"Queue wins at everything that this made-up run has measured, which is not much, but enough to fill more than a line."},
		Warnings: []string{"the machine was unsteady: the same computation took from 20.1 to 25.3 ms, 26 % more, from round to round"},
	}
	cell := func(workload, spec, pool string, goroutines, size int, more func(*result.Cell)) {
		c := result.Cell{Workload: workload, Spec: spec, Backend: "sqlite", Pool: pool, Goroutines: goroutines, Size: size}
		if more != nil {
			more(&c)
		}
		f.Cells = append(f.Cells, c)
	}
	measured := func(ns float64, ratio float64, more func(*result.Sample)) func(*result.Cell) {
		return func(c *result.Cell) {
			for i := range f.Method.Rounds {
				s := sample(ns * (1 + float64(i)/50))
				if c.Goroutines > 1 {
					s.Jain, s.MaxMin, s.CPUWaiting = 0.99871, 1.1, 0.0004
				}
				if more != nil {
					more(&s)
				}
				c.Samples = append(c.Samples, s)
			}
			c.Median, c.Spread, c.Ratio = c.Samples[1], 0.04, ratio
			c.Waits = []result.Quantile{{Share: 0.5, Ns: 100}, {Share: 1, Ns: 2_000_000}}
		}
	}
	cell("cycle", "cycle", "queue", 1, 4, measured(52.4, 1, nil))
	cell("cycle", "cycle", "null", 1, 4, measured(31_240, 0.0017, func(s *result.Sample) { s.Opens, s.Closes = s.Ops, s.Ops }))
	cell("cycle", "cycle", "assertion", 1, 0, measured(1_012, 0.052, nil))
	cell("cycle", "cycle", "queue", 8, 4, measured(212, 1, nil))
	cell("cycle", "cycle", "null", 8, 4, func(c *result.Cell) { c.Failed = "round 1: open: unable to open database file" })
	cell("cycle", "cycle", "assertion", 8, 0, func(c *result.Cell) { c.Unfit = "it lends to one at a time, and refuses all others" })
	cell("burst", "burst?rate=2000&burst=20", "queue", 8, 4, measured(500_000, 1, nil))
	cell("burst", "burst?rate=2000&burst=20", "null", 8, 4, measured(510_000, 0.98, func(s *result.Sample) {
		s.Errors = map[string]uint64{"timeout": 12, "open failed": 3}
	}))
	for i := range f.Cells {
		c := &f.Cells[i]
		if c.Rate = 0; c.Workload == "burst" {
			c.Rate = 2000
		}
		switch c.Pool {
		case "queue":
			c.Config = "queue?size=4&max_overflow=0&timeout=30s"
		case "null":
			c.Config = "null?max=4&timeout=30s"
		case "assertion":
			c.Config = "assertion"
		}
	}
	f.Cells[7].Failed = "round 3: close: 1 resource is still open"
	return f
}

func sample(ns float64) result.Sample {
	ops := 0.15e9 / ns
	return result.Sample{
		Ops: uint64(ops), Seconds: 0.15, OpsPerSec: 1e9 / ns, NsPerOp: ns,
		WaitMean: ns / 2, WaitP50: int64(ns / 2), WaitP90: int64(ns), WaitP99: int64(ns * 10), WaitP999: int64(ns * 25), WaitMax: int64(ns * 1000),
		Opens: 4, PeakOpen: 4, AllocsPerOp: 1.5, BytesPerOp: 96, CPUPerOp: ns * 0.9, CPUWaiting: -1,
	}
}

// play is a scenario with two pools.
func play() result.File {
	f := file()
	f.Cells, f.Method = nil, result.Method{Seed: 7}
	for _, pool := range []string{"queue", "null"} {
		t := result.Timeline{
			Scenario: "outage", About: "the backend is down for two of six seconds", Backend: "synthetic?open=5ms&use=1ms", Pool: pool, Config: pool,
			Marks: []result.Mark{{At: 2, Text: "backend down"}, {At: 4, Text: "backend back"}},
			Verdict: result.Verdict{
				Ops: 4000, Errors: map[string]uint64{"open failed": 1990, "timeout": 10}, PeakOpen: 8, Opens: 21,
				WaitP50: 5_000, WaitP99: 1_200_000, WaitMax: 90_000_000, Recovery: 0.35, Leaked: 0,
				Text: fmt.Sprintf("It served nobody for two seconds, and %s was back to nine tenths of the throughput before 350 ms after the backend.", pool),
			},
		}
		if pool == "null" {
			t.Verdict.Recovery, t.Verdict.Leaked = -1, 2
		}
		for i := range 120 {
			p := result.Point{At: float64(i+1) * 0.05, Open: 8, InUse: 3, Waiting: 0, Ops: 50, WaitP99: 400_000}
			if p.At > 2 && p.At <= 4 {
				p = result.Point{At: p.At, Open: 0, Waiting: i - 40, Errors: 50}
			}
			t.Points = append(t.Points, p)
		}
		f.Timelines = append(f.Timelines, t)
	}
	return f
}
