package postgres

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// past is a deadline that is over.
var past = time.Unix(1, 0)

// wire is the network connection under a connection of the driver, below TLS. It has a limit
// of ours beside the deadlines that it is given: whichever is sooner counts.
//
// A deadline by SetReadDeadline or SetWriteDeadline counts beside that of SetDeadline, too, and
// does not take its place: a tls.Conn that is closed gives itself 5 s to say so, also when the time
// to close it is over.
type wire struct {
	net.Conn
	raw syscall.RawConn // nil: there is no looking into it

	doubtful atomic.Bool // a cancel request was begun, and the limit stands; changed under mu
	open     bool        // the driver has opened the connection; set before anybody gets it

	mu sync.Mutex
	// The fields below are guarded by mu.
	both, read, write time.Time // as they were set; zero: none
	limit             time.Time
	over              bool // the cancel request is done with
	answered          bool // by the server, to the request; or it sent something on the connection since
}

func newWire(c net.Conn) *wire {
	w := &wire{Conn: c}
	if sc, ok := c.(syscall.Conn); ok {
		w.raw, _ = sc.SyscallConn()
	}
	return w
}

// doubt begins when the driver asks the server to cancel: if nothing ends it, the socket is given up
// at the limit.
func (w *wire) doubt(limit time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over, w.answered = false, false
	w.doubtful.Store(true)
	w.limit = limit
	_ = w.applyLocked() // fails only for a closed socket, of which there is no doubt
}

// asked says that the cancel request is done with, and whether the server has taken it.
func (w *wire) asked(taken bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	w.answered = w.answered || taken
}

// limitTo sets the limit, until it is set again. Zero: there is none.
func (w *wire) limitTo(t time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.limit = t
	_ = w.applyLocked() // see doubt
}

// Read implements net.Conn.
func (w *wire) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	if err == io.EOF && w.open {
		// The driver makes driver.ErrBadConn of it, at which database/sql runs the statement once more, though it may
		// have been executed. A *net.OpError it leaves alone. A server that ends a session says so first.
		err = &net.OpError{Op: "read", Net: w.LocalAddr().Network(), Source: w.LocalAddr(), Addr: w.RemoteAddr(), Err: io.ErrUnexpectedEOF}
	}
	if w.doubtful.Load() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.answered = w.answered || n > 0
		err = w.explainLocked(err)
	}
	return n, err
}

// Write implements net.Conn.
//
// The driver sends the next request only when it has read the answer to the last one, so the
// doubt ends here, unless the server may be frozen: then this is the driver's farewell.
func (w *wire) Write(b []byte) (int, error) {
	if w.doubtful.Load() {
		w.settle()
	}
	n, err := w.Conn.Write(b)
	if err != nil && w.doubtful.Load() {
		w.mu.Lock()
		defer w.mu.Unlock()
		err = w.explainLocked(err)
	}
	return n, err
}

func (w *wire) settle() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over && w.answered {
		w.doubtful.Store(false)
		w.limit = time.Time{}
		_ = w.applyLocked() // see doubt
	}
}

// explainLocked says what a limit that was met means. It stays a *net.OpError, by which
// lib/pq knows that the connection is lost.
func (w *wire) explainLocked(err error) error {
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || !errors.Is(err, os.ErrDeadlineExceeded) || time.Now().Before(w.limit) {
		return err
	}
	explained := *op
	explained.Err = errNoAnswer
	return &explained
}

// errNoAnswer is a timeout to the net package as well.
var errNoAnswer error = noAnswerError{}

type noAnswerError struct{}

func (noAnswerError) Error() string {
	return "the server was asked to cancel and did not answer in time"
}
func (noAnswerError) Unwrap() error   { return os.ErrDeadlineExceeded }
func (noAnswerError) Timeout() bool   { return true }
func (noAnswerError) Temporary() bool { return true } // or a tls.Conn wraps it, and lib/pq does not know it any more

// SetDeadline implements net.Conn.
func (w *wire) SetDeadline(t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.both = t
	return w.applyLocked()
}

// SetReadDeadline implements net.Conn, as the wire's text says.
func (w *wire) SetReadDeadline(t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.read = t
	return w.applyLocked()
}

// SetWriteDeadline implements net.Conn, as the wire's text says.
func (w *wire) SetWriteDeadline(t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.write = t
	return w.applyLocked()
}

func (w *wire) applyLocked() error {
	return errors.Join(
		w.Conn.SetReadDeadline(sooner(w.limit, w.both, w.read)),
		w.Conn.SetWriteDeadline(sooner(w.limit, w.both, w.write)),
	)
}

// sooner returns the first of several deadlines, of which zero is none.
func sooner(deadlines ...time.Time) time.Time {
	var first time.Time
	for _, t := range deadlines {
		if first.IsZero() || !t.IsZero() && t.Before(first) {
			first = t
		}
	}
	return first
}

// cancelRequest is the connection by which the driver asks the server to cancel. The server
// closes it when it has passed the request on.
type cancelRequest struct {
	*wire
	of    *wire
	taken bool
}

func (c *cancelRequest) Read(b []byte) (int, error) {
	n, err := c.wire.Read(b)
	if err == io.EOF {
		c.taken = true
	}
	return n, err
}

func (c *cancelRequest) Close() error {
	c.of.asked(c.taken)
	return c.wire.Close()
}
