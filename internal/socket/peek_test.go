package socket_test

import (
	"errors"
	"io"
	"net"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/lidopool/lido/internal/socket"
)

// pair returns both ends of a TCP connection, and the first one's raw side.
func pair(tb testing.TB) (here, there net.Conn, raw syscall.RawConn) {
	tb.Helper()
	if runtime.GOOS == "windows" {
		tb.Skip("this system does not let it look")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	if here, err = net.Dial("tcp", l.Addr().String()); err != nil {
		tb.Fatal(err)
	}
	if there, err = l.Accept(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { here.Close(); there.Close() })
	if raw, err = here.(*net.TCPConn).SyscallConn(); err != nil {
		tb.Fatal(err)
	}
	return here, there, raw
}

// await peeks until there is something to be seen. What a peer does takes its time to
// arrive, also on one machine.
func await(t *testing.T, raw syscall.RawConn, b []byte) (int, error) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); runtime.Gosched() {
		if n, err := socket.Peek(raw, b); n > 0 || err != nil {
			return n, err
		}
	}
	t.Fatal("nothing to be seen in 5 s")
	return 0, nil
}

func TestPeekOfAQuietConnectionFindsNothing(t *testing.T) {
	_, _, raw := pair(t)
	if n, err := socket.Peek(raw, make([]byte, 8)); n != 0 || err != nil {
		t.Errorf("got %d, %v, want 0 and no error", n, err)
	}
}

func TestPeekLeavesWhatItFinds(t *testing.T) {
	here, there, raw := pair(t)
	if _, err := there.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	var b [3]byte
	for range 2 {
		if n, err := await(t, raw, b[:]); n != 3 || err != nil || string(b[:]) != "hel" {
			t.Errorf("got %d bytes %q, %v, want 3 of hello", n, b[:n], err)
		}
	}
	got := make([]byte, 5)
	if _, err := io.ReadFull(here, got); err != nil || string(got) != "hello" {
		t.Errorf("read after the peeks: %q, %v, want hello", got, err)
	}
}

func TestPeekHeedsNoDeadline(t *testing.T) {
	here, _, raw := pair(t)
	if err := here.SetDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if n, err := socket.Peek(raw, make([]byte, 8)); n != 0 || err != nil {
		t.Errorf("got %d, %v, want 0 and no error", n, err)
	}
}

func TestPeekSeesTheEnd(t *testing.T) {
	_, there, raw := pair(t)
	there.Close()
	if n, err := await(t, raw, make([]byte, 8)); n != 0 || err != io.EOF {
		t.Errorf("closed by the peer: got %d, %v, want io.EOF", n, err)
	}

	_, there, raw = pair(t)
	if err := there.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	there.Close()
	if _, err := await(t, raw, make([]byte, 8)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("reset by the peer: got %v, want ECONNRESET", err)
	}

	here, _, raw := pair(t)
	here.Close()
	if _, err := socket.Peek(raw, make([]byte, 8)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed here: got %v, want net.ErrClosed", err)
	}
}

// One operation is one Peek of a quiet connection.
func BenchmarkPeek(b *testing.B) {
	_, _, raw := pair(b)
	buf := make([]byte, 1)
	b.ReportAllocs()
	for b.Loop() {
		if n, err := socket.Peek(raw, buf); n != 0 || err != nil {
			b.Fatal(n, err)
		}
	}
}
