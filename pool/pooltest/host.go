package pooltest

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/lidopool/lido/pool"
)

// host is a pool without resources: what a seating asks to have opened stays open until the test
// says what came of it. It follows each seat from hand to hand. What it lends itself is in
// selfservice.go.
type host struct {
	t       testing.TB // nil: nothing is checked
	seating pool.Seating
	limits  pool.Limits

	mu      sync.Mutex
	pending []pool.Seat
	hands   map[pool.Seat]hand
	wish    chan struct{} // of capacity 1: something was asked for
	service service
}

// hand is who has a seat.
type hand string

const (
	inSeating hand = "the seating"
	empty     hand = "the seating, empty" // the zero hand "" too: never seen before
	inOpener  hand = "the opener"
	inPool    hand = "the pool"
	inReplace hand = "the seating, to be replaced"
	nobody    hand = "nobody" // free, in self-service
)

func newHost() *host {
	return &host{hands: make(map[pool.Seat]hand), wish: make(chan struct{}, 1), service: service{suspended: true}}
}

// seat starts a seating on a new host, which offers self-service where a pool does.
func (k *kit) seat() *host {
	k.Helper()
	h := newHost()
	h.t = k.T
	var face pool.Host = h
	if k.plain && !k.shares() {
		face = &selfService{host: h}
	}
	k.Cleanup(func() {
		if k.Failed() {
			_, offered := face.(pool.SelfService)
			k.Logf("it happened on a host that offers self-service: %t", offered)
		}
	})
	s, err := k.newStrategy().Start(face)
	if err != nil {
		k.Fatalf("Start: %v, want a seating", err)
	}
	h.seating, h.limits = s, s.Limits()
	return h
}

// Open implements pool.Host.
func (h *host) Open(s pool.Seat) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.t != nil {
		limits := h.limits
		if limits.Seats != pool.Unlimited && int(s) >= limits.Seats {
			h.t.Errorf("Host.Open(%d) with %d seats; seats are numbered from 0", s, limits.Seats)
		}
		if at := h.hands[s]; at != "" && at != empty && at != inReplace {
			h.t.Errorf("Host.Open(%d) while %q has the seat", s, at)
		}
	}
	h.hands[s] = inOpener
	h.pending = append(h.pending, s)
	select {
	case h.wish <- struct{}{}:
	default:
	}
}

// AtOnce implements pool.Host.
func (h *host) AtOnce() int { return pool.Unlimited }

// move notes that a seat goes from one hand to another.
func (h *host) move(s pool.Seat, from, to hand, doing string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if at := h.hands[s]; at != from {
		h.t.Errorf("%s of seat %d, which %q has; it should be with %s", doing, s, at, from)
	}
	h.hands[s] = to
}

// acquire lends a free seat, or one by Seating.Acquire.
func (h *host) acquire(ctx context.Context, m pool.Mode) (pool.Grant, error) {
	if s, ok := h.serveOne(ctx); ok {
		return pool.Grant{Seat: s}, nil
	}
	g, err := h.seating.Acquire(ctx, m)
	if err == nil && !g.Joined {
		h.move(g.Seat, inSeating, inPool, "Grant")
	}
	return g, err
}

// replace is Seating.Replace.
func (h *host) replace(ctx context.Context, old pool.Grant) (pool.Grant, error) {
	h.move(old.Seat, inPool, inReplace, "Replace")
	g, err := h.seating.Replace(ctx, old, pool.Wait)
	if err == nil && !g.Joined {
		h.move(g.Seat, inSeating, inPool, "Grant")
	}
	return g, err
}

// release ends a lease: the seat stays free, or goes to the seating. It reports whether the
// seat was taken.
func (h *host) release(s pool.Seat, open bool) bool {
	return open && h.leaveFree(s) || h.hand(s, open)
}

// hand is Seating.Release by the pool.
func (h *host) hand(s pool.Seat, open bool) bool {
	to := inSeating
	if !open {
		to = empty
	}
	h.move(s, inPool, to, "Release")
	taken := h.seating.Release(s, open)
	if !taken {
		if !open {
			h.t.Errorf("Release(%d, false) = false; an empty seat is always taken", s)
		}
		h.move(s, to, inPool, "refused Release")
	}
	return taken
}

// claim is Seating.Claim by the pool.
func (h *host) claim(s pool.Seat) bool {
	claimed := h.seating.Claim(s)
	if claimed {
		h.move(s, inSeating, inPool, "Claim")
	}
	return claimed
}

