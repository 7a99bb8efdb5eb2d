package backendtest_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"github.com/lidopool/lido/backends/backendtest"
	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/strategies"
)

// A test of what a program does when the network goes dark in the middle of its work, and comes
// back.
func ExampleProxy() {
	_ = func(t *testing.T, server string) { // TestWeSurviveABlackHole
		proxy := backendtest.NewProxy(t, server)
		dial := pool.Funcs[net.Conn]{
			OpenFunc: func(ctx context.Context) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "tcp", proxy.Addr())
			},
			CloseFunc: net.Conn.Close,
		}
		p, err := pool.New(dial, strategies.Queue{Size: 1}, pool.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()

		ask := func(ctx context.Context, c net.Conn) error {
			c.SetDeadline(time.Now().Add(time.Second))
			if _, err := fmt.Fprintln(c, "hello"); err != nil {
				return err
			}
			_, err := c.Read(make([]byte, 100))
			return err
		}
		if err := p.Do(t.Context(), ask); err != nil {
			t.Fatal(err)
		}
		proxy.BlackHole()
		if err := p.Do(t.Context(), ask); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("in a black hole: %v, want a timeout", err)
		}
		proxy.Heal()
		if err := p.Do(t.Context(), ask); err != nil {
			t.Errorf("after it: %v, want nil", err)
		}
	}
}
