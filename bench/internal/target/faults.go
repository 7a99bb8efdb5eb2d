package target

import (
	"math"
	"sync"
	"sync/atomic"
)

// Faults are the troubles of a backend. They hold for all resources opened over it, also those that
// are open. The zero Faults are none. Its methods may be called from any goroutine.
//
// Those of a real database are put in front of its driver, so that they need no rights, and work with a
// file too: opening is refused, a connection that breaks has its socket closed, where it has one, and
// fails with driver.ErrBadConn from then on, and what is slow is followed by a sleep. The server
// notices nothing but connections that go.
type Faults struct {
	down atomic.Int64  // how often it went down and came back: odd while it is down
	slow atomic.Uint64 // the bits of the factor; 0 is healthy

	mu          sync.Mutex
	first, last *resource // that are open, the oldest first
	open        int       // how many, without those that are broken
}

// Down says whether opening fails. When it begins it breaks what is open, in mid-use or at its next
// use, and what is being opened. That stays broken when Down ends.
func (f *Faults) Down(down bool) {
	f.mu.Lock()
	turned := down != f.isDown()
	if turned {
		f.down.Add(1)
	}
	f.mu.Unlock()
	if turned && down {
		f.Kill(1)
	}
}

func (f *Faults) isDown() bool { return f.down.Load()%2 == 1 }

// Slow multiplies what a use takes; 1 is healthy. A factor below 1 counts as 1. What a real database
// does is made slow by a sleep after it.
func (f *Faults) Slow(factor float64) {
	f.slow.Store(math.Float64bits(max(factor, 1)))
}

// Kill breaks a share, 0 to 1, of what is open and not broken yet, rounded up, the oldest
// first. It returns how many these are.
func (f *Faults) Kill(share float64) (killed int) {
	f.mu.Lock()
	n := int(math.Ceil(min(max(share, 0), 1) * float64(f.open)))
	var cut []func()
	for r := f.first; r != nil && killed < n; r = r.next {
		if r.broken.Swap(true) {
			continue
		}
		f.open--
		killed++
		if r.cut != nil {
			cut = append(cut, r.cut)
		}
	}
	f.mu.Unlock()
	for _, c := range cut {
		c()
	}
	return killed
}

// factor is what a use takes, as a multiple of what it takes when all is well.
func (f *Faults) factor() float64 {
	bits := f.slow.Load()
	if bits == 0 {
		return 1
	}
	return math.Float64frombits(bits)
}

// add lists a resource whose open began when down was since. It reports false if the backend has gone
// down meanwhile: then the resource must be closed.
func (f *Faults) add(r *resource, since int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down.Load() != since { // else Down, which has not killed yet, will find it here
		return false
	}
	r.prev = f.last
	if f.last != nil {
		f.last.next = r
	} else {
		f.first = r
	}
	f.last = r
	f.open++
	return true
}

// spoil breaks a resource that broke by itself.
func (f *Faults) spoil(r *resource) {
	if r.broken.Swap(true) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open--
}

// remove is the opposite of add, before the resource is closed.
func (f *Faults) remove(r *resource) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.prev != nil {
		r.prev.next = r.next
	} else {
		f.first = r.next
	}
	if r.next != nil {
		r.next.prev = r.prev
	} else {
		f.last = r.prev
	}
	r.prev, r.next = nil, nil
	if !r.broken.Swap(true) {
		f.open--
	}
}
