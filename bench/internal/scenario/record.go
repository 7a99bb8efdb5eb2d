package scenario

import (
	"math"
	"slices"
	"sync"
	"time"
)

// record is what happened to the requests. Times count from the beginning. It keeps each of them: at some
// thousand a second for some seconds that is little, and the figures are exact.
type record struct {
	warm time.Duration // what was due before does not count among the waits: the pool is still opening what it keeps

	mu      sync.Mutex
	late    []time.Duration // how long after it was due each began
	waits   []time.Duration
	served  []time.Duration // when each ended well
	errors  map[string]uint64
	calls   []call
	crowd   crowd
	waiting int // requests that are due and have no resource yet
	inUse   int

	// Of the present interval.
	newWaits          []time.Duration
	newOps, newErrors uint64
}

// A call is a request that has ended.
type call struct {
	ended, took time.Duration // took counts from when it was due
	failed      bool
}

// A crowd are the callers that came at once.
type crowd struct {
	served  int
	longest time.Duration // until the last of them was served
}

// come is for a request that is due, and began for one that is under way, so long after.
func (r *record) come() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting++
}

func (r *record) began(late time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.late = append(r.late, late)
}

// got is for one that has a resource now, gaveBack for one that has none any more, and gotNone for one that
// has waited in vain.
func (r *record) got(q request, now time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inUse++
	r.waitedLocked(q, now)
}

func (r *record) gaveBack() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inUse--
}

func (r *record) gotNone(q request, now time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waitedLocked(q, now)
}

func (r *record) waitedLocked(q request, now time.Duration) {
	r.waiting--
	wait := now - q.due
	r.newWaits = append(r.newWaits, wait)
	if q.due >= r.warm {
		r.waits = append(r.waits, wait)
	}
}

// end is for one that has ended, well if kind is empty.
func (r *record) end(q request, ended time.Duration, kind string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := call{ended, ended - q.due, kind != ""}
	r.calls = append(r.calls, c)
	if c.failed {
		r.errors[kind]++
		r.newErrors++
		return
	}
	r.newOps++
	r.served = append(r.served, ended)
	if q.caller {
		r.crowd.served++
		r.crowd.longest = max(r.crowd.longest, c.took)
	}
}

// interval is what happened since the last call of it.
func (r *record) interval() (ops, errors uint64, p99 time.Duration, waiting, inUse int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ops, errors, p99 = r.newOps, r.newErrors, quantile(r.newWaits, 0.99)
	r.newOps, r.newErrors, r.newWaits = 0, 0, r.newWaits[:0]
	return ops, errors, p99, r.waiting, r.inUse
}

// A part is what ended in a part of the time.
type part struct {
	served, failed int
	failures       []time.Duration // how long each of the failed took
}

// part is valid once nobody records any more.
func (r *record) part(s span) (p part) {
	for _, c := range r.calls {
		switch {
		case !s.has(c.ended):
		case c.failed:
			p.failed++
			p.failures = append(p.failures, c.took)
		default:
			p.served++
		}
	}
	return p
}

// failed is how many requests did not end well.
func (r *record) failed() int { return len(r.calls) - len(r.served) }

// quantile sorts times, and returns what a share of them do not exceed: one of them. Of none it is 0.
func quantile(times []time.Duration, share float64) time.Duration {
	if len(times) == 0 {
		return 0
	}
	slices.Sort(times)
	return times[max(0, int(math.Ceil(share*float64(len(times))))-1)]
}

// recoveryWindow is how long the throughput must be up to count as back. Arbitrary: some dozen requests at
// the rates here, so that a few are neither a recovery nor the lack of one.
const recoveryWindow = 200 * time.Millisecond

// recovery is how long after over the throughput was back at nine tenths of so many a second: from when the
// next recoveryWindow has as many. It is -1 if that was not before end, or if there was nothing to come back to.
func recovery(served []time.Duration, over, end time.Duration, rate float64) time.Duration {
	if rate <= 0 {
		return -1
	}
	slices.Sort(served)
	need := max(1, int(math.Ceil(0.9*rate*recoveryWindow.Seconds())))
	first, _ := slices.BinarySearch(served, over)
	for i := first; i+need <= len(served); i++ {
		if served[i]+recoveryWindow > end {
			break
		}
		if served[i+need-1] < served[i]+recoveryWindow {
			return max(1, served[i]-over)
		}
	}
	return -1
}
