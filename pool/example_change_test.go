package pool_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/strategies"
)

// A program that cannot do without its server says so when it starts, and its first callers need
// not wait.
func ExamplePool_Warm() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	p, err := pool.New(sessions(), strategies.Queue{Size: 5}, pool.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	fmt.Println(p.Warm(ctx, 3), p)

	down := pool.Funcs[*session]{OpenFunc: func(context.Context) (*session, error) {
		return nil, errors.New("connection refused")
	}}
	p, err = pool.New(down, strategies.Queue{Size: 5}, pool.Options{Name: "orders"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	fmt.Println(p.Warm(ctx, 3))
	// Output:
	// <nil> pool: queue: 0 of 5 in use (0 overflow), 3 idle, 0 opening, 0 closing, 0 waiting
	// pool orders: warm-up ended with 0 of 3 open: open: connection refused
}

// The numbers of a strategy change while leases are out. Its kind does not.
func ExamplePool_Resize() {
	ctx := context.Background()
	p, err := pool.New(sessions(), strategies.Queue{Size: 1}, pool.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	first, _ := p.Acquire(ctx)
	defer first.Release()
	_, err = p.TryAcquire(ctx)
	fmt.Println(err)

	fmt.Println(p.Resize(strategies.Queue{Size: 2}))
	second, err := p.TryAcquire(ctx)
	fmt.Println(second.Seat(), err)
	defer second.Release()

	fmt.Println(p.Resize(strategies.Queue{Size: 2, Order: strategies.FIFO}))
	// Output:
	// pool: every seat is taken: 1 of 1 in use, 0 waiting
	// <nil>
	// 1 <nil>
	// pool: Order is "fifo": it cannot be changed at run time: leave it "affine", or make another pool
}

// Nothing is lent for a while. Whoever comes waits.
func ExamplePool_Suspend() {
	ctx := context.Background()
	p, err := pool.New(sessions(), strategies.Queue{Size: 1}, pool.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()

	p.Suspend()
	_, err = p.TryAcquire(ctx)
	fmt.Println(err)
	time.AfterFunc(time.Millisecond, p.Resume)
	lease, err := p.Acquire(ctx)
	fmt.Println(lease, err)
	// Output:
	// pool: suspended: 0 of 1 in use, 0 waiting, suspended
	// lease of seat 0 <nil>
}

// A switch of servers during which nobody sees an error: what is lent is waited for, callers wait in
// line, and nothing of the old server is left when they go on.
func ExamplePool_SuspendAndWait() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	server := "old"
	backend := pool.Funcs[string]{OpenFunc: func(context.Context) (string, error) { return "session of the " + server + " server", nil }}
	p, err := pool.New(backend, strategies.Queue{Size: 2}, pool.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	show := func(_ context.Context, session string) error {
		fmt.Println(session)
		return nil
	}
	_ = p.Do(ctx, show)

	defer p.Resume() // whatever comes
	if err := p.SuspendAndWait(ctx); err != nil {
		fmt.Println(err) // it names who still holds
		return
	}
	server = "new"
	if err := p.InvalidateAndWait(ctx, errors.New("switch of servers")); err != nil {
		fmt.Println(err)
		return
	}
	p.Resume()
	_ = p.Do(ctx, show)
	// Output:
	// session of the old server
	// session of the new server
}

// Credentials have been changed: all that was opened with the old ones is to be gone, though not under those
// who use it.
func ExamplePool_InvalidateAndWait() {
	p, err := pool.New(sessions(), strategies.Queue{Size: 2}, pool.Options{Name: "orders"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	lease, err := p.Acquire(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	brief, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	fmt.Println(p.InvalidateAndWait(brief, errors.New("password changed")))

	time.AfterFunc(time.Millisecond, func() { _ = lease.Release() })
	fmt.Println(p.InvalidateAndWait(context.Background(), errors.New("password changed")))
	// Output:
	// pool orders: invalidate: context deadline exceeded; 1 of the old resources left
	// seat 0, acquired at an unknown place (set Options.Stacks to see where)
	// <nil>
}
