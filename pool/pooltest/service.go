package pooltest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/pool"
)

// The promises about who is served, when.

// races is how often a race is run. A hand-over that goes wrong when a cancellation
// comes at the same moment is seen in few of the rounds: a single one would pass
// nearly always.
const races = 2000

var errDown = errors.New("backend is down")

func firstComeFirstServed(k *kit) {
	k.open()
	held := k.fill(0)
	var mu sync.Mutex
	var order, want []int
	var waiting []*caller
	for i := range 30 {
		waiting = append(waiting, k.call(patience, func(l pool.Lease[*Resource]) {
			mu.Lock()
			order = append(order, i)
			mu.Unlock()
			k.release(l)
		}))
		if i%3 != 1 {
			want = append(want, i)
		}
	}
	for i, c := range waiting {
		if i%3 == 1 { // from the middle, and from either end
			c.cancel()
		}
	}
	k.release(held[0]) // the one seat goes down the line
	k.settle()
	if !slices.Equal(order, want) {
		k.Errorf("waiters were served in the order\n%v, want\n%v", order, want)
	}
	k.release(held[1:]...)
	k.end()
}

func newcomerDoesNotOvertake(k *kit) {
	k.open()
	held := k.fill(1)
	ctx, cancel := context.WithTimeout(k.Context(), time.Second)
	defer cancel()
	var served [2]int
	var wg sync.WaitGroup
	for i := range served {
		wg.Go(func() {
			for {
				mine, _ := pool.WithScope(ctx)
				l, err := k.pool.Acquire(mine)
				if err != nil {
					return
				}
				time.Sleep(time.Millisecond)
				served[i]++
				k.release(l)
			}
		})
	}
	wg.Wait()
	if d := served[0] - served[1]; d < -1 || d > 1 {
		k.Errorf("two holders who release and re-acquire one seat at once were served %d and %d times, want as often, by one", served[0], served[1])
	}
	k.release(held...)
	k.end()
}

func failedOpenWakesTheNext(k *kit) {
	k.open()
	held := k.fill(1)
	k.fake.Next(Open, Slow(300*time.Millisecond, Fail(errDown)))
	start := k.now()
	both := []*caller{k.call(3*time.Second, nil), k.call(3*time.Second, nil)}
	time.Sleep(300 * time.Millisecond)
	synctest.Wait()

	wantFailed, failed := 1, 0
	if k.Sharing == pool.Common {
		wantFailed = 2 // they asked for one and the same resource
	}
	for i, c := range both {
		switch {
		case !c.done():
			k.Fatalf("300 ms after an open began it failed, and waiter %d of 2 is still waiting beside a free seat", i+1)
		case errors.Is(c.err, errDown):
			failed++
			if took := c.at - start; took != 300*time.Millisecond {
				k.Errorf("the open failed after 300 ms, its waiter was told after %v", took)
			}
		case c.err == nil:
			k.release(c.lease)
		case !k.refused(c.err):
			k.Errorf("waiter %d of 2: %v, want a lease or the error of the open", i+1, c.err)
		}
	}
	if failed != wantFailed {
		k.Errorf("one open failed and %d waiters with it, want %d", failed, wantFailed)
	}
	k.release(held...)
	k.release(k.acquire())
	k.end()
}

func everyWaiterIsAnswered(k *kit) {
	k.open()
	k.fake.Always(Open, Slow(100*time.Millisecond, Fail(errDown)))
	const turns = 4
	var waiting []*caller
	for range turns * k.many() {
		waiting = append(waiting, k.call(patience, nil))
	}
	time.Sleep(turns * 100 * time.Millisecond)
	synctest.Wait()
	for i, c := range waiting {
		switch {
		case !c.done():
			k.Errorf("waiter %d of %d has no answer after %d opens by each of %d seats failed", i+1, len(waiting), turns, k.many())
			c.cancel()
		case !errors.Is(c.err, errDown):
			k.Errorf("waiter %d of %d: %v, want the error of an open", i+1, len(waiting), c.err)
		}
	}
	k.fake.Always(Open, OK)
	k.release(k.acquire())
	k.end()
}

