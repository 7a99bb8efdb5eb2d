package manage_test

import (
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/manage"
	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/strategies"
)

func TestSettingsAreTakenOutOfTheDSNAndTheRestIsLeftAsItWas(t *testing.T) {
	for dsn, want := range map[string]string{
		"file.db":                                "file.db",
		"":                                       "",
		"file.db?pool_size=3":                    "file.db",
		"file.db?x=1":                            "file.db?x=1",
		"file.db?b=%41&pool_size=3&a=+&c":        "file.db?b=%41&a=+&c",
		"u:p%3@tcp(h:1)/db?pool_ping=true&tls=x": "u:p%3@tcp(h:1)/db?tls=x",
		"u:p?w@tcp(h)/db":                        "u:p?w@tcp(h)/db",
		"u:p?%zz&@tcp(h)/db?pool_size=3":         "u:p?%zz&@tcp(h)/db",
		"host=h password='a ? b'?pool_size=3":    "host=h password='a ? b'",
		"postgres://h/db?&pool%5Fsize=3&&x":      "postgres://h/db?&&x",
	} {
		var got []string
		d := &fakeDriver{openErr: func(dsn string) error { got = append(got, dsn); return nil }}
		m := withFake(t, d)
		db, err := m.OpenDB("fake", dsn)
		if err != nil {
			t.Errorf("%q: %v", dsn, err)
			continue
		}
		if _, err := db.Exec("ok"); err != nil {
			t.Errorf("%q: %v", dsn, err)
		}
		if len(got) != 1 || got[0] != want {
			t.Errorf("%q: the driver got %q, want %q", dsn, got, want)
		}
		_ = db.Close()
	}
}

func TestWrongSettingsInADSNAreErrorsThatNameThem(t *testing.T) {
	m := withFake(t, &fakeDriver{})
	for query, want := range map[string]string{
		"pool_sise=5":                         `setting "pool_sise": unknown; did you mean "pool_size"?`,
		"pool_pings=1":                        `did you mean "pool_ping"?`,
		"pool_foo=1":                          `setting "pool_foo": unknown; known: pool_strategy, pool_size`, // pool_max is not near
		"pool_size=many":                      `pool_size is "many": give 0 to 1048576`,
		"pool_size=1&pool_size=2":             `"pool_size" is given 2 times`,
		"pool_ping=1&pool_ping=1":             `"pool_ping" is given 2 times`,
		"pool_max_age=-1s":                    `pool_max_age is "-1s": give a duration`,
		"pool_open_timeout=0s":                `pool_open_timeout is "0s": give a positive duration`,
		"pool_reset=maybe":                    `pool_reset is "maybe": give rollback or commit or full or none`,
		"pool_dropped=lost":                   `pool_dropped is "lost": give discard or keep or ignore`,
		"pool_attempts=0":                     `pool_attempts is "0": give 1 to 1000000`,
		"pool_strategy=quue":                  `did you mean "queue"?`,
		"pool_strategy=static&pool_size=4":    `option "pool_size": not used by static`,
		"pool_ping_after=1s":                  `pool_ping_after needs pool_ping=true`,
		"pool_size=%zz":                       `pool_size: a percent sign starts no escape`,
		"pool_size=many&pool_ping=x&pool_foo": `pool_foo`,
	} {
		_, err := m.OpenDB("fake", "db?"+query)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "manage: ") {
			t.Errorf("%s: error is\n%v\nwant one with\n%s", query, err, want)
		}
	}
}

func TestASettingOutsideOfTheQueryIsRefused(t *testing.T) {
	m := withFake(t, &fakeDriver{})
	for _, dsn := range []string{
		"postgres://u:s3cret@h/shop&pool_size=5", "u:s3cret@tcp(h)/shop&pool_size=5&pool_timeout=1s", "host=h password=s3cret pool_size=5 dbname=shop",
		"host=h pool_size=5?pool_max_overflow=0", "postgres://h/shop&pool_size=5?x=y",
	} {
		_, err := m.OpenDB("fake", dsn)
		if err == nil || !strings.Contains(err.Error(), "write ?pool_size=… at the end") || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v, want an error that says where settings stand", dsn, err)
		}
	}
	for _, dsn := range []string{"/data/pool_size=5.db", "/data/a&pool_size=5/b.db", "u:p&pool_sizes=5@tcp(h)/d", "db?x=a;pool_size=5"} {
		db, err := m.OpenDB("fake", dsn)
		if err != nil {
			t.Errorf("%s: %v, want nil: it has no setting", dsn, err)
			continue
		}
		_ = db.Close()
	}
}

