package main

import (
	"context"
	"encoding/csv"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lidopool/lido/bench/internal/result"
	"github.com/lidopool/lido/bench/internal/target"
)

// slow is a run whose every use takes a millisecond of a bubble's time: two pools, three rounds of a second each.
var slow = []string{"run", "--backend", "synthetic?use=1ms", "--workload", "query", "--strategy", "queue,null",
	"--goroutines", "1", "--rounds", "3", "--window", "1s", "--warm", "0s"}

func TestARunWritesWhatItShows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		path := func(name string) string { return filepath.Join(dir, name) }
		args := append(slices.Clone(slow), "--json", path("a.json"), "--csv", path("a.csv"), "--bench", path("a.bench"), "--html", path("a.html"))
		got := lidobench(t.Context(), args...)
		if got.code != 0 {
			t.Fatalf("exit code %d: %s", got.code, got.stderr)
		}
		for _, part := range []string{"query (hold=query), 1 goroutine", "× queue", "\n  null ", "null: null?max=4"} {
			if !strings.Contains(got.stdout, part) {
				t.Errorf("does not show %q:\n%s", part, got.stdout)
			}
		}
		if !strings.Contains(got.stderr, "6 windows on synthetic?use=1ms, about 6s") || !strings.Contains(got.stderr, "0 of 6, 6s left: query with 1 goroutine") {
			t.Errorf("does not say how long it takes:\n%s", got.stderr)
		}
		f, err := result.ReadFile(path("a.json"))
		if err != nil {
			t.Fatal(err)
		}
		if len(f.Cells) != 2 || len(f.Cells[0].Samples) != 3 || f.Env.CPU == "" || len(f.Summary) == 0 || f.Partial {
			t.Errorf("the result is %+v", f)
		}
		for name, part := range map[string]string{"a.bench": "BenchmarkLido/workload=query/pool=queue", "a.html": "<html", "a.csv": "ns_per_op"} {
			if text := read(t, path(name)); !strings.Contains(text, part) {
				t.Errorf("%s does not hold %q", name, part)
			}
		}
		left, _ := os.ReadDir(dir)
		if len(left) != 4 {
			t.Errorf("left in the directory: %v", left)
		}
		if again := lidobench(t.Context(), "report", path("a.json")); again.stdout != got.stdout {
			t.Errorf("report shows something else:\n%s", cmp.Diff(got.stdout, again.stdout))
		}
		if again := lidobench(t.Context(), "report", path("a.json"), "--csv", "-"); again.stdout != read(t, path("a.csv")) {
			t.Errorf("report writes another CSV:\n%s", again.stdout)
		}
		if same := lidobench(t.Context(), "compare", "--fail-if-slower", "0", path("a.json"), path("a.json")); same.code != 0 || !strings.Contains(same.stdout, "--rounds 4 or more") {
			t.Errorf("compared with itself: exit code %d\n%s%s", same.code, same.stdout, same.stderr)
		}
	})
}

func TestWhatGoesToTheStandardOutputGoesThereAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, name := range []string{"-", "/dev/stdout"} {
			got := lidobench(t.Context(), append(slices.Clone(slow), "--quiet", "--json", name)...)
			if f, err := result.Read(strings.NewReader(got.stdout)); got.code != 0 || got.stderr != "" || err != nil || len(f.Cells) != 2 {
				t.Errorf("--json %s: exit code %d, %v, and on the standard error %q", name, got.code, err, got.stderr)
			}
		}
		got := lidobench(t.Context(), append(slices.Clone(slow), "--csv", "-")...)
		if lines, err := csv.NewReader(strings.NewReader(got.stdout)).ReadAll(); err != nil || len(lines) != 1+6 {
			t.Errorf("--csv -: %d lines, %v, want 7", len(lines), err)
		}
	})
}

func TestAnInterruptedRunKeepsWhatItHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "a.json")
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(3500*time.Millisecond, cancel) // in the fourth window of six
		got := lidobench(ctx, append(slices.Clone(slow), "--json", file)...)
		if got.code != 130 || !strings.Contains(got.stderr, "lidobench: interrupted; the results are partial\n") {
			t.Errorf("exit code %d, want 130: %s", got.code, got.stderr)
		}
		if !strings.Contains(got.stdout, "the run was ended early") {
			t.Errorf("does not say that it is partial:\n%s", got.stdout)
		}
		f, err := result.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(f.Cells[0].Samples) + len(f.Cells[1].Samples); !f.Partial || n != 3 {
			t.Errorf("partial %v, %d samples, want true and those of three windows", f.Partial, n)
		}
	})
}

func TestARunThatHasNothingWritesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "a.json")
		if err := os.WriteFile(file, []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, after := range []time.Duration{0, 500 * time.Millisecond} { // before all, and in the first window
			ctx, cancel := context.WithCancel(t.Context())
			if after == 0 {
				cancel()
			}
			time.AfterFunc(after, cancel)
			got := lidobench(ctx, append(slices.Clone(slow), "--json", file)...)
			if got.code != 130 || got.stdout != "" || read(t, file) != "old" || !strings.HasSuffix(got.stderr, "lidobench: interrupted\n") {
				t.Errorf("after %v: exit code %d, printed %q, the file holds %.20q, and it says %s", after, got.code, got.stdout, read(t, file), got.stderr)
			}
		}
	})
}

