package pool

import (
	"context"
	"time"
)

// Hook is called at one of the pool's events. What its error does is told at each field of
// Hooks. A hook that panics fails with a *PanicError; no hook can lose a seat.
//
// Checkout, Reset and Checkin hooks run on the goroutine that acquires or releases,
// the others on a goroutine of the pool's. A hook must return soon after its
// ctx ends: while it does not, its seat is busy, and nothing else is.
type Hook[T any] func(ctx context.Context, e Event[T]) error

// Hooks are functions called before each open and at the ten events in a resource's life, nil for none. They are
// given to New, for whose pool they then hold for good; one value may serve many pools.
//
// The usual order is: FirstConnect Connect Checkout at the first Acquire, Reset
// Checkin at Release, Checkout at the next Acquire. Others follow at each
// field; docs/architecture.md has them all.
type Hooks[T any] struct {
	// FirstConnect runs once per pool, before the first Connect; again if it
	// failed. Opens that run at the same time wait for it. An error fails the open.
	FirstConnect Hook[T]
	// BeforeOpen runs before each Backend.Open. The ctx it returns, made from the one it is given,
	// is the one that Open and the connect hooks get: so it can hand on what must be
	// fresh at each open, such as an access token, a password that is rotated, or an address. An error fails
	// the open. A nil ctx leaves it as it is.
	BeforeOpen func(ctx context.Context, e Event[T]) (context.Context, error)
	// Connect runs after each successful Backend.Open, before anyone can
	// acquire the resource. An error closes the resource and fails the open.
	Connect Hook[T]
	// Checkout runs at each Acquire, last of all. ErrDisconnected or ErrInvalidatePool, or
	// an error that the backend classifies as Dead or AllDead, replaces the resource and
	// tries again, up to Options.Attempts. Any other error discards the resource, unless
	// others hold it too, and fails the Acquire.
	Checkout Hook[T]
	// Reset runs at each return, before Backend.Reset; for a detached resource,
	// before it is closed (Event.Detached). An error discards the resource.
	Reset Hook[T]
	// Checkin runs at each return, after Reset, and when a resource was
	// discarded instead (then Event.Open is false). An error discards the resource.
	Checkin Hook[T]
	// Invalidate runs before a resource is closed because of Event.Cause. An error is
	// logged.
	Invalidate Hook[T]
	// SoftInvalidate runs when a resource is marked by Retire. An error is
	// logged.
	SoftInvalidate Hook[T]
	// Close runs before the pool closes a resource, for whatever Event.Reason. An error is
	// logged.
	Close Hook[T]
	// Detach runs after a resource has left the pool. An error is logged.
	Detach Hook[T]
	// CloseDetached runs before a detached resource is closed. An error is
	// logged.
	CloseDetached Hook[T]
}

// Event is what a Hook is told.
type Event[T any] struct {
	Pool     string // Options.Name
	Seat     Seat
	Open     bool // whether there is a resource: if not, Resource is T's zero value
	Resource T
	ID       uint64        // numbers the resources of a pool from 1; 0 if not Open
	Age      time.Duration // since it was opened

	Cause    error  // Invalidate, SoftInvalidate: why
	Reason   Reason // Close: why
	Clean    bool   // Reset: the holder said the state is clean, Backend.Reset is skipped
	Detached bool   // Reset: the resource is detached, and closed afterwards

	rec  *record[T] // nil for a detached resource
	hold *hold[T]
	info *Info // of a detached resource
}

// Info is the resource's own store: it lasts as long as the resource. Nil if not Open.
func (e Event[T]) Info() *Info {
	if e.info == nil && e.hold != nil {
		return &e.hold.extra().info
	}
	return e.info
}

// SeatInfo is the seat's store: it outlasts the resources in the seat. Nil for a detached
// resource.
func (e Event[T]) SeatInfo() *Info {
	if e.rec == nil {
		return nil
	}
	return e.rec.pool.seats.info(e.rec.seat)
}

// Reason is why a resource was closed.
type Reason uint8

// The reasons.
const (
	_              Reason = iota
	ReasonOverflow        // returned while enough were idle, or never to be kept
	ReasonDisposed        // Dispose, Shutdown or Close
	ReasonInvalid         // discarded, or found dead
	ReasonRetired         // marked by Retire
	ReasonOutdated        // opened before an Invalidate
	ReasonAge             // older than Options.MaxAge
	ReasonOpenHook        // a connect hook failed
	ReasonUnwanted        // opened, but nobody wanted it any more
	ReasonDetached        // closed by its new owner
	ReasonIdle            // unused for longer than Options.MaxIdle
)

var reasonNames = [...]string{"", "overflow", "disposed", "invalid", "retired", "outdated", "age",
	"connect hook failed", "unwanted", "detached", "idle"}

func (r Reason) String() string { return reasonNames[r] }

// event numbers the fields of Hooks.
type event uint8

const (
	onFirstConnect event = iota
	onConnect
	onCheckout
	onReset
	onCheckin
	onInvalidate
	onSoftInvalidate
	onClose
	onDetach
	onCloseDetached
	events
)

var eventNames = [events]string{"first_connect", "connect", "checkout", "reset", "checkin",
	"invalidate", "soft_invalidate", "close", "detach", "close_detached"}

func (e event) String() string { return eventNames[e] }

func (h *Hooks[T]) at(e event) Hook[T] {
	return [events]Hook[T]{h.FirstConnect, h.Connect, h.Checkout, h.Reset, h.Checkin,
		h.Invalidate, h.SoftInvalidate, h.Close, h.Detach, h.CloseDetached}[e]
}

// listeners holds the hooks of a pool by event, in the order given to New.
type listeners[T any] [events][]Hook[T]

func newListeners[T any](all []Hooks[T]) (l listeners[T]) {
	for i := range all {
		for e := range events {
			if h := all[i].at(e); h != nil {
				l[e] = append(l[e], h)
			}
		}
	}
	return l
}

// fire calls the hooks of an event in order and stops at the first error.
// Goexit passes through: the caller must not lose its seat by it.
func (l *listeners[T]) fire(ctx context.Context, e event, ev Event[T]) error {
	for _, h := range l[e] {
		if err := callHook(ctx, h, e, ev); err != nil {
			return err
		}
	}
	return nil
}

func callHook[T any](ctx context.Context, h Hook[T], e event, ev Event[T]) (err error) {
	defer recoverInto(&err, e.String()+" hook")
	return h(ctx, ev)
}
