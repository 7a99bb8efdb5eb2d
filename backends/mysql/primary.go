package mysql

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
)

// Primary is a Backend.Validate that refuses servers that do not take writes: standbys, and primaries
// that were demoted. It asks for the variables read_only and innodb_read_only, of
// which the second tells the readers of Amazon Aurora. It costs a round trip for each new
// connection, and one after each ping. Its ctx bounds it.
//
// A user with READ ONLY ADMIN or SUPER may write to such a server; Primary refuses it nonetheless.
func Primary(ctx context.Context, c driver.Conn) error {
	row, err := ask(ctx, c, "SELECT @@global.read_only, @@global.innodb_read_only", 2)
	if err != nil {
		return fmt.Errorf("mysql: is it a primary: %w", err)
	}
	if !off(row[0]) || !off(row[1]) {
		return fmt.Errorf("mysql: server is read-only (read_only=%s, innodb_read_only=%s): it is a standby or was demoted: "+
			"name the primary in the DSN, or leave out Backend.Validate", row[0], row[1])
	}
	return nil
}

func off(value string) bool { return value == "0" || value == "OFF" }

// ask returns the one row of a query of texts and numbers.
func ask(ctx context.Context, c driver.Conn, query string, columns int) ([]string, error) {
	q, ok := c.(driver.QueryerContext)
	if !ok {
		return nil, fmt.Errorf("mysql: connection is a %T: give one of go-sql-driver/mysql", c)
	}
	rows, err := q.QueryContext(ctx, query, nil)
	if err != nil {
		return nil, err
	}
	values := make([]driver.Value, columns)
	err = rows.Next(values)
	row := make([]string, columns)
	for i, v := range values {
		if b, ok := v.([]byte); ok {
			row[i] = string(b) // copied: it is the driver's buffer
		} else {
			row[i] = fmt.Sprint(v)
		}
	}
	if err == io.EOF {
		err = errors.New("mysql: the server answered without a row")
	}
	return row, errors.Join(err, rows.Close())
}
