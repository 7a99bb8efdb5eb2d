package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lidopool/lido/bench/internal/result"
	"github.com/lidopool/lido/bench/internal/target"
)

func TestWorkloadsAreReadAsLidobenchReadsThem(t *testing.T) {
	for list, want := range map[string][]string{
		"none":                                 {},
		"cycle,burst?rate=10":                  {"cycle", "burst?rate=10"},
		"think?think=lognormal:1ms,10ms,cycle": {"think?think=lognormal:1ms,10ms", "cycle"},
		"all":                                  workloadNames(),
	} {
		c := newContest()
		if err := c.set(list); err != nil {
			t.Errorf("%s: %v", list, err)
		}
		got := []string{}
		for _, w := range c.workloads {
			got = append(got, w.Name)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", list, got, want)
		}
	}
}

// So that no peer is left out without a word, nor fails.
func TestEveryPeerDoesEveryWorkloadOrSaysWhyNot(t *testing.T) {
	b, err := target.Open(t.Context(), "synthetic?open=20us&use=20us")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	c := newContest()
	c.goroutines, c.seats = numbers{2}, numbers{4} // all that waits could be unfair or late on a busy machine
	if err := c.set("all"); err != nil {
		t.Fatal(err)
	}
	tiny := pace{rounds: 1, trialWarm: time.Millisecond, trial: 8 * time.Millisecond}
	f, err := measure(t.Context(), c.plan(b, peers, tiny, result.Environment{}), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if want := len(workloadNames()) * (len(peers) + 1); len(f.Cells) != want { // Lido is there twice
		t.Errorf("%d cells, want %d: each peer under each workload, and Lido with two fairnesses", len(f.Cells), want)
	}
	for _, x := range f.Cells {
		switch {
		case strings.Contains(x.Failed, "not one visit ended"): // a busy machine may let nobody run for so long
		case x.Failed != "":
			t.Errorf("%s, %s: failed: %s", x.Workload, x.Pool, x.Failed)
		case x.Unfit != "" && x.Unfit != lacks(x.Pool):
			t.Errorf("%s, %s: unfit: %s", x.Workload, x.Pool, x.Unfit)
		case x.Unfit == "" && (x.Median.PeakOpen < 1 || x.Median.PeakOpen > 4) && x.Pool != "syncpool":
			t.Errorf("%s, %s: %d resources open, want 1 to 4", x.Workload, x.Pool, x.Median.PeakOpen)
		case (x.Config != "") != strings.HasPrefix(x.Pool, "lido"):
			t.Errorf("%s, %s: config %q: want one of Lido's pools, and of no other", x.Workload, x.Pool, x.Config)
		}
	}
}

func TestARunWritesWorksAndWorkloadsTogether(t *testing.T) {
	dir := t.TempDir()
	all, page, out := filepath.Join(dir, "all.json"), filepath.Join(dir, "page.html"), filepath.Join(dir, "works.json")
	var stdout bytes.Buffer
	args := []string{"-quick", "-rounds", "2", "-pools", "lido,chan,mutex", "-works", "single,contended-bounded", "-workloads", "query", "-goroutines", "6", "-size", "3",
		"-backend", "synthetic?use=100us", "-json", all, "-html", page, "-out", out}
	if code := run(t.Context(), args, &stdout, io.Discard); code != 0 {
		t.Fatalf("exit code %d, want 0", code)
	}
	f, err := result.ReadFile(all)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range f.Cells {
		got = append(got, c.Workload+" "+c.Pool)
		rounds := len(c.Samples)
		if idle := strings.Join(f.Warnings, " "); rounds == 1 && strings.Contains(idle, errIdle.Error()) {
			rounds = 2 // a busy machine may let nobody run for so long
		}
		if c.Unfit == "" && (rounds != 2 || c.Ratio == 0 || c.Median.Ops == 0 || c.Median.PeakOpen == 0) {
			t.Errorf("%s, %s: %d rounds, ratio %v, %d ops, %d open", c.Workload, c.Pool, rounds, c.Ratio, c.Median.Ops, c.Median.PeakOpen)
		}
	}
	want := []string{"single lido", "single mutex", "single chan", "contended-bounded lido", "contended-bounded chan", "query lido", "query lido-bounded", "query mutex", "query chan"}
	if !slices.Equal(got, want) {
		t.Errorf("cells %q, want %q", got, want)
	}
	if len(f.Summary) == 0 || f.Method.Baseline != "lido" || f.Method.Rounds != 2 {
		t.Errorf("summary %q, method %+v", f.Summary, f.Method)
	}
	for _, part := range []string{"single: 1 goroutine", "on synthetic?use=100us", "lido-bounded"} {
		if !strings.Contains(stdout.String(), part) {
			t.Errorf("does not print %q:\n%s", part, stdout.String())
		}
	}
	if text := string(read(t, page)); !strings.Contains(text, "contended-bounded") || !strings.Contains(text, "lido-bounded") {
		t.Error("the page has not both the works and the workloads")
	}
	if r, err := readReport(out); err != nil || len(r.Rows) != 5 {
		t.Errorf("%d rows of works (%v), want 5: workloads are no works", len(r.Rows), err)
	}
}

func TestWorksReadFromAFileAreDrawnAsAPageToo(t *testing.T) {
	name := filepath.Join(t.TempDir(), "all.json")
	if code := run(t.Context(), []string{"-draw", "testdata/small.json", "-json", name}, io.Discard, os.Stderr); code != 0 {
		t.Fatalf("exit code %d, want 0", code)
	}
	f, err := result.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	r, err := readReport("testdata/small.json")
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Cells) != len(r.Rows) {
		t.Fatalf("%d cells of %d rows", len(f.Cells), len(r.Rows))
	}
	for i, c := range f.Cells {
		x := r.Rows[i]
		m := c.Median
		if c.Pool != x.Pool || c.Workload != x.Work || x.Runs > 0 && (m.NsPerOp != x.NsPerOp || m.WaitP99 != int64(x.P99WaitNs) || m.Jain != x.Jain || c.Ratio != ratio(1, x.RatioToLido)) {
			t.Errorf("%+v became %+v", x, c)
		}
		if x.Runs == 0 && (c.Failed == "" || c.Samples != nil) {
			t.Errorf("%+v, which failed, became %+v", x, c)
		}
	}
	if e := f.Env; e.CPU != r.Env.CPU || e.Commit != r.Env.Commit || !f.Started.Equal(r.Env.Date) {
		t.Errorf("environment %+v, started %v; want those of %+v", e, f.Started, r.Env)
	}
}

