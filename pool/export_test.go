package pool

import "testing"

// FixDraw has back-offs drawn by f, from 0 to 1, from now on.
func (p *Pool[T]) FixDraw(f func() float64) { p.turns.draw = f }

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

// UpkeepPass has upkeep look at all resources once.
func UpkeepPass[T any](p *Pool[T]) { p.upkeep.fire() }
