// Package sqldriver pools the connections of any database/sql driver, without
// database/sql's own pool.
//
// The resource is a [*Conn]: one connection of the driver, and the transaction
// that is open on it, so that Reset can end what a holder left open. New makes
// the backend from a driver.Connector, ConnectorOf makes the connector from a
// driver and a DSN:
//
//	connector, err := sqldriver.ConnectorOf(&sqlite3.SQLiteDriver{}, "file:data.db")
//	backend, err := sqldriver.New(connector, sqldriver.Options{})
//	p, err := pool.New(backend, strategies.Queue{Size: 5}, pool.Options{})
//
// All that a driver may leave out (Pinger, SessionResetter, Validator,
// ConnBeginTx, ExecerContext) may be missing here too. What a reset does not
// undo is what the driver itself does not undo in ResetSession: temporary
// tables, settings of the session, locks, prepared statements, and rows left
// open. Whoever opens rows closes them before the release.
//
// For a database with a backend of its own, such as backends/sqlite, take that:
// it knows the driver's errors and secrets.
package sqldriver
