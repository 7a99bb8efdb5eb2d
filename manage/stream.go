package manage

import (
	"context"
	"database/sql/driver"
	"errors"

	"github.com/lidopool/lido/backends/sqldriver"
)

// stream is a prepared statement of which each execution sends a row, such as a COPY of lib/pq. It belongs to the
// connection that it was prepared on, and to its holder, and is used up when it ends: so it never lies on a shelf.
type stream struct {
	proxy  *proxy
	conn   *sqldriver.Conn
	raw    driver.Stmt
	closed bool
}

// stream makes one. It calls the driver.
func (p *proxy) stream(ctx context.Context, query string) (driver.Stmt, error) {
	s := &stream{proxy: p, conn: p.conn}
	err := p.do(ctx, func() (err error) {
		s.raw, err = prepareOn(ctx, p.on(query), query)
		return err
	})
	if err != nil {
		return nil, err
	}
	p.preparedOn = true
	p.streams++
	return s, nil
}

// errStreaming has a connection closed whose next holder would send rows.
var errStreaming = errors.New("manage: a COPY was left open when its connection was returned: close its statement before")

// Close implements driver.Stmt. Its error may be that of the last rows.
func (s *stream) Close() error {
	p := s.proxy
	if s.closed {
		return nil
	}
	s.closed = true
	if p.conn != s.conn {
		return nil // closed with its connection
	}
	p.streams--
	return p.end(s.raw.Close)
}

// NumInput implements driver.Stmt.
func (s *stream) NumInput() int { return s.raw.NumInput() }

// Exec implements driver.Stmt.
func (s *stream) Exec(args []driver.Value) (r driver.Result, err error) {
	err = s.do(func() (err error) {
		//lint:ignore SA1019 every statement has it, and lib/pq's have no other
		r, err = s.raw.Exec(args)
		return err
	})
	return r, err
}

// Query implements driver.Stmt.
func (s *stream) Query(args []driver.Value) (r driver.Rows, err error) {
	err = s.do(func() (err error) {
		//lint:ignore SA1019 see Exec
		r, err = s.proxy.seen(s.raw.Query(args))
		return err
	})
	return r, err
}

func (s *stream) do(call func() error) error {
	if s.proxy.conn != s.conn {
		return errDone
	}
	return s.proxy.do(context.Background(), call)
}
