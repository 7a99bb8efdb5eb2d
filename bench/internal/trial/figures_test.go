package trial_test

import (
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lidopool/lido/bench/internal/result"
	"github.com/lidopool/lido/bench/internal/trial"
)

// filled is a sample whose every figure is n.
func filled(n int) result.Sample {
	var s result.Sample
	v := reflect.ValueOf(&s).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.Float64:
			f.SetFloat(float64(n))
		case reflect.Int, reflect.Int64:
			f.SetInt(int64(n))
		case reflect.Uint64:
			f.SetUint(uint64(n))
		case reflect.Map:
			s.Errors = map[string]uint64{"timeout": uint64(n)}
		}
	}
	return s
}

func TestTheMedianIsOfEachFigureButTheGreatestOfMaxima(t *testing.T) {
	want := filled(3)
	want.WaitMax, want.PeakOpen, want.Sessions = 9, 9, 9
	got := trial.Median([]result.Sample{filled(1), filled(9), filled(3)})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("of 1, 9 and 3 (-want +got):\n%s", diff)
	}
	if got := trial.Median([]result.Sample{filled(2), filled(4)}); got.NsPerOp != 3 || got.Ops != 3 {
		t.Errorf("of 2 and 4: %+v, want what lies between", got)
	}
}

func TestARoundInWhichNothingWentWellIsNotTheFastest(t *testing.T) {
	dead := result.Sample{Seconds: 1, Errors: map[string]uint64{"open failed": 9}}
	if got := trial.Median([]result.Sample{dead, filled(1), filled(2), filled(3), filled(4)}); got.NsPerOp != 3 || got.AllocsPerOp != 2.5 || got.CPUPerOp != 2.5 {
		t.Errorf("of for ever, 1, 2, 3 and 4: %v ns, %v allocations, %v ns of CPU per op; want 3 ns, and 2.5, that of the four, of the others", got.NsPerOp, got.AllocsPerOp, got.CPUPerOp)
	}
	for _, samples := range [][]result.Sample{{dead}, {dead, dead}, {dead, filled(1)}, {dead, dead, filled(1)}} {
		if got := trial.Median(samples); got.NsPerOp != 0 {
			t.Errorf("of %d rounds, in one of which something went well, or none: %v ns per op, want 0: not known", len(samples), got.NsPerOp)
		}
	}
}

func TestWhatHappenedSeldomIsNotLostInTheMedian(t *testing.T) {
	rare := result.Sample{Errors: map[string]uint64{"timeout": 50}, CPUWaiting: -1}
	got := trial.Median([]result.Sample{{CPUWaiting: 0.25}, rare, {CPUWaiting: -1}})
	if got.Errors["timeout"] != 1 {
		t.Errorf("errors = %v, want one that came in one of three rounds to be there", got.Errors)
	}
	if got.CPUWaiting != 0.25 {
		t.Errorf("CPU waiting = %v, want that of the round in which it was measured", got.CPUWaiting)
	}
	if got := trial.Median([]result.Sample{rare}); got.CPUWaiting != -1 {
		t.Errorf("CPU waiting = %v, want -1: not measured", got.CPUWaiting)
	}
}

func TestTheSpreadIsTheMiddleHalf(t *testing.T) {
	of := func(ns ...float64) []result.Sample {
		all := make([]result.Sample, len(ns))
		for i, n := range ns {
			all[i].NsPerOp = n
		}
		return all
	}
	for _, c := range []struct {
		ns   []float64
		want float64
	}{
		{nil, 0},
		{[]float64{7}, 0},
		{[]float64{0, 0, 0}, 0},
		{[]float64{0, 0, 0, 5, 6}, 1},            // nothing was done in most rounds
		{[]float64{10, 12, 8}, 0.4},              // too few for halves: all
		{[]float64{10, 10, 10, 10, 1000}, 0},     // an outlier is not in the middle half
		{[]float64{1, 2, 3, 4, 5}, 2. / 3},       // from 2 to 4
		{[]float64{40, 10, 20, 30}, 15. / 25},    // from 17.5 to 32.5
		{[]float64{0, 0, 0, 0}, 0},               // nothing took time
		{[]float64{10, 11, 12, 13, 14}, 2 / 12.}, // from 11 to 13
	} {
		if got := trial.Spread(of(c.ns...)); got != c.want {
			t.Errorf("spread of %v = %v, want %v", c.ns, got, c.want)
		}
	}
}

func TestAnUnsteadyMachineIsWarnedOf(t *testing.T) {
	ms := func(all ...float64) []time.Duration {
		d := make([]time.Duration, len(all))
		for i, v := range all {
			d[i] = time.Duration(v * float64(time.Millisecond))
		}
		return d
	}
	for _, c := range []struct {
		walls []time.Duration
		cpu   float64
		says  []string
	}{
		{ms(20, 20.5, 21.9), 0.99, nil},
		{ms(20, 20.5, 25), 0.99, []string{"from 20.0 to 25.0 ms, 25 % more"}},
		{ms(20, 20, 20), 0.75, []string{"got 75 % of it"}},
		{ms(20, 40), 0.5, []string{"100 % more", "got 50 % of it"}},
		{ms(20, 20), 0, nil}, // it cannot be told
		{nil, 0, nil},
	} {
		got := trial.WarningsOf(c.walls, c.cpu)
		if len(got) != len(c.says) {
			t.Errorf("%v, %v: %q, want %d warnings", c.walls, c.cpu, got, len(c.says))
			continue
		}
		for i, part := range c.says {
			if !strings.Contains(got[i], part) {
				t.Errorf("%v, %v: %q does not say %q", c.walls, c.cpu, got[i], part)
			}
		}
	}
}

func TestAnEnvironmentSaysWhereARunTookPlace(t *testing.T) {
	e := trial.Environment(t.Context())
	if e.Go != runtime.Version() || e.OS != runtime.GOOS || e.Arch != runtime.GOARCH || e.Cores < 1 || e.GOMAXPROCS < 1 || e.CPU == "" {
		t.Errorf("%+v", e)
	}
	if host, err := os.Hostname(); err == nil && len(host) > 3 {
		for _, text := range []string{e.CPU, e.Commit, e.Version} {
			if strings.Contains(text, host) {
				t.Errorf("%+v holds the name of the machine", e)
			}
		}
	}
}

func TestTheProcessorIsNamedOnEachArchitecture(t *testing.T) {
	for list, want := range map[string]string{
		"processor\t: 0\nmodel name\t: AMD EPYC 7B13\nflags\t: x\n\nprocessor\t: 1\nmodel name\t: other\n": "AMD EPYC 7B13",
		"processor\t: 0\nBogoMIPS\t: 50\n\nModel\t\t: Raspberry Pi 5\n":                                    "Raspberry Pi 5",
		"processor\t: 0\n": "",
	} {
		file := filepath.Join(t.TempDir(), "cpuinfo")
		if err := os.WriteFile(file, []byte(list), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSpace(trial.CPUInfo(file)); got != want {
			t.Errorf("%q of\n%s, want %q", got, list, want)
		}
	}
	if got := trial.CPUInfo("/no/such/file"); got != "" {
		t.Errorf("%q where there is no list", got)
	}
}
