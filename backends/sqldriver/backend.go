package sqldriver

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/lidopool/lido/pool"
)

// Options are what New has to know of a driver beyond its connector. The zero
// value suits every driver.
type Options struct {
	// Name begins the errors of Open, and says what was to be opened:
	// "mysql: open app:xxxxx@tcp(db:3306)/shop". Redact does not see it, so it must hold no secret.
	// Empty: they have no such beginning.
	Name string
	// Reset is what becomes of a transaction left open. Default Rollback.
	Reset ResetMode
	// Classify says what an error means for its connection. Default: the
	// function Classify.
	Classify func(error) pool.Fault
	// Dirty reports whether a transaction is open, for drivers that can tell. Reset then
	// also ends one begun by an SQL text, with the texts ROLLBACK or COMMIT. It is called
	// at every reset and must not do I/O.
	Dirty func(driver.Conn) bool
	// Begins reports whether an SQL text may begin a transaction, for drivers without Dirty, or
	// to spare asking it. It looks at nothing but the text: it is not asked again while the same one comes.
	// Where one may have begun, by a text that Conn.For was told or by what was done behind
	// Conn.Raw, Reset ends it with the texts ROLLBACK or COMMIT, which must be no error where
	// none is open. Nil, and no Dirty: only transactions begun by Conn.BeginTx are seen.
	Begins func(query string) bool
	// Streams reports whether an SQL text works only as a prepared statement, because each of its
	// executions sends a row, as a COPY FROM STDIN of lib/pq does. Then package manage prepares it
	// each time, and also where it prepares nothing. Nil: none does.
	Streams func(query string) bool
	// Check tells, at a checkout, whether a connection that lay idle is usable, without a
	// round trip. socket is nil unless the connector is a Dialer. Nil: what the driver's
	// ResetSession says, if it has one; that is called as database/sql does, on the acquirer's
	// goroutine, and must heed ctx, which ends after 5 s.
	Check func(ctx context.Context, c driver.Conn, socket net.Conn) error
	// CheckAfter spares Check connections that lay idle for less. Zero: all are checked.
	CheckAfter time.Duration
	// Full brings the whole session back to what it was after the open, in one round trip.
	// It is called in the mode Full only, when something was done on the connection. Nil: the
	// mode Full is refused.
	Full func(ctx context.Context, c driver.Conn, socket net.Conn) error
	// Grace is how long Commit and Rollback of a transaction may go on after the ctx of its
	// BeginTx has ended, if the connector is a Dialer. Default 5 s. The longer, the longer a
	// user waits for a server that is frozen; the shorter, the more commits end
	// in doubt that would have gone well.
	Grace time.Duration
	// Validate refuses connections, to a standby say. It is called for each new connection,
	// within the open, and after each Ping. Nil: all are welcome.
	Validate func(ctx context.Context, c driver.Conn) error
	// Password is asked at the beginning of each Open for the password of that connection, in place
	// of the connector's: where passwords are rotated, or are tokens that expire. Its ctx is that
	// of the open, and it must heed it. It is called by several goroutines at once: keep a token while it lasts.
	// An empty password stands for the connector's own. Its error, or its panic, fails the open. No error of the
	// connection shows the password. The connector must be a PasswordDialer. Nil: the connector's own.
	Password func(ctx context.Context) (string, error)
	// Redact takes the secrets out of the text of an error or a panic of Open,
	// Ping, Reset and Close: many drivers put the DSN there. Redactor makes one. Nil: the errors
	// are the driver's own.
	Redact func(text string) string
}

// Backend opens, checks, resets and closes connections of one connector. It
// satisfies pool.Backend[*Conn].
type Backend struct {
	// A function, because a connector may be a struct with a password in it, and what
	// prints a Backend would print that. Of a function it shows the address.
	dial     func(context.Context) (driver.Conn, net.Conn, error)
	dialWith func(ctx context.Context, password string) (driver.Conn, net.Conn, error) // if Options.Password is there
	from     string                                                                    // the type of the connector
	options  Options
}

var (
	_ pool.Backend[*Conn] = (*Backend)(nil)
	_ pool.Checker[*Conn] = (*Backend)(nil)
)

