package page_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/lidopool/lido/bench/internal/page"
	"github.com/lidopool/lido/bench/internal/result"
	"github.com/lidopool/lido/bench/internal/result/resulttest"
)

func written(t *testing.T, f result.File) string {
	t.Helper()
	var b bytes.Buffer
	if err := page.Write(&b, f); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// A script is its attributes and its text.
type script struct{ attributes, text string }

// apart takes the scripts and the styles out of a page.
func apart(t *testing.T, text string) (scripts []script, rest string) {
	t.Helper()
	for {
		before, after, more := strings.Cut(text, "<script")
		rest += before
		if !more {
			break
		}
		attributes, after, _ := strings.Cut(after, ">")
		inside, after, closed := strings.Cut(after, "</script>")
		if !closed {
			t.Fatal("a script has no end")
		}
		scripts, text = append(scripts, script{attributes, inside}), after
	}
	if len(scripts) != 3 || scripts[0].attributes != ` type="application/json" id="charts"` {
		t.Fatalf("the page has %d scripts, want its data, the charts and its own", len(scripts))
	}
	before, after, _ := strings.Cut(rest, "<style>")
	_, after, _ = strings.Cut(after, "</style>")
	return scripts, before + after
}

// charts are the data of the charts in a page, and the page without its scripts and styles.
func charts(t *testing.T, text string) (data struct {
	Pools  []string
	Charts map[string]struct{ Kind string }
}, rest string) {
	t.Helper()
	scripts, rest := apart(t, text)
	if err := json.Unmarshal([]byte(scripts[0].text), &data); err != nil {
		t.Fatalf("the data in the page is not JSON: %v", err)
	}
	return data, rest
}

func TestTheChartsAreThoseThatTheBuildScriptMakes(t *testing.T) {
	text, err := os.ReadFile("vendor/echarts.min.js")
	if err != nil {
		t.Fatal(err)
	}
	const want = "4b7cff9d63b579a26698d9e66be4462104cb404be182da908540ad8a77518752"
	if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != want {
		t.Errorf("vendor/echarts.min.js has the SHA-256 %x, want %s: who changes its entry or a version runs `make echarts` and notes here what it says", sum, want)
	}
}

func TestEveryChartHasAPlaceAndATableInThePage(t *testing.T) {
	data, rest := charts(t, written(t, resulttest.Rich()))
	if len(data.Charts) == 0 {
		t.Fatal("no charts")
	}
	for id := range data.Charts {
		if strings.Count(rest, `<div class="chart" id="`+id+`" role="img" aria-label="`) != 1 {
			t.Errorf("chart %s has no place of its own with a label", id)
		}
		if strings.Count(rest, `<details class="data" id="`+id+`-data">`) != 1 {
			t.Errorf("chart %s has no table behind it", id)
		}
	}
	if n := strings.Count(rest, `class="chart"`); n != len(data.Charts) {
		t.Errorf("%d places for %d charts", n, len(data.Charts))
	}
}

func TestAPageSaysWhatIsInTheResult(t *testing.T) {
	f := resulttest.Rich()
	f.Partial = true
	_, rest := charts(t, written(t, f))
	for _, want := range []string{
		"The machine was busy with other work", "This run was ended early", "<strong>The highest throughput:</strong>",
		"Intel(R) Xeon(R) Processor @ 2.60GHz", "9f4630b1c2d3-dirty", "300ms each, after 50ms of warm-up",
		"unfit: all goroutines share one resource", "failed: load: a wake-up was lost", "backend down",
		"contention?hold=yield", "5 k arrivals/s, at most 200 goroutines, size 10", `datetime="2026-11-26T09:30:00Z"`,
	} {
		if !strings.Contains(rest, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	f.Warnings = []string{"the machine was unsteady", "µs are few", ""}
	if _, rest := charts(t, written(t, f)); !strings.Contains(rest, "<li>The machine was unsteady</li>") || strings.Contains(rest, "\ufffd") {
		t.Error("a warning does not begin as a sentence does")
	}
	f.Summary = []string{"This is what came out."}
	if _, rest := charts(t, written(t, f)); !strings.Contains(rest, "This is what came out.") || strings.Contains(rest, "The highest throughput") {
		t.Error("a summary that the result has is not the one that the page shows")
	}
}

func TestNamesAreTextWhateverIsInThem(t *testing.T) {
	const hostile = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'`{{.}}${1}\u2028\u2029<!--&amp;"
	f := resulttest.Rich()
	for i := range f.Cells {
		c := &f.Cells[i]
		c.Pool, c.Workload, c.Spec, c.Backend, c.Config = c.Pool+hostile, c.Workload+hostile, hostile, hostile, hostile
		if c.Unfit != "" {
			c.Unfit = hostile
		}
		if c.Failed != "" {
			c.Failed = hostile
		}
		for j := range c.Samples {
			c.Samples[j].Errors = map[string]uint64{hostile: 3}
		}
	}
	for i := range f.Timelines {
		l := &f.Timelines[i]
		l.Scenario, l.About, l.Backend, l.Pool, l.Verdict.Text = hostile, hostile, hostile, hostile, hostile
		l.Marks[0].Text, l.Verdict.Errors = hostile, map[string]uint64{hostile: 3}
	}
	f.Summary, f.Warnings = []string{hostile}, []string{hostile}
	f.Env.CPU, f.Env.Commit, f.Method.Baseline = hostile, hostile, hostile
	text := written(t, f)
	data, rest := charts(t, text) // three scripts, or it fails
	if !strings.Contains(strings.Join(data.Pools, " "), "queue"+hostile) {
		t.Error("the data has not the name as it is")
	}
	for _, bad := range []string{"<img", "alert(1)</", "onerror=alert(2)>"} {
		if strings.Contains(rest, bad) {
			t.Errorf("the page has %q from a name", bad)
		}
	}
	if all, _ := apart(t, text); strings.ContainsAny(all[0].text, "<\u2028\u2029") {
		t.Error("the data in the page has what could end it")
	}
}

func TestAPageMayRunItsOwnScriptsAndLoadNothing(t *testing.T) {
	text := written(t, resulttest.Rich())
	policy := regexp.MustCompile(`<meta http-equiv="Content-Security-Policy" content="([^"]*)">`).FindStringSubmatch(text[:2000])
	if policy == nil {
		t.Fatal("no policy")
	}
	got := strings.NewReplacer("&#39;", "'", "&#43;", "+").Replace(policy[1])
	want := "default-src 'none'; script-src"
	scripts, _ := apart(t, text)
	for _, s := range scripts[1:] {
		sum := sha256.Sum256([]byte(s.text))
		want += " 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	want += "; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
	if got != want {
		t.Errorf("the policy is\n%s\nwant\n%s", got, want)
	}
	if at, script := strings.Index(text, policy[0]), strings.Index(text, "<script"); at > script {
		t.Error("the policy comes after a script")
	}
}

func TestAPageTellsTheLicencesOfItsCharts(t *testing.T) {
	text := written(t, result.File{})
	for _, want := range []string{"Licensed under the Apache License, Version 2.0", "Copyright 2017-2026 The Apache Software Foundation", "Copyright (c) 2017, Baidu Inc.", "Mike Bostock"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

func TestAPageHasNoNumberThatIsNone(t *testing.T) {
	f := resulttest.Rich()
	for i := range f.Cells {
		c := &f.Cells[i]
		c.Ratio, c.Spread = math.NaN(), math.Inf(1)
		c.Median.OpsPerSec, c.Median.NsPerOp, c.Median.AllocsPerOp, c.Median.CPUPerOp, c.Median.CPUWaiting = math.NaN(), math.Inf(1), math.NaN(), math.Inf(-1), math.NaN()
		c.Median.Jain = math.NaN()
		for j := range c.Samples {
			c.Samples[j].OpsPerSec = math.Inf(1)
		}
	}
	for i := range f.Timelines {
		f.Timelines[i].Points[3].At = math.NaN()
	}
	_, rest := charts(t, written(t, f)) // JSON has no NaN, or it fails
	if bad := regexp.MustCompile(`.{30}\b(NaN|Inf)\b.{30}`).FindString(rest); bad != "" {
		t.Errorf("the page says %s", bad)
	}
}

// Ten sizes: lines of the first six, twice; heat maps of five pools; ratios; two charts for each condition.
const manyCharts = 2*6 + 5 + 1 + 2*100

func TestEveryResultMakesAPage(t *testing.T) {
	rich := resulttest.Rich()
	bare := resulttest.Empty()
	bare.Cells = []result.Cell{{Workload: "w", Pool: "p"}}
	bare.Timelines = []result.Timeline{{Scenario: "s", Pool: "p"}, {Scenario: "s", Pool: "q", Points: []result.Point{{}}}, {Scenario: "s", Pool: "r", Failed: "no"}}
	unfit, failed := resulttest.Empty(), resulttest.Empty()
	for _, c := range rich.Cells {
		unfit.Cells = append(unfit.Cells, resulttest.Unfit(c, "cannot"))
		failed.Cells = append(failed.Cells, resulttest.Failed(c, "did not"))
	}
	one := resulttest.Empty()
	one.Cells = rich.Cells[:1]
	for name, c := range map[string]struct {
		f      result.File
		charts int
		says   string
	}{
		"the zero result": {result.File{}, 0, "Nothing has been measured yet."},
		"no cells":        {resulttest.Empty(), 0, "Nothing has been measured yet."},
		"one cell":        {one, 2, "4.69 M"},
		"all unfit":       {unfit, 0, "is unfit for cycle"},
		"all failed":      {failed, 0, "failed in cycle"},
		"nothing in it":   {bare, 1, "not measured yet"},
		"500 cells":       {resulttest.Many(500), manyCharts, "contention"},
	} {
		t.Run(name, func(t *testing.T) {
			data, rest := charts(t, written(t, c.f))
			if len(data.Charts) != c.charts || !strings.Contains(rest, c.says) {
				t.Errorf("the page has %d charts, want %d, and is to say %q", len(data.Charts), c.charts, c.says)
			}
		})
	}
}

type broken struct{ n int }

func (b *broken) Write(p []byte) (int, error) {
	b.n++
	return 0, errors.New("disk full")
}

func TestWriteWritesOnceAndTellsWhyNot(t *testing.T) {
	b := &broken{}
	if err := page.Write(b, resulttest.Rich()); err == nil || err.Error() != "disk full" || b.n != 1 {
		t.Errorf("Write wrote %d times and returned %v, want once, and the error of the writer", b.n, err)
	}
}
