package pool

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Shutdown ends the pool with care. From now on nothing is lent, and waiters are woken with
// ErrClosed. Idle resources are closed at once, leased ones when they are returned. It
// returns nil when all are closed. If ctx ends before, what is still leased is
// discarded, and the error is a *ShutdownError that names it.
//
// Shutdown and Close may be called from any goroutine, any number of times.
func (p *Pool[T]) Shutdown(ctx context.Context) error {
	done := p.shut()
	select {
	case <-done:
		return nil
	default:
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	busy := 0
	for _, r := range p.seats.all() {
		switch r.state() {
		case opening, checking, returning, closing:
			busy++
		}
	}
	held := p.discardLeased()
	if len(held) == 0 && p.live.left() == 0 {
		return nil // nothing was left after all
	}
	return &ShutdownError{Pool: p.opts.Name, Held: held, Overdue: busy, Err: context.Cause(ctx)}
}

// Close ends the pool now: like Shutdown with a ctx that has ended, but it waits for the
// resources to be closed, at most Options.CloseTimeout. What is leased is discarded under
// its holder, whose Release is then harmless. The error is a *ShutdownError if some
// resource could not be closed in time.
func (p *Pool[T]) Close() error {
	done := p.shut()
	held := p.discardLeased()
	bound := p.opts.CloseTimeout
	if bound == Inline {
		bound = defaultCareTimeout
	}
	t := time.NewTimer(bound)
	defer t.Stop()
	select {
	case <-done:
		return nil
	case <-t.C:
		return &ShutdownError{Pool: p.opts.Name, Held: held, Overdue: p.live.left(), Err: ErrTimeout}
	}
}

// shut stops the lending and closes what is idle. The channel is closed when every seat is
// empty.
func (p *Pool[T]) shut() <-chan struct{} {
	p.shutting.Do(func() {
		p.closed.Store(true)
		p.epoch.Add(oneDisposal) // returns look: this makes none of them plain
		p.seating.Close()
		p.end(ErrClosed)
		p.logStatus("pool closed")
	})
	p.takeBackDropped()
	p.eachIdle(func(r *record[T]) { go p.sweep(r) })
	return p.live.finish()
}

// discardLeased ends every lease there is, and tells which.
func (p *Pool[T]) discardLeased() (held []HeldLease) {
	for _, r := range p.seats.all() {
		for _, h := range r.leasedHolds() {
			// The word is read before the hold is seen to be leased, so that end fails if
			// it was released in between.
			v := h.word.v.Load()
			if stateOf(v) != leased || !h.end(v) {
				continue
			}
			at := HeldLease{Seat: r.seat}
			if len(h.stack) > 0 {
				at.Stack = h.stack.String()
			}
			held = append(held, at)
			go p.discard(h, ErrClosed)
		}
	}
	return held
}

// leasedHolds are the holds of a seat that may be leased.
func (r *record[T]) leasedHolds() []*hold[T] {
	if r.pool.sharer == nil {
		return []*hold[T]{r.own.Load()}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*hold[T](nil), r.holds...)
}

// HeldLease is a lease that was still held when its pool ended.
type HeldLease struct {
	Seat  Seat
	Stack string // where it was acquired; empty without Options.Stacks
}

// ShutdownError tells what a pool's end did not wait for.
type ShutdownError struct {
	Pool    string
	Held    []HeldLease // leases that were discarded
	Overdue int         // seats whose open, ping, reset or close had not returned
	Err     error       // why the wait ended
}

func (e *ShutdownError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%sshutdown: %d leases still held were discarded", prefix(e.Pool), len(e.Held))
	if e.Overdue > 0 {
		fmt.Fprintf(&b, ", %d seats still busy in a call of the backend", e.Overdue)
	}
	fmt.Fprintf(&b, ": %v", e.Err)
	for _, h := range e.Held {
		where := strings.TrimSuffix(h.Stack, "\n")
		if where == "" {
			where = "an unknown place (set Options.Stacks to see where)"
		}
		fmt.Fprintf(&b, "\nseat %d, acquired at %s", h.Seat, where)
	}
	return b.String()
}

// Unwrap returns why the wait ended.
func (e *ShutdownError) Unwrap() error { return e.Err }
