package strategies

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"

	"github.com/lidopool/lido/pool"
)

// Assertion lends its only resource to one holder at a time and fails the second Acquire
// at once, with the stack of the first. Use it in tests, to show that code
// never needs two.
type Assertion struct {
	// NoStack leaves the holder's stack out. So an Acquire costs what one of a Queue does, and no allocation and 1 µs.
	NoStack bool
}

// Kind is "assertion".
func (a Assertion) Kind() string { return "assertion" }

// Start implements pool.Strategy.
func (a Assertion) Start(h pool.Host) (pool.Seating, error) {
	if err := a.validate(); err != nil {
		return nil, err
	}
	l := newLine(h, pool.Limits{Seats: 1, Keep: 1}, 0)
	if a.NoStack {
		l.sole = true
		l.serveThemselves()
		return &sole{l}, nil
	}
	return &asserting{line: l}, nil
}

// ErrAlreadyAcquired is what an *AlreadyAcquiredError is, for errors.Is.
var ErrAlreadyAcquired = errors.New("strategies: resource is already acquired")

// AlreadyAcquiredError fails an Acquire while the resource is out.
type AlreadyAcquiredError struct {
	Stack string // where the holder acquired it; empty with NoStack
}

func (e *AlreadyAcquiredError) Error() string {
	if e.Stack == "" {
		return ErrAlreadyAcquired.Error()
	}
	return ErrAlreadyAcquired.Error() + " at:\n" + e.Stack
}

// Is reports whether target is ErrAlreadyAcquired.
func (e *AlreadyAcquiredError) Is(target error) bool { return target == ErrAlreadyAcquired }

// sole is a line of one seat in which nobody may stand while another holds it, or waits for it.
type sole struct{ *line }

// Vacant has acquirers open nothing themselves: they are to come to Acquire, which knows who waits.
func (s *sole) Vacant() (pool.Seat, bool) { return 0, false }

// asserting is sole with the stack of the holder, which marks who that is. Nothing of it is lent in self-service.
type asserting struct {
	*line
	holder atomic.Pointer[trace] // nil: free
	lent   *trace                // whose the seat is, nil if the pool's; belongs to whoever has the seat
}

// trace is where an Acquire was called.
type trace []uintptr

// Acquire implements pool.Seating.
func (a *asserting) Acquire(ctx context.Context, m pool.Mode) (pool.Grant, error) {
	mine := newTrace()
	// Under Again this acquirer has been the holder, and its mark stands until its seat comes
	// back from the check that hangs. Whoever has come by then is not disturbed.
	if !a.holder.CompareAndSwap(nil, mine) && m&pool.Again == 0 {
		e := &AlreadyAcquiredError{}
		if h := a.holder.Load(); h != nil {
			e.Stack = h.String()
		}
		return pool.Grant{}, e
	}
	g, err := a.line.Acquire(ctx, m)
	if err != nil {
		a.holder.CompareAndSwap(mine, nil)
	} else {
		a.lent = mine
	}
	return g, err
}

// Vacant has acquirers open nothing themselves: they are to come to Acquire, which knows of the holder.
func (a *asserting) Vacant() (pool.Seat, bool) { return 0, false }

// Replace implements pool.Seating.
func (a *asserting) Replace(ctx context.Context, g pool.Grant, m pool.Mode) (pool.Grant, error) {
	mine := a.lent
	a.lent = nil // the opener has the seat now
	g, err := a.line.Replace(ctx, g, m)
	if err != nil {
		a.holder.CompareAndSwap(mine, nil)
	} else {
		a.lent = mine
	}
	return g, err
}

// Release implements pool.Seating.
func (a *asserting) Release(s pool.Seat, open bool) bool {
	// Before the seat is given on: afterwards the next holder may have it. Nobody's mark is
	// touched if the pool had the seat for itself.
	if a.lent != nil {
		a.holder.CompareAndSwap(a.lent, nil)
		a.lent = nil
	}
	return a.line.Release(s, open)
}

func newTrace() *trace {
	t := make(trace, 32)
	t = t[:runtime.Callers(2, t)]
	return &t
}

// String lists the frames outside Lido's own packages.
func (t *trace) String() string {
	var b strings.Builder
	frames := runtime.CallersFrames(*t)
	for outside := false; ; {
		f, more := frames.Next()
		outside = outside || !strings.HasPrefix(f.Function, "github.com/lidopool/lido/strategies.") &&
			!strings.HasPrefix(f.Function, "github.com/lidopool/lido/pool.")
		if outside {
			fmt.Fprintf(&b, "%s\n\t%s:%d\n", f.Function, f.File, f.Line)
		}
		if !more {
			return strings.TrimSuffix(b.String(), "\n")
		}
	}
}
