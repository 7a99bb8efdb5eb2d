package strategies_test

import (
	"encoding"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/strategies"
)

type config = strategies.Config

// valid are configs of every kind with values at every edge.
func valid() []config {
	const second = time.Second
	cs := []config{{Kind: "queue", MaxOverflow: pool.Unlimited, Linger: 1}, {Kind: "queue", Size: 1, Shed: true, Shares: "0,99"}, {Kind: "queue", Size: 1, Shares: "1,19,80", Fairness: strategies.Strict}, {Kind: "queue", Size: 1, MaxOverflow: 2, Linger: 90 * second}}
	for _, n := range []int{0, 1, 7, 1 << 20, pool.Unlimited} {
		for _, d := range []time.Duration{0, strategies.NoWait, 1, 1500, 90 * second, 36 * time.Hour, 1<<63 - 1} {
			for _, o := range []strategies.Order{"", strategies.Affine, strategies.LIFO, strategies.FIFO} {
				over := 3
				if n == pool.Unlimited {
					over = 0
				}
				cs = append(cs,
					config{Kind: "queue", Size: n, MaxOverflow: over, Timeout: d, Order: o, Fairness: strategies.Bounded},
					config{Kind: "queue", Size: 2, MaxOverflow: n, Timeout: d, Order: o, Fairness: strategies.Strict},
					config{Kind: "queue", Size: 3, Timeout: d, MaxWaiters: 1, Order: o})
			}
			if n != 0 {
				cs = append(cs,
					config{Kind: "singleton", Size: n, Timeout: d},
					config{Kind: "singleton", Size: 1, Timeout: d, MaxWaiters: max(n, 0)},
					config{Kind: "null", Max: 2, Timeout: d, MaxWaiters: max(n, 0)},
					config{Kind: "null", Max: n, Timeout: d})
			}
			cs = append(cs, config{Kind: "static", Timeout: d})
		}
	}
	return append(cs, config{Kind: "assertion"}, config{Kind: "assertion", NoStack: true})
}

// yamlUnmarshal is what a YAML library gives to UnmarshalYAML for doc.
func yamlUnmarshal(doc any) func(any) error {
	return func(into any) error { *into.(*any) = doc; return nil }
}

func lookup(environ []string) func(string) (string, bool) {
	vars := map[string]string{}
	for _, v := range environ {
		name, value, _ := strings.Cut(v, "=")
		vars[name] = value
	}
	return func(name string) (string, bool) { v, ok := vars[name]; return v, ok }
}

// forms are the ways to write a config and read it back.
var forms = map[string]func(config) (text any, back config, err error){
	"config string": func(c config) (any, config, error) {
		text, err := c.MarshalText()
		if err != nil {
			return nil, c, err
		}
		if string(text) != c.String() {
			return nil, c, fmt.Errorf("MarshalText %s differs from String %s", text, c)
		}
		var back config
		err = back.UnmarshalText(text)
		return string(text), back, err
	},
	"JSON": func(c config) (any, config, error) {
		text, err := json.Marshal(c)
		if err != nil {
			return nil, c, err
		}
		var back config
		err = json.Unmarshal(text, &back)
		return string(text), back, err
	},
	"YAML": func(c config) (any, config, error) {
		doc, err := c.MarshalYAML()
		if err != nil {
			return nil, c, err
		}
		var back config
		err = back.UnmarshalYAML(yamlUnmarshal(doc))
		return doc, back, err
	},
	"query": func(c config) (any, config, error) {
		q, err := c.Query()
		if err != nil {
			return nil, c, err
		}
		text := q.Encode()
		q, err = url.ParseQuery(text)
		if err != nil {
			return nil, c, err
		}
		back, found, err := strategies.FromQuery(q)
		if !found || len(q) > 0 {
			err = errors.Join(err, fmt.Errorf("found is %v, left are %v", found, q))
		}
		return text, back, err
	},
	"environment": func(c config) (any, config, error) {
		env, err := c.Environ("LIDO_")
		if err != nil {
			return nil, c, err
		}
		back, found, err := strategies.FromEnv(lookup(env), "LIDO_")
		if !found {
			err = errors.Join(err, errors.New("found is false"))
		}
		return env, back, err
	},
}

