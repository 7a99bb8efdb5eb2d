package sqldriver

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"time"
)

// Conn is one connection of the driver. It is not safe for concurrent use: its
// holder, and nobody else, calls its methods.
type Conn struct {
	// What each use looks at lies together.

	raw       driver.Conn
	kept      any               // see Keep
	begins    func(string) bool // Options.Begins
	harmless  string            // the last text that begins nothing; it keeps what it is a part of
	validator driver.Validator  // raw, if it is one
	tx        *tx               // the last one begun here and not yet ended
	doubt     error             // of a rollback that failed: nobody knows whether a transaction is open
	asks      bool              // only the driver can tell what texts begin: there is Options.Dirty, and no Begins
	begun     bool              // a text may have begun a transaction
	used      bool              // something was done, or may be, since a reset, or since Clean found nothing to reset

	socket    net.Conn               // nil if it is not known
	grace     time.Duration          // Options.Grace
	dirty     func(driver.Conn) bool // Options.Dirty
	stream    func(string) bool      // Options.Streams
	idleSince time.Time              // its last return, if Options.CheckAfter asks
	hide      func(string) string    // takes the password of Options.Password out of a text; nil: there is none
}

func newConn(o *Options) *Conn {
	c := &Conn{grace: o.Grace, dirty: o.Dirty, begins: o.Begins, stream: o.Streams}
	c.asks = c.dirty != nil && c.begins == nil
	return c
}

// opened has c stand for what the driver has opened.
func (c *Conn) opened(raw driver.Conn, socket net.Conn) {
	c.raw, c.socket = raw, socket
	c.validator, _ = raw.(driver.Validator)
}

// Raw returns the driver's own connection, for anything that one may do with it. What is begun on
// it, past BeginTx, is reset only if Options.Dirty or Options.Begins is there; the latter
// costs the return a round trip. It belongs to the pool: do not
// close it, and do not use it after the release.
func (c *Conn) Raw() driver.Conn {
	c.used = true
	c.begun = c.begun || c.begins != nil
	return c.raw
}

// Keep keeps a value with the connection, in place of any before, for whoever wraps the backend.
// Kept returns it. Neither may be called by two at a time.
func (c *Conn) Keep(v any) { c.kept = v }

// Kept returns what Keep was given, or nil.
func (c *Conn) Kept() any { return c.kept }

// For is Raw for somebody who does nothing with the connection but to prepare, execute or
// query one SQL text: then Reset knows whether there is anything to end. An empty text is for
// what executes none, such as Ping.
func (c *Conn) For(query string) driver.Conn {
	if query != "" {
		c.used = true
		if c.begins != nil && !c.begun && query != c.harmless { // nearly always the same string, which costs no look at it
			c.look(query)
		}
	}
	return c.raw
}

// longText is the length of the longest text that is kept to be known again.
const longText = 4096

// look finds out whether a text may begin a transaction.
func (c *Conn) look(query string) {
	c.begun = c.begins(query)
	if !c.begun && len(query) <= longText {
		c.harmless = query
	}
}

// Streams is Options.Streams.
func (c *Conn) Streams(query string) bool { return c.stream != nil && c.stream(query) }

// Within makes calls of the driver that end when ctx does, if the socket is known (see
// Dialer). If they were cut short the connection is unusable, since half an answer may be on its
// way: then, at least, it returns an error.
func (c *Conn) Within(ctx context.Context, call func() error) error {
	if c.socket == nil || ctx.Done() == nil {
		return call()
	}
	stop := context.AfterFunc(ctx, func() { _ = c.socket.SetDeadline(time.Unix(1, 0)) })
	defer stop() // also if the call panics
	err := call()
	if !stop() && err == nil { // it came at the last moment, but its socket is spoilt
		err = context.Cause(ctx)
	}
	return err
}

// withinGrace is Within for a call that may go on for Options.Grace after ctx has ended. If it ends
// by then, the connection is as good as before.
func (c *Conn) withinGrace(ctx context.Context, call func() error) error {
	if c.socket == nil || ctx.Done() == nil {
		return call()
	}
	limited := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = c.socket.SetDeadline(time.Now().Add(c.grace))
		close(limited)
	})
	defer func() {
		if !stop() {
			<-limited
			_ = c.socket.SetDeadline(time.Time{}) // fails only for a closed one
		}
	}()
	return call()
}

// Cut closes the socket, so that the calls of the driver which are under way end, and all later
// ones fail. Unlike the other methods it may be called beside them. It reports false, and has done
// nothing, if the socket is not known. The connection must still be closed.
func (c *Conn) Cut() bool {
	if c.socket == nil {
		return false
	}
	_ = c.socket.Close() // closed already, if it fails
	return true
}

// String shows the type of the driver's connection, and nothing of what that holds.
func (c Conn) String() string { return fmt.Sprintf("sqldriver.Conn(%T)", c.raw) }

// Format prints String for every verb, by the rules of a string.
func (c Conn) Format(f fmt.State, verb rune) {
	_, _ = fmt.Fprintf(f, fmt.FormatString(f, verb), c.String())
}

