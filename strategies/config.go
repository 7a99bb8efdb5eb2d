package strategies

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

	"github.com/lidopool/lido/internal/settings"
	"github.com/lidopool/lido/pool"
)

// Config is a strategy chosen by name. New makes the strategy.
//
// A Go literal says exactly what it means: zeros are zeros. A text says only what
// differs from Defaults of its kind, and "queue" if it names no kind. The same
// settings can be read and written as
//
//   - a config string, queue?size=5&max_overflow=10&timeout=30s, by Parse, String,
//     MarshalText and UnmarshalText (so flag.TextVar works)
//   - JSON, {"kind": "queue", "size": 5, "max_overflow": "unlimited"}
//   - YAML, with any library that knows MarshalYAML and UnmarshalYAML(func(any) error)
//   - parts of a URL query, pool_strategy=queue&pool_size=5, by FromQuery and Query
//   - environment variables, LIDO_STRATEGY=queue, LIDO_SIZE=5, by FromEnv and Environ
//   - whatever else has values by name, by FromTexts
//
// Where JSON or YAML has a string instead of an object, it is a config string. A key
// given twice, an unknown key, and an option that the kind does not use are errors. Reading
// replaces a Config as a whole, or leaves it alone if there is an error;
// writing one that is not valid is an error. What is read is valid,
// and a valid Config is written to a text that reads as the same Config.
type Config struct {
	// Kind is one of Kinds.
	Kind string `json:"kind" yaml:"kind"`

	// Size is Queue.Size or Singleton.Size.
	Size int `json:"size" yaml:"size"`
	// MaxOverflow is Queue.MaxOverflow. It must be 0 where Size is pool.Unlimited, and is then
	// 0 also in a text that does not name it.
	MaxOverflow int `json:"max_overflow" yaml:"max_overflow"`
	// Max is Null.Max. This and the other numbers are pool.Unlimited in Go
	// where texts say "unlimited".
	Max int `json:"max" yaml:"max"`
	// Timeout is that of every kind but assertion. Texts say "unlimited" for 0,
	// by which only the ctx of Acquire limits the wait, and "0s" for NoWait.
	Timeout time.Duration `json:"timeout" yaml:"timeout"`
	// MaxWaiters is that of queue, null and singleton. The zero is left out of texts.
	MaxWaiters int `json:"max_waiters" yaml:"max_waiters"`
	// Order is Queue.Order. The empty one means Affine too, and is left out of texts.
	Order Order `json:"order" yaml:"order"`
	// Fairness is Queue.Fairness. The empty one means Strict too, and is left out of texts.
	Fairness Fairness `json:"fairness" yaml:"fairness"`
	// Shed is Queue.Shed.
	Shed bool `json:"shed" yaml:"shed"`
	// Shares is Queue.Shares. The empty one is left out of texts.
	Shares Shares `json:"shares" yaml:"shares"`
	// Linger is Queue.Linger. The zero is left out of texts.
	Linger time.Duration `json:"linger" yaml:"linger"`
	// NoStack is Assertion.NoStack.
	NoStack bool `json:"no_stack" yaml:"no_stack"`
}

const (
	kindKey   = "kind"
	unlimited = "unlimited"
)

// New makes the strategy that c describes, as a plain value such as Queue{Size: 5}.
// Its errors are those of Validate. The zero Config has no kind and is an error: set
// Kind and what the kind needs, or start from Defaults("queue").
func New(c Config) (pool.Strategy, error) {
	k, err := c.valid(plain)
	if err != nil {
		return nil, err
	}
	return k.build(c), nil
}

// Validate reports all that is wrong with c, one line each: a kind that is none
// of Kinds, a value out of range (a *pool.OptionError), an option that the kind does
// not use yet is not zero.
func (c Config) Validate() error {
	_, err := c.valid(plain)
	return err
}

// valid is the kind of c, and what is wrong with c, in which options are called by their
// names in the text that c comes from.
func (c Config) valid(called naming) (kind, error) {
	k, err := kindOf(c.Kind, called)
	if err != nil {
		return k, err
	}
	own := keysOf(k.options, plain)
	var errs []error
	for _, f := range k.options {
		if !f.Valid(&c) {
			errs = append(errs, &pool.OptionError{Field: k.label(f.Key, called), Value: f.Text(&c), Remedy: f.Want})
		}
	}
	for _, f := range allOptions() {
		if !f.IsZero(&c) && !slices.Contains(own, f.Key) {
			errs = append(errs, k.unused(f.Key, called))
		}
	}
	if k.check != nil {
		errs = append(errs, k.check(c, called))
	}
	return k, errors.Join(errs...)
}