func TestADSNCountsForMoreThanTheManagersSettings(t *testing.T) {
	base := manage.Settings{
		Strategy: strategies.Config{Kind: "queue", Size: 2, MaxOverflow: 3, Timeout: time.Second},
		MaxAge:   time.Hour, Ping: true,
	}
	m := newManager(t, manage.Options{Settings: base})
	if _, err := m.Wrap("fake", &fakeDriver{t: t}); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]pool.Strategy{
		"":                                    strategies.Queue{Size: 2, MaxOverflow: 3, Timeout: time.Second},
		"pool_size=7":                         strategies.Queue{Size: 7, MaxOverflow: 3, Timeout: time.Second},
		"pool_strategy=queue&pool_order=fifo": strategies.Queue{Size: 2, MaxOverflow: 3, Timeout: time.Second, Order: strategies.FIFO},
		"pool_strategy=static":                strategies.Static{Timeout: 30 * time.Second},
		"pool_strategy=null&pool_max=4":       strategies.Null{Max: 4, Timeout: 30 * time.Second},
		"pool_strategy=assertion&pool_no_stack=true": strategies.Assertion{NoStack: true},
	} {
		db, err := m.OpenDB("fake", "a?x="+strings.ReplaceAll(query, "&", ";")+"&"+query)
		if err != nil {
			t.Errorf("%s: %v", query, err)
			continue
		}
		for k := range m.All() {
			p, _ := m.Pool(k)
			if got := p.Strategy(); got != want {
				t.Errorf("%s: strategy is %+v, want %+v", query, got, want)
			}
		}
		_ = db.Close()
	}
}

func TestADSNThatAsksAnExistingPoolForOtherSettingsFails(t *testing.T) {
	m := withFake(t, &fakeDriver{})
	open := func(dsn string) error {
		t.Helper()
		db, err := m.OpenDB("fake", dsn)
		if err == nil {
			t.Cleanup(func() { _ = db.Close() })
		}
		return err
	}
	if err := open("db?pool_size=5&pool_max_age=60s"); err != nil {
		t.Fatal(err)
	}
	for _, same := range []string{"db", "db?pool_max_age=1m", "db?pool_strategy=queue&pool_size=5&pool_max_overflow=10"} {
		if err := open(same); err != nil {
			t.Errorf("%s: %v", same, err)
		}
	}
	err := open("db?pool_size=7&pool_max_age=60s&pool_ping=true")
	var conflict *manage.ConflictError
	if !asError(err, &conflict) {
		t.Fatalf("error is %v, want a ConflictError", err)
	}
	for _, want := range []string{`pool_size is "5" there and "7" here`, `pool_ping is "false" there and "true" here`, "Dispose"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error is\n%v\nwant one with\n%s", err, want)
		}
	}
	if strings.Contains(err.Error(), "max_age") {
		t.Errorf("error names a setting that does not differ: %v", err)
	}
	if _, err := m.Connect(t.Context(), "fake", "db?pool_strategy=static"); !asError(err, &conflict) {
		t.Errorf("Connect with another strategy: error is %v, want a ConflictError", err)
	}
}

