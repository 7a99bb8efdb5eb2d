package text_test

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"

	"golang.org/x/perf/benchfmt"

	"github.com/lidopool/lido/bench/internal/text"
)

func TestCSVHasALineForEachRoundAndEachCellWithoutOne(t *testing.T) {
	var b bytes.Buffer
	if err := text.CSV(&b, file()); err != nil {
		t.Fatal(err)
	}
	golden(t, "table.csv", b.Bytes())
	lines, err := csv.NewReader(&b).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if want := 1 + 6*3 + 2; len(lines) != want {
		t.Errorf("%d lines, want %d: the head, three rounds of six cells, and two that were not measured", len(lines), want)
	}
	b.Reset()
	if err := text.CSV(&b, play()); err != nil {
		t.Fatal(err)
	}
	if lines, err := csv.NewReader(&b).ReadAll(); err != nil || len(lines) != 1+2*120 {
		t.Errorf("%d lines, %v, want one for each point of two timelines and the head", len(lines), err)
	}
}

func TestBenchIsReadByBenchstat(t *testing.T) {
	f := file()
	f.Cells[0].Pool = "a pool/with\tall"
	var b bytes.Buffer
	if err := text.Bench(&b, f); err != nil {
		t.Fatal(err)
	}
	golden(t, "table.bench", b.Bytes())
	var names []string
	values := map[string]float64{}
	for r := benchfmt.NewReader(bytes.NewReader(b.Bytes()), "x"); r.Scan(); {
		switch rec := r.Result().(type) {
		case *benchfmt.SyntaxError:
			t.Error(rec)
		case *benchfmt.Result:
			names = append(names, string(rec.Name))
			for _, v := range rec.Values {
				values[v.Unit] = v.Value
			}
			if rec.GetConfig("cpu") != "Sample CPU @ 3.00GHz" || rec.GetConfig("backend") != "sqlite" {
				t.Errorf("%s is not told where it was measured", rec.Name)
			}
		}
	}
	if len(names) != 6*3 {
		t.Errorf("%d results, want one for each round that was measured", len(names))
	}
	if want := "Lido/workload=cycle/pool=a_pool_with_all/goroutines=1/size=4-4"; names[0] != want {
		t.Errorf("the first is %s, want %s", names[0], want)
	}
	for _, unit := range strings.Fields("sec/op ops/s p50-wait-sec p99-wait-sec p99.9-wait-sec max-wait-sec B/op allocs/op cpu-sec/op errors/op") {
		if values[unit] == 0 {
			t.Errorf("there is no %s among %v", unit, values)
		}
	}
}
