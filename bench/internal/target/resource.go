package target

import (
	"context"
	"sync/atomic"
)

// A resource is what all that is opened has in common.
type resource struct {
	broken atomic.Bool
	cut    func() // ends what goes on with it, from beside; nil: nothing can

	// turn is held while one uses it, where a pool lends it to several at a time; else nil.
	turn chan struct{}

	prev, next *resource // guarded by Faults.mu
}

// share makes it usable by several holders, who take turns. It is for who has just opened it.
func (r *resource) share() { r.turn = make(chan struct{}, 1) }

// tryEnter is enter if it need not wait.
func (r *resource) tryEnter() bool {
	if r.turn == nil {
		return true
	}
	select {
	case r.turn <- struct{}{}:
		return true
	default:
		return false
	}
}

// enter waits for the caller's turn to use it.
func (r *resource) enter(ctx context.Context) error {
	if r.tryEnter() {
		return nil
	}
	select {
	case r.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// leave ends the turn.
func (r *resource) leave() {
	if r.turn != nil {
		<-r.turn
	}
}

// A useError is why a use failed.
type useError struct{ err error }

func (e *useError) Error() string { return "use: " + e.err.Error() }
func (e *useError) Unwrap() error { return e.err }
