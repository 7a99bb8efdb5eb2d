package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"

	"github.com/lidopool/lido/bench/internal/load"
)

type sqlPool struct{ *sql.DB }

func newDatabaseSQL(s spec) (subject, error) {
	db := sql.OpenDB(connector{s.open})
	db.SetMaxOpenConns(s.seats)
	db.SetMaxIdleConns(s.seats)
	return sqlPool{db}, nil
}

// connector is a driver whose connections can do nothing.
type connector struct {
	open func(context.Context) (*resource, error)
}

func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	r, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	return sqlConn{r}, nil
}
func (c connector) Driver() driver.Driver { return nil }

type sqlConn struct{ *resource }

var errNothing = errors.New("versus: this connection can do nothing")

func (sqlConn) Prepare(string) (driver.Stmt, error) { return nil, errNothing }
func (sqlConn) Begin() (driver.Tx, error)           { return nil, errNothing }
func (c sqlConn) Close() error {
	c.close()
	return nil
}

// use is what Conn.Raw calls: it is the shortest way to what a *sql.Conn holds.
func use(conn any) error {
	conn.(sqlConn).uses++
	return nil
}

func (p sqlPool) Cycle(ctx context.Context, n int) error {
	for range n {
		c, err := p.Conn(ctx)
		if err != nil {
			return err
		}
		if err := c.Raw(use); err != nil {
			return err
		}
		if err := c.Close(); err != nil {
			return err
		}
	}
	return nil
}

func (p sqlPool) Visit(ctx context.Context, during func(context.Context, load.Conn) error) error {
	c, err := p.Conn(ctx)
	if err != nil {
		return err
	}
	err = c.Raw(func(conn any) error {
		r := conn.(sqlConn).resource
		r.uses++
		err := r.lend(ctx, during)
		if r.broken {
			err = errors.Join(err, driver.ErrBadConn) // at which the pool closes it
		}
		return err
	})
	if closing := c.Close(); !errors.Is(closing, sql.ErrConnDone) {
		err = errors.Join(err, closing)
	}
	return err
}

func (p sqlPool) close() { _ = p.Close() }
