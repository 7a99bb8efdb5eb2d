package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// small.json has what a file may have: a pool that this binary may not know, one that failed,
// one that failed in some rounds, and a processor with a name that XML cannot take as it is.
func TestAnOldFileIsDrawnAsBefore(t *testing.T) {
	dir := t.TempDir()
	for range 2 { // the second over the first
		args := []string{"-draw", "testdata/small.json", "-figure", filepath.Join(dir, "small.svg"), "-markdown", filepath.Join(dir, "small.md"),
			"-out", filepath.Join(dir, "small.json")}
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), args, &stdout, &stderr); code != 0 {
			t.Fatalf("exit code %d, want 0: %s", code, stderr.String())
		}
		if !strings.Contains(stdout.String(), "smartconnpool") {
			t.Errorf("does not print the results:\n%s", stdout.String())
		}
		for _, name := range []string{"small.svg", "small.md", "small.json"} {
			if got, want := read(t, filepath.Join(dir, name)), read(t, filepath.Join("testdata", name)); !bytes.Equal(got, want) {
				t.Errorf("%s has %d bytes and is not the one in testdata. If it should change, see what git diff says, and look at it, after\n"+
					"go run . -draw testdata/small.json -figure testdata/small.svg -markdown testdata/small.md", name, len(got))
			}
		}
	}
}

func TestAFigureShowsEveryPoolInEveryWorkThatHasAPanel(t *testing.T) {
	r := report{Env: newEnvironment(t.Context(), "abc", false)}
	for _, w := range works {
		for i, p := range peers {
			if p.fits(w.crowd) {
				r.Rows = append(r.Rows, row{Work: w.name, Pool: p.name, Runs: 1, NsPerOp: float64(10 * (i + 1)), RatioToLido: float64(i + 1)})
			}
		}
	}
	text, err := r.figure()
	if err != nil {
		t.Fatal(err)
	}
	shown := texts(t, text)
	for _, name := range featured {
		if n := count(shown, name); n != 1 {
			t.Errorf("%s stands in the figure %d times, want one panel", name, n)
		}
	}
	for _, p := range peers {
		want := 0
		for _, w := range works {
			if p.fits(w.crowd) && slices.Contains(featured, w.name) {
				want++
			}
		}
		if n := count(shown, p.name); n != want {
			t.Errorf("%s stands in the figure %d times, want %d, one for each work that fits it", p.name, n, want)
		}
	}
	for _, part := range []string{r.Env.CPU, "cores, " + r.Env.Go, "commit abc"} {
		if !slices.ContainsFunc(shown, func(s string) bool { return strings.Contains(s, part) }) {
			t.Errorf("the figure does not say %q", part)
		}
	}
}

func TestAFileThatHoldsNoResultsIsNamed(t *testing.T) {
	for _, name := range []string{"testdata/none.json", "testdata/small.svg", "testdata/vitess/overlay.json"} {
		var stderr bytes.Buffer
		if code := run(t.Context(), []string{"-draw", name}, io.Discard, &stderr); code != 1 || !strings.Contains(stderr.String(), name) {
			t.Errorf("%s: exit code %d, want 1, and the name in %q", name, code, stderr.String())
		}
	}
}

func TestTheScaleReachesOverAllRatios(t *testing.T) {
	for _, c := range []struct{ least, most, first, last float64 }{
		{1, 1, 0.5, 2},
		{0.3, 42, 0.2, 50},
		{0.2, 50, 0.2, 50},
		{0.0004, 3000, 0.0001, 10000},
	} {
		got := ticks([]row{{Runs: 1, RatioToLido: c.least}, {Runs: 1, RatioToLido: c.most}, {RatioToLido: 0}})
		if first, last := got[0], got[len(got)-1]; first != c.first || last != c.last || !slices.Contains(got, 1) {
			t.Errorf("from %v to %v: ticks %v, want some from %v to %v with 1 among them", c.least, c.most, got, c.first, c.last)
		}
	}
}

func TestWhatCannotBeComparedIsNotDrawn(t *testing.T) {
	lido := row{Work: "single", Pool: "lido", Runs: 1, NsPerOp: 1, RatioToLido: 1}
	for _, c := range []struct {
		rows []row
		says string
	}{
		{[]row{{Work: "contended-1024x2-strict", Pool: "lido", Runs: 1, NsPerOp: 1, RatioToLido: 1}}, "none of these works"},
		{[]row{{Work: "single", Pool: "chan", Runs: 1, NsPerOp: 1}}, "single: want a result of lido"},
		{[]row{lido, {Work: "single", Pool: "chan", Runs: 1, NsPerOp: 1}}, "single: want a result of lido, and the ratio"},
	} {
		if text, err := (report{Rows: c.rows}).figure(); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: error %v, want one that says %q; drew\n%s", c.rows, err, c.says, text)
		}
	}
}

// texts are those of a well-formed SVG.
func texts(t *testing.T, svg []byte) []string {
	t.Helper()
	var all []string
	var inside string
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("not well-formed: %v", err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			inside = token.Name.Local
		case xml.EndElement:
			inside = ""
		case xml.CharData:
			if inside == "text" {
				all = append(all, string(token))
			}
		}
	}
}

func count(all []string, one string) int {
	n := 0
	for _, s := range all {
		if s == one {
			n++
		}
	}
	return n
}
