package strategies

import (
	"time"

	"github.com/lidopool/lido/pool"
)

// place is what a line knows of a seat.
type place struct {
	in         *list // the list it is in, if any
	prev, next int32 // its neighbours there; -1 is none
	since      time.Time
}

// list is the two ends of a list of seats that is linked through their places, so that a
// seat leaves it at the same cost from anywhere.
type list struct {
	first, last int32 // -1 is none
	n           int
}

// places is by seat.
type places []place

func (p places) append(l *list, s pool.Seat) {
	at := int32(s)
	p[at].in, p[at].prev, p[at].next = l, l.last, -1
	if l.last >= 0 {
		p[l.last].next = at
	} else {
		l.first = at
	}
	l.last = at
	l.n++
}

// remove takes a seat out of the list it is in.
func (p places) remove(s pool.Seat) {
	it := &p[s]
	l := it.in
	if it.prev >= 0 {
		p[it.prev].next = it.next
	} else {
		l.first = it.next
	}
	if it.next >= 0 {
		p[it.next].prev = it.prev
	} else {
		l.last = it.prev
	}
	it.in = nil
	l.n--
}