// Dialer may be implemented by a connector that knows the network connection under each of
// its connections. Then the deadlines of Ping, Reset and Close are those of the socket too,
// so that they end on time with a driver that does not heed ctx.
type Dialer interface {
	// Dial is Connect, with the network connection as it was dialled, below TLS; nil if
	// there is none.
	Dial(ctx context.Context) (driver.Conn, net.Conn, error)
}

// defaultGrace is arbitrary: long for a commit, short for a user who has left already.
const defaultGrace = 5 * time.Second

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
	if mode == Full && o.Full == nil {
		return nil, errors.New("sqldriver: reset mode is full: this backend has no full reset: give rollback, commit or none")
	}
	if o.Classify == nil {
		o.Classify = Classify
	}
	switch {
	case o.Grace < 0:
		return nil, fmt.Errorf("sqldriver: Grace is %v: give the time that the end of a transaction may take, or 0 for %v", o.Grace, defaultGrace)
	case o.Grace == 0:
		o.Grace = defaultGrace
	}
	b := &Backend{from: fmt.Sprintf("%T", c), options: o}
	if d, ok := c.(Dialer); ok {
		b.dial = d.Dial
	} else {
		b.dial = func(ctx context.Context) (driver.Conn, net.Conn, error) {
			conn, err := c.Connect(ctx)
			return conn, nil, err
		}
	}
	if o.Password != nil {
		d, ok := c.(PasswordDialer)
		if !ok {
			return nil, fmt.Errorf("sqldriver: Password is given: connector %T takes none, as a PasswordDialer does: give one that asks by itself, such as FreshConnector's", c)
		}
		b.dialWith = d.DialWith
	}
	return b, nil
}

// Open opens a connection, and asks Options.Validate. Whether it returns when ctx ends is the
// connector's affair. Its error begins with Options.Name. With Options.Redact the error shows the redacted text only; what it
// wraps is still found by errors.Is and errors.As, and what errors.As finds is
// the driver's own error: print the whole, not the part.
func (b *Backend) Open(ctx context.Context) (*Conn, error) {
	c, err := b.OpenUnnamed(ctx)
	if err != nil && b.options.Name != "" {
		err = fmt.Errorf("%s: %w", b.options.Name, err)
	}
	return c, err
}

// OpenUnnamed is Open without Options.Name in its error, for callers who name what was to be opened
// themselves.
func (b *Backend) OpenUnnamed(ctx context.Context) (_ *Conn, err error) {
	c := newConn(&b.options)
	defer b.redact(c, &err)
	raw, socket, err := b.connect(ctx, c)
	switch {
	case err != nil:
		return nil, err
	case raw == nil:
		return nil, fmt.Errorf("sqldriver: connector %s returned neither a connection nor an error", b.from)
	}
	c.opened(raw, socket)
	sound := false
	defer func() {
		if !sound { // refused, or Validate panicked
			_ = c.Within(ctx, raw.Close)
		}
	}()
	if err := b.validate(ctx, c); err != nil {
		return nil, err
	}
	sound = true
	return c, nil
}

func (b *Backend) validate(ctx context.Context, c *Conn) error {
	if b.options.Validate == nil {
		return nil
	}
	err := c.Within(ctx, func() error { return b.options.Validate(ctx, c.raw) })
	if err != nil {
		return &refusedError{err}
	}
	return nil
}

// refusedError is driver.ErrBadConn too, so that a connection that Validate refuses counts as
// dead, whatever its error means otherwise.
type refusedError struct{ err error }

func (e *refusedError) Error() string {
	return fmt.Sprintf("sqldriver: connection refused by Validate: %v", e.err)
}

func (e *refusedError) Unwrap() []error { return []error{e.err, driver.ErrBadConn} }

// redact takes the secrets out of an error about c, or of a panic, which becomes one. It is to be
// deferred.
func (b *Backend) redact(c *Conn, err *error) {
	if b.options.Redact == nil && c.hide == nil {
		return
	}
	if v := recover(); v != nil {
		*err = fmt.Errorf("sqldriver: the driver panicked: %v", v)
	}
	if *err == nil {
		return
	}
	text := (*err).Error()
	if c.hide != nil {
		text = c.hide(text)
	}
	if b.options.Redact != nil {
		text = b.options.Redact(text)
	}
	*err = &redactedError{text: text, err: *err}
}

