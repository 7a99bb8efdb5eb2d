package backendtest

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lidopool/lido/internal/loopback"
)

// A Proxy forwards TCP connections to a server, and fails in the way that a test asks for. Faults
// stay until Heal, and add up: Latency and CutAfter can be had together. All methods may be called
// at any time from any goroutine, and none waits for the network.
//
// The end of a connection passes through as it came: a close as a close, a reset as a reset.
type Proxy struct {
	t                 testing.TB
	network, upstream string
	addr              string
	work              sync.WaitGroup // the goroutines of the listener and of all links

	// mu guards what follows.
	mu       sync.Mutex
	listener net.Listener // nil while refusing
	links    map[*link]struct{}
	closed   bool
	toServer int64
	toClient int64
	latency  time.Duration
	black    bool
	halfOpen bool
	cut      int64         // bytes that each link may still have had when cuts was counted up; negative: no limit
	cuts     int           // how often CutAfter was called
	changed  chan struct{} // closed, and made anew, when a fault comes or goes
}

// NewProxy starts a proxy in front of a server at "host:port" or "unix:/path". It fails the test if
// it cannot listen; whether the server is there shows when a client connects, which is reset if
// not. The proxy ends with the test, and all its connections with it.
func NewProxy(t testing.TB, upstream string) *Proxy {
	t.Helper()
	p := &Proxy{t: t, network: "tcp", upstream: upstream, links: map[*link]struct{}{}, cut: -1, changed: make(chan struct{})}
	if path, ok := strings.CutPrefix(upstream, "unix:"); ok {
		p.network, p.upstream = "unix", path
	}
	l, err := loopback.Listen()
	if err != nil {
		t.Fatalf("backendtest: %v", err)
	}
	p.addr = l.Addr().String()
	p.serve(l)
	t.Cleanup(p.close)
	return p
}

// Addr returns host:port, where clients connect instead of to the server. It stays the same.
func (p *Proxy) Addr() string { return p.addr }

// Conns returns how many connections of clients the proxy holds: those that were accepted, and
// whose end has not come through.
func (p *Proxy) Conns() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.links)
}

// Bytes returns how many bytes the proxy has handed on, in each direction.
func (p *Proxy) Bytes() (toServer, toClient int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.toServer, p.toClient
}

// Latency delays what the server sends by d, so each round trip takes that much longer. It does not
// make the line narrower: what is sent together arrives together.
func (p *Proxy) Latency(d time.Duration) {
	p.change(func() { p.latency = d })
}

// BlackHole lets nothing through, in either direction. Clients can connect, and what they send is
// taken until the buffers are full. Nothing is lost: what was under way arrives after Heal, and so
// does the news that the other side has closed.
func (p *Proxy) BlackHole() {
	p.change(func() { p.black = true })
}

// HalfOpen loses the server without telling the clients, as when its host is cut from the power.
// Its side of all connections is closed. Those of the clients stay open, and so do new ones: what
// they send is swallowed, and no answer comes. With Heal they are reset, as a host does that has
// come back and does not know them.
//
// The kernel here still acknowledges what the client sends. So TCP's own timeouts and keep-alive do
// not find out, as they would in the end; only a deadline of the client's does.
func (p *Proxy) HalfOpen() {
	p.change(func() {
		p.halfOpen = true
		for l := range p.links {
			l.orphanLocked()
		}
	})
}

// CutAfter closes each connection when n more bytes from the server have come through, and each new
// one when n have: say, in the middle of a result. The client gets these bytes, and then the end.
// With 0 it is at once.
func (p *Proxy) CutAfter(n int64) {
	p.change(func() {
		p.cut = max(n, 0)
		p.cuts++
		if p.cut == 0 {
			for l := range p.links {
				l.cutLocked()
			}
		}
	})
}

// Refuse lets nobody connect any more: a client is told so at once. Connections that are open stay.
func (p *Proxy) Refuse() {
	p.change(func() {
		if p.listener != nil {
			p.listener.Close()
			p.listener = nil
		}
	})
}

// Reset resets the connections that are open, on both sides, once: new ones are as good as before.
func (p *Proxy) Reset() {
	p.change(func() {
		for l := range p.links {
			l.endLocked(reset)
		}
	})
}

// Heal ends all faults. What BlackHole held back comes through; what HalfOpen left is reset.
func (p *Proxy) Heal() {
	p.change(func() {
		p.latency, p.black, p.halfOpen, p.cut = 0, false, false, -1
		for l := range p.links {
			if l.orphan && !l.cut {
				l.endLocked(reset)
			}
		}
		if p.listener != nil {
			return
		}
		l, err := net.Listen("tcp", p.addr)
		if err != nil {
			p.t.Errorf("backendtest: listen again after Refuse: %v", err)
			return
		}
		p.serve(l)
	})
}

// change makes a change, unless the test is over, and wakes whoever waits for one.
func (p *Proxy) change(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	f()
	close(p.changed)
	p.changed = make(chan struct{})
}

// serve accepts connections until the listener is closed. It is called with the lock held, or
// before anybody else knows the proxy.
func (p *Proxy) serve(listener net.Listener) {
	p.listener = listener
	p.work.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				if errors.Is(err, net.ErrClosed) {
					return
				}
				continue // one that was reset before it was accepted
			}
			p.mu.Lock()
			if p.listener != listener { // Refuse came between
				reset(client)
			} else {
				l := &link{p: p, client: client, orphan: p.halfOpen}
				l.ctx, l.cancel = context.WithCancel(context.Background())
				p.links[l] = struct{}{}
				p.work.Go(l.run)
			}
			p.mu.Unlock()
		}
	})
}

func (p *Proxy) close() {
	p.change(func() {
		p.closed = true
		if p.listener != nil {
			p.listener.Close()
			p.listener = nil
		}
		for l := range p.links {
			l.endLocked(reset)
		}
	})
	p.work.Wait()
}

// reset closes a connection so that the other side gets an error, not an end.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	c.Close()
}
