package strategies

import (
	"context"
	"time"

	"github.com/lidopool/lido/internal/goid"
	"github.com/lidopool/lido/pool"
)

// Singleton lends one resource per owner: nested Acquires of the same goroutine, or of the
// same scope (pool.WithScope), get the resource that it already holds. They count as one
// checkout, which ends with the last Release. The resource then stays with its owner until
// another needs it: the first to lose it are owners that have ended, then those that have
// not used it longest. A resource in use is never taken away.
//
// pool.AcquireUnique gets a resource of its own all the same.
//
// The owner is the scope that ctx carries, else the calling goroutine. Go offers no
// goroutine identity; how Lido obtains one, and what it costs (about 3 ns, or some
// microseconds where only public API can tell), is told in package internal/goid. Code that
// can carry a ctx does better with scopes: a lease held by a goroutine is not shared with
// the goroutines it starts, and the body of an iter.Pull runs on another one.
type Singleton struct {
	// Size is the most resources open at once, and so the most owners served at once;
	// others stand in line. pool.Unlimited: no bound.
	Size int
	// Timeout is the longest wait for a resource, opening included. 0: no limit of its
	// own, ctx alone decides. NoWait: do not stand in line.
	Timeout time.Duration
	// MaxWaiters is the most acquirers in line for a resource that others hold; who comes when
	// so many wait is refused at once with pool.ErrOverloaded. 0: no bound. Raising it means
	// fewer refusals and longer waits.
	MaxWaiters int
}

// Kind is "singleton".
func (s Singleton) Kind() string { return "singleton" }

// Start implements pool.Strategy.
func (s Singleton) Start(h pool.Host) (pool.Seating, error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	limits := pool.Limits{Seats: s.Size, Keep: s.Size, Sharing: pool.Nested}
	seating := newSharing(h, limits, s.Timeout, scopeOrGoroutine)
	seating.most = s.MaxWaiters
	return seating, nil
}

// Owner implements pool.Owned.
func (s *sharing) Owner(ctx context.Context) uint64 {
	if s := pool.ScopeOf(ctx); s != nil {
		return s.Number() | 1
	}
	id, _ := goid.Quick()
	return uint64(id) << 1
}

func scopeOrGoroutine(ctx context.Context) owner {
	if s := pool.ScopeOf(ctx); s != nil {
		return owner{scope: s}
	}
	return owner{goroutine: goid.Self()}
}
