package netconn_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/lidopool/lido/backends/netconn"
	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

// echo is a server that sends every line back. accepted has its ends of the connections.
type echo struct {
	net.Listener
	accepted chan net.Conn
}

func serve(t testing.TB) *echo {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &echo{l, make(chan net.Conn, 100)}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			e.accepted <- c
			go func() { _, _ = io.Copy(c, c) }()
		}
	}()
	return e
}

func say(c net.Conn, line string) (string, error) {
	if _, err := fmt.Fprintln(c, line); err != nil {
		return "", err
	}
	return bufio.NewReader(c).ReadString('\n')
}

func TestDialKeepsThePromisesOfABackend(t *testing.T) {
	e := serve(t)
	pooltest.TestBackend(t, netconn.Dial("tcp", e.Addr().String()), pooltest.BackendOptions[net.Conn]{
		Break: func(t *testing.T, c net.Conn) {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		},
	})
}

func TestPingFindsWhatTheServerHasClosed(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a ping without a round trip cannot look here: give a PingFunc that asks the server")
	}
	for name, spoil := range map[string]func(net.Conn){
		"closed":      func(c net.Conn) { _ = c.Close() },
		"data unread": func(c net.Conn) { _, _ = c.Write([]byte("surprise")) },
	} {
		t.Run(name, func(t *testing.T) {
			e := serve(t)
			p, err := pool.New(netconn.Dial("tcp", e.Addr().String()), strategies.Queue{Size: 1}, pool.Options{Ping: true})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			hello := func(ctx context.Context, c net.Conn) error { _, err := say(c, "hello"); return err }
			for range 2 {
				if err := p.Do(t.Context(), hello); err != nil {
					t.Fatal(err)
				}
			}
			if s := p.Stats(); s.Opened != 1 || s.PingFailures != 0 {
				t.Fatalf("%d opened, %d pings failed while the connection was sound; want 1 and 0", s.Opened, s.PingFailures)
			}
			spoil(<-e.accepted)
			idle, err := p.Acquire(t.Context())
			for deadline := time.Now().Add(5 * time.Second); err == nil && p.Stats().Opened == 1; idle, err = p.Acquire(t.Context()) {
				// What the server did takes its time to arrive, also on one machine.
				if time.Now().After(deadline) {
					t.Fatal("the ping does not find it in 5 s")
				}
				_ = idle.Release()
				runtime.Gosched()
			}
			if err != nil {
				t.Fatal(err)
			}
			defer idle.Release()
			if err := hello(t.Context(), idle.Value()); err != nil {
				t.Errorf("the connection in its place: %v", err)
			}
		})
	}
}

func TestPingOfWhatItCannotLookIntoFindsNothing(t *testing.T) {
	a, b := net.Pipe()
	defer b.Close()
	defer a.Close()
	if err := netconn.Dial("", "").Ping(t.Context(), a); err != nil {
		t.Error(err)
	}
}

func TestPingOfAConnectionClosedOnThisSideFails(t *testing.T) {
	c, err := net.Dial("tcp", serve(t).Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	if err := netconn.Dial("", "").Ping(t.Context(), c); runtime.GOOS != "windows" && !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v, want net.ErrClosed", err)
	}
}

func TestClassifyTakesABrokenStreamForDead(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want pool.Fault
	}{
		{nil, pool.Sound},
		{errors.New("-ERR wrong number of arguments"), pool.Sound},
		{io.EOF, pool.Dead},
		{fmt.Errorf("read: %w", io.ErrUnexpectedEOF), pool.Dead},
		{net.ErrClosed, pool.Dead},
		{io.ErrClosedPipe, pool.Dead},
		{os.ErrDeadlineExceeded, pool.Dead},
		{&net.OpError{Op: "read", Err: errors.New("connection reset by peer")}, pool.Dead},
		{context.DeadlineExceeded, pool.Dead},
		{context.Canceled, pool.Dead},
	} {
		if got := netconn.Classify(tc.err); got != tc.want {
			t.Errorf("Classify(%v) = %v, want %v", tc.err, got, tc.want)
		}
	}
}

func ExampleDial() {
	l, err := net.Listen("tcp", "127.0.0.1:0") // an echo server, for the example
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err == nil {
			_, _ = io.Copy(c, c)
		}
	}()

	p, err := pool.New(netconn.Dial("tcp", l.Addr().String()), strategies.Queue{Size: 5}, pool.Options{Ping: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	err = p.Do(context.Background(), func(_ context.Context, c net.Conn) error {
		if _, err := fmt.Fprintln(c, "hello"); err != nil {
			return err
		}
		line, err := bufio.NewReader(c).ReadString('\n')
		fmt.Print(line)
		return err
	})
	fmt.Println(err)
	// Output:
	// hello
	// <nil>
}
