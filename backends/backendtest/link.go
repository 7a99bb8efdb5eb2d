package backendtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// A link is one connection of a client, and the one to the server that belongs to it.
type link struct {
	p      *Proxy
	client net.Conn
	ctx    context.Context // ends with the link
	cancel context.CancelFunc

	// Under the lock of the proxy:
	server net.Conn // nil until it is connected
	ended  bool
	orphan bool  // it has lost its server, or will have none
	cut    bool  // an orphan whose client has been told
	cuts   int   // the call of CutAfter that left belongs to
	left   int64 // bytes from the server that may still come through
}

// run connects to the server, when the faults allow it, and forwards until both sides have closed.
func (l *link) run() {
	server, err := l.connect()
	if err != nil {
		l.end(reset)
		return
	}
	var both sync.WaitGroup
	if server == nil {
		io.Copy(io.Discard, l.client)
	} else {
		both.Go(func() { l.forward(l.client, server, true) })
		both.Go(func() { l.forward(server, l.client, false) })
	}
	both.Wait()
	l.end(func(c net.Conn) { c.Close() })
}

// connect returns the connection to the server, or nil for an orphan.
func (l *link) connect() (net.Conn, error) {
	if !l.pass(time.Now(), false) {
		return nil, l.ctx.Err()
	}
	server, err := new(net.Dialer).DialContext(l.ctx, l.p.network, l.p.upstream)
	if err != nil {
		return nil, err
	}
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	if l.ended || l.orphan {
		server.Close()
		return nil, l.ctx.Err()
	}
	l.server = server
	if l.p.cut == 0 {
		l.cutLocked()
	}
	return server, nil
}

// A chunk is what one read returned, and when.
type chunk struct {
	data []byte
	err  error
	at   time.Time
}

// forward hands on what comes from src until its end, and then the end.
func (l *link) forward(dst, src net.Conn, toClient bool) {
	// Read ahead, so that what waits for its time does not keep the next from being noticed. The
	// number is arbitrary: it bounds what is under way.
	chunks := make(chan chunk, 64)
	l.p.work.Go(func() {
		defer close(chunks)
		buffer := make([]byte, 32<<10)
		for {
			n, err := src.Read(buffer)
			select {
			case chunks <- chunk{bytes.Clone(buffer[:n]), err, time.Now()}:
			case <-l.ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	})
	for c := range chunks {
		if !l.pass(c.at, toClient) {
			if toClient || l.ctx.Err() != nil {
				return
			}
			continue // swallow what the client of an orphan sends, until it closes
		}
		if len(c.data) > 0 {
			l.write(dst, c.data, toClient)
		}
		switch {
		case c.err == nil:
		case errors.Is(c.err, io.EOF):
			closeWrite(dst)
		case !l.lost():
			l.end(reset)
		}
	}
}

// pass waits until the faults let something through that came at that time. It returns false if
// they never will, because the link has ended or is an orphan.
func (l *link) pass(at time.Time, toClient bool) bool {
	p := l.p
	for {
		p.mu.Lock()
		lost, black, latency, changed := l.ended || l.orphan, p.black, p.latency, p.changed
		p.mu.Unlock()
		if lost {
			return false
		}
		var due <-chan time.Time
		if !black {
			rest := latency - time.Since(at)
			if !toClient || rest <= 0 {
				return true
			}
			due = time.After(rest)
		}
		select {
		case <-due:
		case <-changed:
		case <-l.ctx.Done():
			return false
		}
	}
}

// write hands on as much of data as CutAfter allows.
func (l *link) write(dst net.Conn, data []byte, toClient bool) {
	p, count := l.p, &l.p.toServer
	p.mu.Lock()
	if toClient {
		count = &p.toClient
		data = data[:l.allowLocked(len(data))]
	}
	*count += int64(len(data)) // before anybody can have seen them
	p.mu.Unlock()
	n, err := dst.Write(data)
	p.mu.Lock()
	defer p.mu.Unlock()
	*count -= int64(len(data) - n)
	if toClient && p.cut >= 0 && l.cuts == p.cuts && l.left == 0 {
		l.cutLocked()
	}
	if err != nil && !l.orphan {
		l.endLocked(reset)
	}
}

// allowLocked returns how many of n bytes from the server may come through.
func (l *link) allowLocked(n int) int64 {
	p := l.p
	if p.cut < 0 {
		return int64(n)
	}
	if l.cuts != p.cuts {
		l.cuts, l.left = p.cuts, p.cut
	}
	allowed := min(int64(n), l.left)
	l.left -= allowed
	return allowed
}

// cutLocked closes both sides. The client's is only half closed: to close it while something that
// the client sent is unread would reset it, and a reset takes from the client what it has not read
// yet.
func (l *link) cutLocked() {
	if l.server != nil && !l.orphan {
		l.orphan, l.cut = true, true
		l.server.Close()
		closeWrite(l.client)
	}
}

// orphanLocked closes the server's side alone.
func (l *link) orphanLocked() {
	if !l.orphan {
		l.orphan = true
		if l.server != nil {
			l.server.Close()
		}
	}
}

func (l *link) lost() bool {
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	return l.orphan
}

func (l *link) end(how func(net.Conn)) {
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	l.endLocked(how)
}

// endLocked closes both sides in that way, and forgets the link.
func (l *link) endLocked(how func(net.Conn)) {
	if l.ended {
		return
	}
	l.ended = true
	l.cancel()
	how(l.client)
	if l.server != nil {
		how(l.server)
	}
	delete(l.p.links, l)
}

// closeWrite passes on the end of what the other side had to say.
func closeWrite(c net.Conn) {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
}
