package pool_test

import (
	"context"
	"fmt"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/strategies"
)

// Functions that call each other each acquire what they need, and in a scope they get one and the
// same, so that the inner one cannot wait for the outer.
func ExampleWithScope() {
	p, err := pool.New(sessions(), strategies.Singleton{Size: 1}, pool.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()

	inner := func(ctx context.Context) error {
		return p.Do(ctx, func(_ context.Context, s *session) error {
			fmt.Println("inner has session", s.number)
			return nil
		})
	}
	outer := func(ctx context.Context) error {
		return p.Do(ctx, func(ctx context.Context, s *session) error {
			fmt.Println("outer has session", s.number)
			return inner(ctx)
		})
	}
	ctx, end := pool.WithScope(context.Background())
	defer end()
	if err := outer(ctx); err != nil {
		fmt.Println(err)
	}
	// Output:
	// outer has session 1
	// inner has session 1
}
