package manage

import (
	"cmp"
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
// Options.Settings; and from texts:
//
//   - a query, pool_size=5&pool_max_age=1h, by ParseSettings, String, MarshalText and
//     UnmarshalText (so flag.TextVar works)
//   - JSON, {"size": 5, "max_age": "1h"}
//   - YAML, with any library that knows MarshalYAML and UnmarshalYAML(func(any) error)
//   - environment variables, LIDO_SIZE=5, LIDO_MAX_AGE=1h, by SettingsFromEnv
//
// In JSON, YAML and the environment the names are those of a DSN without pool_. A name
// given twice and an unknown name are errors. Reading replaces Settings as
// a whole, or leaves them alone if there is an error.
//
// The zero value is that of all defaults.
type Settings struct {
	// Strategy is who waits for which connection. The zero Config is a queue with its
	// defaults: size 5, 10 more in overflow, 30 s.
	Strategy strategies.Config
	// Name is pool.Options.Name. Default: the pool's Key, redacted.
	Name string
	// Preset sets several others at once, to what suits what stands before the database.
	Preset Preset
	// Reset is what becomes of a transaction left open. Default rollback.
	Reset sqldriver.ResetMode
	// Statements is how many prepared statements that nobody uses each connection keeps, for
	// when their texts come again. Those used longest ago are closed first. Zero means 64, which
	// is arbitrary. More cost memory, here and in the server. NoStatements keeps none; AsText prepares none.
	Statements int

	// The others are those of pool.Options, of the same names.

	MaxAge        time.Duration
	MaxIdle       time.Duration
	MinIdle       int
	KeepAlive     time.Duration
	Jitter        int
	Ping          bool
	PingAfter     time.Duration
	Attempts      int
	OpenAttempts  int
	OpensAtOnce   int
	OpenInterval  time.Duration
	Backoff       time.Duration
	BackoffMax    time.Duration
	OnOpenFailure pool.OpenFailure
	OpenTimeout   time.Duration
	PingTimeout   time.Duration
	ResetTimeout  time.Duration
	CloseTimeout  time.Duration
	HungClose     pool.HungClose
	// Dropped is also what happens to a Conn that is dropped without Close.
	Dropped pool.Dropped
	Stacks  bool
}

// Values of Settings.Statements.
const (
	// NoStatements: none is kept. Each holder of a connection prepares what it uses.
	NoStatements = -1
	// AsText: none is prepared, if the driver can do without. What a program prepares is sent as a
	// text each time, and a mistake in it is found when it is executed. For poolers that give
	// each transaction another connection of the server.
	AsText = -2
)

// Preset is a name for several settings.
type Preset string

// TransactionPooler is for a pooler before the database that gives each transaction another
// connection of the server, as PgBouncer does in its mode transaction. The strategy is null unless
// another is given, no connection is pinged, statements go as texts, and the reset is a rollback.
// What contradicts that is refused; and so is a DSN by which the driver would do what such a pooler
// breaks, if the backend can tell.
const TransactionPooler Preset = "transaction-pooler"

// fields are all settings but the strategy's, in the order in which they are written.
func fields() []settings.Field[Settings] {
	type s = Settings
	const (
		count = `give 1 to 1000000, or "default"`
		bound = `give a positive duration such as "5s", or "default"`
		care  = bound + `, or "inline" for a call that cannot hang`
	)
	std := settings.Word[time.Duration]{Text: "default", Value: 0}
	unlimited := settings.Word[time.Duration]{Text: "unlimited", Value: 0}
	inline := settings.Word[time.Duration]{Text: "inline", Value: pool.Inline}
	number := func(key string, at func(*s) *int) settings.Field[s] {
		return settings.Int(key, count, at, 1, 1_000_000, settings.Word[int]{Text: "default", Value: 0})
	}
	all := []settings.Field[s]{
		settings.String("name", func(c *s) *string { return &c.Name }),
		settings.Duration("max_age", `give a duration such as "1h", or "unlimited"`,
			func(c *s) *time.Duration { return &c.MaxAge }, unlimited),
		settings.Duration("max_idle", `give a duration such as "10m", or "unlimited"`,
			func(c *s) *time.Duration { return &c.MaxIdle }, unlimited),
		settings.Int("min_idle", "give 0 to 1000000", func(c *s) *int { return &c.MinIdle }, 0, 1_000_000),
		settings.Duration("keep_alive", `give a duration such as "2m", or "never"`,
			func(c *s) *time.Duration { return &c.KeepAlive }, settings.Word[time.Duration]{Text: "never", Value: 0}),
		settings.Int("jitter", `give 1 to 100 (per cent), "none" or "default"`, func(c *s) *int { return &c.Jitter }, 1, 100,
			settings.Word[int]{Text: "none", Value: pool.NoJitter}, settings.Word[int]{Text: "default", Value: 0}),
		settings.Bool("ping", func(c *s) *bool { return &c.Ping }),
		settings.Duration("ping_after", `give a duration such as "30s"`,
			func(c *s) *time.Duration { return &c.PingAfter }),
		number("attempts", func(c *s) *int { return &c.Attempts }),
		number("open_attempts", func(c *s) *int { return &c.OpenAttempts }),
		settings.Int("opens_at_once", count+`, or "unlimited"`, func(c *s) *int { return &c.OpensAtOnce }, 1, 1_000_000,
			settings.Word[int]{Text: "default", Value: 0}, settings.Word[int]{Text: "unlimited", Value: pool.Unlimited}),
		settings.Duration("open_interval", `give a duration such as "20ms"`,
			func(c *s) *time.Duration { return &c.OpenInterval }),
		settings.Duration("backoff", bound+`, or "none"`, func(c *s) *time.Duration { return &c.Backoff }, std,
			settings.Word[time.Duration]{Text: "none", Value: pool.NoBackoff}),
		settings.Duration("backoff_max", bound, func(c *s) *time.Duration { return &c.BackoffMax }, std),
		settings.Enum("on_open_failure", func(c *s) *pool.OpenFailure { return &c.OnOpenFailure },
			settings.Word[pool.OpenFailure]{Text: "fail", Value: pool.FailWaiting},
			settings.Word[pool.OpenFailure]{Text: "wait", Value: pool.KeepWaiting}),
		settings.Duration("open_timeout", care, func(c *s) *time.Duration { return &c.OpenTimeout }, std, inline),
		settings.Duration("ping_timeout", care, func(c *s) *time.Duration { return &c.PingTimeout }, std, inline),
		settings.Duration("reset_timeout", care, func(c *s) *time.Duration { return &c.ResetTimeout }, std, inline),
		settings.Duration("close_timeout", care, func(c *s) *time.Duration { return &c.CloseTimeout }, std, inline),
		settings.Enum("hung_close", func(c *s) *pool.HungClose { return &c.HungClose },
			settings.Word[pool.HungClose]{Text: "keep_seat", Value: pool.KeepSeat},
			settings.Word[pool.HungClose]{Text: "free_seat", Value: pool.FreeSeat}),
		settings.Enum("preset", func(c *s) *Preset { return &c.Preset },
			settings.Word[Preset]{Text: string(TransactionPooler), Value: TransactionPooler}, settings.Word[Preset]{Text: "none", Value: ""}),
		settings.Int("statements", `give 1 to 10000, "none", "text" or "default"`, func(c *s) *int { return &c.Statements }, 1, 10_000,
			settings.Word[int]{Text: "none", Value: NoStatements}, settings.Word[int]{Text: "text", Value: AsText}, settings.Word[int]{Text: "default", Value: 0}),
		settings.Enum("reset", func(c *s) *sqldriver.ResetMode { return &c.Reset },
			settings.Word[sqldriver.ResetMode]{Text: "rollback", Value: sqldriver.Rollback},
			settings.Word[sqldriver.ResetMode]{Text: "commit", Value: sqldriver.Commit},
			settings.Word[sqldriver.ResetMode]{Text: "full", Value: sqldriver.Full},
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
func SettingKeys() []string { return namesOf(settingKeys(), inQuery) }

// settingKeys lists the names without what is put before them.
func settingKeys() []string {
	keys := strategyKeys()
	for _, f := range fields() {
		keys = append(keys, f.Key)
	}
	return keys
}

// strategyKeys are those of the settings that make up Settings.Strategy.
func strategyKeys() []string {
	keys := strategies.QueryKeys()
	for i := range keys {
		keys[i] = strings.TrimPrefix(keys[i], settingPrefix)
	}
	return keys
}

// naming turns the key of a setting into the name it has in one form of text.
type naming = func(key string) string

func inQuery(key string) string { return settingPrefix + key }

func plain(key string) string { return key }

func namesOf(keys []string, called naming) []string {
	names := make([]string, len(keys))
	for i, key := range keys {
		names[i] = called(key)
	}
	return names
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
	called := func(key string) string { return prefix + strings.ToUpper(key) }
	given := settings.Lookup(settings.Filled(lookup), settingKeys(), called)
	s, err := Settings{}.with(given, called)
	if err != nil {
		return Settings{}, true, fmt.Errorf("manage: environment variables %s…: %w", prefix, err)
	}
	return s, len(given) > 0, nil
}

// withQuery is with for the settings in a query, which must hold nothing else.
func (s Settings) withQuery(query url.Values) (Settings, error) {
	rest := maps.Clone(query)
	given, err := settings.TakeQuery(rest, settingKeys(), inQuery)
	errs := []error{err}
	for _, name := range slices.Sorted(maps.Keys(rest)) {
		errs = append(errs, unknown(name, inQuery))
	}
	s, err = s.with(given, inQuery)
	if err := errors.Join(append(errs, err)...); err != nil {
		return Settings{}, err
	}
	return s, nil
}

// with returns s with what is given, by key, laid over it. Errors call each key what it is
// called in the text that it was read from.
func (s Settings) with(given map[string]string, called naming) (Settings, error) {
	if name := given["preset"]; name != "" && name != string(s.Preset) {
		// What lies under it was meant for another place.
		s.Strategy, s.Ping, s.PingAfter, s.KeepAlive, s.MinIdle = strategies.Config{}, false, 0, 0, 0
		s.Reset, s.Statements = "", 0
	}
	strategy, err := layStrategy(s.Strategy, given, called)
	errs := []error{err}
	rest := maps.Clone(given)
	for _, key := range strategyKeys() {
		delete(rest, key)
	}
	errs = append(errs, settings.Lay(&s, fields(), rest,
		func(f settings.Field[Settings], text string) error {
			return &pool.OptionError{Field: called(f.Key), Value: fmt.Sprintf("%.64q", text), Remedy: f.Want}
		},
		func(key string) error { return unknown(key, called) }))
	_, ping := given["ping"]
	_, after := given["ping_after"]
	if ping && !after && !s.Ping {
		s.PingAfter = 0 // of what lies under a DSN that turns the ping off
	}
	_, first := given["backoff"]
	if _, longest := given["backoff_max"]; first || longest {
		errs = append(errs, s.checkBackoff(called))
	}
	_, idle := given["min_idle"]
	switch keep := kept(strategy); {
	case err != nil || keep == pool.Unlimited || s.MinIdle <= keep:
	case idle:
		errs = append(errs, fmt.Errorf("%s is %d: give %d at most, which is what the strategy keeps", called("min_idle"), s.MinIdle, keep))
	case strategy != s.Strategy:
		s.MinIdle = keep // of what lies under a DSN that asks for another strategy
	}
	if ping || after { // else it is a literal's, where the names are Go's
		errs = append(errs, s.checkPing(called))
	}
	errs = append(errs, s.checkPreset(called))
	if err := errors.Join(errs...); err != nil {
		return Settings{}, err
	}
	s.Strategy = strategy
	return s, nil
}

// checkPreset refuses what a preset rules out.
func (s Settings) checkPreset(called naming) error {
	if s.Preset == "" {
		return nil
	}
	var errs []error
	refuse := func(wrong bool, key, remedy string) {
		if wrong {
			errs = append(errs, fmt.Errorf("%s: not with %s=%s: %s", called(key), called("preset"), s.Preset, remedy))
		}
	}
	const slot = "each ping would take a connection of the server, and wait for one under load: leave it out"
	refuse(s.Ping, "ping", slot)
	refuse(s.KeepAlive > 0, "keep_alive", slot)
	refuse(s.Statements != 0 && s.Statements != AsText, "statements",
		"the next transaction may be on a connection of the server that does not know the statement: leave it out")
	refuse(s.Reset != "" && s.Reset != sqldriver.Rollback, "reset",
		"it would be of whatever connection of the server comes next: leave it out")
	return errors.Join(errs...)
}

// kept is how many idle connections a strategy keeps, for a while at least.
func kept(c strategies.Config) int {
	if c == (strategies.Config{}) {
		c, _ = strategies.Defaults("queue")
	}
	switch {
	case c.Kind == "null":
		return 0
	case c.Kind == "static", c.Kind == "assertion":
		return 1
	case c.Kind == "queue" && c.Linger > 0 && c.Size != pool.Unlimited && c.MaxOverflow != pool.Unlimited:
		return c.Size + c.MaxOverflow
	case c.Kind == "queue" && c.Linger > 0:
		return pool.Unlimited
	}
	return c.Size
}

// checkBackoff refuses a longest pause that is shorter than the first.
func (s Settings) checkBackoff(called naming) error {
	if first := s.effective().Backoff; s.BackoffMax > 0 && s.BackoffMax < first {
		return fmt.Errorf("%s is %v: give at least %s, %v", called("backoff_max"), s.BackoffMax, called("backoff"), first)
	}
	return nil
}

// checkPing refuses a limit to what does not happen.
func (s Settings) checkPing(called naming) error {
	if s.PingAfter > 0 && !s.Ping {
		return fmt.Errorf("%s needs %s=true", called("ping_after"), called("ping"))
	}
	return nil
}

// unknown is the error for a name that is no setting's. The names are compared without
// pool_, which they have in a DSN only and which would make unlike ones look near.
func unknown(name string, called naming) error {
	keys := settingKeys()
	key := settings.Nearest(strings.TrimPrefix(name, settingPrefix), keys)
	if strings.EqualFold(name, "kind") {
		key = "strategy" // what strategies.Config calls it
	}
	if key != "" {
		return fmt.Errorf("setting %.64q: unknown; did you mean %q?", name, called(key))
	}
	return fmt.Errorf("setting %.64q: unknown; known: %s", name, strings.Join(namesOf(keys, called), ", "))
}

// effective is s with the defaults that a pool has in place of zeros.
func (s Settings) effective() Settings {
	if s.Strategy == (strategies.Config{}) {
		kind := "queue"
		if s.Preset == TransactionPooler {
			kind = "null"
		}
		s.Strategy, _ = strategies.Defaults(kind)
	}
	if s.Statements == 0 {
		s.Statements = 64
		if s.Preset == TransactionPooler {
			s.Statements = AsText
		}
	}
	// Those of pool.Options, so that who says one aloud asks for nothing else.
	const bound = 5 * time.Second
	s.Reset = cmp.Or(s.Reset, sqldriver.Rollback)
	s.Jitter = cmp.Or(s.Jitter, 10)
	s.Backoff = cmp.Or(s.Backoff, 20*time.Millisecond)
	s.BackoffMax = cmp.Or(s.BackoffMax, max(time.Second, s.Backoff))
	if s.OpensAtOnce == 0 {
		s.OpensAtOnce = 4
		if s.Strategy.Kind == "null" || s.Strategy.Kind == "queue" && s.Strategy.Size == 0 {
			s.OpensAtOnce = pool.Unlimited
		}
	}
	s.Attempts, s.OpenAttempts = cmp.Or(s.Attempts, 3), cmp.Or(s.OpenAttempts, 1)
	s.OpenTimeout = cmp.Or(s.OpenTimeout, 30*time.Second)
	s.PingTimeout, s.ResetTimeout, s.CloseTimeout = cmp.Or(s.PingTimeout, bound), cmp.Or(s.ResetTimeout, bound), cmp.Or(s.CloseTimeout, bound)
	return s
}

// layStrategy lays what is given of the strategy over base; if that names another kind,
// over that kind's defaults.
func layStrategy(base strategies.Config, given map[string]string, called naming) (strategies.Config, error) {
	texts := map[string]string{} // by name
	for _, key := range strategyKeys() {
		if text, ok := given[key]; ok {
			texts[called(key)] = text
		}
	}
	if len(texts) == 0 {
		return base, nil
	}
	if name := given["strategy"]; base.Kind != "" && (name == "" || name == base.Kind) {
		under, err := base.Query()
		if err != nil {
			return base, err
		}
		if given["size"] == "unlimited" {
			under.Del(inQuery("max_overflow")) // for an unlimited size it must be 0, as it is by default
		}
		for _, key := range strategyKeys() {
			if _, ok := texts[called(key)]; !ok && under.Has(inQuery(key)) {
				texts[called(key)] = under.Get(inQuery(key))
			}
		}
	}
	lookup := func(name string) (string, bool) { text, ok := texts[name]; return text, ok }
	c, _, err := strategies.FromTexts(lookup, called)
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
	errs = append(errs, s.checkPing(inQuery), s.checkPreset(inQuery))
	return errors.Join(errs...)
}

// poolOptions is s in the terms of package pool.
func (s Settings) poolOptions() pool.Options {
	return pool.Options{
		Name: s.Name, MaxAge: s.MaxAge, MaxIdle: s.MaxIdle, MinIdle: s.MinIdle, KeepAlive: s.KeepAlive, Jitter: s.Jitter,
		Ping: s.Ping, PingAfter: s.PingAfter, Attempts: s.Attempts, OpenAttempts: s.OpenAttempts,
		OpensAtOnce: s.OpensAtOnce, OpenInterval: s.OpenInterval, Backoff: s.Backoff, BackoffMax: s.BackoffMax,
		OnOpenFailure: s.OnOpenFailure, HungClose: s.HungClose,
		OpenTimeout: s.OpenTimeout, PingTimeout: s.PingTimeout,
		ResetTimeout: s.ResetTimeout, CloseTimeout: s.CloseTimeout,
		Dropped: s.Dropped, Stacks: s.Stacks,
	}
}
