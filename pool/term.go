package pool

import (
	"context"
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
	t.mu.Unlock()
	if ctx == nil {
		ctx = t.parent
	}
	return ctx.Value(key)
}

func (t *term) make() context.Context {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.made == nil {
		t.made, t.cancel = context.WithDeadline(t.parent, t.end)
		if t.over {
			t.cancel()
		}
	}
	return t.made
}

// finish ends it, when the call has returned.
func (t *term) finish() {
	t.mu.Lock()
	t.over = true
	cancel := t.cancel
	t.mu.Unlock()
	if cancel != nil {
		cancel()
	}
}
