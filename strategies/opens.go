package strategies

import (
	"container/list"
	"time"

	"github.com/lidopool/lido/pool"
)

// opens are the opens under way, in order of start. Those that somebody relies on count;
// doubtful ones, whose waiters gave up and which have taken so long that they may be
// hanging, are known only by their seat: whoever is first gets what comes of them.
type opens struct {
	started  list.List // of attempt
	bySeat   map[pool.Seat]*list.Element
	doubtful int
}

type attempt struct {
	seat  pool.Seat
	since time.Duration
	after uint64 // how many had come to stand in line by then
}

// n is how many count.
func (o *opens) n() int { return o.started.Len() }

func (o *opens) add(s pool.Seat, now time.Duration, after uint64) {
	if o.bySeat == nil {
		o.bySeat = make(map[pool.Seat]*list.Element)
	}
	o.bySeat[s] = o.started.PushBack(attempt{s, now, after})
}

// remove forgets the open of a seat, which has ended, and reports whether it counted.
func (o *opens) remove(s pool.Seat) bool {
	e := o.bySeat[s]
	delete(o.bySeat, s)
	if e == nil {
		o.doubtful--
		return false
	}
	o.started.Remove(e)
	return true
}

// oldest is the oldest that counts, of which there is one.
func (o *opens) oldest() attempt { return o.started.Front().Value.(attempt) }

// doubt makes the oldest doubtful.
func (o *opens) doubt() {
	e := o.started.Front()
	o.bySeat[o.oldest().seat] = nil
	o.started.Remove(e)
	o.doubtful++
}
