// Package bench measures the strategies against each other and against what people use
// instead of a pool. It holds benchmarks only: run them with make bench.
//
// One op is one acquire and one release of a resource that costs nothing to open, use or
// close. What is measured is therefore the pool's own price: beside a query of 50 µs all of
// them are small. Compare ratios of one run, not figures of two: machines differ, and so do
// minutes on the same machine.
package bench
