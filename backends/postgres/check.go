package postgres

import (
	"bytes"
	"context"
	"database/sql/driver"
	"encoding/binary"
	"fmt"
	"net"
	"strings"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/lidopool/lido/internal/socket"
)

// check looks whether an idle connection is usable: the driver's word, and the socket. It
// never waits.
func check(_ context.Context, c driver.Conn, conn net.Conn) error {
	if v, ok := c.(driver.Validator); ok && !v.IsValid() {
		return fmt.Errorf("postgres: the driver has given the connection up: %w", driver.ErrBadConn)
	}
	w, ok := conn.(*wire)
	if !ok || w.raw == nil {
		return nil
	}
	if err := look(w); err != nil {
		return fmt.Errorf("postgres: connection lost while idle: %w", err)
	}
	return nil
}

// look finds what the server has done unasked.
func look(w *wire) error {
	n, err := socket.Peek(w.raw, make([]byte, 1))
	if n == 0 {
		return err
	}
	// It is rare that there is something. What matters comes early.
	b := make([]byte, 1024)
	if n, err = socket.Peek(w.raw, b); err != nil {
		return err
	}
	return unasked(b[:n])
}

// unasked says what is wrong with the messages that b begins with: nothing, if the server may send
// them at any time and they do not end the session. All else is: an error to an idle session is a
// farewell; and whatever comes over TLS, where there is no telling what it is, is taken for one.
func unasked(b []byte) error {
	for len(b) > 0 {
		kind := b[0]
		var body []byte
		next := len(b)
		if len(b) >= 5 {
			body = b[5:]
			if size := int64(binary.BigEndian.Uint32(b[1:])) + 1; size >= 5 && size < int64(len(b)) {
				body, next = b[5:size], int(size)
			}
		}
		switch kind {
		case 'E':
			return farewell(body)
		case 'N': // a notice
			// So the server says that it stops at once, or that another session has crashed.
			if e := farewell(body); strings.HasPrefix(string(e.Code), "57P") {
				return e
			}
		case 'S', 'A': // a setting has changed; a notification
		default:
			return errUnasked
		}
		b = b[next:]
	}
	return nil
}

var errUnasked = fmt.Errorf("the server sent what nobody asked for: %w", driver.ErrBadConn)

// farewell reads an error or a notice, as far as it is there.
func farewell(body []byte) *pq.Error {
	e := &pq.Error{Severity: pqerror.SeverityFatal, Message: "the server has ended the session"}
	for len(body) > 0 && body[0] != 0 {
		value, rest, _ := bytes.Cut(body[1:], []byte{0})
		switch body[0] {
		case 'C':
			e.Code = pqerror.Code(value)
		case 'M':
			e.Message = string(value)
		}
		body = rest
	}
	return e
}
