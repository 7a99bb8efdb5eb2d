package pool

import (
	"fmt"
	"log/slog"
	"time"
)

// Inline, given as a timeout, says that the call does no I/O and cannot hang: it has no
// deadline, and Ping and Reset run on the goroutine that acquires or releases. A bounded
// call runs on a goroutine of its own (about 2 µs and 9 allocations: BenchmarkPrice in
// bench), since a bound that the callee could ignore would be none.
const Inline time.Duration = -1

// Dropped says what becomes of a lease that its holder forgot to release, once the garbage
// collector finds it unreachable.
type Dropped uint8

const (
	// DiscardDropped closes the resource of a dropped lease and frees its seat. It is the
	// default: it can never hand a resource to a second owner while the first still has it.
	DiscardDropped Dropped = iota
	// KeepDropped resets the resource of a dropped lease and keeps it, as if it had been
	// released. It is safe only if whatever uses the resource also holds the lease; a
	// resource taken out of its lease by Value and used after the lease's last mention
	// would be lent again in mid-use.
	KeepDropped
	// IgnoreDropped leaves a dropped lease's seat taken, and costs nothing.
	IgnoreDropped
)

func (d Dropped) String() string {
	switch d {
	case DiscardDropped:
		return "DiscardDropped"
	case KeepDropped:
		return "KeepDropped"
	case IgnoreDropped:
		return "IgnoreDropped"
	}
	return fmt.Sprintf("Dropped(%d)", uint8(d))
}

// Options are the settings of a pool that do not depend on its strategy. The
// zero value is ready to use.
type Options struct {
	// Name names the pool in statistics, logs and errors. It must hold no
	// secret. Default "pool".
	Name string

	// Logger receives the pool's log: invalidations, failed pings and resources closed
	// because they were dead, retired, outdated or too old at Info; other opens and closes,
	// every checkout and return at Debug; misuse and dropped leases at Warn; failed
	// clean-up at Error. Nil, the default, logs nothing and costs nothing.
	Logger *slog.Logger

	// MaxAge is how long after its opening a resource is lent again; an older one is
	// replaced at its next checkout. 0: no limit. A small value means many opens. Costs one
	// clock read at each Acquire.
	MaxAge time.Duration

	// Ping checks a resource before it is lent, once per checkout, but not one opened
	// during that checkout. A resource that fails is replaced. Costs what Backend.Ping
	// costs, per Acquire; see PingAfter.
	Ping bool
	// PingAfter limits Ping to resources that have been idle at least this
	// long. 0: every checkout.
	PingAfter time.Duration

	// Attempts is how many resources one Acquire tries before it gives up, when ping or
	// checkout hooks find them dead. Default 3. The error is then an *AttemptsError with
	// the last cause.
	Attempts int

	// OpenAttempts is how often Backend.Open is called for one resource before
	// the open counts as failed. Default 1. The error is the last one.
	OpenAttempts int

	// OpenTimeout bounds one call of Backend.Open and the connect hooks after it. Default
	// 30 s. Inline is not allowed: opening is I/O.
	OpenTimeout time.Duration
	// PingTimeout bounds one Backend.Ping. Default 5 s. Inline: see there.
	PingTimeout time.Duration
	// ResetTimeout bounds Backend.Reset, and with it Release. Default 5 s.
	// Inline: see there.
	ResetTimeout time.Duration
	// CloseTimeout bounds how long anyone waits for Backend.Close. Default 5 s.
	// Inline: see there.
	CloseTimeout time.Duration

	// NoReset skips Backend.Reset when a resource is returned. Reset hooks
	// still run.
	NoReset bool

	// Dropped is what happens to leases dropped without Release.
	Dropped Dropped
	// Stacks records where and when each lease was acquired, for Pool.Held and the reports
	// of dropped leases, of those still out at Shutdown, and of misuse. Costs about 1 µs
	// per Acquire (BenchmarkPrice in bench).
	Stacks bool
}

const (
	defaultName        = "pool"
	defaultOpenTimeout = 30 * time.Second // SQLAlchemy's and HikariCP's figure for a whole acquire
	defaultCareTimeout = 5 * time.Second  // arbitrary: longer than any healthy round trip, shorter than patience
	defaultAttempts    = 3                // what SQLAlchemy's documentation promises
)

// withDefaults fills in what is zero and refuses what makes no sense.
func (o Options) withDefaults() (Options, error) {
	if o.Name == "" {
		o.Name = defaultName
	}
	for _, d := range []struct {
		name   string
		value  *time.Duration
		std    time.Duration
		zero   string // what 0 means
		inline bool
	}{
		{"MaxAge", &o.MaxAge, 0, "no limit", false},
		{"PingAfter", &o.PingAfter, 0, "every checkout", false},
		{"OpenTimeout", &o.OpenTimeout, defaultOpenTimeout, "the default", false},
		{"PingTimeout", &o.PingTimeout, defaultCareTimeout, "the default", true},
		{"ResetTimeout", &o.ResetTimeout, defaultCareTimeout, "the default", true},
		{"CloseTimeout", &o.CloseTimeout, defaultCareTimeout, "the default", true},
	} {
		switch v := *d.value; {
		case v == 0:
			*d.value = d.std
		case v == Inline && d.inline:
		case v < 0:
			remedy := "give a positive duration, or 0 for " + d.zero
			if d.inline {
				remedy += ", or pool.Inline"
			}
			return o, &OptionError{Field: d.name, Value: v, Remedy: remedy}
		}
	}
	for _, n := range []struct {
		name  string
		value *int
		std   int
	}{
		{"Attempts", &o.Attempts, defaultAttempts},
		{"OpenAttempts", &o.OpenAttempts, 1},
	} {
		if *n.value == 0 {
			*n.value = n.std
		}
		if *n.value < 0 {
			return o, &OptionError{Field: n.name, Value: *n.value, Remedy: "give 1 or more, or 0 for the default"}
		}
	}
	if o.Dropped > IgnoreDropped {
		return o, &OptionError{Field: "Dropped", Value: o.Dropped,
			Remedy: "give DiscardDropped, KeepDropped or IgnoreDropped"}
	}
	if o.PingAfter > 0 && !o.Ping {
		return o, &OptionError{Field: "PingAfter", Value: o.PingAfter, Remedy: "it needs Ping: true"}
	}
	return o, nil
}

// OptionError is a setting that cannot be used.
type OptionError struct {
	Field  string // as in Options, or in the strategy
	Value  any
	Remedy string
}

func (e *OptionError) Error() string {
	return fmt.Sprintf("pool: %s is %v: %s", e.Field, e.Value, e.Remedy)
}