var everySetting = manage.Settings{
	Strategy: strategies.Config{Kind: "queue", Size: 1, MaxOverflow: pool.Unlimited, Timeout: strategies.NoWait, MaxWaiters: 7, Order: strategies.FIFO, Fairness: strategies.Strict, Shed: true, Shares: "0,20,10", Linger: time.Minute},
	Name:     "a name & more", MaxAge: time.Hour, Ping: true, PingAfter: 3 * time.Second, Attempts: 2, OpenAttempts: 4,
	OpenTimeout: time.Minute, PingTimeout: pool.Inline, ResetTimeout: time.Second, CloseTimeout: 90 * time.Second,
	Reset: sqldriver.Commit, Dropped: pool.KeepDropped, Stacks: true,
	MaxIdle: time.Minute, MinIdle: 1, KeepAlive: time.Second, Jitter: pool.NoJitter, OpensAtOnce: pool.Unlimited,
	OpenInterval: time.Millisecond, Backoff: pool.NoBackoff, BackoffMax: time.Minute, OnOpenFailure: pool.KeepWaiting, HungClose: pool.FreeSeat, Statements: manage.AsText,
}

func TestSettingsReadFromTheirOwnTextAreEqual(t *testing.T) {
	for _, s := range []manage.Settings{{}, everySetting, {Dropped: pool.IgnoreDropped, Reset: sqldriver.NoReset}} {
		text, err := s.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		got, err := manage.ParseSettings(string(text))
		if err != nil || got != s {
			t.Errorf("%s: read as %+v, %v; want %+v", text, got, err, s)
		}
		data, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var back manage.Settings
		if err := json.Unmarshal(data, &back); err != nil || back != s {
			t.Errorf("%s: read as %+v, %v; want %+v", data, back, err, s)
		}
	}
	if len(manage.SettingKeys()) != 37 || strings.Count(everySetting.String(), "=") != 34 {
		t.Errorf("%d keys, text %s: a setting is missing in this test", len(manage.SettingKeys()), everySetting)
	}
}

func TestSettingsAreReadFromJSONObjectsAndTheEnvironment(t *testing.T) {
	want := manage.Settings{Strategy: strategies.Config{Kind: "null", Max: 3, Timeout: 30 * time.Second}, Ping: true, MaxAge: time.Hour}
	var got manage.Settings
	if err := json.Unmarshal([]byte(`{"strategy":"null","max":3,"ping":true,"max_age":"1h"}`), &got); err != nil || got != want {
		t.Errorf("from JSON: %+v, %v; want %+v", got, err, want)
	}
	env := map[string]string{"LIDO_STRATEGY": "null", "LIDO_MAX": "3", "LIDO_PING": "true", "LIDO_MAX_AGE": "1h", "LIDO_NAME": ""}
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	if got, ok, err := manage.SettingsFromEnv(lookup, "LIDO_"); err != nil || !ok || got != want {
		t.Errorf("from the environment: %+v, %v, %v; want %+v", got, ok, err, want)
	}
	maps.DeleteFunc(env, func(string, string) bool { return true })
	if _, ok, err := manage.SettingsFromEnv(lookup, "LIDO_"); ok || err != nil {
		t.Errorf("from an empty environment: %v, %v; want none", ok, err)
	}
	env["LIDO_PING"] = "perhaps"
	if _, _, err := manage.SettingsFromEnv(lookup, "LIDO_"); err == nil || !strings.Contains(err.Error(), `"perhaps"`) {
		t.Errorf("from a wrong environment: error is %v", err)
	}
}

func TestANearMissIsShownAlone(t *testing.T) {
	_, err := manage.ParseSettings("pool_sise=5")
	if want := `manage: settings: setting "pool_sise": unknown; did you mean "pool_size"?`; err == nil || err.Error() != want {
		t.Errorf("error is\n%v\nwant\n%s", err, want)
	}
}

