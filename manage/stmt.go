package manage

import (
	"context"
	"database/sql/driver"
	"errors"
	"slices"

	"github.com/lidopool/lido/pool"
)

// stmt is a prepared statement of a proxy, for whatever connection that is bound to: it is a
// text that finds its statement on the shelf of the connection, or has it prepared there. Then it
// has that for itself until it is closed or the connection is given back, whichever comes
// first. database/sql may close one after that: it has nothing to close then.
//
// It has every optional interface of a driver.Stmt but ColumnConverter, and where the
// driver's statement has none it answers what makes database/sql do what it would have done
// without. Nobody but database/sql ever sees a statement, so that is exact.
type stmt struct {
	proxy   *proxy
	query   string
	inputs  int
	text    bool      // never prepared: see Settings.Statements
	forgets bool      // it may end others, see forgets
	own     *prepared // nil if it has none now
	last    *prepared // that it had
	closed  bool
	asked   bool // own has given rows, which may still be open

	tenancy uint64 // of a proxy that is pinned, and so may be another holder's next time
}

// convertingStmt is for statements that have a ColumnConverter, whose absence nothing
// can imitate.
type convertingStmt struct{ *stmt }

// ColumnConverter implements driver.ColumnConverter.
func (s convertingStmt) ColumnConverter(index int) (c driver.ValueConverter) {
	c = driver.DefaultParameterConverter
	_ = s.use(context.Background(), func(raw driver.Stmt) error {
		//lint:ignore SA1019 drivers that have only this must keep working
		if r, ok := raw.(driver.ColumnConverter); ok {
			c = r.ColumnConverter(index)
		}
		return nil
	})
	return c
}

// prepare makes a statement. prepare calls the driver.
func (p *proxy) prepare(ctx context.Context, query string) (driver.Stmt, error) {
	if err := p.ready(ctx); err != nil {
		return nil, err
	}
	if p.conn.Streams(query) {
		return p.stream(ctx, query)
	}
	s := &stmt{proxy: p, query: query, forgets: forgets(query), tenancy: p.tenancy.number()}
	if p.entry.settings.Statements == AsText {
		switch p.raw().(type) {
		//lint:ignore SA1019 drivers that have only this must keep working
		case driver.ExecerContext, driver.Execer:
			s.text, s.inputs = true, -1
			p.preparedOn = true
			return s, nil
		}
	}
	converting := false
	err := s.use(ctx, func(raw driver.Stmt) error {
		s.inputs = raw.NumInput()
		//lint:ignore SA1019 drivers that have only this must keep working
		_, converting = raw.(driver.ColumnConverter)
		return nil
	})
	if err != nil {
		return nil, err
	}
	p.preparedOn = true
	if converting {
		return convertingStmt{s}, nil
	}
	return s, nil
}

// use calls f with the driver's statement.
func (s *stmt) use(ctx context.Context, f func(driver.Stmt) error) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.proxy.leave()
	if err := s.find(ctx); err != nil {
		return s.proxy.note(err)
	}
	return s.note(f(s.own.raw))
}

// enter is the proxy's, and so is its partner. In between come find, a call of the driver's statement, and note.
func (s *stmt) enter(ctx context.Context) error {
	if s.proxy.tenancy.number() != s.tenancy {
		return errDone
	}
	return s.proxy.enter(ctx, true)
}

// find has a statement of the connection for itself, and makes it if there is none.
func (s *stmt) find(ctx context.Context) error {
	p := s.proxy
	c := p.conn.For(s.query)
	p.forget = p.forget || s.forgets
	if s.own == nil {
		if s.own = p.guard.take(s.query, s.last); s.own == nil {
			raw, err := prepareOn(ctx, c, s.query)
			if err != nil {
				return err
			}
			s.own = p.guard.add(s.query, raw)
		}
		if s.last != s.own {
			s.last = s.own
		}
		s.asked = false
		p.lockStmts()
		p.stmts = append(p.stmts, s)
		p.unlockStmts()
	}
	s.own.failed = true // unless its call returns without an error
	return nil
}

// note is the proxy's, for an error of the driver's statement.
func (s *stmt) note(err error) error {
	s.own.failed = err != nil && err != driver.ErrSkip
	return s.proxy.note(err)
}

// prepareOn follows ctxDriverPrepare of database/sql.
func prepareOn(ctx context.Context, c driver.Conn, query string) (driver.Stmt, error) {
	if p, ok := c.(driver.ConnPrepareContext); ok {
		return p.PrepareContext(ctx, query)
	}
	raw, err := c.Prepare(query)
	if err == nil && ctx.Err() != nil {
		_ = raw.Close()
		return nil, ctx.Err()
	}
	return raw, err
}

