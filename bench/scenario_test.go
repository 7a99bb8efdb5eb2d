package main

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/bench/internal/result"
)

func TestAScenarioIsPlayedForEachStrategy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		file, page := filepath.Join(dir, "a.json"), filepath.Join(dir, "a.html")
		got := lidobench(t.Context(), "scenario", "spike", "outage", "--strategy", "queue,queue?max_overflow=0,null", "--scale", "0.5", "--tick", "100ms", "--json", file, "--html", page)
		if got.code != 0 {
			t.Fatalf("exit code %d: %s", got.code, got.stderr)
		}
		for _, part := range []string{"\nspike: ", "\noutage: ", "backend back", "(Here it took 0.5 times as long.)", "recovery", "  queue  ", "  null  "} {
			if !strings.Contains(got.stdout, part) {
				t.Errorf("does not show %q:\n%s", part, got.stdout)
			}
		}
		if !strings.Contains(got.stderr, "2 scenarios with 3 strategies, about 21s") {
			t.Errorf("does not say how long it takes:\n%s", got.stderr)
		}
		f, err := result.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var configs []string
		for _, tl := range f.Timelines {
			if len(tl.Points) < 20 || tl.Backend == "" || tl.About == "" || tl.Verdict.Text == "" {
				t.Errorf("%s with %s: %d points, %+v", tl.Scenario, tl.Pool, len(tl.Points), tl.Verdict)
			}
			if tl.Scenario == "spike" {
				configs = append(configs, tl.Config)
			}
		}
		want := "queue?size=5&max_overflow=45&timeout=30s queue?size=5&max_overflow=0&timeout=30s null?max=unlimited&timeout=30s"
		if len(f.Timelines) != 6 || strings.Join(configs, " ") != want {
			t.Errorf("%d timelines; the spike is of %q, want what it is made for unless the strategy says otherwise: %s", len(f.Timelines), configs, want)
		}
		if again := lidobench(t.Context(), "report", file); again.stdout != got.stdout {
			t.Errorf("report shows something else:\n%s", again.stdout)
		}
		if refused := lidobench(t.Context(), "compare", file, file); refused.code != 2 || !strings.Contains(refused.stderr, "a result of lidobench run is needed") {
			t.Errorf("compare: exit code %d, %s", refused.code, refused.stderr)
		}
	})
}

func TestAnInterruptedScenarioKeepsWhatItHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "a.json")
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(9*time.Second, cancel) // in the second of two, of 6 s each
		got := lidobench(ctx, "scenario", "spike", "--strategy", "queue,null", "--json", file, "--quiet")
		if got.code != 130 || !strings.Contains(got.stderr, "the results are partial") {
			t.Errorf("exit code %d, want 130: %s", got.code, got.stderr)
		}
		f, err := result.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !f.Partial || len(f.Timelines) != 2 || len(f.Timelines[1].Points) > 70 || f.Timelines[1].Failed != "" {
			t.Errorf("partial %v, %d timelines", f.Partial, len(f.Timelines))
		}
	})
}

func TestASizeHoldsForAllStrategiesThatNameNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "a.json")
		got := lidobench(t.Context(), "scenario", "slow", "--strategy", "queue,null,singleton,queue?size=2", "--size", "3", "--scale", "0.1", "--json", file, "-q")
		if got.code != 0 {
			t.Fatalf("exit code %d: %s", got.code, got.stderr)
		}
		f, err := result.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var configs []string
		for _, tl := range f.Timelines {
			configs = append(configs, tl.Config)
		}
		want := "queue?size=3&max_overflow=0&timeout=30s null?max=3&timeout=30s singleton?size=3&timeout=30s queue?size=2&max_overflow=10&timeout=30s"
		if got := strings.Join(configs, " "); got != want {
			t.Errorf("configs are\n%s, want\n%s", got, want)
		}
	})
}
