package goid

import (
	"math/bits"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"
)

// Values of the status word of a g. They are not trusted but tested:
// calibration accepts only a word that reads exactly these in these situations.
const (
	statusRunning = 2
	statusWaiting = 4
	statusDead    = 6
	statusScan    = 0x1000 // added to the others while the collector scans the stack
)

const (
	// window is how many bytes of a g are looked at. A g is an object on the
	// heap of 440 bytes in Go 1.24 and 1.25 and 456 in 1.26 and 1.27 (read from
	// the debug information), so the window lies inside it with room to spare;
	// both words stand in bytes 144 to 167. A test run with -race or -d=checkptr
	// confirms it on a new toolchain: the pointer check of the runtime ends the
	// process if a window reaches past its g. 256 is also 64 words of 4 bytes: a set
	// of places is one uint64.
	window = 256
	words  = window / 4

	// probes is how many goroutines must agree. A word that by chance holds the
	// number of one goroutine does not hold that of the other seven.
	probes = 8

	// trials is how often a pair of measurements may fail before the process
	// settles for the portable path. One is enough on a quiet machine; more keep
	// an unlucky schedule from making a process slow for life. Arbitrary.
	trials = 3

	// patience bounds the wait for goroutines to park or end, in yields of the
	// processor. It amounts to about 0.1 s on an idle machine, where ten
	// yields do, and to more on a busy one. Counted, not timed: in a
	// testing/synctest bubble the clock stands still.
	patience = 200_000
)

// learned is the layout of this process once it has been found. It is written
// once, under calibration.
var (
	learned     atomic.Pointer[layout]
	calibration sync.Once
)

// learn returns the layout of this process and finds it at the first call.
func learn() *layout {
	if l := learned.Load(); l != nil {
		return l
	}
	calibration.Do(func() {
		l := calibrate(getg)
		learned.Store(&l)
	})
	return learned.Load()
}

// calibrate finds the layout by two measurements that agree, or returns the
// zero layout. The function getg returns the g of its caller, or nil if it
// cannot.
func calibrate(getg func() unsafe.Pointer) layout {
	if getg() == nil {
		return layout{}
	}
	for range trials {
		if l := measure(getg); l.fast && l == measure(getg) {
			return l
		}
	}
	return layout{}
}

// measure watches goroutines while they run, park and end, and returns where
// their number and status stand, or the zero layout if that is not certain. All
// that it started has ended, or is about to, when it returns.
func measure(getg func() unsafe.Pointer) layout {
	type report struct {
		ref     Ref
		numbers places // hold the number of the goroutine
		running places // hold statusRunning
	}
	reports := make(chan report)
	end := make(chan struct{})
	for range probes {
		go func() {
			g, id := getg(), stackID()
			reports <- report{
				ref:     Ref{g, id},
				numbers: anywhere.holdingID(g, id),
				running: anywhere.holdingStatus(g, statusRunning),
			}
			<-end
		}()
	}
	numbers, status := anywhere, anywhere
	var refs [probes]Ref
	for i := range refs {
		r := <-reports
		refs[i] = r.ref
		numbers &= r.numbers
		status &= r.running
	}
	parked := numbers.count() == 1 && status != 0 && settle(func() bool {
		waiting := status
		for _, r := range refs {
			waiting = waiting.holdingStatus(r.g, statusWaiting)
		}
		if waiting.count() != 1 {
			return false
		}
		status = waiting
		return true
	})
	close(end)
	if !parked {
		return layout{}
	}
	l := layout{goid: numbers.offset(), status: status.offset(), fast: true}
	ended := settle(func() bool {
		seen := false
		for _, r := range refs {
			if l.alive(r) {
				return false
			}
			// A g that was reused at once has ended as well, but does not show
			// what the end looks like. One that does must be among them.
			seen = seen || status.holdingStatus(r.g, statusDead) != 0
		}
		return seen
	})
	if !ended {
		return layout{}
	}
	return l
}

// settle yields the processor until done returns true, and returns false if it
// does not within patience. It has to ask again and again, because nothing
// announces that another goroutine has parked or ended. A few yields do.
func settle(done func() bool) bool {
	for range patience {
		if done() {
			return true
		}
		runtime.Gosched()
	}
	return false
}

// places is a set of 4-byte words in the window of a g: bit i stands for the
// word at offset 4*i.
type places uint64

const anywhere = ^places(0)

func (p places) count() int      { return bits.OnesCount64(uint64(p)) }
func (p places) offset() uintptr { return uintptr(bits.TrailingZeros64(uint64(p))) * 4 }

// holdingID returns those of p where g holds the number id, as an aligned
// 8-byte word.
func (p places) holdingID(g unsafe.Pointer, id ID) (found places) {
	g64 := (*[words / 2]uint64)(g)
	for i := range g64 {
		if place := places(1) << (2 * i); p&place != 0 && atomic.LoadUint64(&g64[i]) == uint64(id) {
			found |= place
		}
	}
	return found
}

// holdingStatus returns those of p where g holds status, with or without the
// scan bit.
func (p places) holdingStatus(g unsafe.Pointer, status uint32) (found places) {
	g32 := (*[words]uint32)(g)
	for i := range g32 {
		if place := places(1) << i; p&place != 0 && atomic.LoadUint32(&g32[i])&^statusScan == status {
			found |= place
		}
	}
	return found
}
