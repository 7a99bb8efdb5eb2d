package load_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lidopool/lido/bench/internal/load"
)

func dist(t testing.TB, text string) load.Dist {
	t.Helper()
	d, err := load.ParseDist(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDistIsReadAndWrittenTheSame(t *testing.T) {
	for text, want := range map[string]string{
		"0":                   "0s",
		"const:0ms":           "0s",
		"1ms":                 "1ms",
		"const:1500us":        "1.5ms",
		"60s":                 "1m",
		"1h":                  "1h",
		"3µs":                 "3us",
		"exp:5ms":             "exp:5ms",
		"uniform:0-2s":        "uniform:0s-2s",
		"uniform:1ms-3ms":     "uniform:1ms-3ms",
		"lognormal:1ms,10ms":  "lognormal:1ms,10ms",
		"lognormal:1ms,1s":    "lognormal:1ms,1s",
		"lognormal:1us,2.5us": "lognormal:1us,2.5us",
	} {
		d := dist(t, text)
		if got := d.String(); got != want {
			t.Errorf("%s is written %s, want %s", text, got, want)
		}
		if again := dist(t, d.String()); again != d {
			t.Errorf("%s is written %s, which reads as %v", text, d, again)
		}
	}
	if (load.Dist{}) != dist(t, "0s") || !dist(t, "const:0s").IsZero() {
		t.Error("the zero Dist is not 0s")
	}
}

func TestDistSaysWhatIsWrongAndWhatIsRight(t *testing.T) {
	for text, want := range map[string][]string{
		"":                    {`time ""`, `"1ms"`, "lognormal:1ms,10ms"},
		"fast":                {`"fast"`, `give a time up to 1h`},
		"-1ms":                {`"-1ms"`, `give a time`},
		"61m":                 {"up to 1h"},
		"5":                   {`"5"`, `"1ms"`},
		"expo:1ms":            {`kind "expo": unknown; did you mean "exp"? known: const, exp, uniform, lognormal`},
		"gauss:1ms":           {`kind "gauss": unknown; known: const`},
		"exp:":                {"more than 0", `"exp:1ms"`},
		"exp:0s":              {"more than 0"},
		"uniform:3ms-1ms":     {"the shorter first"},
		"uniform:3ms":         {`"uniform:1ms-3ms"`},
		"uniform:1ms-1ms":     {"the shorter first"},
		"lognormal:1ms":       {`"lognormal:1ms,10ms"`},
		"lognormal:1ms,2s":    {"at most 1000 times the median"},
		"lognormal:0s,1ms":    {"median"},
		"lognormal:1ms,500us": {"a longer 99th percentile"},
	} {
		_, err := load.ParseDist(text)
		if err == nil {
			t.Errorf("%q was read", text)
			continue
		}
		for _, w := range append(want, "load: ") {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%q: %v, which does not say %s", text, err, w)
			}
		}
	}
}

// A hundred thousand draws of a fixed seed: the tolerance is four times the standard error of
// their mean, or a little more.
func TestDrawsHaveTheMeanAndTheQuantilesThatTheTextSays(t *testing.T) {
	const n = 100_000
	for _, tt := range []struct {
		text     string
		mean     float64 // ms
		tol      float64 // share of the mean
		quantile map[float64]float64
	}{
		{"2ms", 2, 0, map[float64]float64{0: 2, 1: 2}},
		{"exp:2ms", 2, 0.013, map[float64]float64{0.5: 2 * math.Ln2, 0.99: 2 * math.Log(100)}},
		{"uniform:1ms-3ms", 2, 0.004, map[float64]float64{0.25: 1.5, 0.5: 2, 0.99: 2.98}},
		{"lognormal:1ms,10ms", math.Exp(math.Pow(math.Log(10)/2.3263478740408408, 2) / 2), 0.03, map[float64]float64{0.5: 1, 0.99: 10}},
	} {
		d := dist(t, tt.text)
		r := rand.New(rand.NewPCG(6, 1))
		sum, all := 0.0, make([]float64, n)
		for i := range all {
			all[i] = float64(d.Draw(r)) / float64(time.Millisecond)
			sum += all[i]
		}
		slices.Sort(all)
		if got := float64(d.Mean()) / float64(time.Millisecond); math.Abs(got-tt.mean) > 1e-5 {
			t.Errorf("%s: Mean is %v ms, want %v", tt.text, got, tt.mean)
		}
		if got := sum / n; math.Abs(got-tt.mean) > tt.tol*tt.mean {
			t.Errorf("%s: the mean of %d draws is %v ms, want %v within %v", tt.text, n, got, tt.mean, tt.tol)
		}
		for share, want := range tt.quantile {
			if got := all[min(int(share*n), n-1)]; math.Abs(got-want) > 0.05*want {
				t.Errorf("%s: %v of the draws are below %v ms, want %v", tt.text, share, got, want)
			}
		}
	}
}

func TestDrawsOfOneSeedAreTheSame(t *testing.T) {
	for _, text := range []string{"exp:1ms", "uniform:0s-1ms", "lognormal:1ms,3ms"} {
		d, a, b := dist(t, text), rand.New(rand.NewPCG(1, 2)), rand.New(rand.NewPCG(1, 2))
		for i := range 100 {
			if x, y := d.Draw(a), d.Draw(b); x != y {
				t.Fatalf("%s: draw %d is %v and %v", text, i, x, y)
			}
		}
	}
}

func TestNoDrawIsNegativeOrBeyondADay(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, text := range []string{"exp:1h", "lognormal:4s,1h", "exp:1ns"} {
		d := dist(t, text)
		for range 200_000 {
			if got := d.Draw(r); got < 0 || got > 24*time.Hour {
				t.Fatalf("%s: drew %v", text, got)
			}
		}
	}
}

func BenchmarkDraw(b *testing.B) {
	for _, text := range []string{"1ms", "exp:1ms", "uniform:1ms-3ms", "lognormal:1ms,10ms"} {
		b.Run(text, func(b *testing.B) {
			d, r := dist(b, text), rand.New(rand.NewPCG(1, 2))
			for b.Loop() {
				d.Draw(r)
			}
		})
	}
}
