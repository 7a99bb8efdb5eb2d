package sqldriver

import (
	"context"
	"database/sql/driver"
	"errors"
)

// ConnectorOf returns the connector of d for dsn: the driver's own if it has
// driver.DriverContext, else one that calls d.Open, which no ctx can stop.
//
// The error is the driver's own; several drivers put the DSN with its password
// there, so do not show it unredacted.
func ConnectorOf(d driver.Driver, dsn string) (driver.Connector, error) {
	if d == nil {
		return nil, errors.New("sqldriver: driver is nil: give one")
	}
	if dc, ok := d.(driver.DriverContext); ok {
		return dc.OpenConnector(dsn)
	}
	return dsnConnector{driver: d, open: func() (driver.Conn, error) { return d.Open(dsn) }}, nil
}

// FreshConnector returns a connector of d that asks for its DSN at each open: where a password
// is rotated, a token expires, or the server moves. dsn gets the ctx of the open, with what a
// BeforeOpen hook put there, and is called by several goroutines at once. Its error fails the
// open. What is said of ConnectorOf's errors holds here too.
func FreshConnector(d driver.Driver, dsn func(ctx context.Context) (string, error)) (driver.Connector, error) {
	switch {
	case d == nil:
		return nil, errors.New("sqldriver: driver is nil: give one")
	case dsn == nil:
		return nil, errors.New("sqldriver: dsn is nil: give the function that tells the DSN of an open")
	}
	return freshConnector{d, dsn}, nil
}

type freshConnector struct {
	driver driver.Driver
	dsn    func(context.Context) (string, error)
}

func (c freshConnector) Connect(ctx context.Context) (driver.Conn, error) {
	dsn, err := c.dsn(ctx)
	if err != nil {
		return nil, err
	}
	fresh, err := ConnectorOf(c.driver, dsn)
	if err != nil {
		return nil, err
	}
	return fresh.Connect(ctx)
}

func (c freshConnector) Driver() driver.Driver { return c.driver }

func (c freshConnector) String() string { return "sqldriver.connector" }

func (c freshConnector) GoString() string { return c.String() }

// dsnConnector is the connector of a driver that has none. Its DSN is held by a function,
// of which nothing that prints a connector, or what it is a part of, can show more than
// the address.
type dsnConnector struct {
	driver driver.Driver
	open   func() (driver.Conn, error)
}

func (c dsnConnector) Connect(ctx context.Context) (driver.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	return c.open()
}

func (c dsnConnector) Driver() driver.Driver { return c.driver }

func (c dsnConnector) String() string { return "sqldriver.connector" }

func (c dsnConnector) GoString() string { return c.String() }
