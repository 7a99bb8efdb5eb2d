package strategies

import (
	"context"
	"time"

	"github.com/lidopool/lido/pool"
)

// Static lends one resource to all holders at the same time. It is opened by the first
// Acquire, once however many come together, and reset when the last holder returns. The
// resource must be safe for concurrent use.
//
// After Retire or Invalidate nobody joins the old resource any more: it is replaced once
// its holders have left. A holder that acquires again meanwhile would wait for itself.
type Static struct {
	// Timeout is the longest wait for the resource to be opened, or replaced. 0: no limit
	// of its own, ctx alone decides. NoWait: do not wait for other holders.
	Timeout time.Duration
}

// Kind is "static".
func (s Static) Kind() string { return "static" }

// Start implements pool.Strategy.
func (s Static) Start(h pool.Host) (pool.Seating, error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	everybody := func(context.Context) owner { return owner{} }
	return newSharing(h, pool.Limits{Seats: 1, Keep: 1, Sharing: pool.Common}, s.Timeout, everybody), nil
}
