package load

import (
	"context"
	"fmt"
	"time"
)

const (
	// sluggish is how long the next holder may take to hold. Arbitrary: longer than to open a
	// connection to far away takes, and short enough to be lost at each window by who says that a
	// pool is larger than it is.
	sluggish = 300 * time.Millisecond
	// settle is how long those who wait get to lie down. Arbitrary.
	settle = 50 * time.Millisecond
	// parked is how long the processors are watched then: ten ticks of a kernel that counts in them.
	parked = 100 * time.Millisecond
)

// cpuWaiting is how many cores the process uses while all resources are held and all other goroutines
// wait. It is not measured where they do not wait: they share, or are refused, or the pool has more or
// fewer resources than the window says. It takes the pool from its users and gives it back as it was.
func cpuWaiting(ctx context.Context, t Target, in Window) (float64, error) {
	visiting, cancel := context.WithCancel(ctx)
	defer cancel()
	all := newCrew(in.Goroutines)
	release := make(chan struct{})
	held := make(chan struct{}, in.Goroutines)
	back := make(chan struct{}, in.Goroutines)
	visit := func() {
		_ = t.Visit(visiting, func(context.Context, Conn) error {
			held <- struct{}{}
			<-release
			return nil
		})
		back <- struct{}{}
	}
	for range in.Size {
		all.start(visit)
	}
	cores := float64(unmeasured)
	if holdAll(ctx, in.Size, held, back) {
		waiters := in.Goroutines - in.Size
		for range waiters {
			all.start(visit)
		}
		if still(ctx, settle, held, back) && parkedAll(t, waiters) {
			start, before := time.Now(), cpuTime()
			if still(ctx, parked, held, back) && before >= 0 {
				cores = float64(cpuTime()-before) / float64(time.Since(start))
			}
		}
	}
	close(release)
	stuck, left := all.join(ctx, cancel)
	switch {
	case ctx.Err() != nil:
		return cores, context.Cause(ctx)
	case stuck+left > 0:
		return unmeasured, fmt.Errorf("load: %d of %d goroutines still waited %v after all that was held had been released: a wake-up was lost", max(stuck, left), in.Goroutines, patience)
	}
	return cores, nil
}

// holdAll waits until n hold. It reports false if one does not.
func holdAll(ctx context.Context, n int, held, back <-chan struct{}) bool {
	timer := time.NewTimer(sluggish)
	defer timer.Stop()
	for range n {
		timer.Reset(sluggish)
		select {
		case <-held:
		case <-back:
			return false
		case <-timer.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// still reports whether for d nobody else gets anything, nor goes.
func still(ctx context.Context, d time.Duration, held, back <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-held:
	case <-back:
	case <-ctx.Done():
	}
	return false
}

// parkedAll reports whether so many wait, as far as the pool says.
func parkedAll(t Target, waiters int) bool {
	n := t.Gauges().Waiting
	return n < 0 || n >= waiters
}
