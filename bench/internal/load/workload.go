package load

import "time"

// A Workload is who asks a pool for resources, and what they do with them. Its text is
// name?key=value&…, where the name is one of Names, which gives the values of the keys not given.
type Workload struct {
	Name string // unique in a run: the shortest text of what ParseWorkload has read

	Hold  Hold // what a holder does before it releases
	Think Dist // what a goroutine waits after it has released. Closed loop only

	// Rate makes it an open loop: so many arrivals a second, however the pool fares. A wait
	// counts from when its arrival was due. Burst is how many come at once, 1 by default;
	// Even makes the gaps between arrivals equal, which are else drawn exponentially (Poisson).
	Rate  float64
	Burst int
	Even  bool

	Writes float64 // the share of uses that write
	Nested int     // how many more acquires a holder makes while it holds, each within the one before
	// Deadline bounds each acquire. 0: none. Cancel is the share of acquires, 0 to 1, that are
	// given up a moment after they have begun, which is drawn from Patience. Who has been served is
	// neither late nor given up. Each such acquire has a ctx made for it, as in users' programs: 5
	// allocations and a microsecond or two with a deadline, 8 allocations for one that is given up.
	// They count in the figures.
	Deadline time.Duration
	Cancel   float64
	Patience Dist
}

// A Hold is what a holder does.
type Hold struct {
	Kind HoldKind
	For  Dist // of Spin and Sleep
}

// A HoldKind is how a holder spends its time.
type HoldKind string

const (
	None  HoldKind = "none"  // nothing: the price of the pool alone
	Yield HoldKind = "yield" // lets others run, once
	Spin  HoldKind = "spin"  // computes
	Sleep HoldKind = "sleep" // waits
	Query HoldKind = "query" // uses the resource: Conn.Use
)
