package trial_test

import (
	"context"
	"errors"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lidopool/lido/bench/internal/load"
	"github.com/lidopool/lido/bench/internal/result"
	"github.com/lidopool/lido/bench/internal/trial"
)

// use is how long a use takes. No number of uses ends when a window does, so how many fall into one is known.
const use = 999 * time.Microsecond

// plan is for two pools, of which null takes twice as long, with one goroutine: 100 and 50 uses in a window.
func plan(t *testing.T, r *record, workloads ...string) trial.Plan {
	t.Helper()
	p := trial.Plan{
		Backend:    "fake",
		Subjects:   []trial.Subject{r.subject("queue", always(use)), r.subject("null", always(2*use))},
		Goroutines: []int{1}, Sizes: []int{4}, Rounds: 3, Warm: 10 * time.Millisecond, Window: 100 * time.Millisecond, Seed: 1,
	}
	for _, text := range workloads {
		w, err := load.ParseWorkload(text)
		if err != nil {
			t.Fatal(err)
		}
		p.Workloads = append(p.Workloads, w)
	}
	return p
}

func run(t *testing.T, p trial.Plan) result.File {
	t.Helper()
	f, err := trial.Run(t.Context(), p, nil)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func cellOf(t *testing.T, f result.File, pool string) result.Cell {
	t.Helper()
	i := slices.IndexFunc(f.Cells, func(c result.Cell) bool { return c.Pool == pool })
	if i < 0 {
		t.Fatalf("no cell of %s", pool)
	}
	return f.Cells[i]
}

func TestEachRoundMeasuresEachCellOnceOnANewPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r record
		p := plan(t, &r, "query", "query?writes=0.5")
		p.Sizes = []int{1, 4}
		f := run(t, p)
		if want := 2 * 2 * 2; len(f.Cells) != want {
			t.Fatalf("%d cells, want %d: two pools, two workloads, two sizes", len(f.Cells), want)
		}
		for _, c := range f.Cells {
			if len(c.Samples) != 3 {
				t.Errorf("%s has %d samples, want one for each round", c.Config, len(c.Samples))
			}
		}
		if len(r.opened) != 8*3 || r.open != 0 || r.most != 1 {
			t.Errorf("%d pools were opened, %d at once, and %d are still: want a new one for each window, alone, and none left", len(r.opened), r.most, r.open)
		}
		for round := range 3 {
			seen := map[string]int{}
			for _, name := range r.opened[8*round : 8*round+8] {
				seen[name]++
			}
			want := map[string]int{"queue 1": 2, "queue 4": 2, "null 1": 2, "null 4": 2}
			if diff := cmp.Diff(want, seen); diff != "" {
				t.Errorf("round %d (-want +got):\n%s", round+1, diff)
			}
		}
	})
}

func TestACellThatWasMeasuredTakesLittleMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r record
		p := plan(t, &r, "query")
		p.Rounds, p.Warm, p.Window = 2, 0, 10*time.Millisecond
		for size := range 20 {
			p.Sizes = append(p.Sizes, size+5)
		}
		var first, last runtime.MemStats
		_, err := trial.Run(t.Context(), p, func(_ result.File, at trial.Progress) {
			if at.Done == 0 || at.Done == at.All {
				first = last
				runtime.GC()
				runtime.ReadMemStats(&last)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if each := (int64(last.HeapAlloc) - int64(first.HeapAlloc)) / 42; each > 25_000 { // most of it are 55 points of its curve
			t.Errorf("each of 42 cells takes %d bytes, want a tenth of its histogram at most", each)
		}
	})
}

