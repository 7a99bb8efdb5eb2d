package strategies

import (
	"time"

	"github.com/lidopool/lido/pool"
)

// Null keeps nothing: it opens a resource for each Acquire and closes it at Release. Hooks
// and reset still run. Use it behind a pooler such as PgBouncer, or in tests.
type Null struct {
	// Max is the most resources open at once; whoever comes when so many are stands in
	// line. pool.Unlimited: no bound.
	Max int
	// Timeout is the longest wait for a resource, opening included. 0: no limit of its
	// own, ctx alone decides. NoWait: do not stand in line.
	Timeout time.Duration
	// MaxWaiters is the most acquirers in line, those for whom a resource is being opened not
	// counted; who comes when so many wait is refused at once with pool.ErrOverloaded. 0: no
	// bound. Raising it means fewer refusals and longer waits.
	MaxWaiters int
}

// Kind is "null".
func (n Null) Kind() string { return "null" }

// Start implements pool.Strategy.
func (n Null) Start(h pool.Host) (pool.Seating, error) {
	if err := n.validate(); err != nil {
		return nil, err
	}
	l := newLine(h, pool.Limits{Seats: n.Max, Keep: 0}, n.Timeout)
	l.most, l.oneUse = n.MaxWaiters, true
	return l, nil
}
