package pool

import (
	"maps"
	"sync"
)

// Info stores values beside a resource or a seat, under typed keys. It is safe
// for concurrent use. A nil Info stores nothing and is empty.
type Info struct {
	mu     sync.Mutex
	values map[any]any
}

// Key is the name of a value of type V in an Info. Two keys are never the same,
// whatever their names.
type Key[V any] struct{ name *string }

// NewKey makes a key; name is for people who debug.
func NewKey[V any](name string) Key[V] { return Key[V]{&name} }

func (k Key[V]) String() string {
	if k.name == nil {
		return ""
	}
	return *k.name
}

// Set stores v. It does nothing on a nil Info.
func (k Key[V]) Set(in *Info, v V) {
	if in == nil {
		return
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.values == nil {
		in.values = make(map[any]any)
	}
	in.values[k] = v
}

// Get returns the value and whether there is one.
func (k Key[V]) Get(in *Info) (v V, ok bool) {
	if in == nil {
		return v, false
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	v, ok = in.values[k].(V)
	return v, ok
}

// Delete removes the value.
func (k Key[V]) Delete(in *Info) {
	if in == nil {
		return
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	delete(in.values, k)
}

// clone copies what is stored; the copy goes with a detached resource.
func (in *Info) clone() *Info {
	in.mu.Lock()
	defer in.mu.Unlock()
	return &Info{values: maps.Clone(in.values)}
}
