package strategies

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lidopool/lido/pool"
)

// NoWait, given as a Timeout, fails an Acquire at once instead of letting it
// stand in line.
const NoWait time.Duration = -1

// waiter is an acquirer in line. What it gets is decided under the lock of the seating,
// so that hand-off and cancellation cannot both happen. It takes 128 bytes, its channel 112,
// and both are used again.
//
// What whoever serves it touches stands first, in one cache line.
type waiter struct {
	next, prev *waiter
	ctx        context.Context
	ready      chan struct{} // of capacity 1: whoever wakes never blocks
	grant      pool.Grant

	err    error
	number uint64        // of those who ever came
	since  time.Duration // on the seating's clock; w's own until it waits
	prior  time.Duration // what it had waited before
	*claim               // where seats are shared, or acquirers have classes; else nil
	ahead  uint32        // how many stood in line before it
	saw    uint32        // for how many microseconds the line had been open when it came

	queued  bool
	watched bool        // its ctx is watched by the line, or never ends
	late    bool        // it is not served because its ctx has ended
	role    role        // until it has left the line
	swept   atomic.Bool // it was taken out by a neighbour that gave up, and err says why; see sweep
}

// role is what sets a waiter apart from the others.
type role uint8

const (
	ordinary  role = iota
	replacing      // it stands in front, whenever it came
	brief          // it waits only while the line moves; see standstill
)

// claim is for whom a waiter waits.
type claim struct {
	owner  owner
	chair  *chair // the one that owner has, if any
	*place        // where acquirers have classes
}

// waiters is the line: an intrusive list, so that leaving it costs the same from
// anywhere. The lock of the seating guards all but spare.
type waiters struct {
	head, tail *waiter
	n          int
	spare      sync.Pool // of this line only: channels belong to a synctest bubble
	classes    *classes  // nil: there are none

	waited  uint64 // guarded by the lock too, as are the next
	shed    uint64 // acquirers that were turned away
	watched int    // how many in line have their ctx watched
	brief   int    // how many in line wait only while it moves
	seated  uint64 // who got a seat

	// Added up by each waiter itself, outside the lock.
	timedOut, canceled atomic.Uint64
	waitTime           atomic.Int64 // nanoseconds
}

func (l *waiters) newWaiter(ctx context.Context, prior time.Duration) *waiter {
	w, _ := l.spare.Get().(*waiter)
	if w == nil {
		w = &waiter{ready: make(chan struct{}, 1)}
	}
	w.ctx, w.prior = ctx, prior
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
	if l.classes != nil {
		l.classes.join(w)
	}
}

// pushFront is for who replaces.
func (l *waiters) pushFront(w *waiter) {
	w.queued = true
	w.next, w.prev = l.head, nil
	if l.head == nil {
		l.tail = w
	} else {
		l.head.prev = w
	}
	l.head = w
	l.n++
}

// remove takes w out. The head's prev means nothing: so the waiter behind one that is served,
// which another processor wrote last, is left alone.
func (l *waiters) remove(w *waiter) {
	switch {
	case w == l.head:
		l.head = w.next
		if w == l.tail {
			l.tail = nil
		}
	case w == l.tail:
		l.tail = w.prev
		w.prev.next = nil
	default:
		w.prev.next, w.next.prev = w.next, w.prev
	}
	w.next, w.prev, w.queued = nil, nil, false
	l.n--
	if w.watched {
		l.watched--
	}
	if w.role == brief {
		l.brief--
	}
	if l.classes != nil && w.role != replacing {
		l.classes.leave(w)
	}
}

// before is who stands before w; nil if nobody does.
func (l *waiters) before(w *waiter) *waiter {
	if w == l.head {
		return nil
	}
	return w.prev
}

// first returns whom the next seat is for, the longest waiter or that of its class, of those whose
// ctx has not ended. It sends those away whose has: nobody hands them anything, and nobody looks at
// them twice.
func (l *waiters) first() *waiter {
	for {
		w := l.head
		if l.classes != nil && w != nil && w.role != replacing {
			w = l.classes.next()
		}
		if w == nil || !l.ended(w) {
			return w
		}
	}
}

// ahead is how many will be served before somebody who came now, at least.
func (l *waiters) ahead(ctx context.Context) int {
	if l.classes == nil {
		return l.n
	}
	return l.classes.ahead(ctx)
}

// longest returns the longest waiter whose ctx has not ended, as first does.
func (l *waiters) longest() *waiter {
	for l.head != nil && l.ended(l.head) {
	}
	return l.head
}

// ended sends w away if its ctx has ended.
func (l *waiters) ended(w *waiter) bool {
	if w.ctx.Err() == nil {
		return false
	}
	w.late = true
	l.serve(w, pool.Grant{}, context.Cause(w.ctx))
	return true
}

// serve takes w out of the line with what it gets, and wakes it.
func (l *waiters) serve(w *waiter, g pool.Grant, err error) {
	l.grant(w, g, err)
	w.wake()
}

// grant is serve, but for the wake, which must follow.
func (l *waiters) grant(w *waiter, g pool.Grant, err error) {
	if l.classes != nil && err == nil && w.role != replacing {
		l.classes.handOff(w)
	}
	l.remove(w)
	if w.grant, w.err = g, err; err == nil {
		l.seated++
	}
}

// wake is called once for each waiter that was served.
func (w *waiter) wake() { w.ready <- struct{}{} }

func (l *waiters) serveAll(err error) {
	for l.head != nil {
		l.serve(l.head, pool.Grant{}, err)
	}
}

// settle is the seat that a waiter has got, at the time now. It closes the books on it, and may
// use it again afterwards.
func (l *waiters) settle(w *waiter, now time.Duration) pool.Grant {
	g := w.grant
	waited := now - w.since
	l.waitTime.Add(int64(waited))
	g.Waited = waited + w.prior
	w.ctx, w.err, w.watched, w.role, w.late = nil, nil, false, ordinary, false
	if w.swept.Load() {
		w.swept.Store(false)
	}
	l.spare.Put(w)
	return g
}

// refuse is settle for a waiter that has got an error.
func (l *waiters) refuse(w *waiter, now time.Duration) (pool.Grant, error) {
	err := w.err
	switch {
	case w.late:
		l.gaveUp(1, w.ctx.Err())
	case err == pool.ErrTimeout:
		l.timedOut.Add(1)
	}
	return pool.Grant{Waited: l.settle(w, now).Waited}, err
}

// load adds what the line knows to n.
func (l *waiters) load(n pool.Load) pool.Load {
	n.Waiting, n.Waited, n.WaitTime = l.n, l.waited, time.Duration(l.waitTime.Load())
	n.TimedOut, n.Canceled, n.Shed = l.timedOut.Load(), l.canceled.Load(), l.shed
	return n
}

// await waits until w is woken, its ctx ends, or the time is over, and returns what
// came first as end: nil, the cause of ctx, or pool.ErrTimeout.
func (w *waiter) await(timeout time.Duration) (end error) {
	var over <-chan time.Time
	if timeout > 0 {
		t := time.NewTimer(timeout - w.prior)
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
