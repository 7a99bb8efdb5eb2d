package backendtest_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lidopool/lido/backends/backendtest"
)

// Sockets are real, so is their time. What must come is waited for, with patience as the deadline;
// that nothing comes can only be seen by waiting a moment.
const (
	patience = 30 * time.Second
	moment   = 50 * time.Millisecond // hundreds of times what an answer takes
)

// echo answers each connection with what it gets, and hands it to the test.
func echo(t *testing.T, network, addr string) (string, <-chan net.Conn) {
	t.Helper()
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	conns := make(chan net.Conn, 10) // more than any test looks at
	var accepting, echoing sync.WaitGroup
	var all []net.Conn
	accepting.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all = append(all, c)
			select {
			case conns <- c:
			default:
			}
			echoing.Go(func() {
				io.Copy(c, c)
				c.Close()
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		accepting.Wait()
		for _, c := range all {
			c.Close()
		}
		echoing.Wait()
	})
	return l.Addr().String(), conns
}

func echoProxy(t *testing.T) *backendtest.Proxy {
	t.Helper()
	addr, _ := echo(t, "tcp", "127.0.0.1:0")
	return backendtest.NewProxy(t, addr)
}

func dial(t *testing.T, p *backendtest.Proxy) *net.TCPConn {
	t.Helper()
	c, err := net.DialTimeout("tcp", p.Addr(), patience)
	if err != nil {
		t.Fatalf("connect to the proxy: %v", err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

func send(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatalf("send %q: %v", text, err)
	}
}

// receives reads as many bytes as want has.
func receives(t *testing.T, c net.Conn, want string) {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(patience))
	got := make([]byte, len(want))
	if n, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Fatalf("received %q, %v, want %q", got[:n], err, want)
	}
}

// hears reads once, and wants an error like that.
func hears(t *testing.T, c net.Conn, want error) {
	t.Helper()
	wait := patience
	if want == os.ErrDeadlineExceeded {
		wait = moment
	}
	c.SetReadDeadline(time.Now().Add(wait))
	if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, want) {
		t.Fatalf("received %d bytes, %v, want none, and %v", n, err, want)
	}
}

// holds waits until the proxy has that many connections. In real time, like all here: a network tells
// nobody what it has done.
func holds(t *testing.T, p *backendtest.Proxy, want int) {
	t.Helper()
	for deadline := time.Now().Add(patience); p.Conns() != want; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("Conns = %d, want %d", p.Conns(), want)
		}
	}
}

func TestProxyForwardsAndCounts(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) string{
		"TCP": func(t *testing.T) string { addr, _ := echo(t, "tcp", "127.0.0.1:0"); return addr },
		"unix": func(t *testing.T) string {
			dir, err := os.MkdirTemp("", "p") // that of t is too long for the path of a socket
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(dir) })
			addr, _ := echo(t, "unix", filepath.Join(dir, "s"))
			return "unix:" + addr
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := backendtest.NewProxy(t, open(t))
			a, b := dial(t, p), dial(t, p)
			for range 3 {
				send(t, a, "ping")
				receives(t, a, "ping")
			}
			send(t, b, "other")
			receives(t, b, "other")
			if up, down := p.Bytes(); up != 17 || down != 17 {
				t.Errorf("Bytes = %d, %d, want 17 each", up, down)
			}
			if p.Conns() != 2 {
				t.Errorf("Conns = %d, want 2", p.Conns())
			}
			a.Close()
			b.Close()
			holds(t, p, 0)
		})
	}
}

func TestTheEndOfAConnectionPassesAsItCame(t *testing.T) {
	addr, conns := echo(t, "tcp", "127.0.0.1:0")
	p := backendtest.NewProxy(t, addr)
	a := dial(t, p)
	send(t, a, "last words")
	a.CloseWrite() // the server may still answer
	receives(t, a, "last words")
	hears(t, a, io.EOF)
	holds(t, p, 0)
	<-conns

	b := dial(t, p)
	send(t, b, "x")
	receives(t, b, "x")
	server := (<-conns).(*net.TCPConn)
	server.SetLinger(0)
	server.Close()
	hears(t, b, syscall.ECONNRESET)
	holds(t, p, 0)
}

func TestAClientOfAServerThatIsNotThereIsReset(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := backendtest.NewProxy(t, l.Addr().String())
	l.Close()
	c, err := net.DialTimeout("tcp", p.Addr(), patience)
	if err == nil { // else the reset was there before the answer to connect
		defer c.Close()
		hears(t, c, syscall.ECONNRESET)
	} else if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("connect: %v, want %v", err, syscall.ECONNRESET)
	}
}

