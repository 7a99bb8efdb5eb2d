//go:build !cgo

package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

func TestRunWithoutCgoSaysWhatToDo(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var stderr bytes.Buffer
	if code := run(t.Context(), nil, &bytes.Buffer{}, &stderr); code != 2 || !strings.Contains(stderr.String(), "CGO_ENABLED=1") {
		t.Errorf("exit code is %d and stderr %q, want 2 and what to install and set", code, stderr.String())
	}
}

func TestLedger(t *testing.T) {
	const remedy = "the tests that run the demo need SQLite, and so cgo: install a C compiler " +
		"(Debian, Ubuntu: apt-get install gcc libc6-dev) and set CGO_ENABLED=1"
	if os.Getenv("LIDO_STRICT") == "1" {
		t.Fatal(remedy)
	}
	t.Skip(remedy)
}
