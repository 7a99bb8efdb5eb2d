package pool

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"
)

// The errors that callers branch on, by errors.Is.
var (
	// ErrClosed: the pool is shut down.
	ErrClosed = errors.New("pool: closed")
	// ErrTimeout: no resource came within the time allowed, by ctx or by the
	// strategy's Timeout.
	ErrTimeout = errors.New("pool: acquire timed out")
	// ErrExhausted: a TryAcquire found every seat taken, or the line of an AcquireWhileMoving stood still.
	ErrExhausted = errors.New("pool: every seat is taken")
	// ErrSuspended: a TryAcquire or an AcquireWhileMoving found the pool suspended.
	ErrSuspended = errors.New("pool: suspended")
	// ErrOverloaded: the strategy turned an acquirer away instead of having it stand in a line
	// that is full, or too long for it to be served in time.
	ErrOverloaded = errors.New("pool: overloaded")
	// ErrReleased: the lease is over; its resource may be somebody else's.
	ErrReleased = errors.New("pool: lease is over")
	// ErrInvalidated: the lease's resource was discarded by another holder that
	// shared it, or by the pool.
	ErrInvalidated = errors.New("pool: resource was invalidated")
	// ErrDropped is the cause given for a resource whose lease was dropped
	// without Release.
	ErrDropped = errors.New("pool: lease was dropped without Release")
	// ErrGoexit: a hook or backend called runtime.Goexit.
	ErrGoexit = errors.New("pool: callback called runtime.Goexit")
	// ErrUnshareable: a strategy that shares one resource was asked for one
	// that nobody shares, or a shared resource was to be detached.
	ErrUnshareable = errors.New("pool: resource is shared")

	// ErrDisconnected, returned by a checkout hook, says that this resource is dead: it is
	// replaced and the checkout tried again.
	ErrDisconnected = errors.New("pool: resource is disconnected")
	// ErrInvalidatePool is ErrDisconnected for every resource opened until now.
	ErrInvalidatePool = fmt.Errorf("%w, and so are all of its generation", ErrDisconnected)
)

// AcquireError says why an Acquire was not served, and how busy the pool was. It satisfies
// errors.Is for the reason: ErrTimeout, ErrClosed, ErrExhausted, ErrOverloaded, ctx's error and its cause,
// or the error of the open that failed. A wait that ended by a deadline is ErrTimeout as
// well as context.DeadlineExceeded.
type AcquireError struct {
	Pool     string
	Err      error         // the reason
	Waited   time.Duration // time spent in line
	Checking bool          // it was not the wait that ended, but the ping of a resource
	Limits   Limits
	Load     Load
	Stuck    int   // seats taken by a call of the backend that has not returned in time
	LastOpen error // the newest error of an open, if it is newer than the newest success

	// What Err stands for besides itself.
	ctxErr  error // that of ctx, if ctx ended the wait
	timeout bool
}

func (e *AcquireError) Error() string {
	var b strings.Builder
	b.WriteString(prefix(e.Pool))
	var open *OpenError
	switch {
	case errors.As(e.Err, &open):
		b.WriteString(open.message())
		return b.String()
	case e.Checking:
		b.WriteString("acquire ended while a resource was checked")
	case e.Timeout():
		fmt.Fprintf(&b, "acquire timed out after %v waiting", round(e.Waited))
	case errors.Is(e.Err, ErrClosed):
		b.WriteString("closed")
		return b.String()
	case errors.Is(e.Err, ErrExhausted):
		b.WriteString("every seat is taken")
	case errors.Is(e.Err, ErrSuspended):
		b.WriteString("suspended")
	case errors.Is(e.Err, ErrOverloaded):
		b.WriteString(strings.TrimPrefix(e.Err.Error(), "pool: "))
	case errors.Is(e, context.Canceled):
		fmt.Fprintf(&b, "acquire canceled after %v waiting", round(e.Waited))
	default: // the strategy's own reason, to which the load has nothing to add
		b.WriteString(strings.TrimPrefix(e.Err.Error(), "pool: "))
		return b.String()
	}
	fmt.Fprintf(&b, ": %s", describeLoad(e.Limits, e.Load))
	if e.Stuck > 0 {
		fmt.Fprintf(&b, ", %d stuck in a call of the backend", e.Stuck)
	}
	if e.LastOpen != nil {
		fmt.Fprintf(&b, "; last open error: %v", e.LastOpen)
	}
	if cause := e.cause(); cause != nil {
		fmt.Fprintf(&b, " (%v)", cause)
	}
	return b.String()
}

