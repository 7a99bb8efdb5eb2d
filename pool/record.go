package pool

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// A seat's state. Whoever has the seat, and nobody else, moves it on:
//
//	    open failed               kept
//	  ┌────────────┐     ┌──────────────────────────┐
//	  ▼            │     ▼         plain            │
//	empty ────► opening ─► idle ◄──────────► leased │
//	  ▲            ▲       │  │               ▲ │ │ │
//	  │      unfit │       ▼  │ not kept      │ │ │ │
//	  │            └─ checking ────────────────┘ │ │ │
//	  │                    │  │         Release │ │ │
//	  │             failed │  │                 ▼ │ │
//	  │                    ▼  ▼        returning ─┼─┘
//	  └───────────────── closing ◄────────┘       │
//	                          ▲  Discard, Detach  │
//	                          └───────────────────┘
//
// empty and idle seats are the seating's; opening ones the opener's; checking,
// returning and closing ones the pool's; a leased one is the lease's holder's. A
// shared seat is leased while it has at least one holder.
//
// "Plain" is the way of a pool without hooks, checks and resets: it goes from idle
// to leased and back without stopping at checking and returning.
type state uint64

const (
	empty state = iota
	opening
	idle
	checking
	leased
	returning
	closing
	states

	// ended is of a hold, not of a seat: its lease ended otherwise than by Release, and it
	// is never used again.
	ended state = stateMask
)

var stateNames = [states]string{"empty", "opening", "idle", "checking", "leased", "returning", "closing"}

func (s state) String() string { return stateNames[s] }

// arrows of the diagram: successors[s] has bit t set if s may become t.
var successors = [states]uint64{
	empty:     1 << opening,
	opening:   1<<idle | 1<<empty,
	idle:      1<<checking | 1<<leased | 1<<returning | 1<<closing,
	checking:  1<<leased | 1<<opening | 1<<returning | 1<<closing | 1<<idle,
	leased:    1<<idle | 1<<checking | 1<<returning | 1<<closing,
	returning: 1<<idle | 1<<closing,
	closing:   1 << empty,
}

// word is a seat's state in its low bits and, above them, a count of the leases
// that have ended. A lease keeps the word it began with, so that one comparison tells
// whether it still holds.
type word struct{ v atomic.Uint64 }

const (
	stateBits = 3
	stateMask = 1<<stateBits - 1
	oneLease  = 1 << stateBits
)

// with returns v in another state.
func with(v uint64, s state) uint64 { return v&^stateMask | uint64(s) }

func stateOf(v uint64) state { return state(v & stateMask) }

// move takes the seat from its present state to the next. The caller has the seat.
func (w *word) move(seat Seat, to state) uint64 {
	v := w.v.Load()
	if from := stateOf(v); from == ended || successors[from]>>to&1 == 0 {
		panic(fmt.Sprintf("pool: bug: seat %d goes from %d to %v", seat, from, to))
	}
	v = with(v, to)
	w.v.Store(v)
	return v
}

// resource is one opened T and what the pool knows of it. It belongs to whoever has the
// seat it is in.
type resource[T any] struct {
	value    T
	id       uint64
	epoch    uint64        // the pool's epoch when its open began
	openedAt time.Duration // on the pool's clock
	idleAt   time.Duration // when it was last returned, if Options.PingAfter wants to know
	info     Info
	marks    atomic.Uint32 // zero for a resource that nothing is wrong with

	mu   sync.Mutex
	once []func(context.Context, T) error // Lease.OnReturn; guarded by mu
}

// marks of a resource.
const (
	retired  uint32 = 1 << iota // by Retire: replaced at its next checkout
	gone                        // closed, about to be, or detached
	closed                      // given to Backend.Close
	onReturn                    // Lease.OnReturn has something to do
	dirty                       // a holder that shared it has left without saying that it is clean
)

func (r *resource[T]) has(mark uint32) bool { return r.marks.Load()&mark != 0 }

// record is what the pool knows of a seat. It outlives the resources in it.
type record[T any] struct {
	pool *Pool[T]
	seat Seat
	info Info

	// res is nil when the seat is empty. It belongs to whoever has the seat;
	// holders that share it read it under mu.
	res    *resource[T]
	before bool // the seat has held a resource before

	// Why the opener is to close res before it opens another.
	reason Reason
	cause  error

	// own carries the seat's state. For an exclusive strategy it is also the hold that
	// is leased; it is replaced when a lease ends otherwise than by Release.
	own atomic.Pointer[hold[T]]

	// The holds leased from a shared seat.
	mu    sync.Mutex
	holds []*hold[T] // all that exist
	free  []*hold[T] // those leased to nobody
	ended uint64     // leases that ended with their hold
}

// put places a resource in the seat, or nil. The lock is for holders that join a shared
// seat and find only afterwards that they came too late.
func (r *record[T]) put(res *resource[T]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.res = res
	if res == nil {
		r.own.Load().res = nil // or it would keep a closed resource from the garbage collector
	}
}

func (r *record[T]) state() state {
	if s := stateOf(r.own.Load().word.v.Load()); s != ended {
		return s
	}
	return returning // its own hold is about to be replaced
}

func (r *record[T]) move(to state) uint64 { return r.own.Load().word.move(r.seat, to) }

// seats is the table of records. It grows and never moves a record.
type seats[T any] struct {
	table atomic.Pointer[[]*record[T]]
	mu    sync.Mutex
}

// at returns the record of a seat that has been opened at least once.
func (s *seats[T]) at(seat Seat) *record[T] { return (*s.table.Load())[seat] }

// all returns the records made so far.
func (s *seats[T]) all() []*record[T] {
	if t := s.table.Load(); t != nil {
		return *t
	}
	return nil
}

// ensure returns the record of a seat and makes it if it is the first time.
func (s *seats[T]) ensure(p *Pool[T], seat Seat) *record[T] {
	if t := s.all(); int(seat) < len(t) {
		return t[seat]
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.all()
	if int(seat) < len(old) {
		return old[seat]
	}
	// Appending within capacity writes only beyond what readers of the old slice can see.
	grown := old
	for n := len(old); n <= int(seat); n++ {
		r := &record[T]{pool: p, seat: Seat(n)}
		r.own.Store(&hold[T]{rec: r})
		grown = append(grown, r)
	}
	s.table.Store(&grown)
	return grown[seat]
}
