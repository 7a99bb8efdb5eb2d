package pool_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/lidopool/lido/pool"
)

// flicker is a strategy that lets seats serve themselves: when it is told to, or on and off at random. It
// is as plain as a seating can be, so that what is tested is the pool.
type flicker struct {
	seats   int
	random  bool
	lax     bool            // Close leaves self-service to the pool
	started *flickerSeating // the newest
}

func (f *flicker) Kind() string { return "flicker" }

func (f *flicker) Start(h pool.Host) (pool.Seating, error) {
	self, ok := h.(pool.SelfService)
	if !ok {
		return nil, errors.New("the host offers no self-service")
	}
	f.started = &flickerSeating{self: self, seats: f.seats, random: f.random, lax: f.lax, suspended: true}
	return f.started, nil
}

type flickerSeating struct {
	self   pool.SelfService
	seats  int
	random bool
	lax    bool

	mu        sync.Mutex
	suspended bool
	idle      []pool.Seat
	empty     []pool.Seat
	used      int
	opening   int
	waiting   []*inLine
	closed    bool
	acquires  int         // that came here
	releases  []pool.Seat // likewise, of open seats
}

type inLine struct{ answer chan answer }

type answer struct {
	seat pool.Seat
	err  error
}

// resume has self-service go on; suspend ends it and tells what was free. Both are for the test.
func (s *flickerSeating) resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resumeLocked()
}

func (s *flickerSeating) suspend() (found []pool.Seat) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.idle)
	s.suspendLocked()
	return slices.Clone(s.idle[before:])
}

// visits are the calls of Acquire and Release that came here since the last time.
func (s *flickerSeating) visits() (acquires int, releases []pool.Seat) {
	s.mu.Lock()
	defer s.mu.Unlock()
	acquires, releases = s.acquires, s.releases
	s.acquires, s.releases = 0, nil
	return acquires, releases
}

func (s *flickerSeating) resumeLocked() {
	s.suspended = false
	s.self.Resume()
	for _, seat := range s.idle {
		s.self.Put(seat)
	}
	s.idle = nil
}

func (s *flickerSeating) suspendLocked() {
	if !s.suspended {
		s.suspended = true
		s.self.Suspend(func(seat pool.Seat) { s.idle = append(s.idle, seat) })
	}
}

// whim suspends or resumes, or leaves it as it is.
func (s *flickerSeating) whim() {
	switch {
	case !s.random || s.closed || len(s.waiting) > 0:
	case s.suspended && rand.IntN(2) == 0:
		s.resumeLocked()
	case !s.suspended && rand.IntN(4) == 0:
		s.suspendLocked()
	}
}

func (s *flickerSeating) Limits() pool.Limits { return pool.Limits{Seats: s.seats, Keep: s.seats} }

func (s *flickerSeating) Acquire(ctx context.Context, m pool.Mode) (pool.Grant, error) {
	s.mu.Lock()
	s.acquires++
	if s.closed {
		s.mu.Unlock()
		return pool.Grant{}, pool.ErrClosed
	}
	s.suspendLocked()
	if n := len(s.idle); n > 0 {
		seat := s.idle[n-1]
		s.idle = s.idle[:n-1]
		s.whim()
		s.mu.Unlock()
		return pool.Grant{Seat: seat}, nil
	}
	if m&pool.NoWait != 0 && s.used == s.seats && len(s.empty) == 0 {
		s.whim()
		s.mu.Unlock()
		return pool.Grant{}, pool.ErrExhausted
	}
	w := &inLine{make(chan answer, 1)}
	s.waiting = append(s.waiting, w)
	s.feed()
	s.mu.Unlock()
	return s.wait(ctx, w)
}

func (s *flickerSeating) Replace(ctx context.Context, g pool.Grant, _ pool.Mode) (pool.Grant, error) {
	s.mu.Lock()
	s.opening++
	s.self.Open(g.Seat)
	if s.closed {
		s.mu.Unlock()
		return pool.Grant{}, pool.ErrClosed
	}
	s.suspendLocked()
	w := &inLine{make(chan answer, 1)}
	s.waiting = slices.Insert(s.waiting, 0, w)
	s.mu.Unlock()
	return s.wait(ctx, w)
}

