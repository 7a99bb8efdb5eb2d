package strategies_test

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/strategies"
)

// conn stands for a connection.
type conn struct{ id int }

// conns opens connections numbered from 1.
func conns() pool.Backend[*conn] {
	n := 0
	return pool.Funcs[*conn]{
		OpenFunc: func(context.Context) (*conn, error) {
			n++
			return &conn{id: n}, nil
		},
		CloseFunc: func(c *conn) error {
			fmt.Println("close", c.id)
			return nil
		},
	}
}

func ExampleQueue() {
	// One is kept, a second may be opened while it is needed.
	p, err := pool.New(conns(), strategies.Queue{Size: 1, MaxOverflow: 1}, pool.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	ctx := context.Background()

	a, _ := p.Acquire(ctx)
	b, _ := p.Acquire(ctx)
	fmt.Println("use", a.Value().id, "and", b.Value().id)
	_, err = p.TryAcquire(ctx)
	fmt.Println(err)
	a.Release()
	b.Release() // one more than is kept
	fmt.Println(p)
	// Output:
	// use 1 and 2
	// pool: every seat is taken: 2 of 2 in use (1 overflow), 0 waiting
	// close 2
	// pool: queue: 0 of 2 in use (0 overflow), 1 idle, 0 opening, 0 closing, 0 waiting
	// close 1
}

func ExampleSingleton() {
	p, err := pool.New(conns(), strategies.Singleton{Size: 5}, pool.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	ctx := context.Background()

	audit := func() { // knows nothing of its caller's connection, and works on the same
		l, err := p.Acquire(ctx)
		if err != nil {
			fmt.Println(err)
			return
		}
		defer l.Release()
		fmt.Println("audit on", l.Value().id)
	}
	l, _ := p.Acquire(ctx)
	fmt.Println("transfer on", l.Value().id)
	audit()

	other, _ := p.AcquireUnique(ctx)
	fmt.Println("unique:", other.Value().id)
	other.Release()
	l.Release()
	// Unordered output:
	// transfer on 1
	// audit on 1
	// unique: 2
	// close 1
	// close 2
}

func ExampleSingleton_scope() {
	p, err := pool.New(conns(), strategies.Singleton{Size: 5}, pool.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()

	// Everybody who is given this ctx shares one connection, whichever goroutine it is.
	ctx, end := pool.WithScope(context.Background())
	defer end()
	l, _ := p.Acquire(ctx)
	done := make(chan int)
	go func() {
		l, _ := p.Acquire(ctx)
		defer l.Release()
		done <- l.Value().id
	}()
	fmt.Println("here", l.Value().id, "there", <-done)
	l.Release()
	// Output:
	// here 1 there 1
	// close 1
}

func ExampleNull() {
	p, err := pool.New(conns(), strategies.Null{Max: pool.Unlimited}, pool.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()

	for range 2 {
		l, _ := p.Acquire(context.Background())
		fmt.Println("use", l.Value().id)
		l.Release()
	}
	// Output:
	// use 1
	// close 1
	// use 2
	// close 2
}

func ExampleStatic() {
	p, err := pool.New(conns(), strategies.Static{}, pool.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	ctx := context.Background()

	a, _ := p.Acquire(ctx)
	b, _ := p.Acquire(ctx)
	fmt.Println("both use", a.Value().id, b.Value().id)

	a.Discard(errors.New("broken pipe")) // under b as well
	_, err = b.Get()
	fmt.Println(err)
	c, _ := p.Acquire(ctx)
	fmt.Println("use", c.Value().id)
	c.Release()
	// Output:
	// both use 1 1
	// close 1
	// pool: resource was invalidated
	// use 2
	// close 2
}

func ExampleAssertion() {
	p, err := pool.New(conns(), strategies.Assertion{}, pool.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	ctx := context.Background()

	l, _ := p.Acquire(ctx)
	defer l.Release()
	_, err = p.Acquire(ctx) // fails at once, and tells where the first was acquired
	var already *strategies.AlreadyAcquiredError
	if errors.As(err, &already) {
		first, _, _ := strings.Cut(already.Stack, "\n")
		fmt.Println("already acquired by", first[strings.LastIndex(first, ".")+1:])
	}
	// Output:
	// already acquired by ExampleAssertion
	// close 1
}
