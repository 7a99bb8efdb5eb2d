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
)

// conns opens the connections to one DSN.
type conns struct {
	driver driver.Connector
	// manual is set once a connection was opened on which autocommit is off, by the DSN or by the
	// server's own settings: there any text may begin a transaction.
	manual atomic.Bool
}

var _ sqldriver.PasswordDialer = (*conns)(nil)

func newConns(d dsn, logger gomysql.Logger) (*conns, error) {
	config := d.config.Clone()
	if config.Logger = logger; logger == nil {
		config.Logger = &gomysql.NopLogger{}
	}
	if d.dialled() {
		config.DialFunc = dial
	}
	// With a BeforeConnect each connect has a copy of the config of its own. That is needed with
	// AllowFallbackToPlaintext too: there the driver writes to it when a server has no TLS, so that connects would
	// race, and all later ones go without.
	if err := config.Apply(gomysql.BeforeConnect(usePassword)); err != nil {
		return nil, err
	}
	c, err := gomysql.NewConnector(config)
	if err != nil {
		return nil, diagnose(d.canonical, err)
	}
	return &conns{driver: c}, nil
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

// passwordKey is the key of the ctx under which DialWith hands on a password, as a function: of that, what prints a ctx
// shows the address.
type passwordKey struct{}

func usePassword(ctx context.Context, config *gomysql.Config) error {
	if password, ok := ctx.Value(passwordKey{}).(func() string); ok {
		config.Passwd = password()
	}
	return nil
}

// DialWith implements sqldriver.PasswordDialer.
func (c *conns) DialWith(ctx context.Context, password string) (driver.Conn, net.Conn, error) {
	return c.Dial(context.WithValue(ctx, passwordKey{}, func() string { return password }))
}

// Dial implements sqldriver.Dialer. It ends when ctx does.
func (c *conns) Dial(ctx context.Context) (driver.Conn, net.Conn, error) {
	var socket net.Conn
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
		return nil, nil, fmt.Errorf("%w%s", err, remedy(err))
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
		return " (the user or the password is wrong, or the user may not come from this host, or not without TLS)"
	case 1049:
		return " (create the database, or name another after the slash)"
	case 1820, 1862:
		return " (the password has expired: set another by ALTER USER, and give it in the DSN or by Backend.Password)"
	case 3118, 4151: // MySQL's, MariaDB's
		return " (unlock the user by ALTER USER ... ACCOUNT UNLOCK, or name another)"
	case 3159:
		return " (add tls=true to the DSN)"
	}
	return ""
}
