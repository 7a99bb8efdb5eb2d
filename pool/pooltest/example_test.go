package pooltest_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

// A test of code that uses a pool: what does it do while the backend is down?
func ExampleFake() {
	fake := pooltest.NewFake()
	fake.Next(pooltest.Open, pooltest.Fail(errors.New("connection refused")), pooltest.Slow(time.Millisecond))
	p, err := pool.New(fake, strategies.Queue{Size: 1}, pool.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()

	use := func(ctx context.Context, r *pooltest.Resource) error {
		fmt.Println("use", r)
		return nil
	}
	fmt.Println(p.Do(ctx, use))
	fmt.Println(p.Do(ctx, use))
	p.Close()
	fmt.Println(fake.Story())
	// Output:
	// pool: open: connection refused
	// use resource 1
	// <nil>
	// open failed, open 1, reset 1, close 1
}
