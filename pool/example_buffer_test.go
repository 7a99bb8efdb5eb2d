package pool_test

import (
	"bytes"
	"context"
	"fmt"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/strategies"
)

// Buffers: nothing to close, and a reset that does no I/O and so needs no goroutine to be bounded
// by. Unlike sync.Pool it bounds how many there are.
func ExampleNew_buffer() {
	backend := pool.Funcs[*bytes.Buffer]{
		OpenFunc:  func(context.Context) (*bytes.Buffer, error) { return bytes.NewBuffer(make([]byte, 0, 1<<16)), nil },
		ResetFunc: func(_ context.Context, b *bytes.Buffer) error { b.Reset(); return nil },
	}
	p, err := pool.New(backend, strategies.Queue{Size: 8}, pool.Options{ResetTimeout: pool.Inline})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()

	for _, word := range []string{"one", "two"} {
		_ = p.Do(context.Background(), func(_ context.Context, b *bytes.Buffer) error {
			b.WriteString(word)
			fmt.Println(b, b.Cap())
			return nil
		})
	}
	fmt.Println(p.Stats().Opened, "buffer")
	// Output:
	// one 65536
	// two 65536
	// 1 buffer
}