func TestPoolsUnderTheSameConditionsAreMeasuredSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		order := func(seed uint64) []string {
			var r record
			p := plan(t, &r, "query")
			p.Sizes, p.Rounds, p.Seed = []int{1, 2, 3, 4, 5}, 4, seed
			run(t, p)
			return r.opened
		}
		first := order(1)
		for i := 0; i < len(first); i += 2 {
			if a, b := first[i], first[i+1]; a[len(a)-1] != b[len(b)-1] || a == b {
				t.Errorf("%q and %q are neighbours: want both pools of a size", a, b)
			}
		}
		if again := order(1); !slices.Equal(first, again) {
			t.Errorf("the same seed gives another order:\n%v\n%v", first, again)
		}
		// Of sizes, and of the two pools of each.
		sizes, pools := map[string]bool{}, map[string]bool{}
		for round := range 4 {
			var size, pool string
			for i := range 5 {
				name, of, _ := strings.Cut(first[10*round+2*i], " ")
				size, pool = size+of, pool+name
			}
			sizes[size], pools[pool] = true, true
		}
		if len(sizes) < 2 || len(pools) < 2 || slices.Equal(first, order(2)) {
			t.Errorf("the order is the same in each round, or with another seed: sizes %v, first of each %v", sizes, pools)
		}
	})
}

func TestARatioIsThatOfTheSameRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r record
		p := plan(t, &r, "query")
		// The rounds' ratios are 2, 0.5 and 3, that of the medians is 0.5.
		costs := func(ms ...int) func(int) time.Duration {
			return func(round int) time.Duration { return time.Duration(ms[round]) * use }
		}
		p.Subjects = []trial.Subject{r.subject("queue", costs(1, 10, 20)), r.subject("null", costs(2, 5, 60))}
		p.Window, p.Baseline = 10*time.Second, "null"
		f := run(t, p)
		if got := cellOf(t, f, "queue").Ratio; math.Abs(got-2) > 0.005 {
			t.Errorf("ratio of queue = %v, want 2", got)
		}
		if got := cellOf(t, f, "null").Ratio; got != 1 {
			t.Errorf("ratio of the baseline = %v, want 1", got)
		}
		if f.Method.Baseline != "null" {
			t.Errorf("baseline = %q", f.Method.Baseline)
		}
		if said := strings.Join(f.Warnings, "\n"); !strings.Contains(said, "the baseline was unsteady under query with 1 goroutine: its rounds differ by up to") {
			t.Errorf("does not warn of a baseline that varies:\n%s", said)
		}
		again := func(n int) time.Duration { return costs(1, 10, 20)(n / 2) } // there are two pools in each round now
		p.Subjects, p.Baseline, p.Sizes = []trial.Subject{r.subject("queue", again)}, "queue", []int{1, 4}
		if said := strings.Join(run(t, p).Warnings, "\n"); !strings.Contains(said, "query with 1 goroutine and size 1 and query with 1 goroutine and size 4: ") {
			t.Errorf("does not say with which sizes the baseline varies:\n%s", said)
		}
	})
}

func TestACellHasWhatAKnownCostPredicts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r record
		f := run(t, plan(t, &r, "query"))
		c := cellOf(t, f, "null")
		if c.Median.Ops != 50 || c.Median.OpsPerSec != 500 {
			t.Errorf("%d ops, %v a second with 2 ms each, want 50 and 500", c.Median.Ops, c.Median.OpsPerSec)
		}
		if c.Spread != 0 || len(f.Warnings) != 0 {
			t.Errorf("spread %v, warnings %q, want none in time that nothing disturbs", c.Spread, f.Warnings)
		}
		if n := len(c.Waits); n == 0 || c.Waits[n-1].Share != 1 {
			t.Errorf("waits = %v, want a curve that ends at 1", c.Waits)
		}
		want := result.Cell{Workload: "query", Spec: "query?hold=query", Backend: "fake", Pool: "null", Config: "null?size=4", Goroutines: 1, Size: 4}
		c.Samples, c.Median, c.Spread, c.Ratio, c.Waits = nil, result.Sample{}, 0, 0, nil
		if diff := cmp.Diff(want, c); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestAPoolWithoutASizeIsMeasuredOnceForAllSizes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r record
		p := plan(t, &r, "query")
		p.Sizes = []int{1, 4}
		p.Subjects[1].Sized, p.Subjects[1].Size = false, 7
		f := run(t, p)
		if c := cellOf(t, f, "null"); len(f.Cells) != 3 || c.Size != 7 {
			t.Errorf("%d cells, that of null of size %d, want 3 and 7", len(f.Cells), c.Size)
		}
		p.Baseline = "null"
		for _, c := range run(t, p).Cells {
			if want := map[string]float64{"null": 1, "queue": 2}[c.Pool]; c.Ratio != want {
				t.Errorf("ratio of %s with size %d = %v, want %v: the baseline has one size for all", c.Pool, c.Size, c.Ratio, want)
			}
		}
	})
}