// Parse reads a config string: a kind, then perhaps a question mark and options as in a
// URL query.
func Parse(text string) (Config, error) {
	kind, query, _ := strings.Cut(text, "?")
	// A DSN given by mistake may hold a password, which no error may show.
	if strings.ContainsAny(kind, ":/@") {
		return Config{}, errors.New(`strategies: config: begins like a DSN; give a kind and its options, as in "queue?size=5"`)
	}
	q, err := url.ParseQuery(query)
	if err != nil {
		return Config{}, fmt.Errorf("strategies: config: %w", err)
	}
	given, err := settings.TakeQuery(q, slices.Sorted(maps.Keys(q)), plain)
	if err != nil {
		return Config{}, fmt.Errorf("strategies: config: %w", err)
	}
	if _, ok := given[kindKey]; ok {
		return Config{}, errors.New(`strategies: config: the kind stands before the question mark, as in "queue?size=5"`)
	}
	return readKind(kind, given, plain, nil)
}

// String is c as a config string. It writes also what is not valid.
func (c Config) String() string {
	var used []settings.Field[Config]
	k, _ := kindOf(c.Kind, plain)
	own := keysOf(k.options, plain)
	for _, f := range allOptions() {
		if slices.Contains(own, f.Key) || !f.IsZero(&c) {
			used = append(used, f)
		}
	}
	query := settings.QueryText(settings.Pairs(&c, used))
	if query == "" {
		return c.Kind
	}
	return c.Kind + "?" + query
}

// MarshalText writes c as a config string.
func (c Config) MarshalText() ([]byte, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return []byte(c.String()), nil
}

// UnmarshalText reads a config string, as Parse does.
func (c *Config) UnmarshalText(text []byte) error { return c.set(Parse(string(text))) }

// MarshalJSON writes c as an object with the options of its kind. The zero Config is null.
func (c Config) MarshalJSON() ([]byte, error) {
	pairs, err := c.pairs()
	if err != nil || pairs == nil {
		return []byte("null"), err
	}
	return settings.JSONText(pairs)
}

// UnmarshalJSON reads an object, or a string that holds a config string. A null says
// nothing and changes nothing.
func (c *Config) UnmarshalJSON(data []byte) error {
	switch {
	case string(data) == "null":
		return nil
	case bytes.HasPrefix(data, []byte(`"`)):
		var text string
		if err := json.Unmarshal(data, &text); err != nil {
			return fmt.Errorf("strategies: config: %w", err)
		}
		return c.set(Parse(text))
	}
	given, err := settings.JSON(data)
	if err != nil {
		return fmt.Errorf("strategies: config: %w", err)
	}
	return c.set(read(given, plain))
}

// MarshalYAML returns a map of the options of c's kind, for a YAML library to write. The
// zero Config is nil.
func (c Config) MarshalYAML() (any, error) {
	pairs, err := c.pairs()
	if err != nil || pairs == nil {
		return nil, err
	}
	return settings.Map(pairs), nil
}

// UnmarshalYAML reads a mapping, or a string that holds a config string. The kind null
// needs quotes in YAML, where the bare word means nothing at all; without them it is an error
// as a value, while a document null changes nothing.
func (c *Config) UnmarshalYAML(unmarshal func(any) error) error {
	var doc any
	if err := unmarshal(&doc); err != nil {
		return err
	}
	switch doc := doc.(type) {
	case nil:
		return nil
	case string:
		return c.set(Parse(doc))
	}
	given, err := settings.YAML(doc)
	if err != nil {
		return fmt.Errorf("strategies: config: %w", err)
	}
	return c.set(read(given, plain))
}

// FromQuery reads the parts of a URL query that are QueryKeys and takes them out of q,
// so that a driver given the rest does not stumble over them. It reports false if there are
// none. All else stays, keys that begin with "pool_" and are not known here included: they
// are for the caller to know or to refuse.
func FromQuery(q url.Values) (c Config, found bool, err error) {
	given, err := settings.TakeQuery(q, allKeys(), queryKey)
	if err != nil {
		return Config{}, true, fmt.Errorf("strategies: config: %w", err)
	}
	if len(given) == 0 {
		return Config{}, false, nil
	}
	c, err = read(given, queryKey)
	return c, true, err
}

// QueryKeys lists the keys that FromQuery takes: pool_strategy, pool_size and so on.
func QueryKeys() []string {
	return append([]string{queryKey(kindKey)}, keysOf(allOptions(), queryKey)...)
}

