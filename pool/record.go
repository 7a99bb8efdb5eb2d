package pool

import (
	"fmt"
	"sync"
	"sync/atomic"
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
//	idle ◄────► free ◄────► leased        self-service: from free by compare-and-swap,
//	              └───────► checking      to whoever is first
//
// empty and idle seats are the seating's; opening ones the opener's; checking,
// returning and closing ones the pool's; a leased one is the lease's holder's. A
// shared seat is leased while it has at least one holder.
//
// A free seat is nobody's: whoever takes it from free to another state by compare-and-swap
// has it. The seating puts idle seats there and takes them back (SelfService); in between
// the pool lends them without asking it.
//
// "Plain" is the way of a pool without hooks, checks and resets: it goes from idle
// to leased and back without stopping at checking and returning.
type state uint64

const (
	empty state = iota
	opening
	idle
	free
	checking
	leased
	returning
	closing
	states

	// ended is of a hold, not of a seat: its lease ended otherwise than by Release, and it
	// is never used again.
	ended state = stateMask
)

var stateNames = [states]string{"empty", "opening", "idle", "free", "checking", "leased", "returning", "closing"}

func (s state) String() string { return stateNames[s] }

// arrows of the diagram: successors[s] has bit t set if s may become t.
var successors = [states]uint64{
	empty:     1 << opening,
	opening:   1<<idle | 1<<empty,
	idle:      1<<free | 1<<checking | 1<<leased | 1<<returning | 1<<closing,
	checking:  1<<leased | 1<<opening | 1<<returning | 1<<closing | 1<<idle,
	leased:    1<<idle | 1<<checking | 1<<returning | 1<<closing,
	returning: 1<<idle | 1<<closing,
	closing:   1 << empty,
	// free: by compare-and-swap only; see word.claim.
}

// word is a state in its low bits and, above them, a count of the leases that have ended. A
// lease keeps the word it began with, so that one comparison tells whether it still holds.
type word struct{ v atomic.Uint64 }

const (
	stateBits = 4
	stateMask = 1<<stateBits - 1
	oneLease  = 1 << stateBits
)

// with returns v in another state.
func with(v uint64, s state) uint64 { return v&^stateMask | uint64(s) }

func stateOf(v uint64) state { return state(v & stateMask) }

// move takes the seat from its present state to the next. The caller has the seat.
func (w *word) move(seat Seat, to state) uint64 {
	v := w.v.Load()
	check(seat, stateOf(v), to)
	v = with(v, to)
	w.v.Store(v)
	return v
}

// claim takes the seat from free to another state, and reports whether it was there.
func (w *word) claim(to state) (uint64, bool) {
	v := w.v.Load()
	next := with(v, to)
	return next, stateOf(v) == free && w.v.CompareAndSwap(v, next)
}

func check(seat Seat, from, to state) {
	if from == ended || successors[from]>>to&1 == 0 {
		panic(fmt.Sprintf("pool: bug: seat %d goes from %d to %v", seat, from, to))
	}
}

// record is what the pool knows of a seat. It outlives the resources in it.
type record[T any] struct {
	pool *Pool[T]
	// own is the hold of the resource in the seat, nil if there is none. It belongs to
	// whoever has the seat; holders that share it read it under sharing.mu.
	own  atomic.Pointer[hold[T]]
	seat Seat
	// rest is the state of a seat whose own hold cannot tell it, because there is none or
	// because its lease ended otherwise than by Release; the bit hadOne; and the tenure.
	rest atomic.Uint32
}

// hadOne says that the seat has held a resource before. The bits above it count tenures: a
// tenure is the time of those resources in a seat that inherit one guard from each other.
const (
	hadOne    = 1 << stateBits
	oneTenure = hadOne << 1
)

func (r *record[T]) tenure() uint32 { return r.rest.Load() / oneTenure }

func (r *record[T]) before() bool { return r.rest.Load()&hadOne != 0 }

// put places a resource in an empty seat that is being opened.
func (r *record[T]) put(h *hold[T]) {
	v := r.rest.Load()
	if h.guard = r.pool.seats.inherit(r.seat); h.guard == nil {
		v += oneTenure // a guard that is lost means nothing from now on
	}
	// What the state is called once the word of h has ended.
	r.rest.Store(v&^stateMask | hadOne | uint32(returning))
	r.setOwn(h)
}

// clear takes out of the seat what is in it.
func (r *record[T]) clear() {
	h := r.own.Load()
	r.rest.Store(r.rest.Load()&^stateMask | hadOne | uint32(r.state()))
	r.pool.counts.leases.Add(h.begun())
	// Close ends leases that are just being made, which have the guard still; and nobody inherits from it.
	if !r.pool.closed.Load() && h.guard != nil && h.guard != &r.pool.noGuard {
		r.pool.seats.bequeath(r.seat, h.guard)
		h.guard = nil
	}
	r.setOwn(nil)
	r.pool.hints.forget(h)
}

// setOwn has a lock where holders join a shared seat, who find only afterwards that they
// came too late.
func (r *record[T]) setOwn(h *hold[T]) {
	if s := r.sharing(); s != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
	}
	r.own.Store(h)
}