// Close implements driver.Stmt.
func (s *stmt) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	p := s.proxy
	p.lockStmts()
	held := s.own != nil
	switch {
	case !held:
	case s.asked && len(p.stmts) <= p.entry.backend.room:
		// Rows of it may be open, which another user of it would disturb: it is given back with the connection.
		held = false
	default:
		s.own.failed = s.own.failed || s.asked // there are many of these already: closed, as it would be without us
		p.stmts = slices.DeleteFunc(p.stmts, func(o *stmt) bool { return o == s })
		p.guard.give(s.own)
		s.own = nil
	}
	p.unlockStmts()
	if !held || p.pinned { // a pinned one may be bound for another holder by now, who reaps
		return nil
	}
	p.reap()
	return nil
}

// lockStmts is for who looks at stmts. database/sql calls an unpinned proxy and its statements under a lock of its own.
func (p *proxy) lockStmts() {
	if p.pinned {
		p.mu.Lock()
	}
}

func (p *proxy) unlockStmts() {
	if p.pinned {
		p.mu.Unlock()
	}
}

// mayReap reports whether statements may be closed that others have left.
func (p *proxy) mayReap() bool {
	return p.entry.sharing != pool.Common || p.turn && p.rows == 0
}

// NumInput implements driver.Stmt.
func (s *stmt) NumInput() int { return s.inputs }

// Exec implements driver.Stmt.
func (s *stmt) Exec(args []driver.Value) (driver.Result, error) {
	return s.ExecContext(context.Background(), named(args))
}

// Query implements driver.Stmt.
func (s *stmt) Query(args []driver.Value) (driver.Rows, error) {
	return s.QueryContext(context.Background(), named(args))
}

// named numbers arguments, as database/sql does.
func named(args []driver.Value) []driver.NamedValue {
	all := make([]driver.NamedValue, len(args))
	for i, v := range args {
		all[i] = driver.NamedValue{Ordinal: i + 1, Value: v}
	}
	return all
}

// ExecContext implements driver.StmtExecContext.
func (s *stmt) ExecContext(ctx context.Context, args []driver.NamedValue) (r driver.Result, err error) {
	if s.text && s.proxy.tenancy.number() == s.tenancy {
		if r, err = s.proxy.execText(ctx, s.query, args); err != driver.ErrSkip {
			return r, err
		}
	}
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.proxy.leave()
	if err := s.find(ctx); err != nil {
		return nil, s.proxy.note(err)
	}
	r, err = execOn(ctx, s.own.raw, args)
	return r, s.note(err)
}

func execOn(ctx context.Context, raw driver.Stmt, args []driver.NamedValue) (driver.Result, error) {
	if e, ok := raw.(driver.StmtExecContext); ok {
		return e.ExecContext(ctx, args)
	}
	plain, err := values(ctx, args)
	if err != nil {
		return nil, err
	}
	//lint:ignore SA1019 drivers that have only this must keep working
	return raw.Exec(plain)
}

// QueryContext implements driver.StmtQueryContext.
func (s *stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (r driver.Rows, err error) {
	if s.text && s.proxy.tenancy.number() == s.tenancy {
		if r, err = s.proxy.queryText(ctx, s.query, args); err != driver.ErrSkip {
			return r, err
		}
	}
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.proxy.leave()
	if err := s.find(ctx); err != nil {
		return nil, s.proxy.note(err)
	}
	r, err = s.proxy.seen(queryOn(ctx, s.own.raw, args))
	s.asked = s.asked || err == nil
	return r, s.note(err)
}

func queryOn(ctx context.Context, raw driver.Stmt, args []driver.NamedValue) (driver.Rows, error) {
	if q, ok := raw.(driver.StmtQueryContext); ok {
		return q.QueryContext(ctx, args)
	}
	plain, err := values(ctx, args)
	if err != nil {
		return nil, err
	}
	//lint:ignore SA1019 drivers that have only this must keep working
	return raw.Query(plain)
}

// CheckNamedValue implements driver.NamedValueChecker: the statement's, else the
// connection's, else nobody's.
func (s *stmt) CheckNamedValue(v *driver.NamedValue) error {
	p := s.proxy
	if p.tenancy.number() != s.tenancy {
		return errDone
	}
	if s.text || p.conn == nil {
		return p.checkNamedValue(v)
	}
	exclusive := p.entry.sharing == pool.Exclusive
	if s.own == nil || !exclusive { // on another connection than before, or not alone
		return s.use(context.Background(), func(raw driver.Stmt) error { return s.check(raw, v) })
	}
	return s.check(s.own.raw, v) // see proxy.checkNamedValue
}

func (s *stmt) check(raw driver.Stmt, v *driver.NamedValue) error {
	if c, ok := raw.(driver.NamedValueChecker); ok {
		return c.CheckNamedValue(v)
	}
	if c, ok := s.proxy.raw().(driver.NamedValueChecker); ok {
		return c.CheckNamedValue(v)
	}
	return driver.ErrSkip
}

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
