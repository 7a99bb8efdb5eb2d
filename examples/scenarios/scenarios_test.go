package main

import (
	"bytes"
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// outcome is what a run left behind.
type outcome struct {
	code           int
	stdout, stderr string
}

func scenariosWith(ctx context.Context, args ...string) outcome {
	var stdout, stderr bytes.Buffer
	code := run(ctx, args, &stdout, &stderr)
	return outcome{code, stdout.String(), stderr.String()}
}

func TestRunShowsEachScenarioWithBothPools(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := scenariosWith(t.Context())
		if o.code != 0 || o.stderr != "" {
			t.Errorf("exit code %d, stderr %q, want 0 and nothing", o.code, o.stderr)
		}
		for _, row := range []string{
			`spike: 50 callers`, `Lido +174ms +8 +8 +5`, `database/sql +150ms +50 +50 +5`,
			`down: the server is down`, `Lido +[12]?\d +1 +(\d+ms|[\d.]+µs|0s)`, `database/sql +\d+ +50 +\d`,
			`cancelled: callers`, `Lido +17 of 20 +1`, `database/sql +0 of 20 +20`,
			`saturation: 10,000`, `Lido +10000 of 10000 +0 +0s +0s`, `database/sql +10000 of 10000 +0 +0s +0s`,
		} {
			if !regexp.MustCompile(`(?m)^ *` + row).MatchString(o.stdout) {
				t.Errorf("no row %q in:\n%s", row, o.stdout)
			}
		}
	})
}

func TestRunShowsTheScenariosThatAreNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := scenariosWith(t.Context(), "cancelled", "spike")
		if o.code != 0 || !strings.HasPrefix(o.stdout, "cancelled: ") || !strings.Contains(o.stdout, "\nspike: ") || strings.Contains(o.stdout, "down: ") {
			t.Errorf("exit code %d, want cancelled and spike, in this order:\n%s", o.code, o.stdout)
		}
	})
}

func TestWrongCommandLineIsAnsweredWithWhatThereIs(t *testing.T) {
	for _, tc := range []struct {
		arg  string
		want string
	}{
		{"spikes", `scenarios: "spikes" is not known: give some of spike, down, cancelled, saturation, or nothing for all`},
		{"-fast", "scenarios: flag provided but not defined: -fast; -h lists what there is"},
	} {
		if o := scenariosWith(t.Context(), tc.arg); o.code != 2 || o.stderr != tc.want+"\n" || o.stdout != "" {
			t.Errorf("%s: exit code %d, stderr %q, want 2, %q", tc.arg, o.code, o.stderr, tc.want)
		}
	}
}

func TestHelpNamesTheScenarios(t *testing.T) {
	o := scenariosWith(t.Context(), "-h")
	for _, s := range scenarios {
		if !strings.Contains(o.stdout, s.name+" ") || !strings.Contains(o.stdout, s.about) {
			t.Errorf("-h does not name %s:\n%s", s.name, o.stdout)
		}
	}
	if o.code != 0 || o.stderr != "" {
		t.Errorf("-h: exit code %d, stderr %q, want 0 and nothing", o.code, o.stderr)
	}
}

func TestInterruptedRunSaysSo(t *testing.T) {
	for _, after := range []time.Duration{0, 50 * ms, 900 * ms} {
		for _, s := range scenarios {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), after)
				defer cancel()
				o := scenariosWith(ctx, s.name, "spike", "down", "cancelled")
				if o.code != 130 || o.stderr != "scenarios: interrupted\n" {
					t.Errorf("%s, interrupted after %v: exit code %d, stderr %q, want 130", s.name, after, o.code, o.stderr)
				}
			})
		}
	}
}

func TestBrokenPromiseIsAnExitCode(t *testing.T) {
	before := scenarios
	defer func() { scenarios = before }()
	scenarios = []scenario{{name: "all", columns: []string{"x"}, keep: 1, most: 1, run: func(context.Context, contender) ([]string, error) {
		return []string{"y"}, errors.New("all is wrong")
	}}}
	if o := scenariosWith(t.Context()); o.code != 1 || o.stderr != "scenarios: all: all is wrong\n" || !strings.Contains(o.stdout, "Lido  y") {
		t.Errorf("exit code %d, stderr %q, stdout %q, want 1, what is wrong, and the table all the same", o.code, o.stderr, o.stdout)
	}
}
