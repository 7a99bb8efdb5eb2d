package browser_test

import (
	"errors"
	"os/exec"
	"path/filepath"
	"testing"
)

// The program itself, so that nothing between what is measured and what is written goes unseen: all strategies, those that are unfit
// and those that fail, a rate, and a scenario.
func TestWhatLidobenchWritesIsAsThePublishedSchemaSays(t *testing.T) {
	program := filepath.Join(t.TempDir(), "lidobench")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./bench")
	build.Dir = "../.."
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	for name, args := range map[string][]string{
		"run": {"run", "--backend", "synthetic?use=100us&fail=0.1&openfail=0.1", "--workload", "cycle,query,cancel,nested,burst?rate=500&burst=5",
			"--goroutines", "1,3", "--size", "1,2", "--rounds", "1", "--window", "5ms", "--warm", "0s", "--quiet", "--json", "-"},
		"scenario": {"scenario", "outage", "spike", "--strategy", "queue,assertion", "--scale", "0.02", "--tick", "5ms", "--quiet", "--json", "-"},
	} {
		// 1 says that pools failed, such as those of which no resource opened in so short a window: that is a result, too.
		text, err := exec.CommandContext(t.Context(), program, args...).Output()
		if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && !(ok && exit.ExitCode() == 1) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := valid(t, text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
