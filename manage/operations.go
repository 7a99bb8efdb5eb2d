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
	return p.prepare(context.Background(), query)
}

func (p *proxy) prepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	return p.prepare(ctx, query)
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
			if p.pinned {
				p.tenancy.join()
				t = &heldTx{tx: tx{p, raw}}
			}
		}
		return err
	})
	return t, err
}

var errNested = errors.New("manage: a transaction is open already on the connection that this goroutine or scope shares: use that one, or a savepoint")

func (p *proxy) ping(ctx context.Context) error {
	return p.do(ctx, func() error { return p.conn.For("").(driver.Pinger).Ping(ctx) })
}

func (p *proxy) execContext(ctx context.Context, query string, args []driver.NamedValue) (r driver.Result, err error) {
	if err := p.enter(ctx, true); err != nil {
		return nil, err
	}
	defer p.leave()
	r, err = p.on(query).(driver.ExecerContext).ExecContext(ctx, query, args)
	return r, p.note(err)
}

func (p *proxy) exec(query string, args []driver.Value) (r driver.Result, err error) {
	err = p.do(context.Background(), func() (err error) {
		//lint:ignore SA1019 drivers that have only this must keep working
		r, err = p.on(query).(driver.Execer).Exec(query, args)
		return err
	})
	return r, err
}

func (p *proxy) queryContext(ctx context.Context, query string, args []driver.NamedValue) (r driver.Rows, err error) {
	if err := p.enter(ctx, true); err != nil {
		return nil, err
	}
	defer p.leave()
	r, err = p.seen(p.on(query).(driver.QueryerContext).QueryContext(ctx, query, args))
	return r, p.note(err)
}

func (p *proxy) query(query string, args []driver.Value) (r driver.Rows, err error) {
	err = p.do(context.Background(), func() (err error) {
		//lint:ignore SA1019 drivers that have only this must keep working
		r, err = p.seen(p.on(query).(driver.Queryer).Query(query, args))
		return err
	})
	return r, err
}

// seen is what becomes of the rows of a query. Where the connection has one holder they are the
// driver's own, so that their optional interfaces are the driver's.
func (p *proxy) seen(raw driver.Rows, err error) (driver.Rows, error) {
	switch {
	case err != nil:
		return nil, err
	case p.pinned:
		return p.holdRows(raw), nil
	case p.entry.sharing == pool.Exclusive:
		p.unseen = true
		return raw, nil
	}
	return newRows(p, raw), nil
}

// execText executes a text by whichever of the driver's interfaces there is.
func (p *proxy) execText(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if _, ok := p.raw().(driver.ExecerContext); ok {
		return p.execContext(ctx, query, args)
	}
	plain, err := values(ctx, args)
	if err != nil {
		return nil, err
	}
	return p.exec(query, plain)
}

// queryText is execText for a query; driver.ErrSkip if there is no interface for it.
func (p *proxy) queryText(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	switch p.raw().(type) {
	case driver.QueryerContext:
		return p.queryContext(ctx, query, args)
	//lint:ignore SA1019 drivers that have only this must keep working
	case driver.Queryer:
		plain, err := values(ctx, args)
		if err != nil {
			return nil, err
		}
		return p.query(query, plain)
	}
	return nil, driver.ErrSkip
}

func (p *proxy) checkNamedValue(v *driver.NamedValue) error {
	if p.ready(context.Background()) != nil { // which waits only where SetMaxOpenConns was called
		return nil // whatever the arguments are for says why
	}
	checker, ok := p.raw().(driver.NamedValueChecker)
	if !ok {
		return driver.ErrSkip
	}
	check := func() error { return checker.CheckNamedValue(v) }
	if p.entry.sharing == pool.Exclusive {
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
