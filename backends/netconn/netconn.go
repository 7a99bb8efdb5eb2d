// Package netconn pools network connections: whatever speaks a protocol over a net.Conn.
//
//	p, err := pool.New(netconn.Dial("tcp", "localhost:6379"), strategies.Queue{Size: 5}, pool.Options{Ping: true})
//
// It knows nothing of the protocol. A backend for one begins with a copy of what Dial
// returns, and sets ResetFunc, or a PingFunc that asks the server.
package netconn

import (
	"context"
	"errors"
	"io"
	"net"

	"github.com/lidopool/lido/pool"
)

// Dial returns a backend of connections to an address, both as in net.Dial.
//
// Its ping makes no round trip: it looks whether the peer has closed the connection, or sent
// what nobody asked for. Where the operating system or the kind of connection does not
// let it look, it finds nothing wrong.
func Dial(network, address string) pool.Funcs[net.Conn] {
	var d net.Dialer
	return pool.Funcs[net.Conn]{
		OpenFunc: func(ctx context.Context) (net.Conn, error) {
			return d.DialContext(ctx, network, address)
		},
		PingFunc:     func(_ context.Context, c net.Conn) error { return look(c) },
		CloseFunc:    net.Conn.Close,
		ClassifyFunc: Classify,
	}
}

// Classify takes every error of a network, the end of a stream, and the end of a ctx or
// deadline for pool.Dead: after any of them nobody knows how much of a message has gone through,
// and the next holder would read the rest of it. Other errors are the user's own.
func Classify(err error) pool.Fault {
	var network net.Error
	switch {
	case err == nil:
		return pool.Sound
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.ErrClosedPipe),
		errors.Is(err, net.ErrClosed), errors.Is(err, context.Canceled), errors.As(err, &network):
		return pool.Dead
	}
	return pool.Sound
}

// errUnasked is what look finds wrong beside the end of the stream.
var errUnasked = errors.New("netconn: idle connection has data that nobody asked for")
