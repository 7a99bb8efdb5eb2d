package pool_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/strategies"
)

// session is the resource of some examples.
type session struct{ number int64 }

// sessions opens them.
func sessions() pool.Funcs[*session] {
	var opened atomic.Int64
	return pool.Funcs[*session]{
		OpenFunc: func(context.Context) (*session, error) {
			return &session{opened.Add(1)}, nil
		},
	}
}

// A first lease.
func Example() {
	ctx := context.Background()
	p, err := pool.New(sessions(), strategies.Queue{Size: 5, MaxOverflow: 10}, pool.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Shutdown(ctx)

	lease, err := p.Acquire(ctx) // waits in line; ctx bounds everything
	if err != nil {
		fmt.Println(err)
		return
	}
	defer lease.Release()
	fmt.Println("session", lease.Value().number)
	fmt.Println(p)
	// Output:
	// session 1
	// pool: queue: 1 of 15 in use (0 overflow), 0 idle, 0 opening, 0 closing, 0 waiting
}

// Do cannot leak. What its function does to the resource, by an error that the backend takes for
// its death or by a panic, is seen to.
func ExamplePool_Do() {
	errGone := errors.New("server has gone away")
	backend := sessions()
	backend.ClassifyFunc = func(err error) pool.Fault {
		if errors.Is(err, errGone) {
			return pool.Dead
		}
		return pool.Sound
	}
	p, err := pool.New(backend, strategies.Queue{Size: 1}, pool.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()

	for _, outcome := range []error{nil, errGone, nil} {
		err := p.Do(context.Background(), func(_ context.Context, s *session) error {
			fmt.Print("session ", s.number, ": ")
			return outcome
		})
		fmt.Println(err)
	}
	// Output:
	// session 1: <nil>
	// session 1: server has gone away
	// session 2: <nil>
}
