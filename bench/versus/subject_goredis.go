package main

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/lidopool/lido/bench/internal/load"
)

// goRedis is the real client over connections that answer at once: its pool is internal, and
// lends nothing but for a command.
type goRedis struct {
	*redis.Client
	*wires
}

func newGoRedis(s spec) (subject, error) {
	logging.Disable() // what it logs comes back as an error, too
	w := &wires{open: s.open}
	return goRedis{redis.NewClient(&redis.Options{
		Dialer:           w.dial,
		Protocol:         2,
		DisableIdentity:  true,
		PoolSize:         s.seats,
		MaxActiveConns:   s.seats,
		PoolTimeout:      time.Hour, // ctx bounds a wait, as everywhere
		PipelinePoolSize: -1,        // nobody asks for it
		MaxRetries:       -1,
		DialerRetries:    1,
		ReadTimeout:      -2, // no deadlines to set
		WriteTimeout:     -2,
	}), w}, nil
}

func (p goRedis) Cycle(ctx context.Context, n int) error {
	for range n {
		if err := p.Ping(ctx).Err(); err != nil {
			return err
		}
	}
	return nil
}

func (p goRedis) Visit(ctx context.Context, during func(context.Context, load.Conn) error) error {
	v := redisVisit{ctx: ctx, wires: p.wires, during: during}
	return errors.Join(p.DoRawWriteTo(ctx, &v, "ping").Err(), v.err)
}

func (p goRedis) close() { _ = p.Close() }

// A redisVisit is where the client copies a reply to, while the connection from which it comes is lent.
type redisVisit struct {
	*wires
	ctx    context.Context
	during func(context.Context, load.Conn) error
	err    error
}

// Write is called with the line of a reply, then with the end of the line. An error lets the client
// close the connection.
func (v *redisVisit) Write(reply []byte) (int, error) {
	if reply[0] == ':' {
		r, err := v.of(reply[1:])
		if err != nil {
			return 0, err
		}
		if v.err = r.lend(v.ctx, v.during); r.broken {
			return 0, errBroken
		}
	}
	return len(reply), nil
}

// wires are the connections of a client, each with a number, which is its reply to every command.
type wires struct {
	open func(context.Context) (*resource, error)

	mu  sync.RWMutex
	all []*wire // nil where one was closed
}

func (w *wires) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	r, err := w.open(ctx)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.Index(w.all, nil)
	if i < 0 {
		i = len(w.all)
		w.all = append(w.all, nil)
	}
	w.all[i] = &wire{resource: r, wires: w, number: i, reply: []byte("-ERR no HELLO\r\n")}
	return w.all[i], nil
}

func (w *wires) of(number []byte) (*resource, error) {
	i, err := strconv.Atoi(string(number))
	if err != nil {
		return nil, err
	}
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.all[i].resource, nil
}

// A wire is a connection without a server. The first command is HELLO, which old servers do not
// know: then a client asks for nothing more. Every other one is a use.
type wire struct {
	*resource
	wires  *wires
	number int
	reply  []byte
	unread []byte
}

func (c *wire) Write(command []byte) (int, error) {
	c.unread = c.reply
	if c.reply[0] == '-' {
		c.reply = strconv.AppendInt([]byte(":"), int64(c.number), 10)
		c.reply = append(c.reply, "\r\n"...)
	} else {
		c.uses++
	}
	return len(command), nil
}

func (c *wire) Read(into []byte) (int, error) {
	if len(c.unread) == 0 {
		return 0, io.EOF
	}
	n := copy(into, c.unread)
	c.unread = c.unread[n:]
	return n, nil
}

func (c *wire) Close() error {
	c.wires.mu.Lock()
	c.wires.all[c.number] = nil
	c.wires.mu.Unlock()
	c.close()
	return nil
}

func (*wire) LocalAddr() net.Addr              { return wireAddr{} }
func (*wire) RemoteAddr() net.Addr             { return wireAddr{} }
func (*wire) SetDeadline(time.Time) error      { return nil }
func (*wire) SetReadDeadline(time.Time) error  { return nil }
func (*wire) SetWriteDeadline(time.Time) error { return nil }

type wireAddr struct{}

func (wireAddr) Network() string { return "wire" }
func (wireAddr) String() string  { return "wire" }
