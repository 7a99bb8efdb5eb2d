package pooltest

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"

	"github.com/lidopool/lido/pool"
)

// service is what a host does without its seating. The host's lock guards it.
type service struct {
	suspended bool // by the seating, or because there was no Resume yet
	resumed   bool // there was one
	closed    bool // the pool is
	all       bool // each Release goes to the seating
}

// selfService is the face of a host that offers self-service. A pool does it by
// compare-and-swap of a word for each seat; here the words are in the host's map of hands, so that
// they can be looked at together.
type selfService struct {
	*host
	calls sync.Mutex // held during a call; nobody waits for it
}

// one asserts that the seating calls one method at a time.
func (h *selfService) one(doing string) (done func()) {
	if !h.calls.TryLock() {
		h.t.Errorf("%s during another call of SelfService; the seating calls one at a time", doing)
		return func() {}
	}
	return h.calls.Unlock
}

// Suspend implements pool.SelfService.
func (h *selfService) Suspend(found func(pool.Seat)) {
	defer h.one("Suspend")()
	h.mu.Lock()
	h.service.suspended = true
	h.mu.Unlock()
	h.dawdle()
	for _, s := range h.allFree() {
		h.dawdle() // what is free now need not be so then: who looked before may still take it
		if h.take(s) {
			found(s)
		}
	}
}

// Resume implements pool.SelfService.
func (h *selfService) Resume() {
	defer h.one("Resume")()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.service.suspended, h.service.resumed = false, true
}

// Look implements pool.SelfService. Here it changes nothing: some releases come to the seating
// anyway.
func (h *selfService) Look() {
	defer h.one("Look")()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.service.resumed {
		h.t.Error("Look after Resume; it is called before the first, if at all")
	}
}

// Put implements pool.SelfService.
func (h *selfService) Put(s pool.Seat) {
	defer h.one("Put")()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.service.suspended {
		h.t.Errorf("Put(%d) while self-service is suspended", s)
	}
	if at := h.hands[s]; at != inSeating {
		h.t.Errorf("Put(%d) of a seat that %q has; it should be with %s", s, at, inSeating)
	}
	h.hands[s] = nobody
}

// Take implements pool.SelfService.
func (h *selfService) Take(s pool.Seat) bool {
	defer h.one("Take")()
	return h.take(s)
}

// Free implements pool.SelfService.
func (h *selfService) Free() int {
	defer h.one("Free")()
	return len(h.allFree())
}

func (h *host) allFree() (free []pool.Seat) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s, at := range h.hands {
		if at == nobody {
			free = append(free, s)
		}
	}
	return free
}

// take makes a free seat the seating's.
func (h *host) take(s pool.Seat) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.hands[s] != nobody {
		return false
	}
	h.hands[s] = inSeating
	return true
}

// askAlways has each Release go to the seating from now on.
func (h *host) askAlways() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.service.all = true
}

// goesOn reports whether self-service does.
func (h *host) goesOn() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.service.suspended && !h.service.closed
}

// close ends the seating. Like a pool, it bars self-service first.
func (h *host) close() {
	h.mu.Lock()
	h.service.closed = true
	h.mu.Unlock()
	h.seating.Close()
}

// serveOne lends a free seat to an acquirer. Self-service may be suspended between the look at it
// and the taking: then the acquirer was here before.
func (h *host) serveOne(ctx context.Context) (pool.Seat, bool) {
	if ctx.Err() != nil || !h.goesOn() {
		return 0, false
	}
	h.dawdle()
	h.mu.Lock()
	defer h.mu.Unlock()
	for s, at := range h.hands {
		if at == nobody {
			h.hands[s] = inPool
			return s, true
		}
	}
	return 0, false
}

// leaveFree leaves a seat to whoever comes next, and reports whether that was possible. Like a
// pool, it looks once more afterwards: a seat that was left too late goes to the seating.
func (h *host) leaveFree(s pool.Seat) bool {
	if !h.goesOn() || h.mayAsk() {
		return false
	}
	h.dawdle()
	h.move(s, inPool, nobody, "Release")
	h.dawdle()
	h.mu.Lock()
	defer h.mu.Unlock()
	if (h.service.suspended || h.service.closed) && h.hands[s] == nobody {
		h.hands[s] = inPool
		return false
	}
	return true
}

// mayAsk decides whether a Release goes to the seating though self-service goes on, as
// one does of a resource that is not in order.
func (h *host) mayAsk() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.service.all || rand.IntN(8) == 0
}

// dawdle makes room for others between two steps that a pool does without a lock.
func (h *host) dawdle() {
	if rand.IntN(4) == 0 {
		runtime.Gosched()
	}
}
