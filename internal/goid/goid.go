package goid

import (
	"sync/atomic"
	"unsafe"
)

// ID is the identity of a goroutine. It is unique for the life of the process:
// the ID of an ended goroutine is never given to another. The one exception, for
// callbacks from C threads, is in the package comment. No goroutine has the ID
// zero.
type ID uint64

// Ref names one goroutine and can be asked whether it still runs. It is a small
// comparable value: two Refs are equal if and only if they name the same
// goroutine. Holding one does not keep the goroutine, its stack or anything it
// refers to from being collected. The zero Ref names no goroutine and is never
// alive.
type Ref struct {
	g  unsafe.Pointer // nil on the portable path
	id ID
}

// Current returns the identity of the calling goroutine. It never waits and
// does not allocate, except that the first use in a process calibrates.
func Current() ID {
	if l := learned.Load(); l != nil && l.fast {
		return l.id(getg())
	}
	return currentSlow()
}

func currentSlow() ID {
	if l := learn(); l.fast {
		return l.id(getg())
	}
	return stackID()
}

// Quick is Current where that costs nothing to speak of; elsewhere, it reports false.
func Quick() (ID, bool) {
	if l := learned.Load(); l != nil && l.fast {
		return l.id(getg()), true
	}
	return 0, false
}

// Self returns a Ref to the calling goroutine. A goroutine can take one only of
// itself. The cost is that of Current.
func Self() Ref {
	if l := learned.Load(); l != nil && l.fast {
		g := getg()
		return Ref{g, l.id(g)}
	}
	return selfSlow()
}

func selfSlow() Ref {
	if l := learn(); l.fast {
		g := getg()
		return Ref{g, l.id(g)}
	}
	return Ref{nil, stackID()}
}

// ID returns the identity that Current returned to the goroutine of r.
func (r Ref) ID() ID { return r.id }

// Alive reports whether the goroutine of r has not ended yet. A goroutine that
// is blocked, even for ever, is alive. The answer false is final; the answer
// true may be out of date when the caller reads it, unless the goroutine asks
// about itself.
//
// Known is false if only a listing of all goroutines could tell, and then alive
// means nothing: ask Live. It is the same for all Refs of a process, the zero
// Ref aside, of which it is always known that it is not alive.
func (r Ref) Alive() (alive, known bool) {
	if r.g == nil {
		return false, r.id == 0
	}
	return learned.Load().alive(r), true
}

// Live reports for each Ref whether its goroutine has not ended yet, as
// Ref.Alive does. Where Alive does not know, Live takes one listing of all
// goroutines for all refs together: that stops the world, and costs about a
// microsecond and a kilobyte of buffer for each goroutine of the process.
func Live(refs []Ref) []bool {
	live := make([]bool, len(refs))
	all := true
	for i, r := range refs {
		var known bool
		live[i], known = r.Alive()
		all = all && known
	}
	if !all {
		liveByListing(refs, live)
	}
	return live
}

// liveByListing sets live for the refs of the portable path.
func liveByListing(refs []Ref, live []bool) {
	listed := make(map[ID]bool, len(refs))
	for _, r := range refs {
		listed[r.id] = false
	}
	// The map holds what is asked for, not what is listed: a process may have
	// far more goroutines than the caller has questions.
	for id := range headerIDs(stackAll()) {
		if _, asked := listed[id]; asked {
			listed[id] = true
		}
	}
	for i, r := range refs {
		if r.g == nil {
			live[i] = listed[r.id]
		}
	}
}

// layout says where in a g struct the number and the status of its goroutine
// stand. The zero layout is that of the portable path.
type layout struct {
	goid   uintptr // offset of the 64-bit number
	status uintptr // offset of the 32-bit status
	fast   bool    // the offsets are known
}

// id returns the number in g, which must be the caller's own.
func (l *layout) id(g unsafe.Pointer) ID {
	return *(*ID)(unsafe.Add(g, l.goid))
}

// alive reports whether the goroutine of r has not ended. The order of the two
// loads matters. The runtime reuses a g by writing the new number first and
// only then a status that is not dead, so a status read from before the reuse
// still belongs to r, and one from after it comes with the new number.
func (l *layout) alive(r Ref) bool {
	status := atomic.LoadUint32((*uint32)(unsafe.Add(r.g, l.status)))
	id := atomic.LoadUint64((*uint64)(unsafe.Add(r.g, l.goid)))
	return status&^statusScan != statusDead && ID(id) == r.id
}