// Query writes c as the parts of a URL query that FromQuery reads.
func (c Config) Query() (url.Values, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	pairs, _ := c.pairs()
	q := url.Values{}
	for _, p := range pairs {
		q.Set(queryKey(p.Key), fmt.Sprint(p.Value))
	}
	return q, nil
}

// FromEnv reads environment variables, with lookup mostly os.LookupEnv: prefix and then STRATEGY,
// SIZE, MAX_OVERFLOW, MAX, TIMEOUT, MAX_WAITERS, ORDER, FAIRNESS, SHED, SHARES, LINGER, NO_STACK. It reports false if none is
// set. An empty variable counts as not set. A misspelled name cannot be noticed.
func FromEnv(lookup func(name string) (string, bool), prefix string) (Config, bool, error) {
	name := func(key string) string { return prefix + strings.ToUpper(key) }
	return FromTexts(settings.Filled(lookup), name)
}

// FromTexts reads what lookup knows by name, where name says what the keys "strategy", "size",
// "max_overflow", "max", "timeout", "max_waiters", "order", "fairness", "shed", "shares", "linger" and "no_stack" are called there; errors use
// those names too. It reports false if lookup knows none. It is for texts that have names of
// their own, such as flags or a section of a larger file.
func FromTexts(lookup func(name string) (string, bool), name func(key string) string) (Config, bool, error) {
	called := func(key string) string { return name(outside(key)) }
	given := settings.Lookup(lookup, allKeys(), called)
	if len(given) == 0 {
		return Config{}, false, nil
	}
	c, err := read(given, called)
	return c, true, err
}

// Environ writes c as the environment variables that FromEnv reads, each in the form
// NAME=value, as os.Environ and exec.Cmd have them.
func (c Config) Environ(prefix string) ([]string, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	pairs, _ := c.pairs()
	name := envName(prefix)
	var env []string
	for _, p := range pairs {
		env = append(env, fmt.Sprint(name(p.Key), "=", p.Value))
	}
	return env, nil
}

// naming turns a key into the name it has in one form of text.
type naming = func(key string) string

func plain(key string) string { return key }

func queryKey(key string) string { return "pool_" + outside(key) }

func envName(prefix string) naming {
	return func(key string) string { return prefix + strings.ToUpper(outside(key)) }
}

// outside is what a key is called among settings of other things, where "kind" would
// not say of what.
func outside(key string) string {
	if key == kindKey {
		return "strategy"
	}
	return key
}

// allKeys lists all keys of a config, the kind's first.
func allKeys() []string { return append([]string{kindKey}, keysOf(allOptions(), plain)...) }

func keysOf(fields []settings.Field[Config], called naming) []string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = called(f.Key)
	}
	return names
}

// read makes a Config of what a text gives, by key, the kind among them.
func read(given map[string]string, called naming) (Config, error) {
	name := given[kindKey]
	delete(given, kindKey)
	return readKind(name, given, called, []string{called(kindKey)})
}

// readKind makes a Config of a kind and what a text gives, by key, laid over the defaults of
// that kind. Errors call each key what it was called in the text, where the keys in also
// would have been known too.
func readKind(name string, given map[string]string, called naming, also []string) (Config, error) {
	if name == "" {
		name = defaultKind
	}
	k, err := kindOf(name, called)
	if err != nil {
		return Config{}, err
	}
	c := k.defaults
	err = settings.Lay(&c, k.options, given,
		func(f settings.Field[Config], text string) error {
			return &pool.OptionError{Field: k.label(f.Key, called), Value: quote(text), Remedy: f.Want}
		},
		func(key string) error { return k.refuse(key, called, also) })
	if k.adapt != nil {
		k.adapt(&c, given)
	}
	if err == nil {
		_, err = c.valid(called)
	}
	if err != nil {
		return Config{}, err
	}
	return c, nil
}

// set takes over what was read, unless there was an error.
func (c *Config) set(got Config, err error) error {
	if err == nil {
		*c = got
	}
	return err
}

// pairs is what is written of a valid c; nil for the zero Config.
func (c Config) pairs() ([]settings.Pair, error) {
	if c == (Config{}) {
		return nil, nil
	}
	k, err := c.valid(plain)
	if err != nil {
		return nil, err
	}
	kind := settings.String(kindKey, func(c *Config) *string { return &c.Kind })
	return settings.Pairs(&c, append([]settings.Field[Config]{kind}, k.options...)), nil
}

// quote makes a piece of a text safe to print on one line, and not too long.
func quote(text string) string { return fmt.Sprintf("%.64q", text) }
