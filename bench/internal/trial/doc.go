// Package trial measures pools against each other in a way that may be believed: all of them in
// every round, in random order, each on a new pool, with medians, spreads, and ratios to a baseline
// in the same run. It knows the pools only as subjects.
package trial
