//go:build race

package pool_test

func raceEnabled() bool { return true }
