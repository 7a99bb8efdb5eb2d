package postgres

import (
	"context"
	"net"
	"sync"
	"time"
)

// defaultGrace is arbitrary: long for a server to answer a cancel request, short for a user who
// has left already.
const defaultGrace = 5 * time.Second

// dialer dials for one connection of the driver. lib/pq dials by it again, later, when the ctx of
// a query has ended: then it is about to ask the server to cancel. That is all that a
// dialer learns of queries, and enough: from then on the connection itself has grace left.
type dialer struct {
	grace time.Duration
	end   time.Time // of the opening, if it may be shared by several hosts

	mu sync.Mutex
	// The fields below are guarded by mu.
	conn    *wire // the last that was dialled for the connection itself
	ready   bool  // it is open: what is dialled now is a cancel request
	givenUp bool
	hosts   int    // that are to be tried, of which the last has no limit
	address string // of the last that was
}

// giveUp ends the opening, whatever it waits for.
func (d *dialer) giveUp() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.givenUp = true
	if d.conn != nil {
		d.conn.limitTo(past)
	}
}

// opened says that the connection is open, and returns its socket.
func (d *dialer) opened() *wire {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ready = true
	d.conn.open = true
	if !d.end.IsZero() {
		d.conn.limitTo(time.Time{})
	}
	return d.conn
}

// forget closes what a failed open has left: lib/pq forgets some.
func (d *dialer) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.conn != nil {
		_ = d.conn.Close()
	}
}

// shareLocked returns when to go on to the next host: an even part of the time that is left. Zero: there is none.
func (d *dialer) shareLocked(address string) time.Time {
	if address != d.address { // else it is the same one again, with TLS, or without
		d.address = address
		d.hosts--
	}
	if d.hosts <= 0 || d.end.IsZero() {
		return time.Time{}
	}
	return time.Now().Add(time.Until(d.end) / time.Duration(d.hosts+1))
}

// DialContext implements pq.DialerContext, which is what lib/pq calls.
func (d *dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	d.mu.Lock()
	conn, ready := d.conn, d.ready
	end := d.shareLocked(address)
	d.mu.Unlock()
	if ready {
		return dialCancel(ctx, network, address, conn, d.grace)
	}
	if !end.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, end)
		defer cancel()
	}
	c, err := dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if !end.IsZero() {
		c.limitTo(end)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.conn != nil { // another host, or with TLS, or without
		_ = d.conn.Close()
	}
	d.conn = c
	if d.givenUp {
		c.limitTo(past)
	}
	return c, nil
}

// Dial implements pq.Dialer.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// DialTimeout implements pq.Dialer.
func (d *dialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

func dial(ctx context.Context, network, address string) (*wire, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return newWire(c), nil
}

// dialCancel dials for the request to cancel what goes on on conn.
func dialCancel(ctx context.Context, network, address string, conn *wire, grace time.Duration) (net.Conn, error) {
	end := time.Now().Add(grace)
	conn.doubt(end)
	ctx, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	c, err := dial(ctx, network, address)
	if err != nil {
		conn.asked(false)
		return nil, err
	}
	c.limitTo(end)
	return &cancelRequest{wire: c, of: conn}, nil
}