// BeginTx begins a transaction that Reset ends if the holder does not. A driver
// without driver.ConnBeginTx gets Begin, by the rules of database/sql: it
// must be asked for the default isolation and for reading and writing.
//
// It ends when ctx does if the connector is a Dialer, whatever the driver makes of ctx; and
// then Commit and Rollback end Options.Grace after ctx has ended, at the latest. If that
// cuts them short the connection is dead, and nobody knows whether the
// transaction was committed. A ctx that never ends bounds nothing.
//
// The Tx is done after its Commit or Rollback, after the next BeginTx on this
// Conn, and after Reset: Commit and Rollback then answer sql.ErrTxDone and
// touch nothing, since the connection may be somebody else's by then.
func (c *Conn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	c.used = true
	var raw driver.Tx
	err := c.Within(ctx, func() error {
		begun, err := c.begin(ctx, opts)
		if err == nil {
			raw = begun
		}
		return err
	})
	switch {
	case err == nil:
		c.tx = &tx{conn: c, raw: raw, ctx: ctx}
		return c.tx, nil
	case raw != nil:
		c.doubt = err // it came as ctx ended, and its socket is spoilt
	case c.socket != nil && ctx.Err() != nil && !errors.Is(err, ctx.Err()):
		err = fmt.Errorf("%w: %w", context.Cause(ctx), err) // of a driver that does not know of ctx
	}
	return nil, err
}

// valid is what the driver says of the connection, if it says anything.
func (c *Conn) valid() error {
	if c.validator != nil && !c.validator.IsValid() {
		return fmt.Errorf("sqldriver: the driver says that the connection is not valid: %w", driver.ErrBadConn)
	}
	return nil
}

// InTx reports whether a transaction is open, or may be, because a rollback has
// failed, or a text may have begun one. Without Options.Dirty and Options.Begins it knows only of
// those begun by BeginTx.
func (c *Conn) InTx() bool {
	maybe := c.tx != nil || c.doubt != nil || c.begun
	if c.dirty != nil && (maybe || c.asks) {
		return c.dirty(c.raw)
	}
	return maybe
}

// begin follows ctxDriverBegin of database/sql.
func (c *Conn) begin(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	if b, ok := c.raw.(driver.ConnBeginTx); ok {
		return b.BeginTx(ctx, opts)
	}
	if opts.Isolation != driver.IsolationLevel(sql.LevelDefault) {
		return nil, fmt.Errorf("sqldriver: isolation level is %v: the driver knows only the default one",
			sql.IsolationLevel(opts.Isolation))
	}
	if opts.ReadOnly {
		return nil, errors.New("sqldriver: transaction is read-only: the driver does not know read-only transactions")
	}
	//lint:ignore SA1019 deprecated for drivers to rely on; their callers must still know it
	t, err := c.raw.Begin()
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		c.doubt = t.Rollback() // the caller gets no Tx, so nobody else can end this one
		return nil, err
	}
	return t, nil
}

// end ends what a holder left open. It makes no round trip if there is
// nothing to end.
func (c *Conn) end(ctx context.Context, mode ResetMode) error {
	t, doubt, begun := c.tx, c.doubt, c.begun
	c.tx, c.doubt, c.begun = nil, nil, false // from here on the holder's Tx is done
	switch {
	case c.dirty != nil && (t != nil || doubt != nil || begun || c.asks):
		// The driver's word counts for more than our memory: a text may have
		// begun or ended a transaction, and an error may have ended it.
		if !c.dirty(c.raw) {
			return nil
		}
	case doubt != nil:
		return fmt.Errorf("an earlier rollback went wrong: %w", doubt)
	case t == nil && !begun:
		return nil
	}

	err := c.Within(ctx, func() error {
		switch {
		case t != nil && mode == Commit:
			return t.raw.Commit()
		case t != nil:
			return t.raw.Rollback()
		case mode == Commit:
			return exec(ctx, c.raw, "COMMIT")
		}
		return exec(ctx, c.raw, "ROLLBACK")
	})
	if err != nil {
		return err
	}
	if c.InTx() {
		return errors.New("the transaction is still open although the driver said that it has ended")
	}
	return nil
}

// exec runs a statement without arguments on a connection of any driver.
func exec(ctx context.Context, c driver.Conn, text string) error {
	if e, ok := c.(driver.ExecerContext); ok {
		_, err := e.ExecContext(ctx, text, nil)
		if !errors.Is(err, driver.ErrSkip) {
			return err
		}
	}
	var s driver.Stmt
	var err error
	if p, ok := c.(driver.ConnPrepareContext); ok {
		s, err = p.PrepareContext(ctx, text)
	} else {
		s, err = c.Prepare(text)
	}
	if err != nil {
		return err
	}
	if e, ok := s.(driver.StmtExecContext); ok {
		_, err = e.ExecContext(ctx, nil)
	} else {
		//lint:ignore SA1019 see begin
		_, err = s.Exec(nil)
	}
	return errors.Join(err, s.Close())
}

// tx is a transaction that its connection remembers until it has ended.
type tx struct {
	conn *Conn
	raw  driver.Tx
	ctx  context.Context // of its begin
}

// Commit commits. The transaction is done even if it fails, as in database/sql.
func (t *tx) Commit() error {
	if t.conn.tx != t {
		return sql.ErrTxDone
	}
	t.conn.tx = nil
	return t.conn.withinGrace(t.ctx, t.raw.Commit)
}

// Rollback rolls back. If it fails, and no Options.Dirty says that all is
// well, Reset fails later on, so that the connection is not lent again.
func (t *tx) Rollback() error {
	if t.conn.tx != t {
		return sql.ErrTxDone
	}
	t.conn.tx = nil
	err := t.conn.withinGrace(t.ctx, t.raw.Rollback)
	t.conn.doubt = err
	return err
}
