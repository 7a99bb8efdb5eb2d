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
// Size are idle, else it is closed, at once or after Linger.
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
	// MaxWaiters is the most acquirers in line, those for whom a resource is being opened not
	// counted; who comes when so many wait is refused at once with pool.ErrOverloaded. 0: no
	// bound. Raising it means fewer refusals and longer waits.
	MaxWaiters int
	// Order of lending idle resources.
	Order Order
	// Fairness towards those who stand in line.
	Fairness Fairness
	// Shed turns an acquirer away with pool.ErrOverloaded, instead of letting it stand in line,
	// if it cannot be served before its deadline, that of its ctx or Timeout: the line measures
	// at which rate it is served. Nobody is turned away who has a seat to be opened for it or fewer
	// than two ahead, nor while little is known: before 8 hand-offs while somebody waited, or when the last is
	// longer ago than a second and than it took to measure the rate. So a pool that has stalled
	// turns nobody away. Who is in line and gives up before its deadline makes the estimate too long for those behind.
	// Costs a clock read for each hand-off, and two for who stands in line.
	Shed bool
	// Shares are the priority classes of acquirers, who say by pool.WithClass which is theirs.
	// Empty: there are none. It needs Fairness Strict. A larger share lets a class wait for less,
	// and the highest for more. Costs a look at each class with each hand-off.
	Shares Shares
	// Linger is how long a resource over Size stays open while nobody uses it, until upkeep
	// closes it. 0: it is closed as soon as Size are idle. Raising it saves opens where peaks
	// come again, at the cost of resources that lie idle in between. It must be 0 if there is no
	// overflow.
	Linger time.Duration
}

// Order is the order in which idle resources are lent again.
type Order string

// The orders. The zero Order is Affine.
const (
	// Affine gives a goroutine the resource that it had last, if that is idle, as far as where
	// its stack lies can tell (Go moves a stack that grows), else mostly the one in the lowest
	// seat. It is the fastest by far (docs/performance.md), since it writes
	// nothing that goroutines share. What low load does not need falls idle: after each
	// garbage collection everyone searches from the lowest seat up.
	Affine Order = "affine"
	// LIFO lends what was returned last. It keeps as few busy as possible and lets the
	// others age. It costs a lock each way.
	LIFO Order = "lifo"
	// FIFO lends what was returned first, so that all are used in turn and none ages. It
	// costs a lock each way.
	FIFO Order = "fifo"
)

// Fairness says whether somebody who runs may be served before somebody who waits.
type Fairness string

// The fairnesses. The zero Fairness is Strict.
const (
	// Strict: nobody overtakes. Each seat that comes back is handed to whoever has waited
	// longest.
	Strict Fairness = "strict"
	// Bounded: where resources change hands fast, the line opens for moments of Passing/8 at most, in
	// which whoever runs takes what comes back and nobody is woken. That saves switching
	// goroutines: throughput is two to three times as high when they outnumber the seats, and
	// the longest wait higher by up to Passing. A resource may lie idle beside a waiter for a
	// moment, which a late timer of Go's can stretch to a millisecond or two.
	Bounded Fairness = "bounded"
)

// Passing is for how long a waiter may be passed over under Bounded, all in all, however many
// are served before it in their turn. It is the figure of sync.Mutex.
const Passing = time.Millisecond

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
	l := newLine(h, pool.Limits{Seats: seats, Keep: q.Size, Linger: q.Linger}, q.Timeout)
	l.linger = q.Linger > 0
	l.most = q.MaxWaiters
	l.fifo = q.Order == FIFO
	l.service.on = q.Shed
	if q.Shares != "" {
		percents, _ := q.Shares.percents()
		l.waiting.classes = newClasses(percents)
	}
	l.passing.allowed = q.Fairness == Bounded
	if q.Order == Affine || q.Order == "" {
		l.serveThemselves()
	}
	return l, nil
}
