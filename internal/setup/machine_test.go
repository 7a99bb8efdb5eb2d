//go:build unix

package setup_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A machine is a PATH in which only what a test puts there exists, so that
// a script can be run on a computer without a compiler, without Go, of another
// distribution, as root or not, and never touches the real one.
type machine struct {
	t   *testing.T
	dir string // where the scripts run
	bin string // the whole PATH
	env []string
}

// The tools that every Unix has and the scripts rely on.
var base = []string{"sh", "sed", "awk", "tr", "mktemp", "rm", "dirname", "find", "sort", "head", "cat", "touch"}

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{t: t, dir: t.TempDir(), bin: t.TempDir()}
	for _, name := range base {
		m.tool(name)
	}
	m.set("PATH", m.bin)
	m.set("TMPDIR", t.TempDir())
	m.set("BIN", m.bin)
	m.set("LOG", filepath.Join(t.TempDir(), "log"))
	return m
}

// tool gives the machine a tool of the real one.
func (m *machine) tool(name string) {
	m.t.Helper()
	real, err := exec.LookPath(name)
	if err != nil {
		m.t.Fatalf("this machine lacks %s: %v", name, err)
	}
	if err := os.Symlink(real, filepath.Join(m.bin, name)); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) set(name, value string) { m.env = append(m.env, name+"="+value) }

// get returns what was last set.
func (m *machine) get(name string) string {
	value := ""
	for _, pair := range m.env {
		if v, ok := strings.CutPrefix(pair, name+"="); ok {
			value = v
		}
	}
	return value
}

// command puts a shell script of that name into PATH.
func (m *machine) command(name, script string) {
	m.write(filepath.Join(m.bin, name), "#!/bin/sh\n"+script+"\n")
}

// write writes an executable file; a relative name is below the directory the
// scripts run in.
func (m *machine) write(name, text string) {
	m.t.Helper()
	if !filepath.IsAbs(name) {
		name = filepath.Join(m.dir, name)
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o777); err != nil {
		m.t.Fatal(err)
	}
}

// log returns what the fake commands wrote to $LOG.
func (m *machine) log() string {
	m.t.Helper()
	text, err := os.ReadFile(m.get("LOG"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		m.t.Fatal(err)
	}
	return string(text)
}

type result struct {
	code        int
	out, errout string
}

// run runs a script of this directory.
func (m *machine) run(script string, args ...string) result {
	m.t.Helper()
	full, err := filepath.Abs(script)
	if err != nil {
		m.t.Fatal(err)
	}
	return m.runFile(full, args...)
}

func (m *machine) runFile(file string, args ...string) result {
	m.t.Helper()
	cmd := exec.Command(filepath.Join(m.bin, "sh"), append([]string{file}, args...)...)
	cmd.Dir, cmd.Env = m.dir, m.env
	var out, errout bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errout
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		m.t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), errout.String()}
}

// wants fails the test unless the script ended with that code and said these
// words on stderr.
func (r result) wants(t *testing.T, code int, words ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit code %d, want %d\nstdout: %s\nstderr: %s", r.code, code, r.out, r.errout)
	}
	for _, w := range words {
		if !strings.Contains(r.errout, w) {
			t.Errorf("stderr does not say %q:\n%s", w, r.errout)
		}
	}
}
