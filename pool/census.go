package pool

import "sync"

// census counts, by epoch, the resources that exist or are being opened or closed, so that one
// can wait until all of an older epoch are gone.
type census struct {
	mu      sync.Mutex
	alive   map[uint64]int
	waiting []*farewell
}

// farewell waits for the resources that are older than an epoch.
type farewell struct {
	epoch uint64
	gone  chan struct{}
}

// add counts a resource, before its open begins.
func (c *census) add(epoch uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.alive == nil {
		c.alive = make(map[uint64]int)
	}
	c.alive[epoch]++
}

// remove says that a resource is gone: closed, not opened after all, or detached.
func (c *census) remove(epoch uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.alive[epoch]--; c.alive[epoch] == 0 {
		delete(c.alive, epoch)
	}
	left := c.waiting[:0]
	for _, f := range c.waiting {
		if c.olderLocked(f.epoch) == 0 {
			close(f.gone)
		} else {
			left = append(left, f)
		}
	}
	clear(c.waiting[len(left):])
	c.waiting = left
}

// wait returns a channel that is closed when all that are older than an epoch are gone.
func (c *census) wait(epoch uint64) *farewell {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := &farewell{epoch: epoch, gone: make(chan struct{})}
	if c.olderLocked(epoch) == 0 {
		close(f.gone)
	} else {
		c.waiting = append(c.waiting, f)
	}
	return f
}

// giveUp forgets one who waits no longer, and tells how many it still waited for.
func (c *census) giveUp(f *farewell) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, g := range c.waiting {
		if f == g {
			c.waiting = append(c.waiting[:i], c.waiting[i+1:]...)
			break
		}
	}
	return c.olderLocked(f.epoch)
}

// olderLocked counts what is of an older generation than the given one. Generations only grow, within
// the 32 bits they have.
func (c *census) olderLocked(epoch uint64) (n int) {
	for e, k := range c.alive {
		if older(e, epoch) {
			n += k
		}
	}
	return n
}

func older(e, than uint64) bool {
	d := uint32(than/oneGeneration) - uint32(e/oneGeneration)
	return d != 0 && d < 1<<31
}