func TestErrorsCallASettingWhatTheTextCallsIt(t *testing.T) {
	object := func(text string) error { return json.Unmarshal([]byte(text), new(manage.Settings)) }
	env := func(name, text string) error {
		_, _, err := manage.SettingsFromEnv(func(n string) (string, bool) { return text, n == name }, "LIDO_")
		return err
	}
	const from0 = `: give 0 to 1048576, or "unlimited" (in Go pool.Unlimited)`
	for _, tt := range []struct {
		err  error
		want string
	}{
		{env("LIDO_SIZE", "x"), `manage: environment variables LIDO_…: pool: LIDO_SIZE is "x"` + from0},
		{env("LIDO_PING", "x"), `manage: environment variables LIDO_…: pool: LIDO_PING is "x": give true or false`},
		{env("LIDO_MAX", "1"), `manage: environment variables LIDO_…: strategies: option "LIDO_MAX": not used by queue, ` +
			`which has LIDO_SIZE, LIDO_MAX_OVERFLOW, LIDO_TIMEOUT, LIDO_MAX_WAITERS, LIDO_ORDER, LIDO_FAIRNESS, LIDO_SHED, LIDO_SHARES, LIDO_LINGER`},
		{env("LIDO_STRATEGY", "quue"), `manage: environment variables LIDO_…: strategies: LIDO_STRATEGY "quue": unknown; ` +
			`did you mean "queue"? known: assertion, null, queue, singleton, static`},
		{env("LIDO_PING_AFTER", "3s"), `manage: environment variables LIDO_…: LIDO_PING_AFTER needs LIDO_PING=true`},
		{object(`{"stack":true}`), `manage: settings: setting "stack": unknown; did you mean "stacks"?`},
		{object(`{"pool_size":5}`), `manage: settings: setting "pool_size": unknown; did you mean "size"?`},
		{object(`{"Ping":true}`), `manage: settings: setting "Ping": unknown; did you mean "ping"?`},
		{object(`{"kind":"null"}`), `manage: settings: setting "kind": unknown; did you mean "strategy"?`},
		{object(`{"lifetime":"1h"}`), `manage: settings: setting "lifetime": unknown; known: strategy, size, max_overflow, max, ` +
			`timeout, max_waiters, order, fairness, shed, shares, linger, no_stack, name, max_age, max_idle, min_idle, keep_alive, jitter, ping, ping_after, attempts, open_attempts, ` +
			`opens_at_once, open_interval, backoff, backoff_max, on_open_failure, open_timeout, ping_timeout, ` +
			`reset_timeout, close_timeout, hung_close, preset, statements, reset, dropped, stacks`},
		{object(`{"size":"x"}`), `manage: settings: pool: queue size is "x"` + from0},
		{object(`{"ping":"x"}`), `manage: settings: pool: ping is "x": give true or false`},
		{object(`{"strategy":"static","size":1}`), `manage: settings: strategies: option "size": not used by static, which has timeout`},
		{object(`{"ping_after":"3s"}`), `manage: settings: ping_after needs ping=true`},
		{object(`"size=5"`), `manage: settings: setting "size": unknown; did you mean "pool_size"?`},
	} {
		if tt.err == nil || tt.err.Error() != tt.want {
			t.Errorf("error is\n%v\nwant\n%s", tt.err, tt.want)
		}
	}
}

func TestPingAfterNeedsPing(t *testing.T) {
	if _, err := manage.ParseSettings("pool_ping=false&pool_ping_after=3s"); err == nil {
		t.Error("ParseSettings took pool_ping_after without pool_ping")
	}
	if text, err := (manage.Settings{PingAfter: time.Second}).MarshalText(); err == nil {
		t.Errorf("MarshalText wrote %s, which ParseSettings refuses", text)
	}
	m := newManager(t, manage.Options{Settings: manage.Settings{Ping: true, PingAfter: time.Second}})
	if _, err := m.Wrap("fake", &fakeDriver{t: t}); err != nil {
		t.Fatal(err)
	}
	for _, dsn := range []string{"a?pool_ping=false", "b?pool_ping_after=3s", "c?pool_ping=true", "d"} {
		db, err := m.OpenDB("fake", dsn)
		if err != nil {
			t.Errorf("%s, over settings with a ping: %v", dsn, err)
			continue
		}
		_ = db.Close()
	}
}

