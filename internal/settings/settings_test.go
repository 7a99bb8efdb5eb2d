package settings_test

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lidopool/lido/internal/settings"
)

type level uint8

type options struct {
	Size  int
	Limit int
	Age   time.Duration
	Wait  time.Duration
	Idle  time.Duration
	Ping  bool
	Level level
	Mood  string
	Name  string
}

func table() []settings.Field[options] {
	return []settings.Field[options]{
		settings.Int("size", "give 1 to 9", func(o *options) *int { return &o.Size }, 1, 9),
		settings.Int("limit", `give 0 to 9 or "unlimited"`, func(o *options) *int { return &o.Limit }, 0, 9,
			settings.Word[int]{Text: "unlimited", Value: -1}),
		settings.Duration("age", "give a duration", func(o *options) *time.Duration { return &o.Age }),
		settings.Duration("wait", "give a duration", func(o *options) *time.Duration { return &o.Wait },
			settings.Word[time.Duration]{Text: "unlimited", Value: 0},
			settings.Word[time.Duration]{Text: "0s", Value: -1}),
		settings.Duration("idle", "give a duration", func(o *options) *time.Duration { return &o.Idle },
			settings.Word[time.Duration]{Text: "never", Value: 0}),
		settings.Bool("ping", func(o *options) *bool { return &o.Ping }),
		settings.Enum("level", func(o *options) *level { return &o.Level },
			settings.Word[level]{Text: "low", Value: 0}, settings.Word[level]{Text: "high", Value: 1}),
		settings.Enum("mood", func(o *options) *string { return &o.Mood },
			settings.Word[string]{Text: "calm", Value: "calm"}),
		settings.String("name", func(o *options) *string { return &o.Name }),
	}
}

func lay(o *options, given map[string]string) error {
	return settings.Lay(o, table(), given,
		func(f settings.Field[options], text string) error {
			return fmt.Errorf("%s is %q: %s", f.Key, text, f.Want)
		},
		func(key string) error { return fmt.Errorf("%s: no such key", key) })
}

func field(t *testing.T, key string) settings.Field[options] {
	t.Helper()
	for _, f := range table() {
		if f.Key == key {
			return f
		}
	}
	t.Fatalf("the table has no field %q", key)
	panic("unreachable")
}

func TestFieldReadsAndWritesItsSpelling(t *testing.T) {
	for _, tt := range []struct {
		key, text string
		want      options
		written   any
	}{
		{"size", "1", options{Size: 1}, 1},
		{"size", "+9", options{Size: 9}, 9},
		{"limit", "0", options{}, 0},
		{"limit", "unlimited", options{Limit: -1}, "unlimited"},
		{"age", "0", options{}, "0s"},
		{"age", "90s", options{Age: 90 * time.Second}, "1m30s"},
		{"age", "3600s", options{Age: time.Hour}, "1h"},
		{"age", "60m20s", options{Age: time.Hour + 20*time.Second}, "1h0m20s"},
		{"age", "600s", options{Age: 10 * time.Minute}, "10m"},
		{"age", "5µs", options{Age: 5 * time.Microsecond}, "5us"},
		{"wait", "0s", options{Wait: -1}, "0s"},
		{"wait", "0", options{Wait: -1}, "0s"},
		{"wait", "0ms", options{Wait: -1}, "0s"},
		{"wait", "-0s", options{Wait: -1}, "0s"},
		{"wait", "unlimited", options{}, "unlimited"},
		{"wait", "1ns", options{Wait: 1}, "1ns"},
		{"ping", "true", options{Ping: true}, true},
		{"ping", "0", options{}, false},
		{"level", "high", options{Level: 1}, "high"},
		{"level", "low", options{}, "low"},
		{"mood", "calm", options{Mood: "calm"}, "calm"},
		{"name", "", options{}, ""},
		{"name", "a&b", options{Name: "a&b"}, "a&b"},
	} {
		t.Run(tt.key+"="+tt.text, func(t *testing.T) {
			f := field(t, tt.key)
			var got options
			if !f.Parse(&got, tt.text) {
				t.Fatalf("Parse(%q) refused an allowed text", tt.text)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Parse(%q) (-want +got):\n%s", tt.text, diff)
			}
			if !f.Valid(&got) {
				t.Errorf("Valid is false for what Parse(%q) allowed", tt.text)
			}
			if got := f.Value(&got); got != tt.written {
				t.Errorf("Value after Parse(%q) is %v, want %v", tt.text, got, tt.written)
			}
		})
	}
}

