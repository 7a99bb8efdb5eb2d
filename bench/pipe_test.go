//go:build unix && cgo

package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/lidopool/lido/bench/internal/result"
)

func TestNothingIsLeftBehindWhenNobodyReadsTheOutput(t *testing.T) {
	temporary, file := t.TempDir(), filepath.Join(t.TempDir(), "a.json")
	c := exec.CommandContext(t.Context(), os.Args[0], "run", "--backend", "sqlite", "--workload", "query", "--strategy", "queue",
		"--goroutines", "1", "--rounds", "1", "--window", "10ms", "--warm", "0s", "--json", file)
	c.Env = append(os.Environ(), asProgram+"=1", "TMPDIR="+temporary)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	read.Close()
	defer write.Close()
	c.Stdout, c.Stderr = write, write
	err = c.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 {
		t.Errorf("%v, want exit code 1", err)
	}
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if _, err := result.ReadFile(file); err != nil {
		t.Errorf("what could be written was not: %v", err)
	}
}
