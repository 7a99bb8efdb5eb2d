package postgres

import (
	"errors"
	"fmt"
	"strings"
)

// CheckPooler reports whether a DSN is safe behind a transaction pooler such as PgBouncer with
// pool_mode=transaction, which gives each transaction another connection to the server. The error
// says what to change:
//
//   - binary_parameters=yes is needed. Without it lib/pq prepares a query with arguments in one
//     round trip and executes it in the next, which may meet another connection: 1 of 4000 queries
//     failed so, with 26000. It also means that []byte is sent as binary, and that arguments are
//     not converted to the types of their parameters on this side.
//   - options and run-time parameters, such as search_path, are refused, since PgBouncer refuses a
//     connection that gives them, but for those it keeps track of: application_name,
//     client_encoding, datestyle, timezone, standard_conforming_strings.
//
// It fails too for a DSN that cannot work.
func (b Backend) CheckPooler(dsn string) error {
	c, err := parse(dsn)
	if err != nil {
		return err
	}
	if !c.BinaryParameters {
		return errors.New("postgres: DSN parameter binary_parameters is no: say binary_parameters=yes behind a transaction pooler, " +
			"or a query with arguments may be prepared on one connection to the server and executed on another")
	}
	for _, p := range params(c) {
		if p.name == "options" && p.value != "" || p.runtime && !tracked(p.name) {
			name, _ := shown(p)
			return fmt.Errorf("postgres: DSN parameter %s is given: leave it out behind a transaction pooler, which refuses it; "+
				"set it on the server, by ALTER ROLE … SET or ALTER DATABASE … SET", name)
		}
	}
	return nil
}

// tracked reports whether PgBouncer keeps a run-time parameter the same when it changes the
// connection.
func tracked(name string) bool {
	return strings.EqualFold(name, "timezone") || strings.EqualFold(name, "standard_conforming_strings")
}
