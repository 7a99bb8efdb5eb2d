package pool_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/strategies"
)

// Network connections: a dialer, a close, and what a failed write means.
func ExampleNew_netConn() {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	go echo(server)

	var dialer net.Dialer
	backend := pool.Funcs[net.Conn]{
		OpenFunc: func(ctx context.Context) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp", server.Addr().String())
		},
		CloseFunc:    net.Conn.Close,
		ClassifyFunc: func(error) pool.Fault { return pool.Dead }, // in mid-protocol every error is fatal
	}
	p, err := pool.New(backend, strategies.Queue{Size: 4}, pool.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()

	for _, line := range []string{"hello", "again"} {
		err := p.Do(context.Background(), func(_ context.Context, c net.Conn) error {
			if _, err := fmt.Fprintln(c, line); err != nil {
				return err
			}
			answer, err := bufio.NewReader(c).ReadString('\n')
			fmt.Print(answer)
			return err
		})
		if err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println(p.Stats().Opened, "connection")
	// Output:
	// hello
	// again
	// 1 connection
}

// echo sends every connection's bytes back.
func echo(server net.Listener) {
	for {
		c, err := server.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			_, _ = io.Copy(c, c)
		}()
	}
}
