//go:build race

package strategies_test

// underRace: the race detector makes allocations of its own.
const underRace = true
