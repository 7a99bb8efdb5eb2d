package pool

import "testing"

// FixSeed fixes what is drawn for each resource of the pools that the test makes.
func FixSeed(t testing.TB, seed uint64) {
	old := newSeed
	newSeed = func() uint64 { return seed }
	t.Cleanup(func() { newSeed = old })
}

// Upkeeps reports whether the timer of the pool's upkeep was ever set.
func Upkeeps[T any](p *Pool[T]) bool {
	p.upkeep.mu.Lock()
	defer p.upkeep.mu.Unlock()
	return p.upkeep.timer != nil
}
