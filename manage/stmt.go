package manage

import (
	"context"
	"database/sql/driver"
	"slices"

	"github.com/lidopool/lido/pool"
)

// stmt is a prepared statement of a proxy. It is wrapped because database/sql may close
// one after its connection was returned (a statement of an *sql.Conn that is closed
// first), when the connection may be somebody else's: the proxy has closed it by then.
//
// It has every optional interface of a driver.Stmt but ColumnConverter, and where the
// driver's statement has none it answers what makes database/sql do what it would have done
// without. Nobody but database/sql ever sees a statement, so that is exact.
type stmt struct {
	proxy  *proxy
	raw    driver.Stmt
	inputs int
	closed bool
}

// convertingStmt is for statements that have a ColumnConverter, whose absence nothing
// can imitate.
type convertingStmt struct {
	*stmt
	//lint:ignore SA1019 drivers that have only this must keep working
	converter driver.ColumnConverter
}

// ColumnConverter implements driver.ColumnConverter.
func (s convertingStmt) ColumnConverter(index int) driver.ValueConverter {
	return s.converter.ColumnConverter(index)
}

// newStmt is called while the driver may be called.
func newStmt(p *proxy, raw driver.Stmt) driver.Stmt {
	s := &stmt{proxy: p, raw: raw, inputs: raw.NumInput()}
	p.stmts = append(p.stmts, s)
	p.guard.opened(s, raw.Close)
	//lint:ignore SA1019 drivers that have only this must keep working
	if c, ok := raw.(driver.ColumnConverter); ok {
		return convertingStmt{s, c}
	}
	return s
}

// Close implements driver.Stmt.
func (s *stmt) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	p := s.proxy
	p.stmts = slices.DeleteFunc(p.stmts, func(o *stmt) bool { return o == s })
	return p.drop(s, s.raw.Close)
}

// NumInput implements driver.Stmt.
func (s *stmt) NumInput() int { return s.inputs }

// Exec implements driver.Stmt.
func (s *stmt) Exec(args []driver.Value) (r driver.Result, err error) {
	err = s.proxy.do(context.Background(), func() (err error) {
		//lint:ignore SA1019 drivers that have only this must keep working
		r, err = s.raw.Exec(args)
		return err
	})
	return r, err
}

// Query implements driver.Stmt.
func (s *stmt) Query(args []driver.Value) (driver.Rows, error) {
	return s.proxy.queried(context.Background(), func() (driver.Rows, error) {
		//lint:ignore SA1019 drivers that have only this must keep working
		return s.raw.Query(args)
	})
}

// ExecContext implements driver.StmtExecContext.
func (s *stmt) ExecContext(ctx context.Context, named []driver.NamedValue) (r driver.Result, err error) {
	raw, ok := s.raw.(driver.StmtExecContext)
	if !ok {
		args, err := values(ctx, named)
		if err != nil {
			return nil, err
		}
		return s.Exec(args)
	}
	err = s.proxy.do(ctx, func() (err error) {
		r, err = raw.ExecContext(ctx, named)
		return err
	})
	return r, err
}

// QueryContext implements driver.StmtQueryContext.
func (s *stmt) QueryContext(ctx context.Context, named []driver.NamedValue) (driver.Rows, error) {
	raw, ok := s.raw.(driver.StmtQueryContext)
	if !ok {
		args, err := values(ctx, named)
		if err != nil {
			return nil, err
		}
		return s.Query(args)
	}
	return s.proxy.queried(ctx, func() (driver.Rows, error) { return raw.QueryContext(ctx, named) })
}

// CheckNamedValue implements driver.NamedValueChecker: the statement's, else the
// connection's, else nobody's.
func (s *stmt) CheckNamedValue(v *driver.NamedValue) error {
	c, ok := s.raw.(driver.NamedValueChecker)
	if !ok {
		if c, ok = s.proxy.conn.Raw().(driver.NamedValueChecker); !ok {
			return driver.ErrSkip
		}
	}
	if s.proxy.entry.sharing == pool.Exclusive {
		return c.CheckNamedValue(v) // see proxy.checkNamedValue
	}
	return s.proxy.do(context.Background(), func() error { return c.CheckNamedValue(v) })
}
