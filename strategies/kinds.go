package strategies

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lidopool/lido/internal/settings"
	"github.com/lidopool/lido/pool"
)

const (
	// defaultKind is what a text without a kind means.
	defaultKind = "queue"

	// SQLAlchemy's defaults, which have served its users for long.
	defaultSize     = 5
	defaultOverflow = 10
	defaultTimeout  = 30 * time.Second
)

// kind is a strategy as configurations know it.
type kind struct {
	defaults Config // what texts are laid over; names the kind
	options  []settings.Field[Config]
	// adapt fits defaults that were not overridden to what was given; nil: they always fit.
	adapt func(c *Config, given map[string]string)
	check func(c Config, called naming) error // what no option alone can tell; nil: nothing
	build func(Config) pool.Strategy
}

// kinds lists the strategies, in order of name. A new one is a new entry.
func kinds() []kind {
	return []kind{
		{
			defaults: Config{Kind: "assertion"},
			options:  []settings.Field[Config]{noStackField()},
			build:    func(c Config) pool.Strategy { return Assertion{NoStack: c.NoStack} },
		},
		{
			defaults: Config{Kind: "null", Max: pool.Unlimited, Timeout: defaultTimeout},
			options:  []settings.Field[Config]{maxField(1), timeoutField(), waitersField()},
			build:    func(c Config) pool.Strategy { return Null{Max: c.Max, Timeout: c.Timeout, MaxWaiters: c.MaxWaiters} },
		},
		{
			defaults: Config{Kind: "queue", Size: defaultSize, MaxOverflow: defaultOverflow, Timeout: defaultTimeout},
			options:  []settings.Field[Config]{sizeField(0), overflowField(0), timeoutField(), waitersField(), orderField(), fairnessField(), shedField(), sharesField(), lingerField()},
			adapt:    adaptQueue,
			check:    checkQueue,
			build: func(c Config) pool.Strategy {
				return Queue{Size: c.Size, MaxOverflow: c.MaxOverflow, Timeout: c.Timeout, MaxWaiters: c.MaxWaiters, Order: c.Order, Fairness: c.Fairness, Shed: c.Shed, Shares: c.Shares, Linger: c.Linger}
			},
		},
		{
			defaults: Config{Kind: "singleton", Size: defaultSize, Timeout: defaultTimeout},
			options:  []settings.Field[Config]{sizeField(1), timeoutField(), waitersField()},
			build: func(c Config) pool.Strategy {
				return Singleton{Size: c.Size, Timeout: c.Timeout, MaxWaiters: c.MaxWaiters}
			},
		},
		{
			defaults: Config{Kind: "static", Timeout: defaultTimeout},
			options:  []settings.Field[Config]{timeoutField()},
			build:    func(c Config) pool.Strategy { return Static{Timeout: c.Timeout} },
		},
	}
}

// Kinds lists the names that Config.Kind may have, sorted.
func Kinds() []string {
	var names []string
	for _, k := range kinds() {
		names = append(names, k.defaults.Kind)
	}
	return names
}

// Defaults returns what a text that names this kind and nothing else means:
//
//	queue      size 5, max_overflow 10, timeout 30 s, Affine, Strict
//	singleton  size 5, timeout 30 s
//	null       max unlimited, timeout 30 s
//	static     timeout 30 s
//	assertion  the stack of the holder is kept
func Defaults(kind string) (Config, error) {
	k, err := kindOf(kind, plain)
	return k.defaults, err
}

// ConfigOf is the reverse of New. It reports false for a strategy that is not
// one of this package.
func ConfigOf(s pool.Strategy) (Config, bool) {
	switch s := s.(type) {
	case Assertion:
		return Config{Kind: "assertion", NoStack: s.NoStack}, true
	case Null:
		return Config{Kind: "null", Max: s.Max, Timeout: s.Timeout, MaxWaiters: s.MaxWaiters}, true
	case Queue:
		return Config{Kind: "queue", Size: s.Size, MaxOverflow: s.MaxOverflow, Timeout: s.Timeout, MaxWaiters: s.MaxWaiters, Order: s.Order, Fairness: s.Fairness, Shed: s.Shed, Shares: s.Shares, Linger: s.Linger}, true
	case Singleton:
		return Config{Kind: "singleton", Size: s.Size, Timeout: s.Timeout, MaxWaiters: s.MaxWaiters}, true
	case Static:
		return Config{Kind: "static", Timeout: s.Timeout}, true
	}
	return Config{}, false
}

// kindOf finds a kind by its name. The error says where the name was read.
func kindOf(name string, called naming) (kind, error) {
	for _, k := range kinds() {
		if k.defaults.Kind == name {
			return k, nil
		}
	}
	if name == "" {
		return kind{}, fmt.Errorf(`strategies: %s is empty: set one, or start from strategies.Defaults(%q)`, called(kindKey), defaultKind)
	}
	return kind{}, fmt.Errorf("strategies: %s %s: %s", called(kindKey), quote(name), settings.Unknown(name, Kinds()))
}

// label is what errors call an option: by the name it was given in a text, or with
// its kind where that name is plain.
func (k kind) label(key string, called naming) string {
	if name := called(key); name != key {
		return name
	}
	return k.defaults.Kind + " " + key
}

// refuse is the error for a key that is no option of k, though perhaps of another kind. also
// is what else could have stood there.
func (k kind) refuse(key string, called naming, also []string) error {
	if slices.Contains(keysOf(allOptions(), plain), key) {
		return k.unused(key, called)
	}
	known := slices.Concat(also, keysOf(k.options, called))
	return fmt.Errorf("strategies: option %s: %s", quote(called(key)), settings.Unknown(called(key), known))
}

// unused is the error for an option of another kind.
func (k kind) unused(key string, called naming) error {
	return fmt.Errorf("strategies: option %q: not used by %s, which has %s",
		called(key), k.defaults.Kind, strings.Join(keysOf(k.options, called), ", "))
}
