package sqldriver

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"runtime/debug"

	"github.com/lidopool/lido/pool"
)

// PasswordDialer is a Dialer that can open a connection with a password other than its own.
// Options.Password needs one.
type PasswordDialer interface {
	Dialer
	// DialWith is Dial with a password in place of the connector's, for this connection alone.
	DialWith(ctx context.Context, password string) (driver.Conn, net.Conn, error)
}

// connect dials for c, with a fresh password if there is one.
func (b *Backend) connect(ctx context.Context, c *Conn) (driver.Conn, net.Conn, error) {
	if b.options.Password == nil {
		return b.dial(ctx)
	}
	password, err := b.password(ctx)
	if password != "" {
		c.hide = Redactor(password) // of whatever this connection fails with, also later
	}
	switch {
	case err != nil:
		return nil, nil, &passwordError{err}
	case password == "":
		return b.dial(ctx)
	}
	return b.dialWith(ctx, password)
}

// password asks Options.Password. A panic is an error, of which nothing is shown that may be more than a
// message: a panic may well be about the credentials.
func (b *Backend) password(ctx context.Context) (password string, err error) {
	defer func() {
		switch v := recover().(type) {
		case nil:
		case error, string:
			err = &pool.PanicError{Op: "Password", Value: v, Stack: debug.Stack()}
		default:
			err = &pool.PanicError{Op: "Password", Value: fmt.Sprintf("a %T", v), Stack: debug.Stack()}
		}
	}()
	return b.options.Password(ctx)
}

// passwordError is what Options.Password failed with. It speaks of wherever passwords come from, so
// Classify does not see it: that place may be a database itself.
type passwordError struct{ err error }

func (e *passwordError) Error() string { return "sqldriver: asking for the password: " + e.err.Error() }

func (e *passwordError) Unwrap() error { return e.err }

// isOfPassword reports whether an error is one of Options.Password.
func isOfPassword(err error) bool {
	_, ok := errors.AsType[*passwordError](err)
	return ok
}
