package load

import "context"

// A Conn is what a target lends. One holder uses it at a time, unless the pool shares it.
type Conn interface {
	// Use does one piece of work with it: a query, or what stands for one. It heeds ctx.
	Use(ctx context.Context, write bool) error
}

// A Target is a pool under measurement.
type Target interface {
	// Cycle acquires and releases n times, in a loop that calls the pool as its users do: no
	// closure, no interface call and no clock per turn that the pool does not ask for.
	Cycle(ctx context.Context, n int) error
	// Visit acquires a resource, which ctx bounds, calls during with it, and releases it. What
	// during gets as ctx is to be given to acquires within it, and does not end with the
	// ctx of Visit unless wait does. An error of during is returned, after the release.
	Visit(ctx context.Context, during func(ctx context.Context, c Conn) error) error
	// Kind says in a word or two what an error of Cycle or Visit is, for counting: "timeout",
	// "canceled", "refused", "open failed", "use failed", "already acquired".
	Kind(err error) string
	// Gauges is how the pool stands now.
	Gauges() Gauges
	// Close ends the pool and all that it has open. ctx bounds the wait for what is lent.
	Close(ctx context.Context) error
}

// Gauges are the figures of a target at a moment. Opened and Closed are counted at the backend,
// not by the pool; so is Open: resources that exist, from before the open until after the close.
type Gauges struct {
	Open, Peak     int // Peak is the highest Open so far
	InUse, Waiting int // as the pool says. Negative: it does not
	Opened, Closed uint64
	Sessions       int // as the server counts, at most as old as half a second. Negative: unknown
}
