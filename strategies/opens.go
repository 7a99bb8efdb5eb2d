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
}

// n is how many count.
func (o *opens) n() int { return o.started.Len() }

func (o *opens) add(s pool.Seat, now time.Duration) {
	if o.bySeat == nil {
		o.bySeat = make(map[pool.Seat]*list.Element)
	}
	o.bySeat[s] = o.started.PushBack(attempt{s, now})
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

// oldest is when the oldest that counts began.
func (o *opens) oldest() time.Duration { return o.started.Front().Value.(attempt).since }

// doubt makes the oldest doubtful.
func (o *opens) doubt() {
	e := o.started.Front()
	o.bySeat[e.Value.(attempt).seat] = nil
	o.started.Remove(e)
	o.doubtful++
}
