// Package load does to a pool what users do, and measures what they feel. A Target is the pool, a
// Workload is what is done, Measure does it for a while. It knows no pool and no backend.
//
// It may run in a bubble of testing/synctest: then the figures can be predicted to the
// nanosecond, and its tests do.
package load
