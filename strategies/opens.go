package strategies

import (
	"time"

	"github.com/lidopool/lido/pool"
)

// opens are the opens that were asked for and have not ended, in order of asking. Those that somebody relies on
// count; doubtful ones, whose waiters gave up and which have taken so long that they may be
// hanging, are known only by their seat: whoever is first gets what comes of them.
type opens struct {
	first, last *attempt
	asked       int
	bySeat      map[pool.Seat]*attempt // nil: doubtful
	begun       int                    // of those asked for, how many have had their turn
	doubtful    int                    // all of these have
	full        int                    // of those that have not, how many are in place of a resource that may not be closed yet
	here        int                    // not asked for, but made by the acquirer who takes what comes of them
	spare       *attempt               // one that is used again
}

type attempt struct {
	next, prev *attempt

	seat  pool.Seat
	after uint64 // how many had come to stand in line by then
	stock bool   // it was not asked for a waiter's sake
	full  bool   // it is in place of a resource that may not be closed yet; until it begins
	begun bool
	since time.Duration // when it began
}

// n is how many count.
func (o *opens) n() int { return o.asked }

// all is how many there are.
func (o *opens) all() int { return o.n() + o.doubtful + o.here }

// underWay is how many have begun.
func (o *opens) underWay() int { return o.begun + o.doubtful + o.here }

// pending is how many have not.
func (o *opens) pending() int { return o.n() - o.begun }

func (o *opens) init() {
	if o.bySeat == nil {
		o.bySeat = make(map[pool.Seat]*attempt)
	}
}

func (o *opens) add(s pool.Seat, after uint64, stock bool) {
	o.init()
	a := o.spare
	if a == nil {
		a = new(attempt)
	}
	o.spare = nil
	*a = attempt{seat: s, after: after, stock: stock, prev: o.last}
	o.bySeat[s] = a
	if o.last == nil {
		o.first = a
	} else {
		o.last.next = a
	}
	o.last = a
	o.asked++
}

// hither stands for the opens that an acquirer makes.
var hither = new(attempt)

// take notes that an acquirer opens a seat.
func (o *opens) take(s pool.Seat) {
	o.init()
	o.bySeat[s] = hither
	o.here++
}

// replaces notes that the open of a seat, just asked for, is in place of what is in it.
func (o *opens) replaces(s pool.Seat) {
	o.bySeat[s].full = true
	o.full++
}

// begin notes that an open has its turn, perhaps once more since it failed, and reports whether it is needed by
// one of so many waiters.
func (o *opens) begin(s pool.Seat, waiting int, now time.Duration) bool {
	a := o.bySeat[s]
	if a == nil { // doubtful
		return waiting > 0
	}
	o.closed(a)
	if a.begun {
		return a.stock || waiting >= o.begun
	}
	if !a.stock && waiting <= o.begun {
		return false
	}
	a.begun, a.since = true, now
	o.begun++
	return true
}

// remove forgets the open of a seat, which has ended, and reports whether it counted.
func (o *opens) remove(s pool.Seat) bool {
	a := o.bySeat[s]
	delete(o.bySeat, s)
	switch a {
	case nil:
		o.doubtful--
		return false
	case hither:
		o.here--
		return false
	}
	o.drop(a)
	return true
}

// closed notes that the seat of an open holds nothing any more.
func (o *opens) closed(a *attempt) {
	if a.full {
		a.full = false
		o.full--
	}
}

func (o *opens) drop(a *attempt) {
	o.closed(a)
	if a.begun {
		o.begun--
	}
	if a.prev == nil {
		o.first = a.next
	} else {
		a.prev.next = a.next
	}
	if a.next == nil {
		o.last = a.prev
	} else {
		a.next.prev = a.prev
	}
	a.next, a.prev = nil, nil
	o.asked--
	o.spare = a
}

// oldest is the oldest that counts, of which there is one.
func (o *opens) oldest() *attempt { return o.first }

// doubtAt is when the oldest is to be doubted.
func (o *opens) doubtAt() time.Duration {
	if a := o.oldest(); a.begun {
		return a.since + patience
	}
	return never
}

// doubt makes the oldest doubtful.
func (o *opens) doubt() {
	a := o.first
	o.bySeat[a.seat] = nil
	o.drop(a)
	o.doubtful++
}