func canceledWaiterLosesNoSeat(k *kit) {
	k.open()
	held := k.fill(1)
	for range races {
		holder, c := k.acquire(), k.call(patience, nil)
		var wg sync.WaitGroup
		wg.Go(c.cancel)
		wg.Go(func() { k.release(holder) })
		wg.Wait()
		synctest.Wait()
		switch {
		case !c.done():
			k.Fatal("a waiter whose ctx was canceled still waits")
		case c.err == nil:
			k.release(c.lease)
		case !errors.Is(c.err, context.Canceled):
			k.Fatalf("a canceled waiter got %v, want context.Canceled", c.err)
		}
		synctest.Wait()
		if s := k.pool.Stats(); s.InUse != len(held) || s.Waiting != 0 {
			k.Fatalf("after a release and a cancellation at the same moment: %v, want %d in use and none waiting", s, len(held))
		}
	}
	k.release(append(held, k.acquire())...)
	k.end()
}

func waiterCanceledInMidServiceLosesNoSeat(k *kit) {
	k.open()
	held := k.fill(1)
	for range 10 {
		holder := k.acquire()
		ctx := &fickle{Context: k.stranger(), done: make(chan struct{})}
		c := k.callIn(ctx, ctx.end, nil)
		ctx.turn()
		k.release(holder)
		synctest.Wait()
		ctx.end() // in case the strategy did not ask
		synctest.Wait()
		if !c.done() {
			k.Fatal("a waiter whose ctx was canceled still waits")
		}
		if c.err == nil {
			k.release(c.lease)
		}
		synctest.Wait()
		if s := k.pool.Stats(); s.InUse != len(held) || s.Waiting != 0 {
			k.Fatalf("after a waiter was canceled at the very moment of the hand-over: %v, want %d in use and none waiting", s, len(held))
		}
		next := k.call(patience, nil)
		if !next.done() || next.err != nil {
			k.Fatalf("the seat that was handed over is gone (done: %t, %v)", next.done(), next.err)
		}
		k.release(next.lease)
	}
	k.release(held...)
	k.end()
}

// fickle is a ctx that ends at the worst moment: just after somebody has asked whether it has ended and was
// told no. What would otherwise take luck and thousands of rounds happens each time.
type fickle struct {
	context.Context
	done chan struct{}

	mu      sync.Mutex
	turning bool
	err     error
}

// turn says that the next Err is the last one before the end.
func (f *fickle) turn() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.turning = true
}

func (f *fickle) Done() <-chan struct{} { return f.done }

func (f *fickle) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil && f.turning {
		f.endLocked()
		return nil
	}
	return f.err
}

func (f *fickle) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.endLocked()
}

func (f *fickle) endLocked() {
	if f.err == nil {
		f.err = context.Canceled
		close(f.done)
	}
}

func canceledWaiterGetsNothing(k *kit) {
	k.open()
	held := k.fill(1)
	for range races {
		holder := k.acquire()
		gone, next := k.call(patience, nil), k.call(patience, nil)
		gone.cancel()
		k.release(holder) // before the waiter has had a chance to notice
		synctest.Wait()
		if !gone.done() || !errors.Is(gone.err, context.Canceled) {
			k.Fatalf("a waiter whose ctx was canceled before the release got %v, want context.Canceled", gone.err)
		}
		if !next.done() || next.err != nil {
			k.Fatalf("the waiter behind a canceled one has not been served (done: %t, %v)", next.done(), next.err)
		}
		k.release(next.lease)
		synctest.Wait()
	}
	k.release(held...)
	k.end()
}

