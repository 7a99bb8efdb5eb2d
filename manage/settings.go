package manage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/internal/settings"
	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/strategies"
)

// Settings are what a pool can be told, apart from its database. They come from
// the query of a DSN, where the table in the package's text applies; from
// Options.Settings; and from texts: a query (ParseSettings), a JSON object or
// string, environment variables (SettingsFromEnv), and whatever else
// knows encoding.TextUnmarshaler, such as YAML libraries and flag.TextVar.
//
// The zero value is that of all defaults.
type Settings struct {
	// Strategy is who waits for which connection. The zero Config is a queue with its
	// defaults: size 5, 10 more in overflow, 30 s.
	Strategy strategies.Config
	// Name is pool.Options.Name. Default: the pool's Key, redacted.
	Name string
	// Reset is what becomes of a transaction left open. Default rollback.
	Reset sqldriver.ResetMode

	// The others are those of pool.Options, of the same names.

	MaxAge       time.Duration
	Ping         bool
	PingAfter    time.Duration
	Attempts     int
	OpenAttempts int
	OpenTimeout  time.Duration
	PingTimeout  time.Duration
	ResetTimeout time.Duration
	CloseTimeout time.Duration
	// Dropped is also what happens to a Conn that is dropped without Close.
	Dropped pool.Dropped
	Stacks  bool
}

// fields are all settings but the strategy's, in the order in which they are written.
func fields() []settings.Field[Settings] {
	type s = Settings
	const (
		count = `give 1 to 1000000, or "default"`
		bound = `give a positive duration such as "5s", or "default"`
		care  = bound + `, or "inline" for a call that cannot hang`
	)
	std := settings.Word[time.Duration]{Text: "default", Value: 0}
	inline := settings.Word[time.Duration]{Text: "inline", Value: pool.Inline}
	number := func(key string, at func(*s) *int) settings.Field[s] {
		return settings.Int(key, count, at, 1, 1_000_000, settings.Word[int]{Text: "default", Value: 0})
	}
	all := []settings.Field[s]{
		settings.String("name", func(c *s) *string { return &c.Name }),
		settings.Duration("max_age", `give a duration such as "1h", or "unlimited"`,
			func(c *s) *time.Duration { return &c.MaxAge }, settings.Word[time.Duration]{Text: "unlimited", Value: 0}),
		settings.Bool("ping", func(c *s) *bool { return &c.Ping }),
		settings.Duration("ping_after", `give a duration such as "30s"`,
			func(c *s) *time.Duration { return &c.PingAfter }),
		number("attempts", func(c *s) *int { return &c.Attempts }),
		number("open_attempts", func(c *s) *int { return &c.OpenAttempts }),
		settings.Duration("open_timeout", bound, func(c *s) *time.Duration { return &c.OpenTimeout }, std),
		settings.Duration("ping_timeout", care, func(c *s) *time.Duration { return &c.PingTimeout }, std, inline),
		settings.Duration("reset_timeout", care, func(c *s) *time.Duration { return &c.ResetTimeout }, std, inline),
		settings.Duration("close_timeout", care, func(c *s) *time.Duration { return &c.CloseTimeout }, std, inline),
		settings.Enum("reset", func(c *s) *sqldriver.ResetMode { return &c.Reset },
			settings.Word[sqldriver.ResetMode]{Text: "rollback", Value: sqldriver.Rollback},
			settings.Word[sqldriver.ResetMode]{Text: "commit", Value: sqldriver.Commit},
			settings.Word[sqldriver.ResetMode]{Text: "none", Value: sqldriver.NoReset}),
		settings.Enum("dropped", func(c *s) *pool.Dropped { return &c.Dropped },
			settings.Word[pool.Dropped]{Text: "discard", Value: pool.DiscardDropped},
			settings.Word[pool.Dropped]{Text: "keep", Value: pool.KeepDropped},
			settings.Word[pool.Dropped]{Text: "ignore", Value: pool.IgnoreDropped}),
		settings.Bool("stacks", func(c *s) *bool { return &c.Stacks }),
	}
	for i := range all {
		all[i].OmitZero = true // reading starts from the zero Settings
	}
	return all
}

// SettingKeys lists the names that settings have in a DSN: pool_strategy, pool_size and so on.
func SettingKeys() []string {
	keys := strategies.QueryKeys()
	for _, f := range fields() {
		keys = append(keys, settingPrefix+f.Key)
	}
	return keys
}

// ParseSettings reads settings as they stand in a DSN:
// pool_strategy=queue&pool_size=5&pool_max_age=1h. The error tells all that is wrong, and for an
// unknown name the nearest one.
func ParseSettings(text string) (Settings, error) {
	var s Settings
	return s, s.UnmarshalText([]byte(text))
}

// SettingsFromEnv reads environment variables, with lookup mostly os.LookupEnv: prefix and then
// STRATEGY, SIZE, MAX_AGE and so on. It reports false if none is set. An empty
// variable counts as not set. A misspelled name cannot be noticed.
func SettingsFromEnv(lookup func(name string) (string, bool), prefix string) (Settings, bool, error) {
	query := url.Values{}
	called := func(key string) string { return prefix + strings.ToUpper(strings.TrimPrefix(key, settingPrefix)) }
	for key, text := range settings.Env(lookup, SettingKeys(), called) {
		query.Set(key, text)
	}
	s, err := Settings{}.with(query)
	if err != nil {
		return Settings{}, true, fmt.Errorf("manage: environment variables %s…: %w", prefix, err)
	}
	return s, len(query) > 0, nil
}

