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
	"time"

	"github.com/lidopool/lido/bench/internal/result"
)

// start begins a run that would take 20 s, in a process of its own, and returns when it has measured something. Real time is needed,
// since a signal is sent to a process; it ends by itself, so nothing hangs if the signal is lost.
func start(t *testing.T, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0], append([]string{"run", "--backend", "synthetic?use=100us", "--workload", "query",
		"--strategy", "queue,null", "--goroutines", "1", "--rounds", "250", "--window", "10ms", "--warm", "0s"}, args...)...)
	c.Env = append(os.Environ(), asProgram+"=1")
	var stdout bytes.Buffer
	c.Stdout = &stdout
	stderr, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill() })
	said := ""
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		said += lines.Text() + "\n"
		if strings.Contains(lines.Text(), " of 500, ") && !strings.HasPrefix(lines.Text(), "0 of") {
			return c, &stdout
		}
	}
	t.Fatalf("it ended too early:\n%s", said)
	return nil, nil
}

func TestTheFirstSignalEndsARunAndKeepsWhatItHas(t *testing.T) {
	for _, sent := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		if signal.Ignored(sent) { // by nohup, say: then by the program too
			continue
		}
		file := filepath.Join(t.TempDir(), "a.json")
		c, stdout := start(t, "--json", file)
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

func TestTheSecondSignalEndsTheProgram(t *testing.T) {
	// Whoever opens a pipe that nobody reads waits: the program does when it has ended the run and writes.
	pipe, file := filepath.Join(t.TempDir(), "pipe"), filepath.Join(t.TempDir(), "a.json")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip("needs a pipe in the file system, run it where there are some: ", err)
	}
	c, _ := start(t, "--json", file, "--csv", pipe)
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(file); err == nil { // what is written before the CSV
			break
		}
		if time.Now().After(end) {
			t.Fatal("the first signal did not end the run")
		}
	}
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	end := time.AfterFunc(10*time.Second, func() { c.Process.Kill() })
	defer end.Stop()
	err := c.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 130 {
		t.Errorf("%v, want exit code 130", err)
	}
}
