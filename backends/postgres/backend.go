package postgres

import (
	"context"
	"database/sql/driver"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/lib/pq"

	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/pool"
)

// Backend is what package manage registers for PostgreSQL, and holds the settings that a DSN
// cannot. The zero value is ready to use.
type Backend struct {
	// Reset is what becomes of a transaction left open, and of the rest of the session, where
	// Open is not told otherwise. Default sqldriver.Rollback.
	Reset sqldriver.ResetMode
	// Validate refuses connections by an error. It is called for each new one, within the
	// open, and after each ping. Primary is one. Default: all are welcome.
	Validate func(ctx context.Context, c driver.Conn) error
	// Password is asked at each open for the password of that connection, in place of what the DSN or the passfile
	// says: where passwords are rotated, or are tokens that expire, such as those of IAM. Its ctx is that of the
	// open, with its deadline and what a BeforeOpen hook has put there, and it must heed it. It is called by several
	// goroutines at once: keep a token while it lasts. An empty password stands for that of the DSN or the passfile.
	// If it fails or panics, so does the open, with an error that says so; no error shows the password. It is no part of
	// what tells pools apart. Default: the DSN's, or the passfile's.
	Password func(ctx context.Context) (string, error)
	// Grace is how long a query of a user's may go on after its ctx has ended: the time for
	// the server to be asked to cancel it, and to answer. Then the connection is given up.
	// Default 5 s. The longer, the longer a user waits for a server that is frozen; the shorter, the
	// more often a connection is lost to a slow network.
	Grace time.Duration
}

// Name is the name of the backend and of lib/pq's driver: "postgres".
func (b Backend) Name() string { return "postgres" }

// Canonical returns the form of a DSN that all DSNs of the same meaning have in common:
// key='value' pairs in a fixed order, with all that lib/pq takes from the environment and from a
// service file at this moment. It is itself a DSN, and canonical in the same environment. It holds the
// password.
//
// It fails for a DSN that cannot work, with an error that shows no part of its values.
func (b Backend) Canonical(dsn string) (string, error) {
	c, err := parse(dsn)
	if err != nil {
		return "", err
	}
	return format(c, exact), nil
}

// Redact returns a DSN fit to be shown: its canonical form, in which passwords, keys, what
// may hold one, and every value with unusual characters, which may be a part of a password
// that was not quoted, are masked. Nothing is shown of a DSN that cannot be read.
func (b Backend) Redact(dsn string) string { return redact(dsn) }

// Open returns the backend of the connections to dsn. It opens nothing. An empty reset is
// b.Reset.
//
// It fails for a DSN that cannot work.
func (b Backend) Open(dsn string, reset sqldriver.ResetMode) (pool.Backend[*sqldriver.Conn], error) {
	c, err := parse(dsn)
	if err != nil {
		return nil, err
	}
	if reset == "" {
		reset = b.Reset
	}
	if b.Grace < 0 {
		return nil, fmt.Errorf("postgres: Grace is %v: give the time that a canceled query may take to end, or 0 for %v", b.Grace, defaultGrace)
	}
	if b.Grace == 0 {
		b.Grace = defaultGrace
	}
	k := connector{config: func() pq.Config { return c }, grace: b.Grace}
	inner, err := sqldriver.New(k, sqldriver.Options{
		Name:     "postgres: open " + format(c, shown),
		Reset:    reset,
		Classify: Classify,
		Begins:   Begins,
		Streams:  streams,
		Check:    check,
		Full:     full,
		Grace:    b.Grace,
		Validate: b.Validate,
		Password: b.Password,
		Redact:   redactor(c),
		// A system call, 1 µs, which busy connections need not pay: what is used a thousand times a second
		// has been looked at by its use.
		CheckAfter: time.Millisecond,
	})
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	return managed{inner}, nil
}

// managed is an sqldriver.Backend of which the full reset spares prepared statements.
type managed struct{ *sqldriver.Backend }

// FullDropsStatements tells package manage that it may keep them.
func (managed) FullDropsStatements() bool { return false }

// Open returns the backend of the connections to dsn, with the settings of the zero Backend.
func Open(dsn string) (pool.Backend[*sqldriver.Conn], error) { return Backend{}.Open(dsn, "") }

// connector opens connections that know their sockets.
type connector struct {
	config func() pq.Config // a function, of which fmt shows the address only
	grace  time.Duration
}

var _ sqldriver.PasswordDialer = connector{}

func (k connector) Driver() driver.Driver { return pq.Driver{} }

func (k connector) Connect(ctx context.Context) (driver.Conn, error) {
	c, _, err := k.Dial(ctx)
	return c, err
}

// Dial implements sqldriver.Dialer.
func (k connector) Dial(ctx context.Context) (driver.Conn, net.Conn, error) {
	return k.dial(ctx, k.config())
}

// DialWith implements sqldriver.PasswordDialer. lib/pq does not ask a passfile if there is a password.
func (k connector) DialWith(ctx context.Context, password string) (driver.Conn, net.Conn, error) {
	config := k.config() // a copy, as far as this goes
	config.Password = password
	return k.dial(ctx, config)
}

// dial opens a connection. It returns when ctx ends, whatever the server does.
func (k connector) dial(ctx context.Context, config pq.Config) (driver.Conn, net.Conn, error) {
	if config.TargetSessionAttrs != pq.TargetSessionAttrsPreferStandby {
		return k.dialHosts(ctx, config, 1)
	}
	// lib/pq begins with the first host again, without end, while none can be reached.
	config.TargetSessionAttrs = pq.TargetSessionAttrsStandby
	c, conn, err := k.dialHosts(ctx, config, 2)
	if err == nil || ctx.Err() != nil {
		return c, conn, err
	}
	config.TargetSessionAttrs = pq.TargetSessionAttrsAny
	return k.dialHosts(ctx, config, 1)
}

// dialHosts opens a connection to one of the hosts. Of several, in so many rounds, each has an even share of the
// time until ctx ends, unless the DSN gives a connect_timeout: lib/pq alone would wait for the first one all the time.
func (k connector) dialHosts(ctx context.Context, config pq.Config, rounds int) (driver.Conn, net.Conn, error) {
	one, err := pq.NewConnectorConfig(config)
	if err != nil {
		return nil, nil, err
	}
	d := &dialer{grace: k.grace, hosts: rounds * (1 + len(config.Multi))}
	if config.ConnectTimeout == 0 {
		d.end, _ = ctx.Deadline()
	}
	one.Dialer(d)
	stop := context.AfterFunc(ctx, d.giveUp)
	c, err := one.Connect(ctx)
	if !stop() {
		if err == nil {
			_ = c.Close() // does not wait: the socket is past its deadline
		}
		err = context.Cause(ctx)
	}
	if err != nil {
		d.forget()
		return nil, nil, explainAttrs(err, config)
	}
	return c, d.opened(), nil
}

// explainAttrs says what lib/pq means by "server is in hot standby mode".
func explainAttrs(err error, c pq.Config) error {
	for _, sign := range []string{"hot standby mode", "session is read-only", "session is not read-only"} {
		if strings.Contains(err.Error(), sign) {
			return fmt.Errorf("postgres: no server is what target_session_attrs=%s asks for: promote one, name another host, or leave it out: %w",
				c.TargetSessionAttrs, err)
		}
	}
	return err
}