// with returns s with the settings of a query laid over it. Every key of the query
// must be a setting.
func (s Settings) with(query url.Values) (Settings, error) {
	var errs []error
	strategy, err := layStrategy(s.Strategy, query)
	errs = append(errs, err)
	table := fields()
	keys := make([]string, len(table))
	for i, f := range table {
		keys[i] = f.Key
	}
	rest := maps.Clone(query)
	given, err := settings.TakeQuery(rest, keys, func(key string) string { return settingPrefix + key })
	errs = append(errs, err)
	err = settings.Lay(&s, table, given, func(f settings.Field[Settings], text string) error {
		return &pool.OptionError{Field: settingPrefix + f.Key, Value: fmt.Sprintf("%.64q", text), Remedy: f.Want}
	}, nil)
	errs = append(errs, err)
	known := strategies.QueryKeys()
	for _, key := range slices.Sorted(maps.Keys(rest)) {
		if !slices.Contains(known, key) {
			errs = append(errs, fmt.Errorf("setting %.64q: %s", key, settings.Unknown(key, SettingKeys())))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return Settings{}, err
	}
	s.Strategy = strategy
	return s, nil
}

// effective is s with the defaults that a pool has in place of zeros.
func (s Settings) effective() Settings {
	if s.Strategy == (strategies.Config{}) {
		s.Strategy, _ = strategies.Defaults("queue")
	}
	if s.Reset == "" {
		s.Reset = sqldriver.Rollback
	}
	return s
}

// layStrategy lays the parts of a query that speak of the strategy over base; if
// they name another kind, over that kind's defaults.
func layStrategy(base strategies.Config, query url.Values) (strategies.Config, error) {
	keys := strategies.QueryKeys()
	given := slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return query[key] == nil })
	if len(given) == 0 {
		return base, nil
	}
	merged := url.Values{}
	if name := query.Get(keys[0]); base.Kind != "" && (name == "" || name == base.Kind) {
		var err error
		if merged, err = base.Query(); err != nil {
			return base, err
		}
	}
	for _, key := range given {
		merged[key] = slices.Clone(query[key])
	}
	c, _, err := strategies.FromQuery(merged)
	return c, err
}

// texts is every setting as a text, by its name in a DSN.
func (s Settings) texts() map[string]string {
	all := map[string]string{}
	q, _ := s.Strategy.Query()
	for key := range q {
		all[key] = q.Get(key)
	}
	for _, f := range fields() {
		all[settingPrefix+f.Key] = f.Text(&s)
	}
	return all
}

// String is s as ParseSettings reads it, without what is zero.
func (s Settings) String() string {
	var pairs []settings.Pair
	if q, err := s.Strategy.Query(); err == nil {
		for _, key := range strategies.QueryKeys() {
			if q.Has(key) {
				pairs = append(pairs, settings.Pair{Key: key, Value: q.Get(key)})
			}
		}
	}
	for _, p := range settings.Pairs(&s, fields()) {
		pairs = append(pairs, settings.Pair{Key: settingPrefix + p.Key, Value: p.Value})
	}
	return settings.QueryText(pairs)
}

// MarshalText is String, or an error if s is not valid.
func (s Settings) MarshalText() ([]byte, error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	return []byte(s.String()), nil
}

// UnmarshalText is ParseSettings.
func (s *Settings) UnmarshalText(text []byte) error {
	query, err := url.ParseQuery(string(text))
	if err != nil {
		return fmt.Errorf("manage: settings %.64q: %w", text, err)
	}
	return s.read(query)
}

// UnmarshalJSON reads an object, with the names of a DSN without "pool_":
// {"strategy": "queue", "size": 5, "ping": true}; or a string, as ParseSettings does.
func (s *Settings) UnmarshalJSON(data []byte) error {
	data = bytes.TrimSpace(data)
	switch {
	case string(data) == "null":
		return nil
	case bytes.HasPrefix(data, []byte(`"`)):
		var text string
		if err := json.Unmarshal(data, &text); err != nil {
			return fmt.Errorf("manage: settings: %w", err)
		}
		return s.UnmarshalText([]byte(text))
	}
	given, err := settings.JSON(data)
	if err != nil {
		return fmt.Errorf("manage: settings: %w", err)
	}
	query := url.Values{}
	for key, text := range given {
		query.Set(settingPrefix+key, text)
	}
	return s.read(query)
}

// read replaces s by what a query says, or leaves it alone if there is an error.
func (s *Settings) read(query url.Values) error {
	got, err := Settings{}.with(query)
	if err != nil {
		return fmt.Errorf("manage: settings: %w", err)
	}
	*s = got
	return nil
}

// validate reports what of a literal no text could say.
func (s Settings) validate() error {
	var errs []error
	if s.Strategy != (strategies.Config{}) {
		errs = append(errs, s.Strategy.Validate())
	}
	for _, f := range fields() {
		if !f.Valid(&s) {
			errs = append(errs, &pool.OptionError{Field: settingPrefix + f.Key, Value: f.Text(&s), Remedy: f.Want})
		}
	}
	return errors.Join(errs...)
}

// poolOptions is s in the terms of package pool.
func (s Settings) poolOptions() pool.Options {
	return pool.Options{
		Name: s.Name, MaxAge: s.MaxAge, Ping: s.Ping, PingAfter: s.PingAfter,
		Attempts: s.Attempts, OpenAttempts: s.OpenAttempts,
		OpenTimeout: s.OpenTimeout, PingTimeout: s.PingTimeout,
		ResetTimeout: s.ResetTimeout, CloseTimeout: s.CloseTimeout,
		Dropped: s.Dropped, Stacks: s.Stacks,
	}
}
