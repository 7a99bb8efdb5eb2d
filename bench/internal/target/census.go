package target

import (
	"context"
	"sync"
	"time"
)

// census is how many sessions a server counts, at most as old as stale. Whoever looks does not wait: a look
// that finds an old figure has it asked for, by one goroutine at a time.
type census struct {
	ask func(ctx context.Context) (int, error)

	mu     sync.Mutex
	n      int
	at     time.Time // of n; zero: there is none
	asked  time.Time
	asking bool
	closed bool
	all    sync.WaitGroup
}

const (
	fresh = 100 * time.Millisecond // a server is asked no more often: what is measured is not the asking
	stale = 500 * time.Millisecond // what load.Gauges promises
)

// latest is the newest figure, or -1 if there is none, or only an old one.
func (c *census) latest() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if !c.asking && !c.closed && now.Sub(c.asked) >= fresh {
		c.asking, c.asked = true, now
		c.all.Go(c.renew)
	}
	if c.at.IsZero() || now.Sub(c.at) > stale {
		return -1
	}
	return c.n
}

func (c *census) renew() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	n, err := c.ask(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asking = false
	if err == nil {
		c.n, c.at = n, time.Now()
	}
}

// close waits for the last answer.
func (c *census) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.all.Wait()
}
