package sqldriver

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/lidopool/lido/pool"
)

// Options are what New has to know of a driver beyond its connector. The zero
// value suits every driver.
type Options struct {
	// Reset is what becomes of a transaction left open. Default Rollback.
	Reset ResetMode
	// Classify says what an error means for its connection. Default: the
	// function Classify.
	Classify func(error) pool.Fault
	// Dirty reports whether a transaction is open, for drivers that can tell. Reset then
	// also ends one begun by an SQL text, with the texts ROLLBACK or COMMIT. It is called
	// at every reset and must not do I/O. Nil: only transactions begun by Conn.BeginTx are
	// seen.
	Dirty func(driver.Conn) bool
	// Redact takes the secrets out of the text of an error or a panic of Open,
	// Ping, Reset and Close: many drivers put the DSN there. Nil: the errors
	// are the driver's own.
	Redact func(text string) string
}

// Backend opens, checks, resets and closes connections of one connector. It
// satisfies pool.Backend[*Conn].
type Backend struct {
	// A function, because a connector may be a struct with a password in it, and what
	// prints a Backend would print that. Of a function it shows the address.
	connect func(context.Context) (driver.Conn, error)
	from    string // the type of the connector
	options Options
}

var _ pool.Backend[*Conn] = (*Backend)(nil)

// New returns the backend of the connections of c. It opens nothing. The
// connector stays the caller's: if it has a Close, it is not called.
func New(c driver.Connector, o Options) (*Backend, error) {
	if c == nil {
		return nil, errors.New("sqldriver: connector is nil: give the driver's own, or one of ConnectorOf")
	}
	mode, err := ParseResetMode(string(o.Reset))
	if err != nil {
		return nil, err
	}
	o.Reset = mode
	if o.Classify == nil {
		o.Classify = Classify
	}
	return &Backend{connect: c.Connect, from: fmt.Sprintf("%T", c), options: o}, nil
}

// Open opens a connection. Whether it returns when ctx ends is the connector's
// affair. With Options.Redact the error shows the redacted text only; what it
// wraps is still found by errors.Is and errors.As, and what errors.As finds is
// the driver's own error: print the whole, not the part.
func (b *Backend) Open(ctx context.Context) (c *Conn, err error) {
	defer b.redact(&err)
	raw, err := b.connect(ctx)
	switch {
	case err != nil:
		return nil, err
	case raw == nil:
		return nil, fmt.Errorf("sqldriver: connector %s returned neither a connection nor an error", b.from)
	}
	return &Conn{raw: raw, dirty: b.options.Dirty}, nil
}

// redact takes the secrets out of an error, or of a panic, which becomes one. It is to be
// deferred.
func (b *Backend) redact(err *error) {
	if b.options.Redact == nil {
		return
	}
	if v := recover(); v != nil {
		*err = fmt.Errorf("sqldriver: the driver panicked: %v", v)
	}
	if *err != nil {
		*err = &redactedError{text: b.options.Redact((*err).Error()), err: *err}
	}
}

// Ping asks the driver, if it can: it is nil for a driver without driver.Pinger.
func (b *Backend) Ping(ctx context.Context, c *Conn) (err error) {
	defer b.redact(&err)
	if p, ok := c.raw.(driver.Pinger); ok {
		return p.Ping(ctx)
	}
	return nil
}

// Reset ends a transaction left open, as Options.Reset says, and then lets the
// driver reset its session. It fails if the driver calls the connection
// invalid. Where there is nothing to end it makes no round trip of its own;
// ResetSession may. ctx bounds ROLLBACK and COMMIT as texts, and ResetSession;
// a driver.Tx takes no ctx, so it does not bound the end of one.
func (b *Backend) Reset(ctx context.Context, c *Conn) (err error) {
	defer b.redact(&err)
	// Asked first too: a rollback on a connection known to be dead could only wait.
	if err := valid(c.raw); err != nil {
		return err
	}
	if err := c.end(ctx, b.options.Reset); err != nil {
		return fmt.Errorf("sqldriver: reset: %w", err)
	}
	if r, ok := c.raw.(driver.SessionResetter); ok {
		if err := r.ResetSession(ctx); err != nil {
			return fmt.Errorf("sqldriver: reset: %w", err)
		}
	}
	return valid(c.raw)
}

func valid(c driver.Conn) error {
	if v, ok := c.(driver.Validator); ok && !v.IsValid() {
		return fmt.Errorf("sqldriver: reset: the driver says that the connection is not valid: %w", driver.ErrBadConn)
	}
	return nil
}

// Close closes the driver's connection. ctx does not stop it.
func (b *Backend) Close(_ context.Context, c *Conn) (err error) {
	defer b.redact(&err)
	return c.raw.Close()
}

// Classify calls Options.Classify.
func (b *Backend) Classify(err error) pool.Fault { return b.options.Classify(err) }
