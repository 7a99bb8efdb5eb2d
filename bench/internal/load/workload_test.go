package load_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/lidopool/lido/bench/internal/load"
)

func workload(t testing.TB, text string) load.Workload {
	t.Helper()
	w, err := load.ParseWorkload(text)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestEveryNamedWorkloadSaysWhatItDoes(t *testing.T) {
	want := []string{
		"cycle?hold=none",
		"contention?hold=yield",
		"query?hold=query",
		"think?hold=query&think=exp:1ms",
		"hold-spin?hold=spin&for=10us",
		"hold-sleep?hold=sleep&for=1ms",
		"burst?hold=query&rate=2000&burst=20",
		"mixed?hold=query&writes=0.2",
		"nested?hold=query&nested=1&deadline=50ms",
		"cancel?hold=query&cancel=0.2&patience=exp:100us",
	}
	var got []string
	for _, p := range load.Names() {
		got = append(got, p.Spec)
		if p.About == "" {
			t.Errorf("nothing is said about %s", p.Name)
		}
		w := workload(t, p.Name)
		if w.Name != p.Name || w.String() != p.Spec || w.Validate() != nil {
			t.Errorf("%s is read as %+v, written %s, %v", p.Name, w, w, w.Validate())
		}
		if again := workload(t, p.Spec); again != w {
			t.Errorf("%s is %+v, and its text %+v", p.Name, w, again)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Names (-want +got):\n%s", diff)
	}
}

func TestWorkloadTextIsReadAndWrittenTheSame(t *testing.T) {
	for text, want := range map[string][2]string{ // its name, and its full text
		"cycle?hold=spin&for=1us":                      {"cycle?hold=spin&for=1us", "cycle?hold=spin&for=1us"},
		"query?writes=0.50":                            {"query?writes=0.5", "query?hold=query&writes=0.5"},
		"mixed?writes=0.2":                             {"mixed", "mixed?hold=query&writes=0.2"},
		"mixed?writes=0":                               {"mixed?writes=0", "mixed?hold=query&writes=0"},
		"burst?rate=1e6&burst=1&even=true":             {"burst?rate=1000000&burst=1&even=true", "burst?hold=query&rate=1000000&burst=1&even=true"},
		"query?rate=250.5":                             {"query?rate=250.5&burst=1", "query?hold=query&rate=250.5&burst=1"},
		"hold-sleep?for=lognormal:1ms,20ms":            {"hold-sleep?for=lognormal:1ms,20ms", "hold-sleep?hold=sleep&for=lognormal:1ms,20ms"},
		"hold-sleep?for=lognormal%3A1ms%2C20ms":        {"hold-sleep?for=lognormal:1ms,20ms", "hold-sleep?hold=sleep&for=lognormal:1ms,20ms"},
		"think?think=uniform:1ms-3ms&nested=2":         {"think?think=uniform:1ms-3ms&nested=2", "think?hold=query&think=uniform:1ms-3ms&nested=2"},
		"nested?deadline=0":                            {"nested?deadline=0s", "nested?hold=query&nested=1&deadline=0s"},
		"cancel?cancel=1&patience=0.5us&deadline=60s":  {"cancel?deadline=1m&cancel=1&patience=500ns", "cancel?hold=query&deadline=1m&cancel=1&patience=500ns"},
		"cancel?cancel=0&patience=0":                   {"cancel?cancel=0&patience=0s", "cancel?hold=query&cancel=0&patience=0s"},
		"contention?hold=query&writes=1&think=exp:1us": {"contention?hold=query&think=exp:1us&writes=1", "contention?hold=query&think=exp:1us&writes=1"},
	} {
		w := workload(t, text)
		if got := [2]string{w.Name, w.String()}; got != want {
			t.Errorf("%s\nis called  %s\nand written %s\nwant %v", text, got[0], got[1], want)
		}
		for _, other := range want {
			if again := workload(t, other); again != w {
				t.Errorf("%s is read as %+v, and %s as %+v", text, w, other, again)
			}
		}
	}
}

func TestWorkloadMadeInGoIsWrittenAsACycle(t *testing.T) {
	w := load.Workload{Name: "mine", Rate: 10, Hold: load.Hold{For: load.Dist{}}, Nested: 2, Deadline: time.Second}
	if err := w.Validate(); err != nil {
		t.Error(err)
	}
	if got, want := w.String(), "cycle?hold=none&rate=10&burst=1&nested=2&deadline=1s"; got != want {
		t.Errorf("written %s, want %s", got, want)
	}
	if err := (load.Workload{}).Validate(); err != nil {
		t.Errorf("the zero Workload: %v", err)
	}
}

func TestWorkloadSaysWhatIsWrongAndWhatIsRight(t *testing.T) {
	for text, want := range map[string]string{
		"":                           `load: workload "": unknown; known: cycle, contention, query, think, hold-spin, hold-sleep, burst, mixed, nested, cancel`,
		"cylce":                      `load: workload "cylce": unknown; did you mean "cycle"? known: cycle,`,
		"Hold_Spin":                  `did you mean "hold-spin"?`,
		"query?wirtes=0.5":           `load: workload query: key "wirtes": unknown; did you mean "writes"? known: hold, for, think, rate, burst, even, writes, nested, deadline, cancel, patience`,
		"query?writes=2":             `load: workload query: writes is "2": give a share from 0 to 1`,
		"query?writes=NaN":           `writes is "NaN"`,
		"query?rate=-1":              `rate is "-1": give arrivals a second, up to 1000000, or 0 for a closed loop`,
		"query?rate=1e7":             `rate is "1e7"`,
		"query?rate=10&burst=20000":  `burst is "20000": give how many come at once, up to 10000`,
		"query?nested=17":            `nested is "17": give 0 to 16`,
		"query?deadline=2h":          `deadline is "2h": give a time up to 1h`,
		"query?hold=park":            `hold is "park": give none or yield or spin or sleep or query`,
		"query?even=maybe":           `even is "maybe": give true or false`,
		"hold-spin?for=expo:1ms":     `for is "expo:1ms": kind "expo": unknown; did you mean "exp"?`,
		"hold-spin?for=1":            `for is "1": give a time up to 1h such as`,
		"query?writes=1&writes=1":    `"writes" is given 2 times; give it once`,
		"query?%zz":                  `load: workload query: invalid URL escape`,
		"query?hold=spin":            `hold is spin without a time: add one, as in "for=1ms"`,
		"hold-sleep?for=0":           `hold is sleep without a time`,
		"query?for=1ms":              `for is 1ms, which hold=query does not use: give hold=spin, hold=sleep or for=0`,
		"contention?writes=0.1":      `writes is 0.1, but hold=yield makes no queries: give hold=query or writes=0`,
		"think?rate=100":             `think is exp:1ms beside a rate: who arrives at a rate does not come again; give think=0 or rate=0`,
		"query?burst=5":              `burst and even are of arrivals at a rate: add one`,
		"query?even=true":            `burst and even are of arrivals at a rate: add one`,
		"query?cancel=0.5":           `cancel is 0.5 without a time: give one, as in "patience=exp:100us"`,
		"cancel?cancel=0":            `patience is exp:100us, but nobody gives up: give a share`,
		"query?writes=2&nested=x&zz": "writes is \"2\": give a share from 0 to 1\nload: workload query: nested is \"x\": give 0 to 16\nload: workload query: key \"zz\": unknown",
		"query?for=1ms&cancel=1":     "for=0\nload: workload query: cancel is 1 without",
	} {
		w, err := load.ParseWorkload(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error is\n%v\nwhich does not say\n%s", text, err, want)
		}
		if w != (load.Workload{}) {
			t.Errorf("%q: got %+v beside the error", text, w)
		}
	}
}

func FuzzWorkloadTextIsStable(f *testing.F) {
	for _, p := range load.Names() {
		f.Add(p.Spec)
	}
	f.Add("query?for=uniform:0-1ns&hold=sleep&rate=0.1&cancel=1&patience=lognormal:1ns,3ns")
	f.Fuzz(func(t *testing.T, text string) {
		w, err := load.ParseWorkload(text)
		if err != nil {
			return
		}
		for _, again := range []string{w.String(), w.Name} {
			if got, err := load.ParseWorkload(again); err != nil || got != w {
				t.Errorf("%q is %+v, and its text %q is %+v, %v", text, w, again, got, err)
			}
		}
	})
}
