package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
	"strings"

	"github.com/mattn/go-sqlite3"

	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/pool"
)

// Backend is what package manage registers for SQLite, and holds the settings
// that a DSN cannot. The zero value is ready to use.
type Backend struct {
	// Reset is what becomes of a transaction left open, where Open is not told
	// otherwise. Default sqldriver.Rollback.
	Reset sqldriver.ResetMode
	// PrivateMemory allows strategies under which each connection has an
	// in-memory database of its own, and loses it when it closes. Default
	// false: such a strategy is an error. The DSN parameter private_memory counts for
	// more.
	PrivateMemory bool
	// Driver is asked for the connections. Its ConnectHook is called with each
	// new one; it may be called again for the same Open if another
	// connection was just creating the database. Default
	// &sqlite3.SQLiteDriver{}.
	Driver *sqlite3.SQLiteDriver
}

// Name is the name of the backend and of go-sqlite3's driver: "sqlite3".
func (b Backend) Name() string { return "sqlite3" }

// Canonical returns the form of a DSN that all DSNs of the same meaning have in
// common: a URI with an absolute path, all defaults laid under it and
// its parameters under their full names, in order. It does not look at the file
// system, so that two names of one file, by a link say, are two. It is
// itself canonical, and may hold secrets.
//
// It fails for a DSN that cannot work, with an error that shows no secret.
func (b Backend) Canonical(dsn string) (string, error) {
	d, err := parseDSN(dsn)
	if err != nil {
		return "", err
	}
	return d.String(), nil
}

// Redact returns a DSN, also a wrong one, fit to be shown: the values of the
// _auth parameters, of encryption keys and of unknown parameters are masked.
func (b Backend) Redact(dsn string) string { return redact(dsn) }

// Open returns the backend of the connections to dsn. It opens nothing. An empty
// reset is b.Reset. The result also satisfies pool.LimitChecker.
//
// It fails for a DSN that cannot work, and in a binary built without cgo.
func (b Backend) Open(dsn string, reset sqldriver.ResetMode) (pool.Backend[*sqldriver.Conn], error) {
	c, err := b.Conns(dsn)
	if err != nil {
		return nil, err
	}
	if reset == "" {
		reset = b.Reset
	}
	inner, err := sqldriver.New(connector{c}, sqldriver.Options{
		Name:     "sqlite: open " + c.String(),
		Reset:    reset,
		Classify: Classify,
		Dirty: func(raw driver.Conn) bool {
			conn, ok := any(raw).(*sqlite3.SQLiteConn)
			return ok && inTx(conn)
		},
		Begins: begins,
	})
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	return &managed{inner, c}, nil
}

// begins reports whether a text may begin a transaction: whether one of its statements begins with BEGIN or
// SAVEPOINT, of which every semicolon is taken for the end of one. Behind what is no word, such as a comment, it takes
// those for that wherever they stand. Then the driver is asked, which costs 0.1 µs.
func begins(query string) bool {
	for {
		query = skipSpace(query)
		switch {
		case query == "":
			return false
		case hasPrefix(query, "begin"), hasPrefix(query, "savepoint"):
			return true
		case query[0]|0x20 < 'a' || query[0]|0x20 > 'z':
			return mentionsBegin(query)
		}
		end := strings.IndexByte(query, ';')
		if end < 0 {
			return false
		}
		query = query[end+1:]
	}
}

func skipSpace(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\n' || s[0] == '\t' || s[0] == '\r' || s[0] == ';') {
		s = s[1:]
	}
	return s
}

// mentionsBegin reports whether a text has BEGIN or SAVEPOINT anywhere.
func mentionsBegin(s string) bool {
	for i := range len(s) {
		if hasPrefix(s[i:], "begin") || hasPrefix(s[i:], "savepoint") {
			return true
		}
	}
	return false
}

// hasPrefix reports whether s begins with a word, given in lower case. Its first two letters tell most others.
func hasPrefix(s, word string) bool {
	return len(s) >= len(word) && s[0]|0x20 == word[0] && s[1]|0x20 == word[1] && strings.EqualFold(s[:len(word)], word)
}

// managed is an sqldriver.Backend that checks limits.
type managed struct {
	*sqldriver.Backend
	conns *Conns
}

var _ pool.LimitChecker = (*managed)(nil)

// CheckLimits is Conns.CheckLimits.
func (m *managed) CheckLimits(kind string, l pool.Limits) error { return m.conns.CheckLimits(kind, l) }

// Checks implements pool.Checker: there is nothing between us and a file that could have gone.
func (m *managed) Checks() pool.Check { return pool.NoCheck }

// connector is Conns in the terms of database/sql/driver.
type connector struct{ conns *Conns }

func (c connector) Connect(ctx context.Context) (driver.Conn, error) { return c.conns.connect(ctx) }

func (c connector) Driver() driver.Driver { return c.conns.driver }
