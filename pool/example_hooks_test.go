package pool_test

import (
	"context"
	"fmt"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/strategies"
)

// Hooks see a resource through its life, and keep what they know of it in its Info.
func ExampleHooks() {
	ctx := context.Background()
	uses := pool.NewKey[int]("uses")
	hooks := pool.Hooks[*session]{
		Connect: func(_ context.Context, e pool.Event[*session]) error {
			fmt.Println("opened", e.ID)
			return nil
		},
		Checkout: func(_ context.Context, e pool.Event[*session]) error {
			n, _ := uses.Get(e.Info())
			if n == 2 {
				return pool.ErrDisconnected // worn out: another in its place, please
			}
			uses.Set(e.Info(), n+1)
			return nil
		},
		Close: func(_ context.Context, e pool.Event[*session]) error {
			fmt.Println("closed", e.ID, "because", e.Reason)
			return nil
		},
	}
	p, err := pool.New(sessions(), strategies.Queue{Size: 1}, pool.Options{}, hooks)
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 3 {
		lease, err := p.Acquire(ctx)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("used", lease.Value().number)
		_ = lease.Release()
	}
	_ = p.Shutdown(ctx)
	// Output:
	// opened 1
	// used 1
	// used 1
	// closed 1 because invalid
	// opened 2
	// used 2
	// closed 2 because disposed
}
