package main

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/lidopool/lido/bench/internal/load"
	"github.com/lidopool/lido/bench/internal/target"
)

// These tests really wait, for the reason that those of subjects do.

// newContender makes a pool of p over a backend, and sees to it at the end that all it opened is closed.
func newContender(t *testing.T, p peer, backend string) load.Target {
	t.Helper()
	b, err := target.Open(t.Context(), backend)
	if err != nil {
		t.Fatal(err)
	}
	c, err := p.over(b, seats, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := c.Close(ctx); err != nil {
			t.Error(err)
		}
		_ = until(func() bool { return c.Gauges().Open == 0 }, "") // some close behind one's back
		if g := c.Gauges(); g.Open != 0 || g.Opened != g.Closed {
			t.Errorf("after the close %d are open, of %d opened and %d closed", g.Open, g.Opened, g.Closed)
		}
	})
	return c
}

// eachThatWaits runs a test for every peer with which one can stand in line.
func eachThatWaits(t *testing.T, test func(*testing.T, peer)) {
	for _, p := range peers {
		if p.waits {
			t.Run(p.name, func(t *testing.T) { test(t, p) })
		}
	}
}

func query(ctx context.Context, c load.Conn) error { return c.Use(ctx, false) }

func TestAContenderKeepsTheCapThoughResourcesBreak(t *testing.T) {
	eachThatWaits(t, func(t *testing.T, p peer) {
		c := newContender(t, p, "synthetic?open=1ms&use=100us&fail=0.2")
		var failed [8]int
		var group sync.WaitGroup
		for i := range failed {
			group.Go(func() {
				for range 25 {
					if err := c.Visit(t.Context(), query); err != nil {
						failed[i]++
						if kind := c.Kind(err); kind != "use failed" {
							t.Errorf("%v is of the kind %q, want use failed", err, kind)
						}
					}
				}
			})
		}
		group.Wait()
		all := uint64(0)
		for _, n := range failed {
			all += uint64(n)
		}
		if all == 0 {
			t.Error("nothing failed, though a fifth should")
		}
		g, most := c.Gauges(), seats
		if p.name == "go-redis" {
			most = 2 * seats // it lets the next one open before it has closed what is broken
		}
		if g.Peak > most {
			t.Errorf("%d resources were open at a time, with %d seats", g.Peak, seats)
		}
		if want := all + seats; g.Opened > want || g.Opened < all {
			t.Errorf("opened %d resources, of which %d broke; want at most %d more", g.Opened, all, seats)
		}
	})
}

func TestAContenderWaitsAsLongAsTheContextSays(t *testing.T) {
	eachThatWaits(t, func(t *testing.T, p peer) {
		c := newContender(t, p, "synthetic")
		err := holdAll(t.Context(), c, seats, func() {
			late, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			if err := c.Visit(late, query); err == nil || c.Kind(err) != "timeout" {
				t.Errorf("a visit beyond the seats ended with %v, want a timeout", err)
			}
			given, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Millisecond, cancel)
			if err := c.Visit(given, query); err == nil || c.Kind(err) != "canceled" {
				t.Errorf("a visit that was given up ended with %v, want canceled", err)
			}
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// holdAll calls f while n resources are held.
func holdAll(ctx context.Context, c load.Target, n int, f func()) error {
	if n == 0 {
		f()
		return nil
	}
	return c.Visit(ctx, func(ctx context.Context, _ load.Conn) error { return holdAll(ctx, c, n-1, f) })
}

func TestADeadlineOfAWaitDoesNotBoundWhatTheHolderDoes(t *testing.T) {
	for _, p := range peers {
		t.Run(p.name, func(t *testing.T) {
			c := newContender(t, p, "synthetic?use=5ms")
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			err := c.Visit(ctx, func(ctx context.Context, r load.Conn) error {
				cancel()
				return r.Use(ctx, true)
			})
			if err != nil {
				t.Errorf("a use after the end of the context of the wait: %v", err)
			}
			ctx, cancel = context.WithCancel(t.Context())
			err = c.Visit(ctx, func(ctx context.Context, r load.Conn) error {
				cancel()
				return r.Use(ctx, true)
			})
			if kind := c.Kind(err); err == nil || kind != "canceled" {
				t.Errorf("a use after the end of a context without a deadline: %v, want canceled", err)
			}
		})
	}
}

func TestAFailedOpenIsToldAsOne(t *testing.T) {
	b, err := target.Open(t.Context(), "synthetic?openfail=1")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range peers {
		t.Run(p.name, func(t *testing.T) {
			c, err := p.over(b, seats, false)
			if err == nil { // it opens when somebody comes
				defer c.Close(context.Background())
				err = c.Visit(t.Context(), query)
			} else {
				c = new(contender)
			}
			if err == nil || c.Kind(err) != "open failed" {
				t.Errorf("got %v, want that the open failed", err)
			}
		})
	}
}

func TestAPoolThatDoesNotCloseIsGivenUp(t *testing.T) {
	c := &contender{subject: stuck{}, end: func() {}}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Close(ctx); err == nil {
		t.Error("a pool that does not close was closed")
	}
}

type stuck struct{ subject }

func (stuck) close() { select {} }

func TestOnlyWhatAPeerCanDoIsAskedOfIt(t *testing.T) {
	for _, c := range []struct {
		peer              string
		nested            int
		goroutines, seats int
		fits              bool
	}{
		{"lido", 1, 1000, 1, true},
		{"mutex", 0, 3, 3, true},
		{"mutex", 0, 4, 3, false},
		{"mutex", 1, 2, 3, false},
		{"syncpool", 0, 4, 3, false},
		{"atomic", 0, 2, 3, true},
		{"atomic", 0, 3, 3, false},
	} {
		why := peers[peerIndex(c.peer)].unfit(load.Workload{Nested: c.nested}, c.goroutines, c.seats)
		if (why == "") != c.fits {
			t.Errorf("%+v: unfit since %q", c, why)
		}
	}
}