func (s *flickerSeating) wait(ctx context.Context, w *inLine) (pool.Grant, error) {
	select {
	case a := <-w.answer:
		return pool.Grant{Seat: a.seat}, a.err
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := slices.Index(s.waiting, w); at >= 0 {
		s.waiting = slices.Delete(s.waiting, at, at+1)
		s.whim()
		return pool.Grant{}, context.Cause(ctx)
	}
	a := <-w.answer
	return pool.Grant{Seat: a.seat}, a.err
}

func (s *flickerSeating) feed() {
	for len(s.waiting) > s.opening && (len(s.empty) > 0 || s.used < s.seats) {
		seat := pool.Seat(s.used)
		if n := len(s.empty); n > 0 {
			seat = s.empty[n-1]
			s.empty = s.empty[:n-1]
		} else {
			s.used++
		}
		s.opening++
		s.self.Open(seat)
	}
}

func (s *flickerSeating) serve(a answer) {
	s.waiting[0].answer <- a
	s.waiting = s.waiting[1:]
}

func (s *flickerSeating) Begin(pool.Seat) bool { return true }

func (s *flickerSeating) Stock(int) int { return 0 }

func (s *flickerSeating) Pause(bool) {}

func (s *flickerSeating) Opened(seat pool.Seat) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opening--
	return s.put(seat)
}

func (s *flickerSeating) Failed(seat pool.Seat, err error, _ pool.Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opening--
	s.empty = append(s.empty, seat)
	if len(s.waiting) > s.opening {
		s.serve(answer{err: err})
	}
	s.feed()
}

func (s *flickerSeating) Overdue(_ pool.Seat, err error, _ pool.Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opening--
	if len(s.waiting) > s.opening {
		s.serve(answer{err: err})
	}
}

func (s *flickerSeating) Release(seat pool.Seat, open bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !open {
		s.empty = append(s.empty, seat)
		s.feed()
		return true
	}
	s.releases = append(s.releases, seat)
	return s.put(seat)
}

func (s *flickerSeating) put(seat pool.Seat) bool {
	switch {
	case s.closed:
		return false
	case len(s.waiting) > 0:
		s.serve(answer{seat: seat})
	case s.suspended:
		s.idle = append(s.idle, seat)
	default:
		s.self.Put(seat)
	}
	s.whim()
	return true
}

func (s *flickerSeating) Claim(seat pool.Seat) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := slices.Index(s.idle, seat); at >= 0 {
		s.idle = slices.Delete(s.idle, at, at+1)
		return true
	}
	return s.self.Take(seat)
}

func (s *flickerSeating) Load() pool.Load {
	s.mu.Lock()
	defer s.mu.Unlock()
	idle := len(s.idle) + s.self.Free()
	return pool.Load{Lent: s.used - len(s.empty) - s.opening - idle, Idle: idle, Opening: s.opening, Waiting: len(s.waiting)}
}

func (s *flickerSeating) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if !s.lax {
		s.suspendLocked()
	}
	for len(s.waiting) > 0 {
		s.serve(answer{err: pool.ErrClosed})
	}
}

// owned is a resource that knows its owner.
type owned struct {
	owner  atomic.Int64 // 0: nobody
	closed atomic.Int32 // how often
	// handed is not atomic on purpose: owners who are not ordered by the pool are a data race.
	handed int
}

// take and give are what an owner does first and last.
func (r *owned) take(t testing.TB, me int64) {
	if !r.owner.CompareAndSwap(0, me) {
		t.Errorf("%d was lent a resource that %d owns; it has one owner at a time", me, r.owner.Load())
	}
	if r.closed.Load() != 0 {
		t.Errorf("%d was lent a resource that is closed", me)
	}
	r.handed++
}

func (r *owned) give(t testing.TB, me int64) {
	r.handed++
	if !r.owner.CompareAndSwap(me, 0) {
		t.Errorf("%d returns a resource that %d owns; it has one owner at a time", me, r.owner.Load())
	}
}

// ownedBackend opens resources and counts.
type ownedBackend struct {
	t              testing.TB
	opened, closed atomic.Int32
}

func (b *ownedBackend) funcs() pool.Funcs[*owned] {
	return pool.Funcs[*owned]{
		OpenFunc: func(context.Context) (*owned, error) { b.opened.Add(1); return new(owned), nil },
		CloseFunc: func(r *owned) error {
			b.closed.Add(1)
			if n := r.closed.Add(1); n != 1 {
				b.t.Errorf("a resource was closed %d times, want once", n)
			}
			return nil
		},
	}
}

// onFastPath opens a pool of so many seats whose resources all are open and free, with nothing to do on
// checkout and return.
func onFastPath(t testing.TB, seats int) (*pool.Pool[*owned], *flickerSeating, *ownedBackend) {
	t.Helper()
	f, b := &flicker{seats: seats}, &ownedBackend{t: t}
	p, err := pool.New(b.funcs(), f, pool.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("Close: %v, want nil", err)
		}
		if o, c := b.opened.Load(), b.closed.Load(); o != c {
			t.Errorf("%d resources were opened and %d closed, want as many", o, c)
		}
	})
	var held []pool.Lease[*owned]
	for range seats {
		l, err := p.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, l)
	}
	for _, l := range held {
		if err := l.Release(); err != nil {
			t.Fatal(err)
		}
	}
	f.started.resume()
	f.started.visits()
	return p, f.started, b
}
