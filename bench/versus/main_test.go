package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestAnUnknownNameIsAnsweredWithThoseThatExist(t *testing.T) {
	for _, c := range []struct{ args, says []string }{
		{[]string{"-pools", "lido,pudle"}, []string{`unknown pool "pudle"`, "puddle", "go-commons-pool"}},
		{[]string{"-works", "singel"}, []string{`unknown work "singel"`, "single", "contended-1024x2-bounded"}},
		{[]string{"-rounds", "-1"}, []string{"-rounds -1"}},
		{[]string{"-nosuch"}, []string{"nosuch"}},
		{[]string{"-out", "no/such/file"}, []string{"no/such"}},
		{[]string{"-figure", "no/such/file"}, []string{"no/such"}},
		{[]string{"-draw", "testdata/small.json", "-quick"}, []string{"-quick is about measuring"}},
		{[]string{"-workloads", "cycle,qeury"}, []string{"-workloads", "qeury", "query"}},
		{[]string{"-workloads", "cycle,cycle"}, []string{`"cycle" is given twice`}},
		{[]string{"-works", "none"}, []string{"leaves nothing to do"}},
		{[]string{"-works", "none", "-workloads", "all", "-out", "out.json"}, []string{"-out is about works"}},
		{[]string{"-goroutines", "1,0"}, []string{"-goroutines", `"0"`}},
		{[]string{"-size", "2,2"}, []string{"-size", `"2"`}},
		{[]string{"-workloads", "cycle", "-backend", "syntetic"}, []string{"syntetic", "synthetic"}},
		{[]string{"-backend", "synthetic"}, []string{"-backend is about workloads"}},
		{[]string{"-html", "no/such/file"}, []string{"no/such"}},
		{[]string{"-draw", "testdata/small.json", "-workloads", "all"}, []string{"-workloads is about measuring"}},
		{[]string{"single"}, []string{`unexpected argument "single"`}},
	} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), c.args, &stdout, &stderr); code != 2 {
			t.Errorf("%v: exit code %d, want 2", c.args, code)
		}
		for _, part := range c.says {
			if !strings.Contains(stderr.String(), part) {
				t.Errorf("%v: does not say %q:\n%s", c.args, part, stderr.String())
			}
		}
	}
}

func TestARunWritesWhatItPrints(t *testing.T) {
	dir := t.TempDir()
	out, table := filepath.Join(dir, "out.json"), filepath.Join(dir, "out.md")
	if err := os.WriteFile(out, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout bytes.Buffer
	args := []string{"-quick", "-rounds", "1", "-pools", "mutex,lido", "-works", "single,cancel", "-commit", "abc", "-out", out, "-markdown", table}
	if code := run(t.Context(), args, &stdout, io.Discard); code != 0 {
		t.Fatalf("exit code %d, want 0", code)
	}
	var r report
	if err := json.Unmarshal(read(t, out), &r); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, x := range r.Rows {
		got = append(got, x.Work+" "+x.Pool)
	}
	if want := []string{"single lido", "single mutex", "cancel lido"}; !slices.Equal(got, want) {
		t.Errorf("rows = %q, want %q", got, want)
	}
	if r.Env.Commit != "abc" || !r.Env.Quick || r.Env.Cores == 0 || r.Env.Date.IsZero() {
		t.Errorf("environment = %+v", r.Env)
	}
	for _, part := range []string{"single: 1 goroutine", "× lido", "(no owner, no waiting)"} {
		if !strings.Contains(stdout.String(), part) {
			t.Errorf("does not print %q:\n%s", part, stdout.String())
		}
	}
	if text := string(read(t, table)); !strings.Contains(text, "| pool | single | cancel |\n|---|---:|---:|\n| lido |") {
		t.Errorf("table of ratios:\n%s", text)
	}
	if left, _ := os.ReadDir(dir); len(left) != 2 {
		t.Errorf("left in the directory: %v", left)
	}
}

func TestAnInterruptedRunWritesNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	var stdout bytes.Buffer
	if code := run(ctx, []string{"-quick", "-out", filepath.Join(dir, "out.json")}, &stdout, io.Discard); code != 130 {
		t.Errorf("exit code %d, want 130", code)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 || stdout.Len() != 0 {
		t.Errorf("wrote %v and printed %q", left, stdout.String())
	}
}

// Scripts read these names.
func TestTheFieldsOfAReportAreThosePromised(t *testing.T) {
	before := report{newEnvironment(t.Context(), "abc", true), []row{{
		Work: "single", Pool: "lido", NsPerOp: 1.5, AllocsPerOp: 2, P99WaitNs: 3, MaxWaitNs: 4, Jain: 0.5, Runs: 6, MinNs: 7, MaxNs: 8, RatioToLido: 9,
	}}}
	text, err := before.json()
	if err != nil {
		t.Fatal(err)
	}
	var after report
	if err := json.Unmarshal(text, &after); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(after, before) {
		t.Errorf("read back:\n%+v\nwritten:\n%+v", after, before)
	}
	var raw struct {
		Env  map[string]any
		Rows []map[string]any
	}
	if err := json.Unmarshal(text, &raw); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"goos", "goarch", "cpu", "cores", "gomaxprocs", "go", "commit", "date", "peers"} {
		if _, has := raw.Env[name]; !has {
			t.Errorf("env has no %s", name)
		}
	}
	for _, name := range []string{"work", "pool", "ns_per_op", "allocs_per_op", "p99_wait_ns", "max_wait_ns", "jain", "runs"} {
		if _, has := raw.Rows[0][name]; !has {
			t.Errorf("a row has no %s", name)
		}
	}
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
