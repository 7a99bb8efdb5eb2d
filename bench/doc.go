// Command lidobench measures pooling strategies against each other, on made-up resources or a
// database, and draws what came out. The package also holds the benchmarks of make bench.
package main
