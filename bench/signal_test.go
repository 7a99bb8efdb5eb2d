//go:build unix

package main

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/lidopool/lido/bench/internal/result"
)

// start begins a run that would take 20 s, in a process of its own, and returns when it has measured something. rest is what it says from then
// to its end. Real time is needed, since a signal is sent to a process; it ends by itself, so nothing hangs if the signal is lost.
func start(t *testing.T, args ...string) (c *exec.Cmd, stdout *bytes.Buffer, rest func() string) {
	t.Helper()
	c = exec.CommandContext(t.Context(), os.Args[0], append([]string{"run", "--backend", "synthetic?use=100us", "--workload", "query",
		"--strategy", "queue,null", "--goroutines", "1", "--rounds", "250", "--window", "10ms", "--warm", "0s"}, args...)...)
	c.Env = append(os.Environ(), asProgram+"=1")
	stdout = new(bytes.Buffer)
	c.Stdout = stdout
	stderr, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill() })
	lines := bufio.NewScanner(stderr)
	rest = func() (said string) {
		for lines.Scan() {
			said += lines.Text() + "\n"
		}
		return said
	}
	said := ""
	for lines.Scan() {
		said += lines.Text() + "\n"
		if strings.Contains(lines.Text(), " of 500, ") && !strings.HasPrefix(lines.Text(), "0 of") {
			return c, stdout, rest
		}
	}
	t.Fatalf("it ended too early:\n%s", said)
	return nil, nil, nil
}

func TestTheFirstSignalEndsARunAndKeepsWhatItHas(t *testing.T) {
	for _, sent := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		if signal.Ignored(sent) { // by nohup, say: then by the program too
			continue
		}
		file := filepath.Join(t.TempDir(), "a.json")
		c, stdout, _ := start(t, "--json", file)
		if err := c.Process.Signal(sent); err != nil {
			t.Fatal(err)
		}
		err := c.Wait()
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 130 {
			t.Errorf("%v: %v, want exit code 130", sent, err)
		}
		f, err := result.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(f.Cells[0].Samples); !f.Partial || n == 0 || n == 250 || !strings.Contains(stdout.String(), "ended early") {
			t.Errorf("%v: partial %v, %d of 250 rounds, printed:\n%s", sent, f.Partial, n, stdout)
		}
	}
}