func TestEveryValidConfigSurvivesEveryFormOfText(t *testing.T) {
	for form, through := range forms {
		t.Run(form, func(t *testing.T) {
			for _, c := range valid() {
				text, back, err := through(c)
				if err != nil {
					t.Fatalf("%#v: %v", c, err)
				}
				if diff := cmp.Diff(c, back); diff != "" {
					t.Fatalf("by way of %v (-want +got):\n%s", text, diff)
				}
			}
		})
	}
}

func TestEveryValidConfigSurvivesItsStrategy(t *testing.T) {
	for _, c := range valid() {
		s, err := strategies.New(c)
		if err != nil {
			t.Fatalf("New(%v): %v", c, err)
		}
		if s.Kind() != c.Kind {
			t.Errorf("New(%v) made a %s", c, s.Kind())
		}
		back, ok := strategies.ConfigOf(s)
		if diff := cmp.Diff(c, back); diff != "" || !ok {
			t.Errorf("ConfigOf(%#v) ok %v (-want +got):\n%s", s, ok, diff)
		}
	}
}

type alien struct{ pool.Strategy }

func TestConfigOfDoesNotKnowOtherStrategies(t *testing.T) {
	if c, ok := strategies.ConfigOf(alien{strategies.Static{}}); ok {
		t.Errorf("ConfigOf a foreign strategy is %v", c)
	}
}

