// Package scenario puts a pool into bad moments that users know, and records how it fares: a
// timeline of what is open, lent and waited for, of errors and of the 99th percentile of waits.
//
// Each is an open loop: requests come at a fixed rate, however the pool fares, and a wait counts from when
// its request was due. A request acquires, uses, and releases; it has a deadline for the wait, and twice that for the
// whole, after which nobody wants the answer any more. Where a use takes less than the scenario needs, as on
// a real database, the request keeps its resource for the rest.
//
// The waits of the verdict are without those of the first moments, in which the pool opens what it keeps; the
// timeline has them.
package scenario