func TestFieldRefusesOtherTextAndLeavesTheStructAlone(t *testing.T) {
	for key, texts := range map[string][]string{
		"size":  {"", "0", "10", "x", "1.5", "1e0", " 1", "unlimited", "99999999999999999999"},
		"limit": {"", "-1", "-2", "10", "Unlimited"},
		"age":   {"", "-1s", "30", "unlimited", "9999999h"},
		"wait":  {"", "-1ns", "-5s", "30"},
		"idle":  {"", "0", "0s"},
		"ping":  {"", "yes", "2"},
		"level": {"", "middle", "0", "LOW"},
		"mood":  {"", `""`, "wild"},
	} {
		for _, text := range texts {
			before := options{Size: 3, Limit: 3, Age: 3, Wait: 3, Idle: 3, Ping: true, Level: 1, Mood: "calm"}
			after := before
			if field(t, key).Parse(&after, text) {
				t.Errorf("%s: Parse(%q) allowed it, as %v", key, text, field(t, key).Text(&after))
			}
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("%s: a refused Parse(%q) changed the struct (-before +after):\n%s", key, text, diff)
			}
		}
	}
}

func TestFieldKnowsWhetherAValueIsAllowed(t *testing.T) {
	for _, tt := range []struct {
		key  string
		o    options
		want bool
		text string
	}{
		{"size", options{Size: 0}, false, "0"},
		{"size", options{Size: 9}, true, "9"},
		{"size", options{Size: -1}, false, "-1"},
		{"limit", options{Limit: -1}, true, "unlimited"},
		{"limit", options{Limit: -2}, false, "-2"},
		{"wait", options{Wait: -1}, true, "0s"},
		{"wait", options{Wait: -2}, false, "-2ns"},
		{"age", options{Age: -1}, false, "-1ns"},
		{"level", options{Level: 7}, false, `"7"`},
		{"mood", options{}, true, `""`},
		{"mood", options{Mood: "wild\nand more"}, false, `"wild\nand more"`},
	} {
		f := field(t, tt.key)
		if got := f.Valid(&tt.o); got != tt.want {
			t.Errorf("%s: Valid of %s is %v, want %v", tt.key, tt.text, got, tt.want)
		}
		if got := f.Text(&tt.o); got != tt.text {
			t.Errorf("%s: Text is %s, want %s", tt.key, got, tt.text)
		}
	}
}

func TestLayReportsEverythingThatIsWrongAtOnce(t *testing.T) {
	given := map[string]string{"zz": "1", "aa": "2", "limit": "-3", "size": "none", "age": "1m"}
	o := options{Mood: "calm"}
	err := lay(&o, given)
	want := strings.Join([]string{
		`size is "none": give 1 to 9`,
		`limit is "-3": give 0 to 9 or "unlimited"`,
		"aa: no such key",
		"zz: no such key",
	}, "\n")
	if err == nil || err.Error() != want {
		t.Errorf("Lay says\n%v\nwant\n%s", err, want)
	}
	if len(given) != 5 {
		t.Errorf("Lay took keys out of the map it was given: %v", given)
	}
	if want := (options{Mood: "calm", Age: time.Minute}); o != want {
		t.Errorf("Lay made %+v of what was right, want %+v", o, want)
	}
}

