package text_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/lidopool/lido/bench/internal/compare"
	"github.com/lidopool/lido/bench/internal/result"
	"github.com/lidopool/lido/bench/internal/text"
)

func TestAComparisonSaysWhatIsClearlyDifferent(t *testing.T) {
	old, new := file(), file()
	new.Env.Go = "go1.27.0"
	new.Cells = new.Cells[:7]
	for _, f := range []*result.File{&old, &new} {
		for i := range f.Cells {
			if c := &f.Cells[i]; len(c.Samples) > 0 && c.Pool != "assertion" {
				c.Samples = append(c.Samples, c.Samples...)
			}
		}
	}
	for i := range new.Cells[0].Samples {
		new.Cells[0].Samples[i].NsPerOp *= 1.25
	}
	c, err := compare.Files(old, new)
	if err != nil {
		t.Fatal(err)
	}
	for name, width := range map[string]int{"comparison.txt": 0, "comparison-50.txt": 50} {
		var b bytes.Buffer
		if err := text.Comparison(&b, c, width); err != nil {
			t.Fatal(err)
		}
		golden(t, name, b.Bytes())
	}
}

func TestAComparisonSaysWhatNoLongerDoesItsWork(t *testing.T) {
	var b bytes.Buffer
	if err := text.Comparison(&b, compare.Comparison{Broken: []string{"query, 8 goroutines, queue: failed in round 2: a wake-up was lost"}}, 0); err != nil {
		t.Fatal(err)
	}
	if want := "Broken: query, 8 goroutines, queue: failed in round 2: a wake-up was lost"; !strings.Contains(b.String(), want) {
		t.Errorf("prints %q, want %q in it", b.String(), want)
	}
}
