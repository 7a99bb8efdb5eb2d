package strategies

import (
	"context"

	"github.com/lidopool/lido/pool"
)

// inOneSweep is how many leave the line together at most, so that a hand-off does not have to wait for long: that
// many take 30 µs. With 64 twice as many get in each other's way, and more are no faster (10,000 waiters, 2 processors).
const inOneSweep = 256

// sweep takes a waiter whose ctx has ended out of the line, and with it those next to it that
// have the same ctx. They are awake by then, or about to be, since each watches its ctx itself: where
// thousands have one ctx, and it ends, they would otherwise fight for the lock of the line one by one, twice, the second
// time to learn how busy the pool is. It costs O(1) for each that leaves.
//
// A waiter that finds swept set owns itself from there on. Until then it is the line's, as any that is in line. The
// caller holds mu.
func (l *line) sweep(w *waiter) {
	ctx := w.ctx
	done, end, cause := ctx.Done(), ctx.Err(), context.Cause(ctx)
	prev, next := l.waiting.before(w), w.next
	l.waiting.remove(w)
	w.err, w.late = cause, true // and counts itself
	n := uint64(0)
	var r *pool.Refusal
	for n < inOneSweep-1 {
		var o *waiter
		switch {
		case next != nil && !next.watched && next.ctx.Done() == done:
			o, next = next, next.next
		case prev != nil && !prev.watched && prev.ctx.Done() == done:
			o, prev = prev, l.waiting.before(prev)
		}
		if o == nil {
			break
		}
		if r == nil {
			r = &pool.Refusal{Err: cause, CtxErr: end, Load: l.load()}
			w.err = r
		}
		l.waiting.remove(o)
		o.err = r
		o.swept.Store(true) // from here on it is its own
		n++
	}
	if n > 0 {
		l.waiting.gaveUp(n, end)
	}
}

// gaveUp counts n waiters whose ctx has ended with err.
func (l *waiters) gaveUp(n uint64, err error) {
	if err == context.DeadlineExceeded {
		l.timedOut.Add(n)
	} else {
		l.canceled.Add(n)
	}
}
