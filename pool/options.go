package pool

import (
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Inline, given as a timeout, says that the call does no I/O and cannot hang: it has no
// deadline, and runs on the goroutine that acquires or releases, which a runtime.Goexit in it ends. A bounded
// call runs on a goroutine of its own (1 to 2 µs: BenchmarkPrice in
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

	// MaxAge is how long after its opening a resource is lent again, less Jitter. An older one is
	// closed by upkeep if it is idle, else replaced at its next checkout; both as exactly as a timer of
	// Go's is. 0: no limit. A small value means many opens. Costs nothing per Acquire.
	MaxAge time.Duration

	// Ping checks a resource before it is lent, once per checkout, but not one opened
	// during that checkout. A resource that fails is replaced. Costs what Backend.Ping
	// costs, per Acquire; see PingAfter.
	Ping bool
	// PingAfter limits Ping to resources that have been idle at least this
	// long. 0: every checkout.
	PingAfter time.Duration

	// Attempts is how many resources one Acquire tries before it gives up, when ping or
	// checkout hooks find them dead. What was opened meanwhile and has been outdated or grown too old since
	// counts too, but all that one invalidation outdates as one, at most. Default 3. The error is then an
	// *AttemptsError with the last cause.
	Attempts int

	// OpenAttempts is how often Backend.Open is called for one resource before
	// the open counts as failed, with the back-off in between. Default 1. The error is the last one.
	OpenAttempts int

	// OpensAtOnce is how many opens are under way at once. Who waits is served by what comes
	// first, an open or a return, so few are needed, and a burst does not make the server set up
	// connections that nobody needs when they are there. Raise it if opening is slow and use is long. Default 4, or
	// Unlimited for a strategy that keeps nothing. An open that is overdue does not count.
	OpensAtOnce int
	// OpenInterval is the least time between the beginnings of two opens: 20 ms is at most 50
	// a second. 0: none.
	OpenInterval time.Duration
	// Backoff is the longest pause after an open that failed; it doubles with each further failure in a
	// row. The pause is drawn evenly between 0 and that ("full jitter"), so that a fleet
	// does not come back in step. After it one open, the probe, goes ahead of the others. Default 20 ms.
	// NoBackoff: open again at once.
	Backoff time.Duration
	// BackoffMax is the longest pause, however many opens have failed, and so the longest time
	// until a backend that is back is found to be; plus OpenTimeout, if the probe before began
	// too early and hangs. Default 1 s, or Backoff if that is longer.
	BackoffMax time.Duration
	// OnOpenFailure says what a failed open means for those in line.
	OnOpenFailure OpenFailure

	// OpenTimeout bounds one call of Backend.Open and the connect hooks after it. Default
	// 30 s. Inline: see there. Whoever finds a seat empty and nobody in line opens it then, and waits for
	// that also if its ctx or the strategy's Timeout ends; what the pool opens on its own account, it opens on
	// goroutines of its own still.
	OpenTimeout time.Duration
	// PingTimeout bounds one Backend.Ping. Default 5 s. Inline: see there.
	PingTimeout time.Duration
	// ResetTimeout bounds Backend.Reset, and with it Release. Default 5 s.
	// Inline: see there.
	ResetTimeout time.Duration
	// CloseTimeout bounds how long anyone waits for Backend.Close. Default 5 s.
	// Inline: see there.
	CloseTimeout time.Duration

	// HungClose says whether a close that is overdue keeps its seat.
	HungClose HungClose

	// MaxIdle is how long a resource may lie unused before upkeep closes it, down to MinIdle. It is
	// closed no sooner, and an eighth later at most, or a millisecond if that is longer; but upkeep waits for one
	// call of the backend after the other, so each that hangs delays it by its timeout. 0: no limit. Costs nothing
	// per Acquire: upkeep looks whether a resource has been used since it looked last.
	MaxIdle time.Duration
	// MinIdle is how many idle resources upkeep sees to; the strategy must keep as many (with Queue.Linger, have as many seats): it opens them when the
	// pool is made, beginning within a second (at once with NoJitter), and again when they are lent or closed, looking
	// four times a second while the pool is in use, for OpensAtOnce at each look. 0: none.
	MinIdle int
	// KeepAlive is how often upkeep pings a resource that lies unused, one after the other. One
	// that fails is closed. What is less than a millisecond counts as one. 0: never. A Funcs without
	// PingFunc has nothing to ping.
	KeepAlive time.Duration
	// Jitter is by how many per cent MaxAge, MaxIdle and KeepAlive are shorter at most: for each
	// resource, and each of the three, a figure is drawn once, evenly, to the nanosecond. So what was opened
	// together is not closed together. Default 10. NoJitter: the limits are exact.
	Jitter int

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

// OpenFailure is what a failed open means for those who wait.
type OpenFailure uint8

const (
	// FailWaiting, the default: the waiter that relied on the open fails with its error. If the open
	// before failed too, and no resource is open or being opened, all in line do: nobody waits for a
	// backend that is down longer than until the next open, BackoffMax at most, has failed. Opens that
	// were under way together are one failure, unless they took all of OpenTimeout.
	FailWaiting OpenFailure = iota
	// KeepWaiting: they wait until a resource comes or their own time is over. The error then
	// tells that of the last open.
	KeepWaiting
)

func (f OpenFailure) String() string {
	switch f {
	case FailWaiting:
		return "FailWaiting"
	case KeepWaiting:
		return "KeepWaiting"
	}
	return fmt.Sprintf("OpenFailure(%d)", uint8(f))
}

// HungClose says what becomes of the seat of a resource whose close does not return within
// Options.CloseTimeout.
type HungClose uint8

const (
	// KeepSeat, the default: the seat stays taken until the close returns, so that the server never has more
	// connections than the pool's limit. Closes that hang for good eat up the pool.
	KeepSeat HungClose = iota
	// FreeSeat: the close is abandoned and its seat used again, so that the pool goes on. The server may
	// have as many connections more as there are abandoned closes (Stats.Abandoned), 16 at most; the
	// next one keeps its seat.
	FreeSeat
)

func (h HungClose) String() string {
	switch h {
	case KeepSeat:
		return "KeepSeat"
	case FreeSeat:
		return "FreeSeat"
	}
	return fmt.Sprintf("HungClose(%d)", uint8(h))
}

const (
	// NoBackoff, given as Options.Backoff, opens again at once after a failure.
	NoBackoff time.Duration = -1
	// NoJitter, given as Options.Jitter, makes the limits exact.
	NoJitter = -1
)

const (
	defaultAtOnce     = 4 // arbitrary: one that hangs leaves three
	defaultBackoff    = 20 * time.Millisecond
	defaultBackoffMax = time.Second // go-redis's figure for how often it probes
	defaultJitter     = 10          // go-redis's
)

// opensAtOnce is OpensAtOnce with its default, which depends on what is kept.
func (o Options) opensAtOnce(l Limits) int {
	switch {
	case o.OpensAtOnce != 0:
		return o.OpensAtOnce
	case l.Keep == 0 && l.Linger == 0:
		return Unlimited
	}
	return defaultAtOnce
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
		{"MaxIdle", &o.MaxIdle, 0, "no limit", false},
		{"KeepAlive", &o.KeepAlive, 0, "never", false},
		{"OpenInterval", &o.OpenInterval, 0, "none", false},
		{"PingAfter", &o.PingAfter, 0, "every checkout", false},
		{"OpenTimeout", &o.OpenTimeout, defaultOpenTimeout, "the default", true},
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
	switch {
	case o.Backoff == 0:
		o.Backoff = defaultBackoff
	case o.Backoff < 0 && o.Backoff != NoBackoff:
		return o, &OptionError{Field: "Backoff", Value: o.Backoff, Remedy: "give a positive duration, or 0 for the default, or pool.NoBackoff"}
	}
	switch {
	case o.BackoffMax == 0:
		o.BackoffMax = max(defaultBackoffMax, o.Backoff)
	case o.BackoffMax < o.Backoff:
		return o, &OptionError{Field: "BackoffMax", Value: o.BackoffMax, Remedy: fmt.Sprintf("give at least Backoff, %v, or 0 for the default", o.Backoff)}
	}
	switch {
	case o.OpensAtOnce < 0 && o.OpensAtOnce != Unlimited:
		return o, &OptionError{Field: "OpensAtOnce", Value: o.OpensAtOnce, Remedy: "give 1 or more, or 0 for the default, or pool.Unlimited"}
	case o.MinIdle < 0:
		return o, &OptionError{Field: "MinIdle", Value: o.MinIdle, Remedy: "give 1 or more, or 0 for none"}
	case o.Jitter > 100 || o.Jitter < 0 && o.Jitter != NoJitter:
		return o, &OptionError{Field: "Jitter", Value: o.Jitter, Remedy: "give 1 to 100 per cent, or 0 for the default, or pool.NoJitter"}
	case o.OnOpenFailure > KeepWaiting:
		return o, &OptionError{Field: "OnOpenFailure", Value: o.OnOpenFailure, Remedy: "give FailWaiting or KeepWaiting"}
	case o.HungClose > FreeSeat:
		return o, &OptionError{Field: "HungClose", Value: o.HungClose, Remedy: "give KeepSeat or FreeSeat"}
	}
	if o.Jitter == 0 {
		o.Jitter = defaultJitter
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
	Pool   string // its name; empty where it is not known, as in a strategy by itself
	Field  string // as in Options, or in the strategy
	Value  any
	Remedy string
}

func (e *OptionError) Error() string {
	return fmt.Sprintf("%s%s is %v: %s", prefix(e.Pool), e.Field, e.Value, e.Remedy)
}

// ofPool names the pool in an error about options, or in each of several that were joined.
func ofPool(name string, err error) error {
	switch e := err.(type) {
	case *OptionError:
		if e.Pool == "" {
			named := *e // the strategy's own is left alone
			named.Pool = name
			return &named
		}
	case interface{ Unwrap() []error }:
		errs := e.Unwrap()
		if joined := errors.Join(errs...); joined == nil || joined.Error() != err.Error() {
			return err // it has a text of its own
		}
		named := make([]error, len(errs))
		for i := range errs {
			named[i] = ofPool(name, errs[i])
		}
		return errors.Join(named...)
	}
	return err
}
