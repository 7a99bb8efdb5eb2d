package strategies_test

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/strategies"
)

// heap is what is reachable, in bytes.
func heap() float64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // for what the first one's cleanups let go
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

func skipMemoryUnderRace(t *testing.T) {
	if underRace {
		t.Skip("the race detector changes what things weigh: run this without -race, as make test does")
	}
}

func TestIdleSeatWeighsLittle(t *testing.T) {
	skipMemoryUnderRace(t)
	const seats, most = 100_000, 128
	resources := make([]*[16]byte, seats)
	for i := range resources {
		resources[i] = new([16]byte)
	}
	var opened atomic.Int64
	before := heap()
	p, err := pool.New(pool.Funcs[*[16]byte]{
		OpenFunc: func(context.Context) (*[16]byte, error) { return resources[opened.Add(1)-1], nil },
	}, strategies.Queue{Size: seats}, pool.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	func() {
		leases := make([]pool.Lease[*[16]byte], seats)
		var wg sync.WaitGroup
		for w := range 8 { // few at a time, or the opens weigh more than the seats
			wg.Go(func() {
				for i := w; i < seats; i += 8 {
					if leases[i], err = p.Acquire(context.Background()); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		for _, l := range leases {
			_ = l.Release()
		}
	}()
	const resource = 8 // the pointer that T is
	if each := (heap()-before)/seats - resource; each > most {
		t.Errorf("an idle seat weighs %.0f bytes beyond its resource, want at most %d", each, most)
	} else {
		t.Logf("%.0f bytes for each idle seat beyond its resource", each)
	}
	runtime.KeepAlive(resources)
}

func TestWaiterWeighsLittle(t *testing.T) {
	skipMemoryUnderRace(t)
	const waiters, most = 10_000, 256
	p := plain(t, strategies.Queue{Size: 1})
	l, err := p.Acquire(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Release()
	// parked is what the heap weighs with so many goroutines that wait by f.
	parked := func(f func(ctx context.Context), all func() bool) float64 {
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		for range waiters {
			wg.Go(func() { f(ctx) })
		}
		for !all() {
			runtime.Gosched()
		}
		weight := heap()
		cancel()
		wg.Wait()
		return weight
	}
	never := make(chan struct{})
	var started atomic.Int64
	least := 1e9
	for range 3 { // goroutines are used again, from the second time on
		started.Store(0)
		idle := parked(func(ctx context.Context) {
			started.Add(1)
			select {
			case <-never:
			case <-ctx.Done():
			}
		}, func() bool { return started.Load() == waiters })
		waiting := parked(func(ctx context.Context) { _, _ = p.Acquire(ctx) },
			func() bool { return p.Stats().Waiting == waiters })
		least = min(least, (waiting-idle)/waiters)
	}
	if least > most {
		t.Errorf("a waiter weighs %.0f bytes beyond a goroutine in a select, want at most %d", least, most)
	} else {
		t.Logf("%.0f bytes for each waiter beyond a goroutine in a select", least)
	}
}