func (r *record[T]) state() state {
	if h := r.own.Load(); h != nil {
		if s := stateOf(h.word.v.Load()); s != ended {
			return s
		}
	}
	return state(r.rest.Load() & stateMask)
}

func (r *record[T]) move(to state) {
	if h := r.own.Load(); h != nil && stateOf(h.word.v.Load()) != ended {
		h.word.move(r.seat, to)
		return
	}
	v := r.rest.Load()
	check(r.seat, state(v&stateMask), to)
	r.rest.Store(v&^stateMask | uint32(to))
}

// sharing is what else there is to know of a shared seat; nil for exclusive strategies.
func (r *record[T]) sharing() *sharing[T] {
	if r.pool.sharer == nil {
		return nil
	}
	return r.pool.seats.sharingAt(r.seat)
}

// chunkSize is how many records lie together: enough to make the memory of the table small
// beside theirs. Arbitrary.
const chunkSize = 16

// chunk is part of the table of seats. Records lie in it by value, since they are only read
// while seats come and go.
type chunk[T any] struct {
	records [chunkSize]record[T]
	shared  []sharing[T] // nil for exclusive strategies
	// guards are those left behind by the last resources of the seats. Each belongs to whoever has its seat.
	guards atomic.Pointer[[chunkSize]*guard]
}

// seats is the table of records. It grows and never moves a record.
type seats[T any] struct {
	table atomic.Pointer[[]*chunk[T]]
	n     atomic.Int64 // seats used so far

	mu    sync.Mutex
	infos map[Seat]*Info // of seats; made when asked for
}

// at returns the record of a seat that has been opened at least once.
func (s *seats[T]) at(seat Seat) *record[T] {
	return &(*s.table.Load())[seat/chunkSize].records[seat%chunkSize]
}

func (s *seats[T]) sharingAt(seat Seat) *sharing[T] {
	return &(*s.table.Load())[seat/chunkSize].shared[seat%chunkSize]
}

// bequeath leaves the guard of a resource that is closed to the next in its seat.
func (s *seats[T]) bequeath(seat Seat, g *guard) {
	c := (*s.table.Load())[seat/chunkSize]
	if c.guards.Load() == nil {
		c.guards.CompareAndSwap(nil, new([chunkSize]*guard))
	}
	c.guards.Load()[seat%chunkSize] = g
}

// inherit takes the guard that was left for the next resource of a seat; nil if there is none.
func (s *seats[T]) inherit(seat Seat) (g *guard) {
	if left := (*s.table.Load())[seat/chunkSize].guards.Load(); left != nil {
		g, left[seat%chunkSize] = left[seat%chunkSize], nil
	}
	return g
}

// all calls f with every record there is, until it returns false.
func (s *seats[T]) all(f func(r *record[T]) bool) {
	for seat := range Seat(s.n.Load()) {
		if !f(s.at(seat)) {
			return
		}
	}
}

// ensure returns the record of a seat and makes it if it is the first time.
func (s *seats[T]) ensure(p *Pool[T], seat Seat) *record[T] {
	if int64(seat) < s.n.Load() {
		return s.at(seat)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var chunks []*chunk[T]
	if t := s.table.Load(); t != nil {
		chunks = *t
	}
	for len(chunks) <= int(seat/chunkSize) {
		// Appending within capacity writes only beyond what readers of the old slice can see.
		chunks = append(chunks, newChunk(p, Seat(len(chunks)*chunkSize)))
	}
	s.table.Store(&chunks)
	s.n.Store(max(s.n.Load(), int64(seat)+1)) // after the table: readers go by it
	return s.at(seat)
}

func newChunk[T any](p *Pool[T], first Seat) *chunk[T] {
	c := new(chunk[T])
	for i := range c.records {
		c.records[i].pool, c.records[i].seat = p, first+Seat(i)
	}
	if p.sharer != nil {
		c.shared = make([]sharing[T], chunkSize)
	}
	return c
}

// info is the seat's own store.
func (s *seats[T]) info(seat Seat) *Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.infos[seat]
	if in == nil {
		if s.infos == nil {
			s.infos = make(map[Seat]*Info)
		}
		in = new(Info)
		s.infos[seat] = in
	}
	return in
}
