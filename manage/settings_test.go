package manage_test

import (
	"encoding/json"
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
		"pool_size=many":                      `pool_size is "many": give 0 to 1048576`,
		"pool_size=1&pool_size=2":             `"pool_size" is given 2 times`,
		"pool_ping=1&pool_ping=1":             `"pool_ping" is given 2 times`,
		"pool_max_age=-1s":                    `pool_max_age is "-1s": give a duration`,
		"pool_open_timeout=0s":                `pool_open_timeout is "0s": give a positive duration`,
		"pool_open_timeout=inline":            `pool_open_timeout is "inline"`,
		"pool_reset=maybe":                    `pool_reset is "maybe": give rollback or commit or none`,
		"pool_dropped=lost":                   `pool_dropped is "lost": give discard or keep or ignore`,
		"pool_attempts=0":                     `pool_attempts is "0": give 1 to 1000000`,
		"pool_strategy=quue":                  `did you mean "queue"?`,
		"pool_strategy=static&pool_size=4":    `option "pool_size": not used by static`,
		"pool_ping_after=1s":                  `PingAfter is 1s: it needs Ping`,
		"pool_size=%zz":                       `pool_size: a percent sign starts no escape`,
		"pool_size=many&pool_ping=x&pool_foo": `pool_foo`,
	} {
		_, err := m.OpenDB("fake", "db?"+query)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "manage: ") {
			t.Errorf("%s: error is\n%v\nwant one with\n%s", query, err, want)
		}
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
	Strategy: strategies.Config{Kind: "queue", Size: 1, MaxOverflow: pool.Unlimited, Timeout: strategies.NoWait, Order: strategies.FIFO},
	Name:     "a name & more", MaxAge: time.Hour, Ping: true, PingAfter: 3 * time.Second, Attempts: 2, OpenAttempts: 4,
	OpenTimeout: time.Minute, PingTimeout: pool.Inline, ResetTimeout: time.Second, CloseTimeout: 90 * time.Second,
	Reset: sqldriver.Commit, Dropped: pool.KeepDropped, Stacks: true,
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
	if len(manage.SettingKeys()) != 20 || strings.Count(everySetting.String(), "=") != 18 {
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
