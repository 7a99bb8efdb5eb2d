package pool_test

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

func TestHeldNamesTheHoldersOfALivePool(t *testing.T) {
	for _, s := range []pool.Strategy{strategies.Queue{Size: 3}, strategies.Static{}} {
		synctest.Test(t, func(t *testing.T) {
			p := open(t, pooltest.NewFake(), s, pool.Options{Stacks: true})
			if held := p.Held(); len(held) != 0 {
				t.Errorf("%s: Held of a new pool: %v, want nobody", s.Kind(), held)
			}
			a := acquire(t, p)
			time.Sleep(time.Minute)
			b := acquire(t, p)
			held := p.Held()
			if len(held) != 2 || held[0].For != time.Minute || held[1].For != 0 {
				t.Fatalf("%s: Held: %v, want one lease since a minute and one since now", s.Kind(), held)
			}
			if text := held[0].String(); !strings.Contains(text, "for 1m0s") || !strings.Contains(text, "held_test.go") {
				t.Errorf("%s: %q does not say for how long and where", s.Kind(), text)
			}
			release(t, a)
			_ = b.Discard(nil)
			if held := p.Held(); len(held) != 0 {
				t.Errorf("%s: Held after the ends of both leases: %v, want nobody", s.Kind(), held)
			}
		})
	}
}

// Without stacks nothing is recorded, but the seats are still told.
func TestHeldWithoutStacksTellsTheSeats(t *testing.T) {
	p := open(t, pooltest.NewFake(), one, pool.Options{})
	defer release(t, acquire(t, p))
	if held := p.Held(); len(held) != 1 || held[0] != (pool.HeldLease{}) {
		t.Errorf("Held: %+v, want seat 0 and no more", held)
	}
}

// Its oracle is the race detector.
func TestStressHeldWhileLeasesComeAndGo(t *testing.T) {
	p := open(t, pooltest.NewFake(), strategies.Queue{Size: 2}, pool.Options{Stacks: true})
	var work sync.WaitGroup
	for range 4 {
		work.Go(func() {
			for range 200 {
				release(t, acquire(t, p))
			}
		})
	}
	for range 200 {
		for _, h := range p.Held() {
			if h.Seat > 1 || h.Stack == "" {
				t.Errorf("Held: %+v, want a seat of 2, with a stack", h)
			}
		}
	}
	work.Wait()
}