func TestAnUnlimitedSizeHasNoOverflowWhateverLiesUnderIt(t *testing.T) {
	under := strategies.Config{Kind: "queue", Size: 2, MaxOverflow: 3, Timeout: time.Second}
	m := newManager(t, manage.Options{Settings: manage.Settings{Strategy: under}})
	if _, err := m.Wrap("fake", &fakeDriver{t: t}); err != nil {
		t.Fatal(err)
	}
	db, err := m.OpenDB("fake", "a?pool_size=unlimited")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	p, _ := m.Pool(keyOf(t, m, "fake", "a"))
	if want := (strategies.Queue{Size: pool.Unlimited, Timeout: time.Second}); p.Strategy() != want {
		t.Errorf("strategy is %+v, want %+v", p.Strategy(), want)
	}
	if _, err := m.OpenDB("fake", "b?pool_size=unlimited&pool_max_overflow=3"); err == nil ||
		!strings.Contains(err.Error(), `option "pool_max_overflow": not used by queue with pool_size unlimited`) {
		t.Errorf("with an overflow: error is %v", err)
	}
}

// decoded is what a YAML library gives to UnmarshalYAML for doc.
func decoded(doc any) func(any) error {
	return func(into any) error { *into.(*any) = doc; return nil }
}

func TestSettingsAreReadFromYAML(t *testing.T) {
	strategy := strategies.Config{Kind: "queue", Size: 7, MaxOverflow: 10, Timeout: 30 * time.Second}
	for name, doc := range map[string]any{
		"a mapping":               map[string]any{"size": 7, "max_age": "1h", "ping": true},
		"of an older library":     map[any]any{"size": uint64(7), "max_age": "1h", "ping": "true"},
		"a string as in a DSN":    "pool_size=7&pool_max_age=1h&pool_ping=true",
		"a mapping with strategy": map[string]any{"strategy": "queue", "size": 7, "max_age": "1h", "ping": true},
	} {
		got := everySetting
		want := manage.Settings{Strategy: strategy, MaxAge: time.Hour, Ping: true}
		if err := got.UnmarshalYAML(decoded(doc)); err != nil || got != want {
			t.Errorf("%s: read as %+v, %v; want %+v", name, got, err, want)
		}
	}
	got := everySetting
	if err := got.UnmarshalYAML(decoded(nil)); err != nil || got != everySetting {
		t.Errorf("null: %v, settings changed: %v", err, got != everySetting)
	}
}

func TestWrongYAMLIsAnErrorThatLeavesTheOldSettings(t *testing.T) {
	const twice = "yaml: line 2: mapping key \"size\" already defined at line 1"
	for want, unmarshal := range map[string]func(any) error{
		`manage: settings: setting "sise": unknown; did you mean "size"?`:         decoded(map[string]any{"sise": 7}),
		`manage: settings: setting "pool_size": unknown; did you mean "size"?`:    decoded(map[string]any{"pool_size": 7}),
		`manage: settings: pool: max_age is "30": give a duration such as "1h"`:   decoded(map[string]any{"max_age": 30}),
		`manage: settings: "7" is given twice; give it once`:                      decoded(map[any]any{7: 1, "7": 2}),
		`manage: settings: "pool_size" is given 2 times; give it once`:            decoded("pool_size=1&pool_size=2"),
		`manage: settings: "strategy" is null: leave the key out, or quote the v`: decoded(map[string]any{"strategy": nil}),
		`manage: settings: "strategy": want a number, a string or a bool`:         decoded(map[string]any{"strategy": map[string]any{"kind": "null"}}),
		`manage: settings: want a YAML mapping or string`:                         decoded([]any{"size"}),
		twice: func(any) error { return errors.New(twice) }, // libraries find it before we are asked
	} {
		got := everySetting
		if err := got.UnmarshalYAML(unmarshal); err == nil || !strings.HasPrefix(err.Error(), want) || got != everySetting {
			t.Errorf("error is\n%v\nwant\n%s\nsettings changed: %v", err, want, got != everySetting)
		}
	}
}

