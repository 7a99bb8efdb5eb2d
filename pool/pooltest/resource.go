package pooltest

import (
	"fmt"
	"sync/atomic"
	"testing"
)

// Resource is what a Fake opens. A test that holds one says so with Take and Give; whoever
// shares one with others uses Use alone.
type Resource struct {
	ID int // 1, 2, … in the order in which the opens succeeded

	fake  *Fake
	taken atomic.Bool
	// handed is not atomic on purpose: two owners who are not ordered by the pool's own
	// synchronization are a data race on it, which go test -race reports.
	handed int

	busy   Method // the method that runs on it, or ""; guarded by fake.mu
	closed bool   // Close has been called; guarded by fake.mu
}

// Take marks the resource as held by the caller alone. It is an error if it is held already, or
// closed.
func (r *Resource) Take(t testing.TB) {
	t.Helper()
	if !r.taken.CompareAndSwap(false, true) {
		t.Errorf("resource %d has two owners; a resource lent exclusively has one", r.ID)
		return
	}
	r.handed++
	r.Use(t)
}

// Give ends what Take began. It is to be called before the lease is ended.
func (r *Resource) Give(t testing.TB) {
	t.Helper()
	r.handed++
	if !r.taken.CompareAndSwap(true, false) {
		t.Errorf("resource %d was given back twice, or by somebody who had not taken it", r.ID)
	}
}

// Use stands for a use of the resource: it is an error if it is closed, or if
// the pool is busy with it.
func (r *Resource) Use(t testing.TB) {
	t.Helper()
	f := r.fake
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.forced:
	case r.closed:
		t.Errorf("resource %d was used after its close", r.ID)
	case r.busy != "":
		t.Errorf("resource %d was used while the pool's %s ran on it", r.ID, r.busy)
	}
}

func (r *Resource) String() string { return fmt.Sprintf("resource %d", r.ID) }