func orphanedOpenServesTheNext(k *kit) {
	k.open()
	held := k.fill(1)
	before := k.fake.Calls(Open)
	k.fake.Next(Open, Slow(time.Second))
	start := k.now()
	gone := k.call(500*time.Millisecond, nil)
	time.Sleep(600 * time.Millisecond)
	synctest.Wait()
	if !gone.done() || !errors.Is(gone.err, pool.ErrTimeout) {
		k.Errorf("an acquirer whose ctx ended during the open got %v, want ErrTimeout", gone.err)
	}
	next := k.call(patience, nil)
	time.Sleep(400 * time.Millisecond)
	synctest.Wait()
	if !next.done() || next.err != nil {
		k.Fatalf("the open that another began is done, and the next acquirer is not served (done: %t, %v)", next.done(), next.err)
	}
	if k.bounded() { // else there was a seat to open another one in
		if took := next.at - start; took != time.Second {
			k.Errorf("the next acquirer was served after %v, want 1 s, when the open of the first is done", took)
		}
		if n := k.fake.Calls(Open) - before; n != 1 {
			k.Errorf("%d opens for an acquirer who left and one who came, want 1", n)
		}
	}
	k.release(append(held, next.lease)...)

	// With nobody to serve, what was opened is kept or closed, but not lost.
	k.pool.Dispose()
	held = k.fill(1)
	k.fake.Next(Open, Slow(time.Second))
	k.call(500*time.Millisecond, nil)
	time.Sleep(time.Second)
	synctest.Wait()
	if s := k.pool.Stats(); s.Opening != 0 || s.InUse != len(held) || s.Idle+s.InUse != k.fake.OpenNow() {
		k.Errorf("after an open that nobody waited for: %v with %d resources open, want all of them in use or idle", s, k.fake.OpenNow())
	}
	k.release(append(held, k.acquire())...)
	k.end()
}

func returnComesBeforeASlowOpen(k *kit) {
	k.open()
	held := k.fill(1)
	k.fake.Next(Open, Slow(150*time.Millisecond))
	start := k.now()
	c := k.call(patience, nil)
	time.Sleep(10 * time.Millisecond)
	k.release(held[0])
	synctest.Wait()
	if took := c.at - start; !c.done() || took != 10*time.Millisecond {
		k.Errorf("with an open of 150 ms under way and a return after 10 ms, the waiter was served after %v (done: %t), want 10 ms", took, c.done())
	}
	time.Sleep(150 * time.Millisecond)
	synctest.Wait()
	k.release(append(held[1:], c.lease)...)
	k.end()
}

func closeWakesEveryone(k *kit) {
	k.open()
	k.fill(1) // Close takes them from their holders
	k.fake.Always(Open, Slow(time.Hour))
	var waiting []*caller
	for range k.many() + 5 {
		waiting = append(waiting, k.call(patience, nil))
	}
	before := k.now()
	if err := k.pool.Close(); err != nil {
		k.Errorf("Close: %v, want nil", err)
	}
	synctest.Wait()
	if took := k.now() - before; took != 0 {
		k.Errorf("Close took %v, want no time: no close hangs", took)
	}
	woken := 0
	for _, c := range waiting {
		switch {
		case !c.done():
			k.Error("a waiter still waits after Close")
			c.cancel()
		case errors.Is(c.err, pool.ErrClosed):
			woken++
		case !k.refused(c.err):
			k.Errorf("a waiter got %v at Close, want ErrClosed", c.err)
		}
	}
	if woken == 0 {
		k.Error("nobody was woken by Close, want all who waited")
	}
	for name, acquire := range map[string]func(context.Context) (pool.Lease[*Resource], error){
		"Acquire": k.pool.Acquire, "TryAcquire": k.pool.TryAcquire,
	} {
		if _, err := acquire(k.stranger()); !errors.Is(err, pool.ErrClosed) {
			k.Errorf("%s after Close: %v, want ErrClosed", name, err)
		}
	}
	k.end()
}
