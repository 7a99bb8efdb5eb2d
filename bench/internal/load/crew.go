package load

import (
	"context"
	"time"
)

// patience is how long anything may take that should be done at once, before it is an error of the
// pool under measurement. Arbitrary, but longer than a machine that is busy with other things
// stalls.
const patience = 5 * time.Second

// A crew is goroutines that are waited for.
type crew struct {
	left    chan struct{}
	working int
}

// newCrew is for as many goroutines at most.
func newCrew(most int) *crew { return &crew{left: make(chan struct{}, most)} }

func (c *crew) start(f func()) {
	c.working++
	go func() {
		defer func() { c.left <- struct{}{} }()
		f()
	}()
}

// join waits until all have ended. When ctx ends, or when for the time of patience none has, it calls
// cancel: stuck is how many were there then, of the latter. left is how many did not even end then.
func (c *crew) join(ctx context.Context, cancel func()) (stuck, left int) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	done := ctx.Done()
	canceled := false
	for c.working > 0 {
		select {
		case <-c.left:
			c.working--
			timer.Reset(patience)
		case <-done:
			cancel()
			done, canceled = nil, true
			timer.Reset(patience)
		case <-timer.C:
			if canceled {
				return stuck, c.working
			}
			stuck, canceled = c.working, true
			cancel()
			timer.Reset(patience)
		}
	}
	return stuck, 0
}
