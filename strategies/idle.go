package strategies

import "github.com/lidopool/lido/pool"

// idle is a list of idle seats in the order in which they came. A seat leaves it at the same
// cost from anywhere. It takes 8 bytes for each seat up to the highest that was ever in it.
type idle struct {
	links       []link // by seat
	first, last int32
	n           int
}

type link struct{ prev, next int32 }

const (
	none   = -1 // no neighbour there
	absent = -2 // as prev: not in the list
)

func newIdle() idle { return idle{first: none, last: none} }

func (l *idle) push(s pool.Seat) {
	for int(s) >= len(l.links) {
		l.links = append(l.links, link{absent, none})
	}
	at := int32(s)
	l.links[s] = link{l.last, none}
	if l.last != none {
		l.links[l.last].next = at
	} else {
		l.first = at
	}
	l.last = at
	l.n++
}

// pop takes out the seat that came last, or first.
func (l *idle) pop(fifo bool) pool.Seat {
	at := l.last
	if fifo {
		at = l.first
	}
	l.remove(pool.Seat(at))
	return pool.Seat(at)
}

// remove takes a seat out and reports whether it was there.
func (l *idle) remove(s pool.Seat) bool {
	if int(s) >= len(l.links) || l.links[s].prev == absent {
		return false
	}
	it := l.links[s]
	if it.prev != none {
		l.links[it.prev].next = it.next
	} else {
		l.first = it.next
	}
	if it.next != none {
		l.links[it.next].prev = it.prev
	} else {
		l.last = it.prev
	}
	l.links[s].prev = absent
	l.n--
	return true
}
