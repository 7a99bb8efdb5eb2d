package mysql

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"sync/atomic"

	gomysql "github.com/go-sql-driver/mysql"

	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/pool"
)

// Backend is what package manage registers for MySQL and MariaDB, and holds the settings that a
// DSN cannot. The zero value is ready to use.
type Backend struct {
	// Reset is what becomes of a transaction left open, and of the rest of the session, where
	// Open is not told otherwise. Default sqldriver.Rollback.
	Reset sqldriver.ResetMode
	// Validate refuses connections, to a standby say: see Primary. It is called for each new
	// connection, within the open, and after each ping. Default: all are welcome.
	Validate func(ctx context.Context, c driver.Conn) error
	// Logger gets what the driver logs, mostly that a connection was found closed. Whatever it
	// logs is an error of some call too, so the default is to drop it, rather
	// than to write it to stderr, which is the driver's default.
	Logger gomysql.Logger
}

// Name is the name of the backend and of the driver: "mysql".
func (b Backend) Name() string { return "mysql" }

// Canonical returns the form of a DSN that all DSNs of the same meaning have in common, as the
// driver itself writes it: the parameters in order, escaped, without those that say
// the default, and the address with its port. It is itself canonical, and holds the password.
//
// It fails for a DSN that the driver cannot read, with an error that shows nothing of it but names
// of parameters that the driver knows.
func (b Backend) Canonical(dsn string) (string, error) {
	d, err := parse(dsn)
	return d.canonical, err
}

// Redact returns the canonical form of a DSN, fit to be shown: the password, the
// connectionAttributes and the values of session variables are masked. A DSN that cannot be read is
// masked as a whole, and so is one with an at sign after its last slash, which
// may be in the middle of the password.
func (b Backend) Redact(dsn string) string { return redact(dsn) }

// Open returns the backend of the connections to dsn. It opens nothing. An empty reset is
// b.Reset.
//
// It fails for a DSN that cannot work, and for sqldriver.Full where that cannot reach the
// server: with TLS, compression, or a network of one's own.
func (b Backend) Open(dsn string, reset sqldriver.ResetMode) (pool.Backend[*sqldriver.Conn], error) {
	d, err := parse(dsn)
	if err != nil {
		return nil, err
	}
	if reset == "" {
		reset = b.Reset
	}
	c, err := newConns(d, b.Logger)
	if err != nil {
		return nil, fmt.Errorf("mysql: %w", err)
	}
	options := sqldriver.Options{
		Reset:    reset,
		Classify: Classify,
		Begins:   func(query string) bool { return c.manual.Load() || begins(query) },
		Check:    check,
		Full:     d.full(),
		Validate: b.Validate,
		Redact:   d.secrets(),
	}
	if reset == sqldriver.Full {
		if err := d.fullReachable(); err != nil {
			return nil, err
		}
	}
	inner, err := sqldriver.New(c, options)
	if err != nil {
		return nil, fmt.Errorf("mysql: %w", err)
	}
	return &managed{inner, c, reset != sqldriver.Full && reset != sqldriver.NoReset}, nil
}

// check is the driver's own look at the socket: 1 µs, no round trip. The DSN can turn it off, with
// checkConnLiveness=false.
func check(ctx context.Context, c driver.Conn, _ net.Conn) error {
	return c.(driver.SessionResetter).ResetSession(ctx)
}

// conns opens the connections to one DSN.
type conns struct {
	driver driver.Connector
	name   string // the DSN, redacted
	// manual is set once a connection was opened on which autocommit is off, by the DSN or by the
	// server's own settings: there any text may begin a transaction.
	manual atomic.Bool
}

var _ sqldriver.Dialer = (*conns)(nil)

func newConns(d dsn, logger gomysql.Logger) (*conns, error) {
	config := d.config.Clone()
	if config.Logger = logger; logger == nil {
		config.Logger = &gomysql.NopLogger{}
	}
	if d.dialled() {
		config.DialFunc = dial
	}
	if config.AllowFallbackToPlaintext {
		// Then the driver writes to the config when a server has no TLS: connects would
		// race, and all later ones go without. With a BeforeConnect each has its own copy.
		err := config.Apply(gomysql.BeforeConnect(func(context.Context, *gomysql.Config) error { return nil }))
		if err != nil {
			return nil, err
		}
	}
	c, err := gomysql.NewConnector(config)
	if err != nil {
		return nil, diagnose(d.canonical, err)
	}
	return &conns{driver: c, name: d.redacted()}, nil
}

// dialled reports whether the network is one of the system's. Others are known to the driver alone, by
// RegisterDialContext, and their sockets too.
func (d dsn) dialled() bool {
	switch d.config.Net {
	case "tcp", "tcp4", "tcp6", "unix":
		return true
	}
	return false
}

// socketKey is the key of the ctx under which Dial has dial leave the socket, a *net.Conn.
type socketKey struct{}

func dial(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	socket, err := d.DialContext(ctx, network, address)
	if at, ok := ctx.Value(socketKey{}).(*net.Conn); ok && err == nil {
		*at = socket
	}
	return socket, err
}

// Dial implements sqldriver.Dialer. It ends when ctx does.
func (c *conns) Dial(ctx context.Context) (_ driver.Conn, socket net.Conn, err error) {
	sound := false
	defer func() {
		// The driver panics over what is no MySQL, and leaves the socket open then.
		if !sound && socket != nil {
			_ = socket.Close()
		}
	}()
	conn, err := c.driver.Connect(context.WithValue(ctx, socketKey{}, &socket))
	if err == nil {
		err = c.learn(ctx, conn)
	}
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, nil, fmt.Errorf("mysql: open %s: %w%s", c.name, err, remedy(err))
	}
	sound = true
	return conn, socket, nil
}

// learn finds out when transactions begin on a new connection.
func (c *conns) learn(ctx context.Context, conn driver.Conn) error {
	manual, err := beginsByItself(ctx, conn)
	if err != nil {
		_ = conn.Close()
		return err
	}
	if manual {
		c.manual.Store(true)
	}
	return nil
}

// Connect implements driver.Connector.
func (c *conns) Connect(ctx context.Context) (driver.Conn, error) {
	conn, _, err := c.Dial(ctx)
	return conn, err
}

// Driver implements driver.Connector.
func (c *conns) Driver() driver.Driver { return c.driver.Driver() }

// remedy is what to do about an error of open, after the error's own text.
func remedy(err error) string {
	e, ok := errors.AsType[*gomysql.MySQLError](err)
	if !ok {
		return ""
	}
	switch e.Number {
	case 1040, 1203, 1226:
		return " (the server is full: make the pools smaller, or raise its max_connections or max_user_connections)"
	case 1045:
		return " (the user or the password is wrong, or the user may not come from this host)"
	case 1049:
		return " (create the database, or name another after the slash)"
	}
	return ""
}