func TestFindingsAreReadBackAsTheyWereWritten(t *testing.T) {
	r := report{newEnvironment(t.Context(), "abc", true), []row{
		{Work: "single", Pool: "lido", NsPerOp: 10, Runs: 2, RatioToLido: 1, rounds: []sample{{ops: 100, seconds: 1e-6, nsPerOp: 10}, {ops: 50, seconds: 1e-6, nsPerOp: 20}}},
		{Work: "contended-bounded", Pool: "lido", NsPerOp: 10, Runs: 1, RatioToLido: 1, Jain: 0.5, P99WaitNs: 7, MaxWaitNs: 9, Error: "once"},
		{Work: "contended-bounded", Pool: "chan", Error: "always"},
	}}
	f := newFindings(r, result.File{Started: r.Env.Date}).file
	if !slices.ContainsFunc(f.Warnings, func(s string) bool { return strings.Contains(s, "once") }) {
		t.Errorf("warnings %q do not say that a round failed", f.Warnings)
	}
	var b bytes.Buffer
	if err := result.Write(&b, f); err != nil {
		t.Fatal(err)
	}
	back, err := result.Read(&b)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(back, f) {
		t.Errorf("read back:\n%+v\nwritten:\n%+v", back, f)
	}
}

func TestWorksAreKeptIfTheWorkloadsAreInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	stderr := says{"windows on", cancel} // when the works are done, and before the first workload
	dir := t.TempDir()
	all, out := filepath.Join(dir, "all.json"), filepath.Join(dir, "works.json")
	args := []string{"-quick", "-rounds", "1", "-pools", "lido", "-works", "single", "-workloads", "query", "-json", all, "-out", out}
	if code := run(ctx, args, io.Discard, stderr); code != 130 {
		t.Errorf("exit code %d, want 130", code)
	}
	if f, err := result.ReadFile(all); err != nil || !f.Partial || len(f.Cells[0].Samples) != 1 {
		t.Errorf("wrote %+v (%v), want the works, and that it is partial", f, err)
	}
	if r, err := readReport(out); err != nil || len(r.Rows) != 1 {
		t.Errorf("wrote %+v (%v), want the works", r, err)
	}
	cut := filepath.Join(dir, "none.json")
	args = []string{"-pools", "lido", "-works", "none", "-workloads", "query", "-json", cut}
	if code := run(ctx, args, io.Discard, io.Discard); code != 130 {
		t.Errorf("exit code %d, want 130", code)
	}
	if _, err := os.Stat(cut); err == nil {
		t.Error("wrote a file of nothing")
	}
}

// says calls then when a line has a text.
type says struct {
	text string
	then func()
}

func (s says) Write(p []byte) (int, error) {
	if strings.Contains(string(p), s.text) {
		s.then()
	}
	return len(p), nil
}
