package mysql

import (
	"context"
	"database/sql/driver"
	"fmt"
	"net"
	"time"

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
	// Password is asked at each open for the password of that connection, in place of the DSN's: where
	// passwords are rotated, or are tokens that expire, such as those of IAM. (These need tls and
	// allowCleartextPasswords in the DSN.) Its ctx is that of the open, with its deadline and what a BeforeOpen
	// hook has put there, and it must heed it. It is called by several goroutines at once: keep a token while it
	// lasts. An empty password stands for the DSN's. If it fails or panics, so does the open, with an error that says so; no
	// error shows the password. It is no part of what tells pools apart. Default: the DSN's.
	Password func(ctx context.Context) (string, error)
	// Grace is how long Commit and Rollback of a transaction may go on after the ctx of its begin
	// has ended: the driver itself would wait for ever, without a readTimeout. Then the
	// connection is given up, and a commit is in doubt. Default 5 s. The longer, the longer a user
	// waits for a server that is frozen; the shorter, the more commits end in doubt that
	// would have gone well. It means nothing for a network of one's own.
	Grace time.Duration
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
		Name:     "mysql: open " + redact(d.canonical),
		Reset:    reset,
		Classify: Classify,
		Begins:   func(query string) bool { return c.manual.Load() || Begins(query) },
		Check:    check,
		Full:     d.full(),
		Grace:    b.Grace,
		Validate: b.Validate,
		Password: b.Password,
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

// Open returns the backend of the connections to dsn, with the settings of the zero Backend.
func Open(dsn string) (pool.Backend[*sqldriver.Conn], error) { return Backend{}.Open(dsn, "") }

// check is the driver's own look at the socket: 1 µs, no round trip. The DSN can turn it off, with
// checkConnLiveness=false.
func check(ctx context.Context, c driver.Conn, _ net.Conn) error {
	return c.(driver.SessionResetter).ResetSession(ctx)
}