// Ping asks the driver, if it can, and Options.Validate. A driver without driver.Pinger has
// nothing to say.
func (b *Backend) Ping(ctx context.Context, c *Conn) (err error) {
	defer b.redact(c, &err)
	if p, ok := c.raw.(driver.Pinger); ok {
		if err := c.Within(ctx, func() error { return p.Ping(ctx) }); err != nil {
			return err
		}
	}
	return b.validate(ctx, c)
}

// Checks implements pool.Checker.
func (b *Backend) Checks() pool.Check { return pool.QuickCheck }

// sessionTimeout bounds a driver's ResetSession, of which nobody knows what it does: pgx pings a
// connection that was idle for a second. As long as a ping may take by default.
const sessionTimeout = 5 * time.Second

// Check is Options.Check: of an idle connection, before it is lent again.
func (b *Backend) Check(ctx context.Context, c *Conn) (err error) {
	if b.options.CheckAfter > 0 && time.Since(c.idleSince) < b.options.CheckAfter {
		return nil
	}
	defer b.redact(c, &err)
	if b.options.Check != nil {
		return b.options.Check(ctx, c.raw, c.socket)
	}
	r, ok := c.raw.(driver.SessionResetter)
	if !ok {
		return c.valid()
	}
	ctx, cancel := context.WithTimeout(ctx, sessionTimeout)
	defer cancel()
	if err := c.Within(ctx, func() error { return r.ResetSession(ctx) }); err != nil {
		return fmt.Errorf("sqldriver: the driver gives its session up: %w", err)
	}
	return c.valid()
}

// Clean reports, without waiting, that Reset would find nothing to do: then the lease may be
// ended by ReleaseClean.
func (b *Backend) Clean(c *Conn) bool {
	b.returned(c)
	if !c.used { // not even the driver need be asked
		return true
	}
	if c.validator != nil && !c.validator.IsValid() {
		return false
	}
	switch b.options.Reset {
	case NoReset:
	case Full:
		return false
	default:
		if c.tx != nil || c.doubt != nil || (c.begun || c.asks) && c.InTx() {
			return false
		}
	}
	// What the driver alone knows of may still be begun, by another who shares the connection and has its Raw at hand:
	// that one asks the driver again.
	c.used = c.begun || c.asks
	return true
}

// returned notes when the connection began to lie idle.
func (b *Backend) returned(c *Conn) {
	if b.options.CheckAfter > 0 {
		c.idleSince = time.Now()
	}
}

// Reset ends a transaction left open, as Options.Reset says; in the mode Full it brings back the whole
// session. It fails if the driver calls the connection invalid. Where there is nothing to end
// it makes no round trip. ctx bounds ROLLBACK and COMMIT as texts; a driver.Tx takes no ctx,
// so it bounds the end of one only if the connector is a Dialer. (The driver's own
// ResetSession is called by Check, before the next use, as database/sql does.)
func (b *Backend) Reset(ctx context.Context, c *Conn) (err error) {
	defer b.redact(c, &err)
	// Asked first too: a rollback on a connection known to be dead could only wait.
	if err := c.valid(); err != nil {
		return err
	}
	err = b.reset(ctx, c)
	if err == nil {
		err = c.valid()
	}
	if err != nil {
		return fmt.Errorf("sqldriver: reset: %w", err)
	}
	b.returned(c)
	return nil
}

func (b *Backend) reset(ctx context.Context, c *Conn) error {
	switch {
	case b.options.Reset == NoReset:
		return nil
	case b.options.Reset == Full:
		if !c.used {
			return nil
		}
		c.tx, c.doubt, c.begun, c.used = nil, nil, false, false
		return c.Within(ctx, func() error { return b.options.Full(ctx, c.raw, c.socket) })
	}
	return c.end(ctx, b.options.Reset)
}

// Close closes the driver's connection. ctx does not stop it unless the connector is a Dialer.
func (b *Backend) Close(ctx context.Context, c *Conn) (err error) {
	defer b.redact(c, &err)
	return c.Within(ctx, c.raw.Close)
}

// Classify calls Options.Classify. What Options.Password failed with says nothing of the
// database, and is pool.Sound.
func (b *Backend) Classify(err error) pool.Fault {
	if b.options.Password != nil && isOfPassword(err) {
		return pool.Sound
	}
	return b.options.Classify(err)
}