func TestNewMakesTheStrategyThatALiteralSays(t *testing.T) {
	for _, tt := range []struct {
		c    config
		want pool.Strategy
	}{
		{config{Kind: "queue", Size: 3}, strategies.Queue{Size: 3}},
		{config{Kind: "queue", MaxOverflow: pool.Unlimited, Timeout: 5, MaxWaiters: 6, Order: strategies.FIFO, Shed: true, Shares: "0,20,10", Linger: 7},
			strategies.Queue{MaxOverflow: pool.Unlimited, Timeout: 5, MaxWaiters: 6, Order: strategies.FIFO, Shed: true, Shares: "0,20,10", Linger: 7}},
		{config{Kind: "singleton", Size: 2, Timeout: strategies.NoWait},
			strategies.Singleton{Size: 2, Timeout: strategies.NoWait}},
		{config{Kind: "null", Max: 4, Timeout: 1}, strategies.Null{Max: 4, Timeout: 1}},
		{config{Kind: "static", Timeout: 9}, strategies.Static{Timeout: 9}},
		{config{Kind: "assertion", NoStack: true}, strategies.Assertion{NoStack: true}},
	} {
		got, err := strategies.New(tt.c)
		if err != nil {
			t.Errorf("New(%v): %v", tt.c, err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("New(%v) (-want +got):\n%s", tt.c, diff)
		}
	}
}

func TestKindsAreSortedAndHaveDefaultsThatWork(t *testing.T) {
	kinds := strategies.Kinds()
	if want := []string{"assertion", "null", "queue", "singleton", "static"}; !slices.Equal(kinds, want) {
		t.Errorf("Kinds() = %v, want %v", kinds, want)
	}
	want := map[string]string{
		"assertion": "assertion",
		"null":      "null?max=unlimited&timeout=30s",
		"queue":     "queue?size=5&max_overflow=10&timeout=30s",
		"singleton": "singleton?size=5&timeout=30s",
		"static":    "static?timeout=30s",
	}
	for _, kind := range kinds {
		c, err := strategies.Defaults(kind)
		if err != nil {
			t.Errorf("Defaults(%s): %v", kind, err)
		}
		if c.String() != want[kind] {
			t.Errorf("Defaults(%s) are %v, want %v", kind, c, want[kind])
		}
		if _, err := strategies.New(c); err != nil {
			t.Errorf("New(Defaults(%s)): %v", kind, err)
		}
		if named, err := strategies.Parse(kind); err != nil || named != c {
			t.Errorf("Parse(%s) = %v, %v; want the defaults", kind, named, err)
		}
	}
	if _, err := strategies.Defaults(""); err == nil {
		t.Error(`Defaults("") has no error`)
	}
}

func TestTextsSayWhatDiffersFromTheDefaults(t *testing.T) {
	const half = 30 * time.Second
	for text, want := range map[string]config{
		"":                                    {Kind: "queue", Size: 5, MaxOverflow: 10, Timeout: half},
		"queue?":                              {Kind: "queue", Size: 5, MaxOverflow: 10, Timeout: half},
		"?size=7":                             {Kind: "queue", Size: 7, MaxOverflow: 10, Timeout: half},
		"queue?size=0":                        {Kind: "queue", MaxOverflow: 10, Timeout: half},
		"queue?max_overflow=0":                {Kind: "queue", Size: 5, Timeout: half},
		"queue?max_overflow=unlimited":        {Kind: "queue", Size: 5, MaxOverflow: pool.Unlimited, Timeout: half},
		"queue?order=fifo&size=unlimited":     {Kind: "queue", Size: pool.Unlimited, Timeout: half, Order: strategies.FIFO},
		"queue?size=unlimited":                {Kind: "queue", Size: pool.Unlimited, Timeout: half},
		"queue?size=unlimited&max_overflow=0": {Kind: "queue", Size: pool.Unlimited, Timeout: half},
		"singleton?timeout=0s":                {Kind: "singleton", Size: 5, Timeout: strategies.NoWait},
		"static?timeout=unlimited":            {Kind: "static"},
		"null?timeout=1500ms&max=2":           {Kind: "null", Max: 2, Timeout: 1500 * time.Millisecond},
		"assertion?no_stack=true":             {Kind: "assertion", NoStack: true},
		"queue?max%5Foverflow=%31":            {Kind: "queue", Size: 5, MaxOverflow: 1, Timeout: half},
	} {
		got, err := strategies.Parse(text)
		if err != nil {
			t.Errorf("Parse(%q): %v", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Parse(%q) (-want +got):\n%s", text, diff)
		}
	}
}

func TestJSONAndYAMLTakeObjectsAndConfigStrings(t *testing.T) {
	want := config{Kind: "queue", Size: 2, MaxOverflow: pool.Unlimited, Timeout: time.Minute}
	for _, text := range []string{
		`{"kind":"queue","size":2,"max_overflow":"unlimited","timeout":"1m"}`,
		`{"timeout":"60s","size":"2","max_overflow":"unlimited"}`,
		`"queue?size=2&max_overflow=unlimited&timeout=1m"`,
	} {
		got := config{Kind: "static", NoStack: true} // to be replaced as a whole
		if err := json.Unmarshal([]byte(text), &got); err != nil || got != want {
			t.Errorf("JSON %s\nis %v, %v; want %v", text, got, err, want)
		}
	}
	for _, doc := range []any{
		map[string]any{"kind": "queue", "size": 2, "max_overflow": "unlimited", "timeout": "1m"},
		map[any]any{"size": uint64(2), "max_overflow": "unlimited", "timeout": "1m"},
		"queue?size=2&max_overflow=unlimited&timeout=1m",
	} {
		got := config{Kind: "static", NoStack: true}
		if err := got.UnmarshalYAML(yamlUnmarshal(doc)); err != nil || got != want {
			t.Errorf("YAML %v\nis %v, %v; want %v", doc, got, err, want)
		}
	}
	boom := errors.New("boom")
	var c config
	if err := c.UnmarshalYAML(func(any) error { return boom }); !errors.Is(err, boom) {
		t.Errorf("the YAML library's error came out as %v", err)
	}
}

func TestZeroConfigIsNullInsideADocument(t *testing.T) {
	type document struct{ Pool config }
	data, err := json.Marshal(document{})
	if err != nil || string(data) != `{"Pool":null}` {
		t.Errorf("a document with a zero Config is %s, %v", data, err)
	}
	var back document
	if err := json.Unmarshal(data, &back); err != nil || back != (document{}) {
		t.Errorf("read back it is %v, %v", back, err)
	}
	doc, err := config{}.MarshalYAML()
	if doc != nil || err != nil {
		t.Errorf("the YAML of a zero Config is %v, %v", doc, err)
	}
	c := config{Kind: "static"}
	if err := c.UnmarshalYAML(yamlUnmarshal(nil)); err != nil || c.Kind != "static" {
		t.Errorf("a YAML null made it %v, %v", c, err)
	}
}

func TestWritingIsInAFixedOrderAndOnlyOfWhatTheKindUses(t *testing.T) {
	c := config{Kind: "queue", Size: 2, Timeout: 500 * time.Microsecond, Order: strategies.FIFO}
	const text = "queue?size=2&max_overflow=0&timeout=500us&order=fifo"
	if c.String() != text {
		t.Errorf("String() = %s, want %s", c, text)
	}
	const object = `{"kind":"queue","size":2,"max_overflow":0,"timeout":"500us","order":"fifo"}`
	if data, err := json.Marshal(c); err != nil || string(data) != object {
		t.Errorf("JSON is %s, %v; want %s", data, err, object)
	}
	env, err := c.Environ("APP_")
	want := []string{"APP_STRATEGY=queue", "APP_SIZE=2", "APP_MAX_OVERFLOW=0", "APP_TIMEOUT=500us", "APP_ORDER=fifo"}
	if diff := cmp.Diff(want, env); diff != "" || err != nil {
		t.Errorf("Environ, %v (-want +got):\n%s", err, diff)
	}
	q, err := c.Query()
	wantQ := url.Values{"pool_strategy": {"queue"}, "pool_size": {"2"}, "pool_max_overflow": {"0"},
		"pool_timeout": {"500us"}, "pool_order": {"fifo"}}
	if diff := cmp.Diff(wantQ, q); diff != "" || err != nil {
		t.Errorf("Query, %v (-want +got):\n%s", err, diff)
	}
}

func TestStringShowsAlsoWhatIsNotValid(t *testing.T) {
	for want, c := range map[string]config{
		"":                                     {},
		"qeue?size=3":                          {Kind: "qeue", Size: 3},
		"static?max=unlimited&timeout=-3s":     {Kind: "static", Max: pool.Unlimited, Timeout: -3 * time.Second},
		"assertion?order=fifo&no_stack=true":   {Kind: "assertion", Order: strategies.FIFO, NoStack: true},
		"null?size=-9&max=0&timeout=unlimited": {Kind: "null", Size: -9},
		"singleton?size=1&timeout=0s&order=%22x%22": {Kind: "singleton", Size: 1, Timeout: -1, Order: "x"},
	} {
		if got := c.String(); got != want {
			t.Errorf("String of %#v\nis %s, want %s", c, got, want)
		}
	}
}

func TestNothingIsWrittenOfAConfigThatIsNotValid(t *testing.T) {
	c := config{Kind: "queue", Size: -7}
	for form, through := range forms {
		var bad *pool.OptionError
		if text, _, err := through(c); !errors.As(err, &bad) || bad.Field != "queue size" || bad.Value != "-7" {
			t.Errorf("%s: wrote %v with error %v, want an error for queue size -7", form, text, err)
		}
	}
}

func TestFromQueryTakesItsKeysAndLeavesTheRest(t *testing.T) {
	q, err := url.ParseQuery("cache=shared&pool_strategy=null&pool_max=3&pool_max_age=1h&pool_sise=4&size=9")
	if err != nil {
		t.Fatal(err)
	}
	got, found, err := strategies.FromQuery(q)
	if want := (config{Kind: "null", Max: 3, Timeout: 30 * time.Second}); got != want || !found || err != nil {
		t.Errorf("FromQuery = %v, %v, %v; want %v", got, found, err, want)
	}
	left := url.Values{"cache": {"shared"}, "pool_max_age": {"1h"}, "pool_sise": {"4"}, "size": {"9"}}
	if diff := cmp.Diff(left, q); diff != "" {
		t.Errorf("left in the query (-want +got):\n%s", diff)
	}
	got, found, err = strategies.FromQuery(q)
	if got != (config{}) || found || err != nil {
		t.Errorf("a query without keys of ours: %v, %v, %v", got, found, err)
	}
}

func TestFromQueryTakesItsKeysAlsoWhenTheyAreWrong(t *testing.T) {
	for _, query := range []string{"pool_size=x", "pool_size=1&pool_size=1", "pool_strategy=qeue&pool_size=1", "pool_max=1"} {
		q, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		c, found, err := strategies.FromQuery(q)
		if err == nil || !found || c != (config{}) || len(q) != 0 {
			t.Errorf("%s: %v, found %v, error %v, left %v; want an error and nothing left", query, c, found, err, q)
		}
	}
}

func TestQueryKeysAreWhatFromQueryTakes(t *testing.T) {
	want := []string{"pool_strategy", "pool_size", "pool_max_overflow", "pool_max", "pool_timeout", "pool_max_waiters", "pool_order", "pool_fairness", "pool_shed", "pool_shares", "pool_linger",
		"pool_no_stack"}
	keys := strategies.QueryKeys()
	if diff := cmp.Diff(want, keys); diff != "" {
		t.Errorf("QueryKeys (-want +got):\n%s", diff)
	}
	q := url.Values{}
	for _, key := range keys {
		q.Set(key, "")
	}
	if _, _, err := strategies.FromQuery(q); err == nil || len(q) != 0 {
		t.Errorf("FromQuery left %v, error %v", q, err)
	}
}

func TestFromEnvReadsVariablesWithAPrefix(t *testing.T) {
	env := lookup([]string{"LIDO_STRATEGY=singleton", "LIDO_SIZE=unlimited", "LIDO_MAX=", "SIZE=3", "APP_TIMEOUT=1s"})
	c, found, err := strategies.FromEnv(env, "LIDO_")
	if want := (config{Kind: "singleton", Size: pool.Unlimited, Timeout: 30 * time.Second}); c != want || !found || err != nil {
		t.Errorf("LIDO_: %v, %v, %v; want %v", c, found, err, want)
	}
	c, found, err = strategies.FromEnv(env, "APP_")
	if want := (config{Kind: "queue", Size: 5, MaxOverflow: 10, Timeout: time.Second}); c != want || !found || err != nil {
		t.Errorf("APP_: %v, %v, %v; want %v", c, found, err, want)
	}
	c, found, err = strategies.FromEnv(env, "OTHER_")
	if c != (config{}) || found || err != nil {
		t.Errorf("OTHER_: %v, %v, %v; want nothing found", c, found, err)
	}
}

func TestFromTextsReadsAndReportsByNamesOfTheCallers(t *testing.T) {
	name := func(key string) string { return "db-" + key }
	flags := map[string]string{"db-strategy": "null", "db-max": "3", "max": "7"}
	look := func(name string) (string, bool) { text, ok := flags[name]; return text, ok }
	c, found, err := strategies.FromTexts(look, name)
	if want := (config{Kind: "null", Max: 3, Timeout: 30 * time.Second}); c != want || !found || err != nil {
		t.Errorf("FromTexts = %v, %v, %v; want %v", c, found, err, want)
	}
	for key, want := range map[string]string{
		"db-max":  `pool: db-max is "": give`, // empty, yet there
		"db-size": `strategies: option "db-size": not used by null, which has db-max, db-timeout, db-max_waiters`,
	} {
		before, ok := flags[key]
		flags[key] = ""
		if _, _, err := strategies.FromTexts(look, name); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("error is\n%v\nwant\n%s", err, want)
		}
		if flags[key] = before; !ok {
			delete(flags, key)
		}
	}
	flags["db-strategy"] = "nul"
	if _, _, err := strategies.FromTexts(look, name); err == nil || !strings.HasPrefix(err.Error(), `strategies: db-strategy "nul": unknown`) {
		t.Errorf("a wrong strategy: error is %v", err)
	}
	clear(flags)
	if c, found, err := strategies.FromTexts(look, name); c != (config{}) || found || err != nil {
		t.Errorf("of nothing: %v, %v, %v", c, found, err)
	}
}

func TestConfigIsAFlag(t *testing.T) {
	fs := flag.NewFlagSet("test", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	var c, unset config
	fs.TextVar(&c, "pool", config{Kind: "static"}, "the strategy")
	fs.TextVar(&unset, "unset", config{}, "another")
	if got, want := fs.Lookup("pool").DefValue, "static?timeout=unlimited"; got != want {
		t.Errorf("the default is shown as %q, want %q", got, want)
	}
	if err := fs.Parse([]string{"-pool", "null?max=2"}); err != nil {
		t.Fatal(err)
	}
	if want := (config{Kind: "null", Max: 2, Timeout: 30 * time.Second}); c != want || unset != (config{}) {
		t.Errorf("the flags are %v and %v, want %v and nothing", c, unset, want)
	}
	fs.PrintDefaults()
}

func TestAFailedReadLeavesTheConfigAlone(t *testing.T) {
	before := config{Kind: "static", Timeout: 7}
	for name, read := range map[string]func(*config) error{
		"text": func(c *config) error { return c.UnmarshalText([]byte("null?max=0")) },
		"JSON": func(c *config) error { return c.UnmarshalJSON([]byte(`{"kind":"null","size":1}`)) },
		"YAML": func(c *config) error { return c.UnmarshalYAML(yamlUnmarshal(map[string]any{"kind": "nul"})) },
	} {
		c := before
		if err := read(&c); err == nil || c != before {
			t.Errorf("%s: error %v left %v, want %v", name, err, c, before)
		}
	}
}

// These hold for the packages that read configurations by interface.
var (
	_ encoding.TextMarshaler   = config{}
	_ encoding.TextUnmarshaler = (*config)(nil)
	_ json.Marshaler           = config{}
	_ json.Unmarshaler         = (*config)(nil)
)
