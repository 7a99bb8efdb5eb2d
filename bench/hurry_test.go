//go:build unix && cgo

package main

import (
	"database/sql"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestTheSecondSignalEndsTheProgram(t *testing.T) {
	// Whoever opens a pipe that nobody reads waits: the program does when it has ended the run and writes.
	pipe, file := filepath.Join(t.TempDir(), "pipe"), filepath.Join(t.TempDir(), "a.json")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip("no named pipe can be made here; set TMPDIR to a directory where they can: ", err)
	}
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	c, _, _ := start(t, "--json", file, "--csv", pipe, "--backend", "sqlite")
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	// Real time, since it is another process that is waited for.
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
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// impatient sends one signal after another until the program has ended, and returns what it said.
func impatient(t *testing.T, c *exec.Cmd, rest func() string) (said string) {
	t.Helper()
	ended := make(chan struct{})
	go func() {
		for c.Process.Signal(os.Interrupt) == nil {
			select {
			case <-ended:
				return
			case <-time.After(5 * time.Millisecond): // else two could be one
			}
		}
	}()
	said = rest()
	err := c.Wait()
	close(ended)
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 130 {
		t.Errorf("%v, want exit code 130", err)
	}
	return said
}

func TestTwoSignalsInARowLeaveNothingBehind(t *testing.T) {
	for range 3 {
		temporary := t.TempDir()
		t.Setenv("TMPDIR", temporary)
		c, _, rest := start(t, "--backend", "sqlite")
		if said := impatient(t, c, rest); strings.Contains(said, "left behind") {
			t.Errorf("it said %s", said)
		}
		if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	}
}

func TestTheSecondSignalDoesNotWaitForWhatHangs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	db, err := sql.Open("sqlite3", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("PRAGMA user_version = 1"); err != nil { // so that there is a file, which is not deleted
		t.Fatal(err)
	}
	c, _, rest := start(t, "--backend", "sqlite:"+path+"?_busy_timeout=60000")
	if _, err := db.Exec("BEGIN IMMEDIATE"); err != nil { // the table cannot be dropped
		t.Fatal(err)
	}
	begun := time.Now()
	said := impatient(t, c, rest)
	if took := time.Since(begun); took > 4*time.Second || !strings.Contains(said, "may be left behind") { // 5 s is the end of its patience
		t.Errorf("it ended after %v and said %q; want 1s, and what is left behind", took, said)
	}
}
