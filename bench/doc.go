// Command lidobench measures pooling strategies against each other, on made-up resources or a
// database, and draws what came out. docs/lidobench.md tells how to use it and how to read its figures.
//
// It exits with 0 if all went well, 1 if a measurement or a comparison failed, 2 if it was asked for something
// impossible, in which case nothing was measured or written, and 130 if it was interrupted: what was
// measured until then is shown and written, and marked as partial.
//
// The package also holds the benchmarks of make bench.
package main
