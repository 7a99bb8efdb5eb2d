package result_test

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lidopool/lido/bench/internal/result"
	"github.com/lidopool/lido/bench/internal/result/resulttest"
)

func TestAFileIsReadAsItWasWritten(t *testing.T) {
	want := resulttest.Rich()
	name := filepath.Join(t.TempDir(), "result.json")
	if err := result.WriteFile(name, want); err != nil {
		t.Fatal(err)
	}
	got, err := result.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("read back (-written +read):\n%s", diff)
	}
}

func TestACellIsALineWhateverItIsCalled(t *testing.T) {
	f := result.File{Format: result.Format, Started: time.Unix(0, 0).UTC()}
	for _, name := range []string{"queue", `{"a": [1, "b\\"]}`, "\\", `"`, "}],"} {
		f.Cells = append(f.Cells, result.Cell{Pool: name, Samples: []result.Sample{{Ops: 1}, {Ops: 2}}})
	}
	var text bytes.Buffer
	if err := result.Write(&text, f); err != nil {
		t.Fatal(err)
	}
	lines := 0
	for line := range strings.Lines(text.String()) {
		if strings.Contains(line, `"pool":`) {
			lines++
		}
	}
	got, err := result.Read(&text)
	if diff := cmp.Diff(f, got); err != nil || diff != "" || lines != len(f.Cells) {
		t.Errorf("%d cells on %d lines, want one on each; read back: %v\n%s", len(f.Cells), lines, err, diff)
	}
}

func TestWhatCannotBeWrittenLeavesTheFileAlone(t *testing.T) {
	name := filepath.Join(t.TempDir(), "result.json")
	if err := os.WriteFile(name, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := result.WriteFile(name, result.File{Format: result.Format, Seconds: math.NaN()}); err == nil {
		t.Error("NaN is written, which is no JSON")
	}
	if got, _ := os.ReadFile(name); string(got) != "old" {
		t.Errorf("the file holds %q, want what it held", got)
	}
}

func TestWhatIsNoResultIsRefused(t *testing.T) {
	var good bytes.Buffer
	if err := result.Write(&good, result.File{Format: result.Format, Started: time.Unix(0, 0).UTC()}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ text, says string }{
		{"", "no result of lidobench"},
		{"hello", "no result of lidobench"},
		{`[]`, "no result of lidobench"},
		{`{}`, `"format" is missing`},
		{`{"rows": [], "env": {}}`, `"format" is missing`},
		{`{"format": "lidobench/2", "new": 1}`, `"lidobench/2": this lidobench reads "lidobench/1"`},
		{`{"format": "lidobench/1", "cels": []}`, `unknown field "cels"`},
		{`{"format": "lidobench/1", "seconds": "3"}`, "seconds"},
		{good.String() + "{}", "no result of lidobench"},
		{`{"format": "lidobench/1", "cells": [{"spec": "x", "pool": "queue"}, {"spec": "x", "pool": "queue"}]}`, "is there twice"},
	} {
		if _, err := result.Read(strings.NewReader(c.text)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%.40q: %v, want an error with %q", c.text, err, c.says)
		}
	}
	if _, err := result.Read(&good); err != nil {
		t.Errorf("a result is refused: %v", err)
	}
	name := filepath.Join(t.TempDir(), "bad.json")
	if err := os.WriteFile(name, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := result.ReadFile(name); err == nil || !strings.Contains(err.Error(), "bad.json") {
		t.Errorf("%v, want an error that names the file", err)
	}
}
