package strategies

import (
	"errors"
	"fmt"
	"time"

	"github.com/lidopool/lido/internal/settings"
	"github.com/lidopool/lido/pool"
)

// maxSeats bounds every number of seats or waiters that has a bound. Arbitrary: far above any
// sensible pool, low enough to catch a byte count or a port put in the wrong field.
const maxSeats = 1 << 20

// Each strategy's settings are checked by the table of its kind, so that a Config
// and a literal obey the same rules.

func (q Queue) validate() error     { return validate(q) }
func (s Singleton) validate() error { return validate(s) }
func (n Null) validate() error      { return validate(n) }
func (s Static) validate() error    { return validate(s) }
func (a Assertion) validate() error { return validate(a) }

func validate(s pool.Strategy) error {
	c, _ := ConfigOf(s)
	return c.Validate()
}

// adaptQueue leaves out the default overflow where nothing can be over the size.
func adaptQueue(c *Config, given map[string]string) {
	if _, ok := given["max_overflow"]; !ok && c.Size == pool.Unlimited {
		c.MaxOverflow = 0
	}
}

func checkQueue(c Config, called naming) error {
	return errors.Join(checkOverflow(c, called), checkShares(c, called))
}

func checkOverflow(c Config, called naming) error {
	switch {
	case c.Size == 0 && c.MaxOverflow == 0:
		return &pool.OptionError{Field: kind{defaults: c}.label("size", called), Value: 0,
			Remedy: fmt.Sprintf("with %s 0 too there is no seat; give 1 or more for either", called("max_overflow"))}
	case c.Size == pool.Unlimited && c.MaxOverflow != 0:
		return fmt.Errorf("strategies: option %q: not used by queue with %s unlimited, over which nothing can be: leave it out, or give 0",
			called("max_overflow"), called("size"))
	case c.Linger != 0 && (c.Size == pool.Unlimited || c.MaxOverflow == 0):
		return fmt.Errorf("strategies: option %q: not used by queue without overflow: leave it out, or give %s",
			called("linger"), called("max_overflow"))
	}
	return nil
}

func checkShares(c Config, called naming) error {
	if c.Shares == "" {
		return nil
	}
	_, remedy := c.Shares.percents()
	if remedy == "" && c.Fairness == Bounded {
		remedy = fmt.Sprintf("it needs %s strict: who passes by an open line has no class", called("fairness"))
	}
	if remedy == "" {
		return nil
	}
	return &pool.OptionError{Field: kind{defaults: c}.label("shares", called), Value: quote(string(c.Shares)), Remedy: remedy}
}

// allOptions are all there are: the union of those of every kind, in the order in
// which they are written. The ranges are the widest.
func allOptions() []settings.Field[Config] {
	return []settings.Field[Config]{sizeField(0), overflowField(0), maxField(0), timeoutField(), waitersField(), orderField(), fairnessField(), shedField(), sharesField(), lingerField(), noStackField()}
}

func sizeField(min int) settings.Field[Config] {
	return seatsField("size", min, func(c *Config) *int { return &c.Size })
}

func overflowField(min int) settings.Field[Config] {
	return seatsField("max_overflow", min, func(c *Config) *int { return &c.MaxOverflow })
}

func maxField(min int) settings.Field[Config] {
	return seatsField("max", min, func(c *Config) *int { return &c.Max })
}

// seatsField is a number of seats from min up, or unlimited.
func seatsField(key string, min int, at func(*Config) *int) settings.Field[Config] {
	want := fmt.Sprintf(`give %d to %d, or "unlimited" (in Go pool.Unlimited)`, min, maxSeats)
	return settings.Int(key, want, at, min, maxSeats, settings.Word[int]{Text: unlimited, Value: pool.Unlimited})
}

// timeoutField differs between Go and text where it must: the zero Timeout of a literal
// leaves the wait to ctx, while "0s" in a text keeps its plain meaning.
func timeoutField() settings.Field[Config] {
	return settings.Duration("timeout",
		`give a duration such as "30s", "0s" not to wait (in Go NoWait), or "unlimited" (in Go 0)`,
		func(c *Config) *time.Duration { return &c.Timeout },
		settings.Word[time.Duration]{Text: unlimited, Value: 0},
		settings.Word[time.Duration]{Text: "0s", Value: NoWait})
}

func waitersField() settings.Field[Config] {
	f := settings.Int("max_waiters", fmt.Sprintf("give 1 to %d, or 0 for no bound", maxSeats),
		func(c *Config) *int { return &c.MaxWaiters }, 0, maxSeats)
	f.OmitZero = true
	return f
}

func orderField() settings.Field[Config] {
	return settings.Enum("order", func(c *Config) *Order { return &c.Order },
		settings.Word[Order]{Text: string(Affine), Value: Affine},
		settings.Word[Order]{Text: string(LIFO), Value: LIFO},
		settings.Word[Order]{Text: string(FIFO), Value: FIFO})
}

func fairnessField() settings.Field[Config] {
	return settings.Enum("fairness", func(c *Config) *Fairness { return &c.Fairness },
		settings.Word[Fairness]{Text: string(Strict), Value: Strict},
		settings.Word[Fairness]{Text: string(Bounded), Value: Bounded})
}

func shedField() settings.Field[Config] {
	return settings.Bool("shed", func(c *Config) *bool { return &c.Shed })
}

// sharesField takes any text: checkQueue says what is wrong with it.
func sharesField() settings.Field[Config] {
	return settings.String("shares", func(c *Config) *Shares { return &c.Shares })
}

func lingerField() settings.Field[Config] {
	f := settings.Duration("linger", `give a duration such as "30s", or "0s" for none`, func(c *Config) *time.Duration { return &c.Linger })
	f.OmitZero = true
	return f
}

func noStackField() settings.Field[Config] {
	return settings.Bool("no_stack", func(c *Config) *bool { return &c.NoStack })
}
