package pool

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Suspend has the pool lend nothing until Resume. Acquirers stand in line meanwhile, until their own
// time is over; a TryAcquire, or an Acquire under NoWait, fails with ErrSuspended, and so does soon who came by
// AcquireWhileMoving. What is lent goes on
// and is returned, and holders of a strategy whose Sharing is Nested may join what they hold
// already, so that they can come to an end. Upkeep and Warm go on, and opens under way end.
//
// It does not wait: see SuspendAndWait. It may be called again, and after the pool's end. It costs
// a look at every seat.
func (p *Pool[T]) Suspend() {
	p.suspending.Lock()
	defer p.suspending.Unlock()
	p.seating.Pause(true)
	if p.quickJoint {
		p.gate.Or(attended)
		p.seats.all(func(r *record[T]) bool {
			if p.gather(r) {
				go p.turnIn(r, true) // the pool's end waits for the seat
			}
			return true
		})
	}
	p.logInfo("pool suspended", nil)
}

// Resume ends a Suspend: those in line are served. Without one it does nothing.
func (p *Pool[T]) Resume() {
	p.suspending.Lock()
	defer p.suspending.Unlock()
	if p.quickJoint {
		p.gate.And(^uint64(attended))
	}
	p.seating.Pause(false)
	p.news.spread()
	p.logInfo("pool resumed", nil)
}

// SuspendAndWait suspends the pool and returns nil once nothing is lent, and no ping, reset or close is
// under way, nor an open that is overdue. It does not wait for other opens, to which the close of what is
// replaced belongs, nor for closes that FreeSeat has left to themselves; InvalidateAndWait does. Upkeep goes on:
// a ping or an open for MinIdle may follow. With ctx's end it gives up waiting. For a switch of servers:
// SuspendAndWait, switch, InvalidateAndWait, Resume.
//
// The pool stays suspended whatever the result: call Resume. The error is a *SuspendError, which
// satisfies errors.Is for ctx's cause, for ErrClosed, or for ErrResumed if another goroutine called
// Resume meanwhile.
func (p *Pool[T]) SuspendAndWait(ctx context.Context) error {
	p.Suspend()
	p.takeBackDropped()
	for {
		news := p.news.listen()
		load := p.seating.Load()
		var why error
		switch {
		case p.closed.Load():
			why = ErrClosed
		case load.Lent == 0 && load.Paused:
			return nil
		case !load.Paused:
			why = ErrResumed
		case ctx.Err() != nil:
			why = context.Cause(ctx)
		}
		if why != nil {
			return &SuspendError{Pool: p.opts.Name, Lent: load.Lent, Held: p.Held(), Err: why}
		}
		select {
		case <-news:
		case <-ctx.Done():
		case <-p.life.Done():
		}
	}
}

// ErrResumed: a SuspendAndWait was ended by Resume.
var ErrResumed = errors.New("pool: resumed")

// SuspendError says what SuspendAndWait did not wait for. The pool is suspended all the same, unless
// Err is ErrResumed.
type SuspendError struct {
	Pool string
	Lent int         // seats that were lent, or busy in a call of the backend
	Held []HeldLease // the leases of these
	Err  error       // why the wait ended
}

func (e *SuspendError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%ssuspend: %s; %d in use", prefix(e.Pool), strings.TrimPrefix(e.Err.Error(), "pool: "), e.Lent)
	listHeld(&b, e.Held)
	return b.String()
}

// Unwrap returns why the wait ended.
func (e *SuspendError) Unwrap() error { return e.Err }