func TestTakeQueryTakesItsKeysAndLeavesTheRest(t *testing.T) {
	q := url.Values{"pool_size": {"5"}, "pool_sise": {"6"}, "cache": {"shared"}, "size": {"7"}, "pool_empty": {}}
	given, err := settings.TakeQuery(q, []string{"size", "empty", "absent"}, func(k string) string { return "pool_" + k })
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"size": "5"}, given); diff != "" {
		t.Errorf("given (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(url.Values{"pool_sise": {"6"}, "cache": {"shared"}, "size": {"7"}}, q); diff != "" {
		t.Errorf("left in the query (-want +got):\n%s", diff)
	}
}

func TestTakeQueryRefusesAKeyGivenTwice(t *testing.T) {
	q := url.Values{"b": {"1", "1"}, "a": {"1", "2", "3"}, "c": {"4"}}
	_, err := settings.TakeQuery(q, []string{"a", "b", "c"}, func(k string) string { return k })
	if want := `"a" is given 3 times; give it once`; err == nil || err.Error() != want {
		t.Errorf("error is %v, want %s", err, want)
	}
	if len(q) != 0 {
		t.Errorf("%v is left for the driver to stumble over", q)
	}
}

func TestFilledCountsAnEmptyVariableAsNotSet(t *testing.T) {
	env := map[string]string{"X_A": "1", "X_B": "", "A": "9"}
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	name := func(k string) string { return "X_" + strings.ToUpper(k) }
	got := settings.Lookup(settings.Filled(lookup), []string{"a", "b", "c"}, name)
	if diff := cmp.Diff(map[string]string{"a": "1"}, got); diff != "" {
		t.Errorf("given (-want +got):\n%s", diff)
	}
	got = settings.Lookup(lookup, []string{"a", "b", "c"}, name)
	if diff := cmp.Diff(map[string]string{"a": "1", "b": ""}, got); diff != "" {
		t.Errorf("given, without Filled (-want +got):\n%s", diff)
	}
}

func TestJSONReadsAFlatObject(t *testing.T) {
	got, err := settings.JSON([]byte(` {"a": 5, "b": "x\n", "c": true, "e": 1e3, "f": 12345678901234567890} `))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"a": "5", "b": "x\n", "c": "true", "e": "1e3", "f": "12345678901234567890"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("given (-want +got):\n%s", diff)
	}
}

func TestJSONRefusesWhatIsNotAFlatObject(t *testing.T) {
	for data, want := range map[string]string{
		``:                   `unexpected end of JSON input`,
		`{"a":1`:             `unexpected end of JSON input`,
		`{"a":1} {`:          `invalid character '{' after top-level value`,
		`[1]`:                `want a JSON object or string`,
		`5`:                  `want a JSON object or string`,
		`{"a":{"b":1}}`:      `"a": want a number, a string or a bool`,
		`{"a":[]}`:           `"a": want a number, a string or a bool`,
		`{"a":1,"a":1}`:      `"a" is given twice; give it once`,
		`{"a":null}`:         `"a" is null: leave the key out, or quote the value if it is the word "null"`,
		`{"a":1,"\u0061":1}`: `"a" is given twice; give it once`,
	} {
		if got, err := settings.JSON([]byte(data)); err == nil || err.Error() != want {
			t.Errorf("JSON(%s) = %v, %v; want error %s", data, got, err, want)
		}
	}
}

