package pool

import (
	"context"
	"fmt"
)

// Fault is what an error says about the resource it came from.
type Fault uint8

const (
	// Sound: the error says nothing against the resource.
	Sound Fault = iota
	// Dead: the resource is unusable. It is discarded.
	Dead
	// AllDead: the resource is unusable, and so, presumably, is every other one opened
	// before now (the server restarted, say). All of that generation are replaced before
	// their next use.
	AllDead
	// Full, of an open, says that the server has no room for one more. While a resource is open, or
	// others that began with it are being opened, nobody's Acquire fails for it: they wait for that. Of the use of a resource it is Sound.
	Full
)

func (f Fault) String() string {
	switch f {
	case Sound:
		return "Sound"
	case Dead:
		return "Dead"
	case AllDead:
		return "AllDead"
	case Full:
		return "Full"
	}
	return fmt.Sprintf("Fault(%d)", uint8(f))
}

// Backend is how one kind of resource is opened, checked, reset and closed. Its methods are
// called from many goroutines, but never two at a time for the same resource.
//
// Every ctx given to a Backend has a deadline unless the option that bounds the call says
// otherwise. A method should return soon after its ctx ends; one that does not delays
// nobody but keeps its seat until it returns, so that there are never more resources open
// than seats. A method that panics or calls runtime.Goexit fails with a *PanicError.
type Backend[T any] interface {
	// Open opens a new resource. The pool calls it on a goroutine of its own, unless OpenTimeout is Inline:
	// ctx carries Options.OpenTimeout and ends with the pool, not with the
	// acquirer that asked for it.
	Open(ctx context.Context) (T, error)
	// Ping reports whether an idle resource still works.
	Ping(ctx context.Context, res T) error
	// Reset brings a returned resource back to the state in which the next
	// holder expects it, a rollback say. If it fails, the resource is discarded.
	Reset(ctx context.Context, res T) error
	// Close releases a resource for good. It is called exactly once for each resource that
	// Open returned without an error, whatever it answers.
	Close(ctx context.Context, res T) error
	// Classify says what an error from the use of a resource, or from Ping,
	// means for it; and of an error from Open, whether it is Full.
	Classify(err error) Fault
}

// Funcs is a Backend made of functions. A nil function has nothing to do, and costs
// nothing; only OpenFunc is needed.
type Funcs[T any] struct {
	OpenFunc     func(ctx context.Context) (T, error)
	PingFunc     func(ctx context.Context, res T) error
	ResetFunc    func(ctx context.Context, res T) error
	CloseFunc    func(res T) error
	ClassifyFunc func(err error) Fault
}

// Open calls OpenFunc.
func (f Funcs[T]) Open(ctx context.Context) (T, error) { return f.OpenFunc(ctx) }

// Ping calls PingFunc; nil means every resource is taken to work.
func (f Funcs[T]) Ping(ctx context.Context, res T) error {
	if f.PingFunc == nil {
		return nil
	}
	return f.PingFunc(ctx, res)
}

// Reset calls ResetFunc; nil means there is nothing to reset.
func (f Funcs[T]) Reset(ctx context.Context, res T) error {
	if f.ResetFunc == nil {
		return nil
	}
	return f.ResetFunc(ctx, res)
}

// Close calls CloseFunc; nil means the garbage collector is enough.
func (f Funcs[T]) Close(_ context.Context, res T) error {
	if f.CloseFunc == nil {
		return nil
	}
	return f.CloseFunc(res)
}

// Classify calls ClassifyFunc; nil takes every error for Sound.
func (f Funcs[T]) Classify(err error) Fault {
	if f.ClassifyFunc == nil {
		return Sound
	}
	return f.ClassifyFunc(err)
}

// chores is what a backend has to do beyond opening: what is false is not called.
type chores struct{ ping, reset, close, classify bool }

// idler is implemented by a backend that can say which of its methods do nothing.
type idler interface{ chores() chores }

func (f Funcs[T]) chores() chores {
	return chores{
		ping: f.PingFunc != nil, reset: f.ResetFunc != nil,
		close: f.CloseFunc != nil, classify: f.ClassifyFunc != nil,
	}
}

func choresOf(b any) chores {
	if i, ok := b.(idler); ok {
		return i.chores()
	}
	return chores{ping: true, reset: true, close: true, classify: true}
}

// LimitChecker may be implemented by a Backend that does not suit every
// strategy: a private in-memory database, of which each resource would be
// another one, does not suit many seats. New and Resize ask it, and pass its error on.
type LimitChecker interface {
	CheckLimits(kind string, l Limits) error
}

// Check is what a Checker has to do at a checkout.
type Check uint8

const (
	// NoCheck: nothing. The pool lends as if the backend were no Checker, at no cost.
	NoCheck Check = iota
	// QuickCheck: Checker.Check waits for nothing, as the look at a socket does not. It is
	// called on the acquirer's goroutine.
	QuickCheck
	// SlowCheck: Checker.Check may wait. It is called as Ping is, within
	// Options.PingTimeout, which costs about 2 µs; so one that hangs holds nobody up but its seat.
	SlowCheck
)

// Checker may be implemented by a Backend that can tell at little or no cost, without
// Options.Ping, that an idle resource has died: because its socket is closed, say. An error
// of Check is treated as one of Ping is: the resource is replaced, and if Classify calls the error
// AllDead so are all that were opened before. Only a SlowCheck counts as one of Options.Attempts, unless
// the resource was opened during this Acquire.
type Checker[T any] interface {
	// Checks says what Check does. New asks it once.
	Checks() Check
	// Check looks at a resource that was open before the Acquire that is about to get it. A
	// resource that others hold already is not checked.
	Check(ctx context.Context, res T) error
}
