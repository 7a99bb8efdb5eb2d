package main

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/lidopool/lido/strategies"
)

func TestTheShellCompletesWhatTheProgramKnows(t *testing.T) {
	for _, c := range []struct {
		typed string
		wants []string
	}{
		{"", []string{"run", "scenario", "compare", "report", "list", "version", "completion"}},
		{"run --str", []string{"--strategy"}},
		{"run --strategy ", []string{"queue", "static"}},
		{"run --strategy queue,", []string{"queue,singleton", "queue,null"}},
		{"run --workload cycle,think?think=exp:2ms,", []string{"cycle,think?think=exp:2ms,burst"}},
		{"run --baseline ", []string{"queue"}},
		{"run --backend ", []string{"sqlite", "env:"}},
		{"run --serve ", []string{"localhost:8080"}},
		{"list ", []string{"strategies", "workloads", "backends", "scenarios"}},
		{"compare ", []string{"json"}},
	} {
		args := append([]string{"__complete"}, strings.Split(c.typed, " ")...)
		got := lidobench(t.Context(), args...)
		var words []string
		for line := range strings.Lines(got.stdout) {
			word, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
			words = append(words, word)
		}
		for _, want := range c.wants {
			if got.code != 0 || !slices.Contains(words, want) {
				t.Errorf("%q is completed to %q (exit code %d), want %q among it", c.typed, words, got.code, want)
			}
		}
	}
}

func TestCompletionIsWrittenForEachShell(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if got := lidobench(t.Context(), "completion", shell); got.code != 0 || !strings.Contains(got.stdout, "lidobench") {
			t.Errorf("%s: exit code %d, %.80q", shell, got.code, got.stdout)
		}
	}
}

func TestEachCommandHasHelpWithExamples(t *testing.T) {
	for _, args := range []string{"", "run", "scenario", "compare", "report", "list", "version"} {
		got := lidobench(t.Context(), append(strings.Fields(args), "--help")...)
		if got.code != 0 || !strings.Contains(got.stdout, "Examples:\n  ") || got.stderr != "" {
			t.Errorf("%s --help: exit code %d\n%s%s", args, got.code, got.stdout, got.stderr)
		}
		for line := range strings.Lines(got.stdout) {
			if example, is := strings.CutPrefix(line, "  lidobench "); is && args != "" && !strings.HasPrefix(example, args) {
				t.Errorf("%s --help has an example of another command: %s", args, line)
			}
		}
	}
}

func TestWithoutACommandItRuns(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end()
	if bare, run := lidobench(ended), lidobench(ended, "run"); bare != run || bare.code != 130 {
		t.Errorf("without arguments: exit code %d, %q\nrun: exit code %d, %q\nwant the same, and 130", bare.code, bare.stderr, run.code, run.stderr)
	}
}

func TestListKnowsEveryStrategy(t *testing.T) {
	got := lidobench(t.Context(), "list", "strategies")
	for _, kind := range strategies.Kinds() {
		if abouts[kind] == "" || !strings.Contains(got.stdout, "  "+kind+" ") {
			t.Errorf("%s is not listed, or nothing is said about it:\n%s", kind, got.stdout)
		}
	}
	for _, args := range []string{"version", "--version"} {
		if got := lidobench(t.Context(), args); got.code != 0 || !strings.HasPrefix(got.stdout, "lidobench ") || !strings.Contains(got.stdout, ", commit ") {
			t.Errorf("%s: exit code %d, %q", args, got.code, got.stdout)
		}
	}
}