func TestARateIsMeasuredWithTheMostGoroutinesOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r record
		p := plan(t, &r, "burst?rate=100&burst=1")
		p.Goroutines, p.Window = []int{1, 8, 2}, time.Second
		f := run(t, p)
		if len(f.Cells) != 2 || f.Cells[0].Goroutines != 8 || f.Cells[0].Rate != 100 {
			t.Fatalf("cells are %+v, want one of each pool with 8", f.Cells)
		}
		queue, null := cellOf(t, f, "queue"), cellOf(t, f, "null")
		for i := range 3 {
			if a, b := queue.Samples[i].Ops, null.Samples[i].Ops; a+2 < b || b+2 < a {
				t.Errorf("round %d: %d and %d ops: want the same arrivals for both", i+1, a, b)
			}
		}
		if queue.Samples[0].Ops == queue.Samples[1].Ops && queue.Samples[1].Ops == queue.Samples[2].Ops {
			t.Error("all rounds have the same arrivals")
		}
	})
}

func TestWhatFailsDoesNotKeepTheOthersFromBeingMeasured(t *testing.T) {
	broken := errors.New("broken\nand more")
	synctest.Test(t, func(t *testing.T) {
		var r record
		p := plan(t, &r, "query")
		tries := 0
		closing := r.subject("closing", always(use))
		open := closing.Open
		closing.Open = func(ctx context.Context, size int) (load.Target, error) {
			tg, err := open(ctx, size)
			if tries++; tries == 2 {
				tg.(*fake).fail = broken
			}
			return tg, err
		}
		refused := 0
		p.Subjects = append(p.Subjects, closing,
			trial.Subject{Name: "unopened", Open: func(context.Context, int) (load.Target, error) { refused++; return nil, broken }},
			trial.Subject{Name: "unfit", Unfit: func(load.Workload, int, int) string { return "it cannot" }})
		var last trial.Progress
		f, err := trial.Run(t.Context(), p, func(_ result.File, at trial.Progress) { last = at })
		if err != nil {
			t.Fatal(err)
		}
		if n := len(cellOf(t, f, "queue").Samples); n != 3 {
			t.Errorf("queue has %d samples, want 3", n)
		}
		if c := cellOf(t, f, "unopened"); c.Failed != "round 1: open: broken; and more" || refused != 1 {
			t.Errorf("failed = %q after %d tries, want that of the first round and no other try", c.Failed, refused)
		}
		if c := cellOf(t, f, "closing"); c.Failed != "round 2: close: broken; and more" || len(c.Samples) != 1 || tries != 2 {
			t.Errorf("failed = %q, %d samples, want the sample of the round before", c.Failed, len(c.Samples))
		}
		if c := cellOf(t, f, "unfit"); c.Unfit != "it cannot" || len(c.Samples) != 0 {
			t.Errorf("unfit = %q", c.Unfit)
		}
		if last.Done != 3+3+2+1 || last.All != last.Done || last.Left != 0 {
			t.Errorf("in the end %+v, want 9 of 9 and nothing left", last)
		}
	})
}

