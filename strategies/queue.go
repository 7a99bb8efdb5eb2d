package strategies

import (
	"time"

	"github.com/lidopool/lido/pool"
)

// Queue keeps up to Size resources open and opens up to MaxOverflow more while they
// are needed. Acquirers that find none free stand in line and are served in order of
// arrival with what comes first, a returned resource or a finished open.
//
// A returned resource goes to the longest waiter; without one it stays open if fewer than
// Size are idle, else it is closed.
type Queue struct {
	// Size is how many resources stay open when idle. 0 keeps none. pool.Unlimited
	// keeps, and opens, as many as are ever wanted at once.
	Size int
	// MaxOverflow is how many more may be open at once. 0: none. pool.Unlimited: no bound.
	// It must be 0 if Size is unlimited. Raising it helps against peaks, at the cost of an
	// open each.
	MaxOverflow int
	// Timeout is the longest wait for a resource, opening included. 0: no limit of its
	// own, ctx alone decides. NoWait: do not stand in line.
	Timeout time.Duration
	// Order of lending idle resources. LIFO, the default, keeps few of them busy and
	// lets the others age; FIFO uses all in turn.
	Order Order
}

// Order is the order in which idle resources are lent again.
type Order string

// The orders. The zero Order is LIFO.
const (
	LIFO Order = "lifo"
	FIFO Order = "fifo"
)

// Kind is "queue".
func (q Queue) Kind() string { return "queue" }

// Start implements pool.Strategy.
func (q Queue) Start(h pool.Host) (pool.Seating, error) {
	if err := q.validate(); err != nil {
		return nil, err
	}
	seats := pool.Unlimited
	if q.Size != pool.Unlimited && q.MaxOverflow != pool.Unlimited {
		seats = q.Size + q.MaxOverflow
	}
	l := newLine(h, pool.Limits{Seats: seats, Keep: q.Size}, q.Timeout)
	l.fifo = q.Order == FIFO
	return l, nil
}