func TestLatencyDelaysEachAnswerButNarrowsNothing(t *testing.T) {
	p := echoProxy(t)
	c := dial(t, p)
	const d = 100 * time.Millisecond
	p.Latency(d)
	for range 2 {
		start := time.Now()
		send(t, c, "ping")
		receives(t, c, "ping")
		if took := time.Since(start); took < d {
			t.Errorf("a round trip took %v, want %v at least", took, d)
		}
	}
	big := strings.Repeat("0123456789abcdef", 1<<17) // 2 MB: dozens of reads
	start := time.Now()
	go io.WriteString(c, big)
	receives(t, c, big)
	if took := time.Since(start); took > 20*d {
		t.Errorf("an answer of 2 MB took %v: its parts were delayed one after the other", took)
	}
	p.Latency(time.Hour)
	send(t, c, "ping")
	hears(t, c, os.ErrDeadlineExceeded)
	p.Heal()
	receives(t, c, "ping")
}

func TestABlackHoleLetsNothingThroughAndLosesNothing(t *testing.T) {
	p := echoProxy(t)
	old := dial(t, p)
	send(t, old, "a")
	receives(t, old, "a")
	p.BlackHole()
	send(t, old, "b")
	fresh := dial(t, p)
	send(t, fresh, "c")
	hears(t, old, os.ErrDeadlineExceeded)
	hears(t, fresh, os.ErrDeadlineExceeded)
	if up, down := p.Bytes(); up != 1 || down != 1 {
		t.Errorf("Bytes = %d, %d, want 1 each, of before", up, down)
	}
	p.Heal()
	receives(t, old, "b")
	receives(t, fresh, "c")
}

func TestABlackHoleKeepsTheEndFromTheClient(t *testing.T) {
	addr, conns := echo(t, "tcp", "127.0.0.1:0")
	p := backendtest.NewProxy(t, addr)
	c := dial(t, p)
	server := <-conns
	p.BlackHole()
	server.Close()
	hears(t, c, os.ErrDeadlineExceeded)
	p.Heal()
	hears(t, c, io.EOF)
}

func TestResetIsHeardOnBothSidesOnce(t *testing.T) {
	addr, conns := echo(t, "tcp", "127.0.0.1:0")
	p := backendtest.NewProxy(t, addr)
	c := dial(t, p)
	send(t, c, "x")
	receives(t, c, "x")
	p.Reset()
	hears(t, c, syscall.ECONNRESET)
	// The echo ends with its connection, and closes it: what is read then fails.
	server := <-conns
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if _, err := server.Write(nil); err != nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the server's side is still open")
		}
	}
	holds(t, p, 0)
	c = dial(t, p)
	send(t, c, "again")
	receives(t, c, "again")
}

func TestCutAfterLetsThatManyBytesThrough(t *testing.T) {
	p := echoProxy(t)
	old := dial(t, p)
	send(t, old, "before")
	receives(t, old, "before")
	p.CutAfter(10)
	fresh := dial(t, p)
	for _, c := range []net.Conn{old, fresh} {
		send(t, c, "0123456")
		receives(t, c, "0123456")
		send(t, c, "789abcdef")
		receives(t, c, "789")
		hears(t, c, io.EOF)
		c.Close()
	}
	holds(t, p, 0)
	p.CutAfter(10)
	p.Heal()
	c := dial(t, p)
	send(t, c, "more than ten bytes")
	receives(t, c, "more than ten bytes")
}

func TestAClientThatIsCutWhileItSendsGetsTheBytesAndThenTheEnd(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p := backendtest.NewProxy(t, l.Addr().String())
	c := dial(t, p)
	deaf, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	// Until nobody takes any more of it, so that there is something unread on the way.
	for {
		c.SetWriteDeadline(time.Now().Add(moment))
		if _, err := c.Write(make([]byte, 1<<20)); err != nil {
			break
		}
	}
	p.CutAfter(3)
	send(t, deaf, "abcdef")
	receives(t, c, "abc")
	hears(t, c, io.EOF)
}

func TestCutAfterNothingEndsIdleConnectionsAndNewOnes(t *testing.T) {
	addr, conns := echo(t, "tcp", "127.0.0.1:0")
	p := backendtest.NewProxy(t, addr)
	c := dial(t, p)
	<-conns
	p.CutAfter(0)
	hears(t, c, io.EOF)
	hears(t, dial(t, p), io.EOF)
}