func TestAListIsTakenApartOnlyBetweenItsEntries(t *testing.T) {
	got, err := splitList("workload", []string{"cycle, think?think=lognormal:1ms,10ms&hold=query,burst", "mixed"})
	want := []string{"cycle", "think?think=lognormal:1ms,10ms&hold=query", "burst", "mixed"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
}

func TestWhatFailsIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		gone := filepath.Join(dir, "gone")
		if err := os.Mkdir(gone, 0o700); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(2500*time.Millisecond, func() { os.Remove(gone) })
		got := lidobench(t.Context(), append(slices.Clone(slow), "--csv", filepath.Join(gone, "a.csv"), "--json", filepath.Join(dir, "a.json"))...)
		if got.code != 1 || !strings.Contains(got.stderr, "lidobench: --csv: ") || !strings.Contains(got.stdout, "null") {
			t.Errorf("a directory that goes away: exit code %d, want 1, and the table:\n%s%s", got.code, got.stderr, got.stdout)
		}
		if _, err := result.ReadFile(filepath.Join(dir, "a.json")); err != nil {
			t.Errorf("what could be written was not: %v", err)
		}
	})
}

func TestAWriterThatFailsIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stderr strings.Builder
		file := filepath.Join(t.TempDir(), "a.json")
		if code := run(t.Context(), append(slices.Clone(slow), "--json", file), strings.NewReader(""), full{}, &stderr); code != 1 || !strings.Contains(stderr.String(), "disk full") {
			t.Errorf("exit code %d, want 1: %s", code, stderr.String())
		}
		if _, err := result.ReadFile(file); err != nil {
			t.Errorf("what could be written was not: %v", err)
		}
	})
}

func TestARunInWhichNothingGoesWellFails(t *testing.T) {
	got := lidobench(t.Context(), "run", "--backend", "synthetic?openfail=1", "--workload", "query", "--strategy", "null", "--goroutines", "1", "--rounds", "1", "--window", "20ms", "--warm", "0s")
	if got.code != 1 || !strings.Contains(got.stderr, "1 of 1 measurements failed") || !strings.Contains(got.stdout, "open failed") {
		t.Errorf("exit code %d, %q, want 1; printed:\n%s", got.code, got.stderr, got.stdout)
	}
}

// A stuck backend cannot be closed.
type stuck struct{ target.Backend }

func (stuck) Close() error { return errors.New("table lidobench_1 is left") }

func TestWhatABackendLeavesBehindIsToldWhateverElseIsWrong(t *testing.T) {
	for _, before := range []error{nil, failed("3 measurements failed"), errInterrupted} {
		err := before
		closeBackend(stuck{}, &err)
		var f *failure
		if !errors.As(err, &f) || !strings.Contains(err.Error(), "lidobench_1 is left") || before != nil && !errors.Is(err, before) {
			t.Errorf("after %v: %v, want that and what is left", before, err)
		}
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("disk full") }

var _ io.Writer = full{}

func TestARunWithoutFlagsIsOfAllStrategiesAndTakesLessThanAMinute(t *testing.T) {
	c := runCommand()
	if err := c.ParseFlags(nil); err != nil {
		t.Fatal(err)
	}
	o := order{goroutines: numbers{defaultGoroutines, mostGoroutines}, sizes: numbers{[]int{defaultSize}, mostSize},
		strategies: []string{defaultStrategies}, workloads: []string{defaultWorkloads}, rounds: defaultRounds, window: defaultWindow, warm: defaultWarm}
	for flag, want := range map[string]string{"backend": defaultBackend, "goroutines": o.goroutines.String(), "size": o.sizes.String(), "window": o.window.String(), "warm": o.warm.String()} {
		if got := c.Flags().Lookup(flag).Value.String(); got != want {
			t.Errorf("--%s is %s by default, want %s", flag, got, want)
		}
	}
	p, pools, err := o.plan()
	if err != nil {
		t.Fatal(err)
	}
	b, err := target.Open(t.Context(), "synthetic")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for _, s := range pools {
		p.Subjects = append(p.Subjects, s.subject(b))
	}
	if len(p.Subjects) != len(abouts) {
		t.Errorf("%d strategies, want all %d", len(p.Subjects), len(abouts))
	}
	// A quarter is left for machines on which opening takes longer.
	if d := p.Estimate(); d > 45*time.Second || d < 20*time.Second {
		t.Errorf("it would take %v, want less than a minute, and as much of that as is of use", d)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestCompareFailsIfSomethingBroke(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, c result.Cell) string {
		path := filepath.Join(dir, name)
		if err := result.WriteFile(path, result.File{Format: result.Format, Cells: []result.Cell{c}}); err != nil {
			t.Fatal(err)
		}
		return path
	}
	well := result.Cell{Workload: "query", Spec: "query", Pool: "queue", Samples: []result.Sample{{Ops: 1, NsPerOp: 1}}}
	lost := well
	lost.Samples, lost.Failed = nil, "round 1: a wake-up was lost"
	old, new := write("old.json", well), write("new.json", lost)
	if got := lidobench(t.Context(), "compare", "--fail-if-slower", "10", old, new); got.code != 1 || !strings.Contains(got.stderr, "a wake-up was lost") {
		t.Errorf("of a pool that fails now: exit code %d, want 1\n%s", got.code, got.stderr)
	}
	if got := lidobench(t.Context(), "compare", old, new); got.code != 0 || !strings.Contains(got.stdout, "Broken: query") {
		t.Errorf("without --fail-if-slower: exit code %d, want 0\n%s%s", got.code, got.stdout, got.stderr)
	}
}
