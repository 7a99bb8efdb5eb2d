package pool

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// term is the ctx of a call that the pool bounds. It is what context.WithDeadline makes of the parent, which must
// have no deadline of its own; but it is made only when somebody wants to know of its end, which who does not wait
// never does. So a call that does nothing costs no timer.
type term struct {
	parent context.Context
	end    time.Time

	mu     sync.Mutex
	over   bool // the call has ended
	made   context.Context
	cancel context.CancelFunc
}

// Deadline implements context.Context.
func (t *term) Deadline() (time.Time, bool) { return t.end, true }

// Done implements context.Context.
func (t *term) Done() <-chan struct{} { return t.make().Done() }

// Err implements context.Context.
func (t *term) Err() error {
	t.mu.Lock()
	running := t.made == nil && !t.over && t.parent.Err() == nil && time.Until(t.end) > 0
	t.mu.Unlock()
	if running {
		return nil
	}
	return t.make().Err()
}

// Value implements context.Context. The children that package context makes of t find by it what
// was made, which they have asked for Done before.
func (t *term) Value(key any) any {
	t.mu.Lock()
	ctx := t.made
	if ctx == nil && t.over {
		ctx = t.makeLocked()
	}
	t.mu.Unlock()
	if ctx == nil {
		ctx = t.parent
	}
	return ctx.Value(key)
}

// String is that of the ctx which it stands for. Without it, what prints a ctx would read the fields.
func (t *term) String() string {
	return fmt.Sprintf("%v.WithDeadline(%v [%v])", t.parent, t.end, time.Until(t.end))
}

func (t *term) make() context.Context {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.makeLocked()
}

func (t *term) makeLocked() context.Context {
	switch {
	case t.made != nil:
	case t.over: // whatever has ended since then
		t.made, t.cancel = context.WithCancel(context.WithoutCancel(t.parent))
		t.cancel()
	default:
		t.made, t.cancel = context.WithDeadline(t.parent, t.end)
	}
	return t.made
}

// finish ends it, when the call has returned.
func (t *term) finish() {
	t.mu.Lock()
	if t.parent.Err() != nil {
		t.makeLocked() // it has ended by that
	}
	t.over = true
	cancel := t.cancel
	t.mu.Unlock()
	if cancel != nil {
		cancel()
	}
}