func TestARunThatIsEndedHasWhatWasMeasuredUntilThen(t *testing.T) {
	enough := errors.New("enough")
	synctest.Test(t, func(t *testing.T) {
		var r record
		ctx, cancel := context.WithCancelCause(t.Context())
		// In the second window of the second round.
		time.AfterFunc(3*110*time.Millisecond+50*time.Millisecond, func() { cancel(enough) })
		f, err := trial.Run(ctx, plan(t, &r, "query"), nil)
		if err != enough || !f.Partial {
			t.Errorf("error %v, partial %v, want the cause and true", err, f.Partial)
		}
		if n := len(f.Cells[0].Samples) + len(f.Cells[1].Samples); n != 3 {
			t.Errorf("%d samples, want those of the three windows that had ended", n)
		}
		if f.Seconds < 0.37 || f.Seconds > 0.39 || r.open != 0 {
			t.Errorf("took %v s, %d pools are open, want it to end at once and close what it opened", f.Seconds, r.open)
		}
	})
}

func TestProgressTellsWhatIsNextAndHowLongItTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r record
		p := plan(t, &r, "query")
		var all []trial.Progress
		if _, err := trial.Run(t.Context(), p, func(_ result.File, at trial.Progress) { all = append(all, at) }); err != nil {
			t.Fatal(err)
		}
		if len(all) != 7 || all[0].Done != 0 || all[0].All != 6 {
			t.Fatalf("%+v, want one before the first window and one after each of 6", all)
		}
		if !strings.HasPrefix(all[0].Now, "query with 1 goroutine, ") || !strings.HasSuffix(all[0].Now, " of size 4") {
			t.Errorf("the first is %q", all[0].Now)
		}
		// All windows last as long: 110 ms, and a use that had begun.
		for i, at := range all[1:] {
			if want := time.Duration(5-i) * 110 * time.Millisecond; at.Done != i+1 || at.Left < want || at.Left > want+want/50 {
				t.Errorf("after window %d: %+v, want %v left", i+1, at, want)
			}
		}
	})
}

func TestAPlanThatMakesNoSenseIsRefused(t *testing.T) {
	for says, change := range map[string]func(*trial.Plan){
		"no pools":             func(p *trial.Plan) { p.Subjects = nil },
		"no workloads":         func(p *trial.Plan) { p.Workloads = nil },
		"goroutines are [0]":   func(p *trial.Plan) { p.Goroutines = []int{0} },
		"sizes are []":         func(p *trial.Plan) { p.Sizes = nil },
		"rounds are 0":         func(p *trial.Plan) { p.Rounds = 0 },
		"the window is 0s":     func(p *trial.Plan) { p.Window = 0 },
		"the warm-up is -1ns":  func(p *trial.Plan) { p.Warm = -1 },
		"\"null\" is named":    func(p *trial.Plan) { p.Subjects[0].Name = "null" },
		"\"query\" is named":   func(p *trial.Plan) { p.Workloads = append(p.Workloads, p.Workloads[0]) },
		"baseline \"nothing\"": func(p *trial.Plan) { p.Baseline = "nothing" },
	} {
		var r record
		p := plan(t, &r, "query")
		change(&p)
		if _, err := trial.Run(t.Context(), p, nil); err == nil || !strings.Contains(err.Error(), says) || len(r.opened) > 0 {
			t.Errorf("%v, want an error with %q and nothing opened", err, says)
		}
	}
}

func TestAnEstimateIsWhatARunTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r record
		p := plan(t, &r, "query")
		p.Goroutines = []int{1, 8}
		estimate, begin := p.Estimate(), time.Now()
		run(t, p)
		// In a bubble there is nothing around the windows: some 25 ms for each are not taken.
		took := time.Since(begin)
		if around := time.Duration(p.Windows()) * 30 * time.Millisecond; estimate < took || estimate > took+around {
			t.Errorf("estimated %v, took %v", estimate, took)
		}
	})
}