// astray asserts that every seat is the seating's or nobody's, and tells how many of them hold a
// resource.
func (h *host) astray() (open int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s, at := range h.hands {
		switch at {
		case empty:
		case inSeating, nobody:
			open++
		default:
			h.t.Errorf("at rest seat %d is with %q, want it with the seating or nobody", s, at)
		}
	}
	return open
}

// opened answers the oldest wish for a resource that is still needed, and reports whether there was one and the
// seating took what came of it. What it does not take is closed, as a pool does.
func (h *host) opened(err error) (wished, taken bool) {
	s, wished := h.begin()
	if !wished {
		return false, false
	}
	return true, h.answer(s, err)
}

// answer ends an open that has begun, and reports whether the seating took what came of it.
func (h *host) answer(s pool.Seat, err error) (taken bool) {
	if err != nil {
		h.move(s, inOpener, empty, "Failed")
		h.seating.Failed(s, err, pool.AnswerOne)
		return true
	}
	h.move(s, inOpener, inSeating, "Opened")
	taken = h.seating.Opened(s)
	if !taken {
		h.move(s, inSeating, inPool, "refused Opened")
		h.hand(s, false)
	}
	return taken
}

// begin takes the oldest wish off the list that the seating still needs.
func (h *host) begin() (pool.Seat, bool) {
	for {
		s, wished := h.oldest()
		if !wished {
			return 0, false
		}
		h.move(s, inOpener, empty, "Begin")
		if h.seating.Begin(s) {
			h.move(s, empty, inOpener, "granted Begin")
			return s, true
		}
	}
}

// errLate is the fate of an open that is overdue and comes back after all.
var errLate = errors.New("open is overdue")

// overdue gives up on the oldest wish: the seat stays with the pool.
func (h *host) overdue(err error) pool.Seat {
	s, wished := h.begin()
	if !wished {
		h.t.Fatal("no open was asked for")
	}
	h.move(s, inOpener, inPool, "Overdue")
	h.seating.Overdue(s, err, pool.AnswerOne)
	return s
}

// oldest takes the oldest wish off the list.
func (h *host) oldest() (s pool.Seat, wished bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.pending) == 0 {
		return 0, false
	}
	s = h.pending[0]
	h.pending = h.pending[1:]
	return s, true
}

// wishes is how many opens are asked for.
func (h *host) wishes() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.pending)
}

// serve opens whatever is asked for until stop is closed, with the error that fate tells; or late, if that
// is errLate.
func (h *host) serve(stop <-chan struct{}, fate func() error) {
	for {
		for h.wishes() > 0 {
			if err := fate(); errors.Is(err, errLate) {
				s, wished := h.begin()
				if !wished {
					continue
				}
				h.move(s, inOpener, inPool, "Overdue")
				h.seating.Overdue(s, err, pool.AnswerOne)
				if !h.hand(s, true) {
					h.hand(s, false)
				}
			} else {
				h.opened(err)
			}
		}
		select {
		case <-stop:
			return
		case <-h.wish:
		}
	}
}

// ask starts an Acquire on a goroutine of its own.
func (h *host) ask(ctx context.Context, m pool.Mode) *asker {
	return asking(func() (pool.Grant, error) { return h.acquire(ctx, m) })
}

// asker is an Acquire or Replace under way. What it got may be read once it is done.
type asker struct {
	answered chan struct{}
	grant    pool.Grant
	err      error
}

func asking(f func() (pool.Grant, error)) *asker {
	a := &asker{answered: make(chan struct{})}
	go func() {
		defer close(a.answered)
		a.grant, a.err = f()
	}()
	return a
}

func (a *asker) done() bool { return isClosed(a.answered) }

// leave ends one share of a grant, and the tenancy if it was the last.
func (h *host) leave(g pool.Grant) (last bool) {
	sharer, ok := h.seating.(pool.Sharer)
	if ok && !sharer.Leave(g) {
		return false
	}
	if !h.release(g.Seat, true) {
		h.release(g.Seat, false)
	}
	return true
}

// ready says that the first holder of a grant has checked its resource.
func (h *host) ready(g pool.Grant) {
	if sharer, ok := h.seating.(pool.Sharer); ok && !g.Joined {
		sharer.Ready(g)
	}
}