func TestYAMLReadsWhatLibrariesDecode(t *testing.T) {
	want := map[string]string{"a": "5", "b": "x", "c": "true", "e": "1.5"}
	for name, doc := range map[string]any{
		"keys are strings": map[string]any{"a": 5, "b": "x", "c": true, "e": 1.5},
		"keys are any":     map[any]any{"a": uint64(5), "b": "x", "c": true, "e": 1.5},
	} {
		got, err := settings.YAML(doc)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	for want, doc := range map[string]any{
		`want a YAML mapping or string`:                                               []any{1},
		`"a": want a number, a string or a bool`:                                      map[string]any{"b": map[string]any{}, "a": []any{}},
		`"a" is null: leave the key out, or quote the value if it is the word "null"`: map[string]any{"a": nil},
		`"12": want a number, a string or a bool`:                                     map[any]any{12: time.Now()},
		`"12" is given twice; give it once`:                                           map[any]any{12: 1, "12": 1},
	} {
		if got, err := settings.YAML(doc); err == nil || err.Error() != want {
			t.Errorf("YAML(%v) = %v, %v; want error %s", doc, got, err, want)
		}
	}
}

func TestPairsAreWrittenInTheOrderOfTheTable(t *testing.T) {
	o := options{Size: 2, Limit: -1, Age: time.Hour, Ping: true, Level: 1, Name: `a&"b`}
	pairs := settings.Pairs(&o, table())

	const query = "size=2&limit=unlimited&age=1h&wait=unlimited&idle=never&ping=true&level=high&name=a%26%22b"
	if got := settings.QueryText(pairs); got != query {
		t.Errorf("QueryText\n%s, want\n%s", got, query)
	}
	const object = `{"size":2,"limit":"unlimited","age":"1h","wait":"unlimited","idle":"never","ping":true,"level":"high","name":"a\u0026\"b"}`
	if got, err := settings.JSONText(pairs); err != nil || string(got) != object {
		t.Errorf("JSONText\n%s, %v, want\n%s", got, err, object)
	}
	want := map[string]any{"size": 2, "limit": "unlimited", "age": "1h", "wait": "unlimited", "idle": "never", "ping": true,
		"level": "high", "name": `a&"b`}
	if diff := cmp.Diff(want, settings.Map(pairs)); diff != "" {
		t.Errorf("Map (-want +got):\n%s", diff)
	}
}

func TestNearestNameForgivesTyposButDoesNotGuess(t *testing.T) {
	known := []string{"size", "max", "max_overflow", "timeout"}
	for name, want := range map[string]string{
		"sise":         "size",
		"SIZE":         "size",
		"siz":          "size",
		"isze":         "size",
		"min":          "",
		"mox":          "max",
		"mx":           "max",
		"maxOverflow":  "max_overflow",
		"max_owerflaw": "max_overflow",
		"tiemout":      "timeout",
		"tim":          "timeout", // too short, but there is no other
		"TIME":         "timeout",
		"ti":           "",
		"max_":         "max_overflow",
		"max_ov":       "max_overflow",
		"timeoutsss":   "timeout",
		"pool":         "",
		"":             "",
	} {
		if got := settings.Nearest(name, known); got != want {
			t.Errorf("Nearest(%.20q) = %q, want %q", name, got, want)
		}
	}
	long := strings.Repeat("max", 30)
	if got := settings.Nearest(long, []string{long}); got != "" {
		t.Errorf("a name of %d bytes was compared, and found near %q", len(long), got)
	}
	if got, want := settings.Unknown("sise", known[:2]), `unknown; did you mean "size"? known: size, max`; got != want {
		t.Errorf("Unknown: %s, want %s", got, want)
	}
	if got, want := settings.Unknown("xyz", known[:2]), `unknown; known: size, max`; got != want {
		t.Errorf("Unknown: %s, want %s", got, want)
	}
}

func TestParsedIsReadAndWrittenByTheTextOfItsType(t *testing.T) {
	type options struct{ Ratio float64 }
	f := settings.Parsed("ratio", "give 0 to 1", func(o *options) *float64 { return &o.Ratio },
		func(text string) (float64, bool) {
			v, err := strconv.ParseFloat(text, 64)
			return v, err == nil && v >= 0 && v <= 1
		},
		func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) })
	var o options
	if !f.Parse(&o, "0.50") || o.Ratio != 0.5 || f.Text(&o) != "0.5" || !f.Valid(&o) {
		t.Errorf("0.50 was read as %v, and is written %s", o.Ratio, f.Text(&o))
	}
	if f.Parse(&o, "2") || o.Ratio != 0.5 {
		t.Errorf("2 was read: %v", o.Ratio)
	}
	if o.Ratio = 2; f.Valid(&o) {
		t.Error("2 is valid")
	}
}
