//go:build !race

package strategies_test

const underRace = false