// cause is the caller's own reason for ending ctx, when it gave one.
func (e *AcquireError) cause() error {
	if e.Err == ErrTimeout || e.Err == ErrExhausted || e.Err == ErrSuspended || e.Err == context.Canceled || e.Err == context.DeadlineExceeded {
		return nil
	}
	if e.Timeout() || errors.Is(e, context.Canceled) {
		return e.Err
	}
	return nil
}

// Timeout reports whether the wait ended by a deadline.
func (e *AcquireError) Timeout() bool {
	return e.timeout
}

// Unwrap returns the reason and what it stands for.
func (e *AcquireError) Unwrap() []error {
	all := []error{e.Err}
	if e.ctxErr != nil {
		all = append(all, e.ctxErr)
	}
	if e.timeout {
		all = append(all, ErrTimeout, context.DeadlineExceeded)
	}
	return all
}

// round keeps three digits, which is more than anyone reads.
func round(d time.Duration) time.Duration {
	unit := time.Duration(1)
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit)
}

func describeLoad(l Limits, n Load) string {
	var b strings.Builder
	if l.Seats == Unlimited {
		fmt.Fprintf(&b, "%d in use", n.Lent)
	} else {
		fmt.Fprintf(&b, "%d of %d in use", n.Lent, l.Seats)
	}
	if over := overflow(l, n.Lent+n.Idle); over > 0 {
		fmt.Fprintf(&b, " (%d overflow)", over)
	}
	if n.Opening > 0 {
		fmt.Fprintf(&b, ", %d opening", n.Opening)
	}
	fmt.Fprintf(&b, ", %d waiting", n.Waiting)
	if n.Paused {
		b.WriteString(", suspended")
	}
	return b.String()
}

// overflow is how many of the open resources would not be kept.
func overflow(l Limits, open int) int {
	if l.Keep == Unlimited {
		return 0
	}
	return max(0, open-l.Keep)
}

// OpenError is a failed open. Its message ends with that of the last error of the backend
// or the connect hooks.
type OpenError struct {
	Pool     string
	Attempts int
	Err      error
}

func (e *OpenError) Error() string { return prefix(e.Pool) + e.message() }

func (e *OpenError) message() string {
	if e.Attempts > 1 {
		return fmt.Sprintf("open failed %d times: %s", e.Attempts, strings.TrimPrefix(e.Err.Error(), "pool: "))
	}
	return "open: " + strings.TrimPrefix(e.Err.Error(), "pool: ")
}

// Unwrap returns the last error of Backend.Open or of the connect hooks.
func (e *OpenError) Unwrap() error { return e.Err }

// AttemptsError ends an Acquire that found Options.Attempts resources dead, one
// after the other.
type AttemptsError struct {
	Pool     string
	Attempts int
	Err      error // what was wrong with the last one
}

func (e *AttemptsError) Error() string {
	return fmt.Sprintf("%s%d resources in a row were dead: %v", prefix(e.Pool), e.Attempts, e.Err)
}

// Unwrap returns what was wrong with the last resource.
func (e *AttemptsError) Unwrap() error { return e.Err }

// PanicError is a panic in a hook or a backend, turned into that call's error.
type PanicError struct {
	Op    string // the event or method, such as "checkout hook" or "Backend.Open"
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("pool: %s panicked: %v", e.Op, e.Value) }

// Unwrap returns the panic's value if that is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// recoverInto turns a panic into *err. It is to be deferred.
func recoverInto(err *error, op string) {
	if v := recover(); v != nil {
		*err = &PanicError{Op: op, Value: v, Stack: debug.Stack()}
	}
}

// prefix begins every message; a pool that was given a name is named.
func prefix(name string) string {
	if name == "" || name == defaultName {
		return "pool: "
	}
	return "pool " + name + ": "
}

// endedBy is the Err of ctx if a wait ended by it, with err; else nil.
func endedBy(ctx context.Context, err error) error {
	if end := ctx.Err(); end != nil && (err == end || err == context.Cause(ctx)) {
		return end
	}
	return nil
}

// standFor notes what an error that ended a wait stands for besides itself; end is that of ctx, if ctx ended it.
func (e *AcquireError) standFor(end error) {
	switch {
	case end != nil:
		e.ctxErr = end
		e.timeout = end == context.DeadlineExceeded || errors.Is(end, context.DeadlineExceeded)
	case e.Err == ErrTimeout:
		e.timeout = true
	case e.Err != ErrClosed && e.Err != ErrExhausted:
		e.timeout = errors.Is(e.Err, ErrTimeout)
	}
}
