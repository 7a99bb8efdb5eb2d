package strategies

import (
	"context"
	"time"

	"github.com/lidopool/lido/pool"
)

// NoWait, given as a Timeout, fails an Acquire at once instead of letting it
// stand in line.
const NoWait time.Duration = -1

// waiter is an acquirer in line. What it gets is decided under the lock of the seating,
// so that hand-off and cancellation cannot both happen.
type waiter struct {
	next, prev *waiter
	queued     bool

	ctx   context.Context
	owner owner  // for whom, where seats are shared
	chair *chair // and the one that owner has, if any
	since time.Time
	prior time.Duration // what it had waited before
	first time.Duration // what it waits by served, before await

	grant pool.Grant
	err   error
	ready chan struct{} // of capacity 1: whoever serves never blocks
}

// waiters is the line: an intrusive list, so that leaving it costs the same from
// anywhere. The lock of the seating guards it.
type waiters struct {
	head, tail *waiter
	n          int
	free       *waiter // spare waiters; their channels belong to this pool's synctest bubble, if any

	waited, timedOut, canceled uint64
	waitTime                   time.Duration
}

func (l *waiters) newWaiter(ctx context.Context, prior time.Duration) *waiter {
	w := l.free
	if w == nil {
		w = &waiter{ready: make(chan struct{}, 1)}
	} else {
		l.free = w.next
		*w = waiter{ready: w.ready}
	}
	w.ctx, w.since, w.prior = ctx, time.Now(), prior
	if prior == 0 {
		l.waited++
	}
	return w
}

func (l *waiters) pushBack(w *waiter) {
	w.queued = true
	w.prev = l.tail
	if l.tail == nil {
		l.head = w
	} else {
		l.tail.next = w
	}
	l.tail = w
	l.n++
}

func (l *waiters) pushFront(w *waiter) {
	w.queued = true
	w.next = l.head
	if l.head == nil {
		l.tail = w
	} else {
		l.head.prev = w
	}
	l.head = w
	l.n++
}

func (l *waiters) remove(w *waiter) {
	if w.prev == nil {
		l.head = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		l.tail = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.next, w.prev, w.queued = nil, nil, false
	l.n--
}

// first returns the longest waiter whose ctx has not ended. It sends those away whose has:
// nobody hands them anything, and nobody looks at them twice.
func (l *waiters) first() *waiter {
	for w := l.head; w != nil; w = l.head {
		if w.ctx.Err() == nil {
			return w
		}
		l.serve(w, pool.Grant{}, context.Cause(w.ctx))
	}
	return nil
}

// serve takes w out of the line with what it gets.
func (l *waiters) serve(w *waiter, g pool.Grant, err error) {
	l.remove(w)
	w.grant, w.err = g, err
	w.ready <- struct{}{}
}

func (l *waiters) serveAll(err error) {
	for l.head != nil {
		l.serve(l.head, pool.Grant{}, err)
	}
}

// finish ends the wait of w: end is what await returned, and leave takes w out of the line.
// The caller has the lock of the seating.
func (l *waiters) finish(w *waiter, end error, leave func(*waiter)) (pool.Grant, error) {
	switch {
	case end == nil:
	case w.queued:
		leave(w)
		w.err = end
	default:
		<-w.ready // served in the same moment: that counts
	}
	return l.account(w, end)
}

// account closes the books on a waiter that has left the line. It may be used again
// afterwards.
func (l *waiters) account(w *waiter, end error) (pool.Grant, error) {
	g, err := w.grant, w.err
	waited := time.Since(w.since)
	l.waitTime += waited
	waited += w.prior
	switch {
	case err == nil:
	case end == pool.ErrTimeout || w.ctx.Err() == context.DeadlineExceeded:
		l.timedOut++
	case w.ctx.Err() != nil:
		l.canceled++
	}
	w.ctx, w.owner, w.chair, w.err = nil, owner{}, nil, nil
	w.next = l.free
	l.free = w
	if err != nil {
		return pool.Grant{}, &pool.WaitError{Waited: waited, Err: err}
	}
	g.Waited = waited
	return g, nil
}

// load adds what the line knows to n.
func (l *waiters) load(n pool.Load) pool.Load {
	n.Waiting, n.Waited, n.WaitTime = l.n, l.waited, l.waitTime
	n.TimedOut, n.Canceled = l.timedOut, l.canceled
	return n
}

// await waits until w is served, its ctx ends, or the time is over, and returns what
// came first as end: nil, the cause of ctx, or pool.ErrTimeout.
func (w *waiter) await(timeout time.Duration) (end error) {
	var over <-chan time.Time
	if timeout > 0 {
		t := time.NewTimer(timeout - w.prior - w.first)
		defer t.Stop()
		over = t.C
	}
	select {
	case <-w.ready:
		return nil
	case <-w.ctx.Done():
		return context.Cause(w.ctx)
	case <-over:
		return pool.ErrTimeout
	}
}

// served waits like await, but for no more than d, and reports whether that settled the
// matter. If so, await returns at once.
func (w *waiter) served(d, timeout time.Duration) bool {
	if timeout > 0 && timeout <= d {
		return true // await has a shorter wait than this
	}
	w.first = d
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-w.ready:
		w.ready <- struct{}{} // await is to find it
		return true
	case <-w.ctx.Done():
		return true
	case <-t.C:
		return false
	}
}