func TestRefuseTurnsAwayWhoComesAndKeepsWhoIsThere(t *testing.T) {
	p := echoProxy(t)
	c := dial(t, p)
	send(t, c, "a")
	receives(t, c, "a")
	addr := p.Addr()
	for range 2 {
		p.Refuse()
		if _, err := net.DialTimeout("tcp", addr, patience); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("connect: %v, want %v", err, syscall.ECONNREFUSED)
		}
		send(t, c, "b")
		receives(t, c, "b")
		p.Heal()
		fresh := dial(t, p)
		send(t, fresh, "c")
		receives(t, fresh, "c")
	}
}

func TestHalfOpenKeepsFromTheClientThatTheServerWent(t *testing.T) {
	addr, conns := echo(t, "tcp", "127.0.0.1:0")
	p := backendtest.NewProxy(t, addr)
	old, leaver := dial(t, p), dial(t, p)
	<-conns
	<-conns
	p.HalfOpen()
	fresh := dial(t, p)
	for _, c := range []net.Conn{old, fresh} {
		send(t, c, strings.Repeat("swallowed", 1<<18)) // more than buffers hold
		hears(t, c, os.ErrDeadlineExceeded)
	}
	if up, down := p.Bytes(); up != 0 || down != 0 {
		t.Errorf("Bytes = %d, %d, want none", up, down)
	}
	holds(t, p, 3)
	leaver.Close()
	holds(t, p, 2)
	select {
	case <-conns:
		t.Error("the server got a connection")
	default:
	}
	p.Heal()
	hears(t, old, syscall.ECONNRESET)
	hears(t, fresh, syscall.ECONNRESET)
	c := dial(t, p)
	send(t, c, "x")
	receives(t, c, "x")
}

func TestProxyLeavesNothingBehind(t *testing.T) {
	var addr string
	t.Run("user", func(t *testing.T) {
		for _, fault := range []func(*backendtest.Proxy){
			func(*backendtest.Proxy) {}, (*backendtest.Proxy).BlackHole, (*backendtest.Proxy).HalfOpen, (*backendtest.Proxy).Refuse,
			func(p *backendtest.Proxy) { p.Latency(time.Hour) }, func(p *backendtest.Proxy) { p.CutAfter(1) },
		} {
			p := echoProxy(t)
			addr = p.Addr()
			for range 3 {
				send(t, dial(t, p), "before")
			}
			fault(p)
			if c, err := net.DialTimeout("tcp", addr, patience); err == nil {
				t.Cleanup(func() { c.Close() })
				io.WriteString(c, "after")
			}
		}
	})
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	if i := bytes.Index(stacks, []byte("backendtest.(*")); i >= 0 {
		t.Errorf("a goroutine of a proxy outlives its test:\n%s", stacks[i:min(len(stacks), i+500)])
	}
	if _, err := net.DialTimeout("tcp", addr, patience); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("connect after the test: %v, want %v", err, syscall.ECONNREFUSED)
	}
}

func TestStressProxySurvivesFaultsInAnyOrder(t *testing.T) {
	p := echoProxy(t)
	more := stressTime(t)
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				c, err := net.DialTimeout("tcp", p.Addr(), patience)
				if err != nil {
					continue // refused
				}
				c.SetDeadline(time.Now().Add(moment))
				for range 10 {
					if _, err = c.Write(make([]byte, 100)); err == nil {
						_, err = io.ReadFull(c, make([]byte, 100))
					}
					if err != nil {
						break
					}
				}
				c.Close()
			}
		})
	}
	faults := []func(){p.BlackHole, p.HalfOpen, p.Refuse, p.Reset, p.Heal, p.Heal, func() { p.Latency(1000) }, func() { p.CutAfter(0) }, func() { p.CutAfter(500) }}
	for n := 0; more(); n++ {
		faults[n*7919%1009%len(faults)]()
		runtime.Gosched()
	}
	p.Heal()
	close(stop)
	clients.Wait()
	holds(t, p, 0)
	c := dial(t, p)
	send(t, c, "alive")
	receives(t, c, "alive")
}

// stressTime returns a function that is true for as long as a stress test may take.
func stressTime(t *testing.T) func() bool {
	d := time.Second
	if text := os.Getenv("LIDO_STRESS"); text != "" {
		var err error
		if d, err = time.ParseDuration(text); err != nil {
			t.Fatalf("LIDO_STRESS: %v", err)
		}
	}
	end := time.Now().Add(d)
	return func() bool { return time.Now().Before(end) }
}