func TestSettingsWrittenAsYAMLAreReadAsEqual(t *testing.T) {
	for _, s := range []manage.Settings{{}, everySetting, {Strategy: strategies.Config{Kind: "null", Max: pool.Unlimited}, Ping: true}} {
		doc, err := s.MarshalYAML()
		if err != nil {
			t.Fatal(err)
		}
		var got manage.Settings
		if err := got.UnmarshalYAML(decoded(doc)); err != nil || got != s {
			t.Errorf("%v: read as %+v, %v; want %+v", doc, got, err, s)
		}
	}
	doc, err := manage.Settings{Strategy: strategies.Config{Kind: "static"}, MaxAge: time.Hour, Attempts: 2}.MarshalYAML()
	want := map[string]any{"strategy": "static", "timeout": "unlimited", "max_age": "1h", "attempts": 2}
	if got, ok := doc.(map[string]any); err != nil || !ok || !maps.Equal(got, want) {
		t.Errorf("written as %v, %v; want %v", doc, err, want)
	}
	if doc, err := (manage.Settings{MaxAge: -1}).MarshalYAML(); err == nil {
		t.Errorf("settings that are not valid are written as %v", doc)
	}
}

func TestSettingsThatCannotBeReadLeaveTheOldOnes(t *testing.T) {
	for _, text := range []string{`{"sise":1}`, `{"ping":[]}`, `"pool_ping=x"`, `"%zz"`, `7`} {
		got := everySetting
		if err := json.Unmarshal([]byte(text), &got); err == nil || got != everySetting {
			t.Errorf("%s: error is %v, settings changed: %v", text, err, got != everySetting)
		}
	}
	got := everySetting
	if err := json.Unmarshal([]byte("null"), &got); err != nil || got != everySetting {
		t.Errorf("null: %v, settings changed: %v", err, got != everySetting)
	}
}

func TestSettingsOfALiteralAreChecked(t *testing.T) {
	for _, s := range []manage.Settings{{MaxAge: -1}, {Reset: "maybe"}, {Strategy: strategies.Config{Kind: "quue"}}} {
		if text, err := s.MarshalText(); err == nil {
			t.Errorf("%+v: written as %s, want an error", s, text)
		}
		m := manage.New(manage.Options{Settings: s})
		if _, err := m.Wrap("fake", &fakeDriver{t: t}); err != nil {
			t.Fatal(err)
		}
		if _, err := m.OpenDB("fake", "x"); err == nil {
			t.Errorf("%+v: OpenDB took them", s)
		}
		if _, err := m.OpenDB("fake", "x?pool_size=3"); err == nil && s.Strategy.Kind != "" {
			t.Errorf("%+v: OpenDB took them", s)
		}
	}
}

func TestSettingsThatDoNotFitEachOtherAreRefusedByTheirNames(t *testing.T) {
	for text, want := range map[string]string{
		"pool_backoff=5s&pool_backoff_max=1s":            "pool_backoff_max is 1s: give at least pool_backoff, 5s",
		"pool_backoff_max=1ms":                           "pool_backoff_max is 1ms: give at least pool_backoff, 20ms",
		"pool_min_idle=6":                                "pool_min_idle is 6: give 5 at most",
		"pool_strategy=null&pool_min_idle=1":             "pool_min_idle is 1: give 0 at most",
		"pool_size=2&pool_linger=1s&pool_min_idle=13":    "pool_min_idle is 13: give 12 at most",
		"pool_strategy=singleton&pool_min_idle=6":        "pool_min_idle is 6: give 5 at most",
		"pool_size=2&pool_linger=1s&pool_min_idle=12":    "",
		"pool_size=unlimited&pool_min_idle=100":          "",
		"pool_strategy=static&pool_min_idle=1":           "",
		"pool_backoff=5s&pool_min_idle=5":                "",
		"pool_size=9&pool_linger=1s&pool_max_overflow=0": "linger",
	} {
		_, err := manage.ParseSettings(text)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestMinIdleThatLiesUnderADSNIsAsMuchAsItsStrategyKeeps(t *testing.T) {
	m := newManager(t, manage.Options{Settings: manage.Settings{MinIdle: 2}})
	if _, err := m.Wrap("fake", &fakeDriver{t: t}); err != nil {
		t.Fatal(err)
	}
	if _, err := m.OpenDB("fake", "x?pool_strategy=null"); err != nil {
		t.Errorf("OpenDB with a strategy that keeps nothing over MinIdle 2: %v, want nil", err)
	}
}
