// Package pool lends resources: connections, clients, workers, buffers, anything that is
// worth keeping open and must not be used by two at once.
//
//	p, err := pool.New(backend, strategies.Queue{Size: 5, MaxOverflow: 10}, pool.Options{})
//	lease, err := p.Acquire(ctx)   // ctx bounds the wait, the open and the ping
//	defer lease.Release()          // a second Release does no harm, and is reported
//	use(lease.Value())
//
// or, with nothing to forget:
//
//	err := p.Do(ctx, func(ctx context.Context, res T) error { … })
//
// # The model
//
// A pool has seats. A seat is empty or holds one open resource. Two parts know nothing of
// each other:
//
//   - A [Backend] opens, pings, resets and closes one kind of resource. [Funcs] makes one of
//     functions.
//   - A [Strategy] lends seats: who gets which, in what order, who waits, how many there are. It
//     never sees a resource. Package strategies has five.
//
// The pool in between moves each seat through its states (the diagram is in record.go),
// calls the [Hooks] at ten events and before each open, and makes a [Lease] of a lent seat. A lease is a value
// that carries the seat's count of leases, so that a copy that outlives its lease is told
// apart from the next one.
//
// # What holds always
//
// There are never more resources open than the strategy's limit, also while one is closed
// for another to be opened, unless Options.HungClose says FreeSeat, or a Resize has made the
// limit smaller than what is in use. A resource has one owner, or those the strategy lets share it.
// What is closed, invalid, expired or of an old generation is not handed out. Every opened
// resource is closed exactly once. Waiters are served in order of arrival with what comes
// first, a returned resource or a finished open. A callback that fails, panics, calls
// runtime.Goexit or hangs loses no seat. Counters are derived from the seats.
//
// # Goroutines
//
// A pool has none while it is idle. Opens run on a goroutine each, as do the other calls
// of the backend, unless they are Inline: a bound that the callee could ignore would be none. What does not return
// in time goes on by itself and keeps its seat until it does. Upkeep is a timer, and a goroutine
// while there is something to do; opens that wait for their turn need none.
//
// See docs/architecture.md for the layers and the states, and package manage for
// database/sql and pools by data source name.
package pool
