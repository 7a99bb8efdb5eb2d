package postgres

import (
	"context"
	"database/sql/driver"
	"errors"
	"net"
)

// fullReset is DISCARD ALL in one round trip, behind a ROLLBACK, which DISCARD ALL does not suffer
// in the same message; without its DEALLOCATE ALL, which would take the prepared statements away
// from under the driver.
const fullReset = "ROLLBACK; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; CLOSE ALL; UNLISTEN *; " +
	"SELECT pg_advisory_unlock_all(); DISCARD PLANS; DISCARD TEMP; DISCARD SEQUENCES"

// full brings a session back to what it was after the open.
func full(ctx context.Context, c driver.Conn, _ net.Conn) error {
	e, ok := c.(driver.ExecerContext)
	if !ok {
		return errors.New("postgres: the connection is not of lib/pq")
	}
	// The socket ends it when ctx does. The driver would ask the server to cancel it too.
	_, err := e.ExecContext(context.WithoutCancel(ctx), fullReset, nil)
	return err
}
