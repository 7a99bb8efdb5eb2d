package manage

import (
	"context"
	"database/sql/driver"
	"errors"

	"github.com/lidopool/lido/pool"
)

// What a proxy does for driver.Conn, and for the optional interfaces that the types of
// offers.go put before it. Each goes to the driver's connection as database/sql would
// have gone there.

// Prepare implements driver.Conn.
func (p *proxy) Prepare(query string) (driver.Stmt, error) {
	return p.prepared(context.Background(), func() (driver.Stmt, error) { return p.conn.Raw().Prepare(query) })
}

func (p *proxy) prepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	return p.prepared(ctx, func() (driver.Stmt, error) {
		return p.conn.Raw().(driver.ConnPrepareContext).PrepareContext(ctx, query)
	})
}

func (p *proxy) prepared(ctx context.Context, prepare func() (driver.Stmt, error)) (s driver.Stmt, err error) {
	err = p.do(ctx, func() error {
		raw, err := prepare()
		if err == nil {
			s = newStmt(p, raw)
		}
		return err
	})
	return s, err
}

// Begin implements driver.Conn.
func (p *proxy) Begin() (driver.Tx, error) {
	return p.beginTx(context.Background(), driver.TxOptions{})
}

func (p *proxy) beginTx(ctx context.Context, o driver.TxOptions) (t driver.Tx, err error) {
	err = p.do(ctx, func() error {
		if p.entry.sharing == pool.Nested && p.conn.InTx() {
			return errNested // some databases would silently commit the first
		}
		raw, err := p.conn.BeginTx(ctx, o)
		if err == nil {
			t = &tx{p, raw}
		}
		return err
	})
	return t, err
}

var errNested = errors.New("manage: a transaction is open already on the connection that this goroutine or scope shares: use that one, or a savepoint")

func (p *proxy) ping(ctx context.Context) error {
	return p.do(ctx, func() error { return p.conn.Raw().(driver.Pinger).Ping(ctx) })
}

func (p *proxy) execContext(ctx context.Context, query string, args []driver.NamedValue) (r driver.Result, err error) {
	err = p.do(ctx, func() (err error) {
		r, err = p.conn.Raw().(driver.ExecerContext).ExecContext(ctx, query, args)
		return err
	})
	return r, err
}

func (p *proxy) exec(query string, args []driver.Value) (r driver.Result, err error) {
	err = p.do(context.Background(), func() (err error) {
		//lint:ignore SA1019 drivers that have only this must keep working
		r, err = p.conn.Raw().(driver.Execer).Exec(query, args)
		return err
	})
	return r, err
}

func (p *proxy) queryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	return p.queried(ctx, func() (driver.Rows, error) {
		return p.conn.Raw().(driver.QueryerContext).QueryContext(ctx, query, args)
	})
}

func (p *proxy) query(query string, args []driver.Value) (driver.Rows, error) {
	return p.queried(context.Background(), func() (driver.Rows, error) {
		//lint:ignore SA1019 drivers that have only this must keep working
		return p.conn.Raw().(driver.Queryer).Query(query, args)
	})
}

// queried makes a query. Where the connection has one holder it gives out the driver's own
// rows, so that their optional interfaces are the driver's.
func (p *proxy) queried(ctx context.Context, query func() (driver.Rows, error)) (r driver.Rows, err error) {
	err = p.do(ctx, func() error {
		raw, err := query()
		switch {
		case err != nil:
			return err
		case p.entry.sharing == pool.Exclusive:
			p.unseen = true
			r = raw
		default:
			r = newRows(p, raw)
		}
		return nil
	})
	return r, err
}

func (p *proxy) checkNamedValue(v *driver.NamedValue) error {
	check := func() error { return p.conn.Raw().(driver.NamedValueChecker).CheckNamedValue(v) }
	if p.entry.sharing == pool.Exclusive && !p.closed {
		return check() // nobody else is there, and there is one call for each argument
	}
	return p.do(context.Background(), check)
}

// tx is a transaction on a proxy's connection.
type tx struct {
	proxy *proxy
	raw   driver.Tx
}

// Commit implements driver.Tx.
func (t *tx) Commit() error { return t.proxy.end(t.raw.Commit) }

// Rollback implements driver.Tx.
func (t *tx) Rollback() error { return t.proxy.end(t.raw.Rollback) }

// values is what database/sql does for drivers without the newer interfaces.
func values(ctx context.Context, named []driver.NamedValue) ([]driver.Value, error) {
	args := make([]driver.Value, len(named))
	for i, v := range named {
		if v.Name != "" {
			return nil, errors.New("sql: driver does not support the use of Named Parameters")
		}
		args[i] = v.Value
	}
	return args, ctx.Err()
}
