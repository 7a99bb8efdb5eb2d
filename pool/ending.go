package pool

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Shutdown ends the pool with care. From now on nothing is lent, and waiters are woken with
// ErrClosed. Idle resources are closed at once, leased ones when they are returned. It
// returns nil when all are closed. If ctx ends before, what is still leased is
// discarded, and the error is a *ShutdownError that names it.
//
// Shutdown and Close may be called from any goroutine, any number of times, also while another call
// of them waits: the first whose time is over discards what is leased.
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
	left := p.live.left()
	held := p.discardLeased()
	if len(held) == 0 && p.live.left() == 0 {
		return nil // nothing was left after all
	}
	seats := make(map[Seat]struct{}) // holders may share one
	for _, h := range held {
		seats[h.Seat] = struct{}{}
	}
	return &ShutdownError{Pool: p.opts.Name, Held: held, Overdue: max(0, left-len(seats)), Err: context.Cause(ctx)}
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
		left := p.live.left()
		if left == 0 {
			return nil // at the same moment
		}
		return &ShutdownError{Pool: p.opts.Name, Held: held, Overdue: left, Err: errCloseOverdue}
	}
}

// shut stops the lending and closes what is idle. The channel is closed when every seat is
// empty.
func (p *Pool[T]) shut() <-chan struct{} {
	p.shutting.Do(func() {
		p.closed.Store(true)
		p.gate.Add(oneDisposal) // acquires and returns look at it
		p.seating.Close()
		p.turns.close()
		p.upkeep.close()
		for _, a := range []*alarm{p.opens, p.pings, p.resets, p.closes} {
			a.close()
		}
		p.end(ErrClosed)
		p.logStatus("pool closed")
	})
	p.takeBackDropped()
	p.eachIdle(func(f func()) { go f() })
	return p.live.finish()
}

// discardLeased ends every lease there is, and tells which.
func (p *Pool[T]) discardLeased() (held []HeldLease) {
	p.eachLeased(func(h *hold[T], v uint64) {
		at := h.describe()
		if h.end(v) {
			held = append(held, at)
			go p.discard(h, ErrClosed)
		}
	})
	return held
}

// Held lists the leases held now, to find out who keeps the others waiting. Its cost is
// proportional to the number of seats.
func (p *Pool[T]) Held() []HeldLease {
	return p.held(func(*hold[T]) bool { return true })
}

// held is Held of the leases that match.
func (p *Pool[T]) held(match func(*hold[T]) bool) (held []HeldLease) {
	p.eachLeased(func(h *hold[T], v uint64) {
		at := h.describe()
		if match(h) && h.word.v.Load() == v { // or it was another lease that has been described
			held = append(held, at)
		}
	})
	return held
}

// eachLeased calls f for every hold that is leased, with the word it was seen to have.
func (p *Pool[T]) eachLeased(f func(h *hold[T], v uint64)) {
	p.seats.all(func(r *record[T]) bool {
		for _, h := range r.leasedHolds() {
			if v := h.word.v.Load(); stateOf(v) == leased {
				f(h, v)
			}
		}
		return true
	})
}

func (h *hold[T]) describe() HeldLease {
	at := HeldLease{Seat: h.rec.seat}
	e := h.more.Load()
	if e == nil {
		return at
	}
	e.trail.mu.Lock()
	defer e.trail.mu.Unlock()
	if len(e.trail.stack) > 0 {
		at.Stack = e.trail.String()
		at.For = h.rec.pool.now() - e.trail.at
	}
	return at
}

// leasedHolds are the holds of a seat that may be leased.
func (r *record[T]) leasedHolds() []*hold[T] {
	s := r.sharing()
	if s == nil {
		if h := r.own.Load(); h != nil {
			return []*hold[T]{h}
		}
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.holds)
}

// HeldLease is a lease that somebody holds.
type HeldLease struct {
	Seat  Seat
	For   time.Duration // since it was acquired; 0 without Options.Stacks
	Stack string        // where it was acquired; empty without Options.Stacks
}

func (h HeldLease) String() string {
	if h.Stack == "" {
		return fmt.Sprintf("seat %d, acquired at an unknown place (set Options.Stacks to see where)", h.Seat)
	}
	return fmt.Sprintf("seat %d, for %v, acquired at\n%s", h.Seat, round(h.For), strings.TrimSuffix(h.Stack, "\n"))
}

// errCloseOverdue is why Close gave up.
var errCloseOverdue = errors.New("pool: not all resources were closed within Options.CloseTimeout")

// ShutdownError tells what a pool's end did not wait for.
type ShutdownError struct {
	Pool    string
	Held    []HeldLease // leases that were discarded
	Overdue int         // opens, pings, resets and closes that had not returned, also abandoned ones
	Err     error       // why the wait ended
}

func (e *ShutdownError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%sshutdown: %s", prefix(e.Pool), strings.TrimPrefix(e.Err.Error(), "pool: "))
	switch n := len(e.Held); {
	case n == 1:
		b.WriteString("; 1 lease still held was discarded")
	case n > 1:
		fmt.Fprintf(&b, "; %d leases still held were discarded", n)
	}
	switch n := e.Overdue; {
	case n == 1:
		b.WriteString("; 1 call of the backend has not returned")
	case n > 1:
		fmt.Fprintf(&b, "; %d calls of the backend have not returned", n)
	}
	listHeld(&b, e.Held)
	return b.String()
}

// listHeld adds a line for each lease.
func listHeld(b *strings.Builder, held []HeldLease) {
	for _, h := range held {
		b.WriteString("\n")
		b.WriteString(h.String())
	}
}

// Unwrap returns why the wait ended.
func (e *ShutdownError) Unwrap() error { return e.Err }
