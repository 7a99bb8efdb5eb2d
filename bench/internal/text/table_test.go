package text_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/lidopool/lido/bench/internal/result"
	"github.com/lidopool/lido/bench/internal/result/resulttest"
	"github.com/lidopool/lido/bench/internal/text"
)

func TestATableShowsWhatWasMeasuredAndWhatWasNot(t *testing.T) {
	for name, width := range map[string]int{"table.txt": 0, "table-80.txt": 80, "table-50.txt": 50} {
		var b bytes.Buffer
		if err := text.Table(&b, file(), width); err != nil {
			t.Fatal(err)
		}
		golden(t, name, b.Bytes())
	}
}

func TestASweepOverSizesIsOneTable(t *testing.T) {
	f := file()
	f.Partial = true
	more := f.Cells[0]
	more.Size, more.Ratio, more.Config = 64, 1, "queue?size=64&max_overflow=0&timeout=30s"
	none := resulttest.Failed(more, "") // the run was ended before
	none.Pool, none.Config = "null", "null?max=64&timeout=30s"
	f.Cells = append(f.Cells[:3:3], more, none)
	f.Cells[1].Samples = f.Cells[1].Samples[:1]
	var b bytes.Buffer
	if err := text.Table(&b, f, 100); err != nil {
		t.Fatal(err)
	}
	golden(t, "sweep.txt", b.Bytes())
}

// What follows the cells of a row, such as the reason why there are none, may be longer; so may a word.
func TestATableFitsIntoTheTerminal(t *testing.T) {
	f := file()
	f.Cells[4].Failed, f.Cells[5].Unfit = "", "short"
	for width := 50; width < 200; width++ {
		var b bytes.Buffer
		if err := errors.Join(text.Table(&b, f, width), text.Timelines(&b, play(), width)); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(b.String()) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > width && !strings.Contains(line, "80") {
				t.Errorf("at %d columns a line has %d: %s", width, n, line)
			}
		}
	}
}

func TestALongNameIsNeitherRepeatedNorTheHeadOfAColumn(t *testing.T) {
	f := file()
	f.Cells = f.Cells[:1]
	f.Cells[0].Pool, f.Method.Baseline = "queue?size=2&max_overflow=3", "queue?size=2&max_overflow=3"
	f.Cells[0].Workload, f.Cells[0].Spec = "hold-sleep?for=20ms", "hold-sleep?hold=sleep&for=20ms"
	var b bytes.Buffer
	if err := text.Table(&b, f, 0); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\nhold-sleep (hold=sleep&for=20ms), 1 goroutine\n", "±  ratio   per op"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("does not contain %q:\n%s", want, b.String())
		}
	}
}

func TestATableOfNothingIsNoPanic(t *testing.T) {
	for _, f := range []result.File{{}, {Cells: make([]result.Cell, 1)}, {Timelines: make([]result.Timeline, 1)}} {
		var b bytes.Buffer
		err := errors.Join(text.Table(&b, f, 80), text.Timelines(&b, f, 80), text.CSV(&b, f), text.Bench(&b, f))
		if err != nil {
			t.Error(err)
		}
	}
}

func TestAScenarioIsDrawnForEachPool(t *testing.T) {
	for name, width := range map[string]int{"timelines.txt": 0, "timelines-60.txt": 60} {
		var b bytes.Buffer
		if err := text.Timelines(&b, play(), width); err != nil {
			t.Fatal(err)
		}
		golden(t, name, b.Bytes())
	}
}

func TestALegendHasAllConfigsAndFailuresOfAPool(t *testing.T) {
	var f result.File
	for i, workload := range []string{"cycle", "query"} {
		f.Cells = append(f.Cells, result.Cell{Workload: workload, Spec: workload, Pool: "queue", Goroutines: 8, Size: i + 1,
			Config: fmt.Sprintf("queue?size=%d", i+1), Failed: "round 2: " + workload + " hung", Samples: []result.Sample{{Ops: 1}}})
	}
	var b bytes.Buffer
	if err := text.Table(&b, f, 0); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"queue: queue?size=1, and so with the other sizes\n", "cycle, 8 goroutines: failed in round 2: cycle hung", "query, 8 goroutines: failed in round 2: query hung"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("does not say %q:\n%s", want, b.String())
		}
	}
}
