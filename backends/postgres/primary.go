package postgres

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
)

// Primary refuses a connection to a server that does not take writes, because it is a standby, or
// is set to read only. It is meant for Backend.Validate: then a pool for the primary, which finds
// its server by a name or an address that moves in a fail-over, opens no connection to what is a
// standby by now, and with Options.Ping keeps none. It costs a round trip for each open and each
// ping, and ends when ctx does if the driver, or the socket, does.
//
// It is no use in a pool whose DSN says default_transaction_read_only=on.
func Primary(ctx context.Context, c driver.Conn) error {
	readOnly, err := ask(ctx, c, "SHOW transaction_read_only")
	if err != nil {
		return fmt.Errorf("postgres: asking whether the server takes writes: %w", err)
	}
	if readOnly != "off" {
		return errors.New("postgres: the server takes no writes: it is a standby, or set to read only: " +
			"name the primary in the DSN, or leave out Backend.Validate")
	}
	return nil
}

// ask returns the first column of the only row, as text.
func ask(ctx context.Context, c driver.Conn, query string) (answer string, err error) {
	q, ok := c.(driver.QueryerContext)
	if !ok {
		return "", errors.New("the connection is not of lib/pq")
	}
	rows, err := q.QueryContext(ctx, query, nil)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	row := make([]driver.Value, 1)
	if err := rows.Next(row); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s", row[0]), nil
}
