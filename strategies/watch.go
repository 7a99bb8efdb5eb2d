package strategies

import (
	"context"

	"github.com/lidopool/lido/pool"
)

// watch has one ctx watched for all waiters that have it. A waiter usually watches its own
// ctx, by a select, which costs a third of a wait: it takes the lock of the ctx's channel twice,
// and where many wait with one ctx they fight for it. So if waiters come again and again
// with the same ctx, as workers do, the line watches that one for all of them, by one
// context.AfterFunc, and they wait for their seat alone. The ctx is kept until it ends, another
// takes its place, or the line is closed; a ctx that is not of package context costs a
// goroutine for as long.
type watch struct {
	done <-chan struct{} // of the ctx that is watched; nil: none is
	stop func() bool

	rival <-chan struct{} // of the last waiter that had another ctx
	seen  int             // how often in a row, with a hand-off in between
	after uint64          // how many hand-offs there had been then
}

// persuaded is how often in a row another ctx must come before it is the one that is
// watched: an AfterFunc costs as much as a few selects. Arbitrary. It must come between
// hand-offs: where nobody is served, many are more likely to be canceled at once, and then the
// runtime wakes them faster than the line can.
const persuaded = 16

// watches reports whether a waiter need not watch its own ctx. The caller holds mu, as for all
// below.
func (l *line) watches(ctx context.Context) bool {
	done := ctx.Done()
	v := &l.watch
	switch {
	case done == nil:
		return true
	case done == v.done:
		return true
	case done != v.rival:
		v.rival, v.seen, v.after = done, 0, l.handed
		return false
	case l.handed == v.after:
		return false
	case v.seen < persuaded || l.waiting.watched > 0: // or somebody relies on the present one
		v.seen++
		v.after = l.handed
		return false
	}
	v.unwatch()
	v.done = done
	v.stop = context.AfterFunc(ctx, func() { l.dismiss(done, context.Cause(ctx)) })
	return true
}

// unwatch forgets the ctx that is watched.
func (v *watch) unwatch() {
	if v.stop != nil {
		v.stop()
	}
	*v = watch{}
}

// dismiss ends the wait of all who rely on a ctx that has ended.
func (l *line) dismiss(done <-chan struct{}, cause error) {
	l.mu.Lock()
	var gone *waiter // outside the lock they are woken: there may be many, and they come here next
	for w := l.waiting.head; w != nil; {
		next := w.next
		if w.watched && w.ctx.Done() == done {
			w.late = true
			l.waiting.grant(w, pool.Grant{}, cause)
			w.next, gone = gone, w
		}
		w = next
	}
	if l.watch.done == done {
		l.watch = watch{}
	}
	l.calm()
	l.mu.Unlock()
	for gone != nil {
		w := gone
		gone, w.next = w.next, nil
		w.wake()
	}
}
