package manage

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/pool"
)

// proxy is a leased connection, as database/sql sees it: for what the driver's connection
// can do beyond driver.Conn, wrapped in one of the types of offers.go. database/sql makes
// one for each lease and closes it to return the connection.
//
// database/sql calls a proxy, its statements, rows and transactions by one goroutine at a
// time; its own fields rely on that. Several proxies may have one connection: see guard.
type proxy struct {
	entry *entry
	lease pool.Lease[*sqldriver.Conn]
	conn  *sqldriver.Conn
	guard *guard

	stmts   []*stmt    // that are open
	rows    int        // open, counted where the connection is shared
	turn    bool       // this proxy has the turn of a common connection
	fault   pool.Fault // the worst met
	cause   error      // what that was
	unseen  bool       // the holder does something that the proxy does not see the errors of
	sound   bool       // database/sql has looked at the connection and found nothing
	closing bool
	closed  bool
}

// newProxy takes over a lease.
func newProxy(e *entry, l pool.Lease[*sqldriver.Conn]) (driver.Conn, error) {
	c, err := l.Get()
	var g *guard
	if err == nil {
		if g = e.backend.of(c); g == nil { // closed since
			err = pool.ErrInvalidated
		}
	}
	if err != nil {
		_ = l.Release() // it counts until then, even of a resource that another holder has discarded
		return nil, lost(err)
	}
	return g.offer.wrap(&proxy{entry: e, lease: l, conn: c, guard: g}), nil
}

// errDone is for a proxy that is used after its Close.
var errDone = fmt.Errorf("manage: the connection has been returned: %w", driver.ErrBadConn)

// lost says that the lease has ended under its holder. By driver.ErrBadConn, database/sql
// tries again where it can.
func lost(err error) error {
	return fmt.Errorf("manage: the connection was closed under its holder (%w): %w", err, driver.ErrBadConn)
}

// Raw returns the driver's connection. It does not keep others from a shared one, as
// the function Raw does, and what fails there is not seen by the pool.
func (p *proxy) Raw() driver.Conn {
	p.unseen = true
	return p.conn.Raw()
}

// use calls f with the driver's connection while nobody else does.
func (p *proxy) use(f func(driver.Conn) error) error {
	p.unseen = true // if f panics
	return p.do(context.Background(), func() error { return f(p.conn.Raw()) })
}

// do makes a call of the driver. Its error is the driver's own, unless there was no call.
func (p *proxy) do(ctx context.Context, call func() error) error {
	return p.run(ctx, p.entry.patience, call)
}

// end is do for a call that ends something, and so must not be left out because others take
// their time.
func (p *proxy) end(call func() error) error { return p.run(context.Background(), 0, call) }

func (p *proxy) run(ctx context.Context, patience time.Duration, call func() error) error {
	if err := p.enter(ctx, patience); err != nil {
		return err
	}
	defer p.leave()
	returned := false
	defer func() {
		if !returned {
			p.condemn(errUnfinished)
		}
	}()
	err := call()
	returned = true
	return p.note(err)
}

var errUnfinished = errors.New("manage: a call of the driver panicked or called runtime.Goexit")

// enter waits until this holder may call the driver. Its partner is leave.
func (p *proxy) enter(ctx context.Context, patience time.Duration) error {
	if p.closed {
		return errDone
	}
	if err := p.takeTurn(ctx); err != nil {
		return err
	}
	if err := p.guard.lock(ctx, p.guard.call, patience); err != nil {
		p.giveTurn()
		if p.entry.sharing == pool.Exclusive || errors.Is(err, driver.ErrBadConn) {
			return err
		}
		return fmt.Errorf("manage: %v: another call is going on on the shared connection, perhaps the one that this is called from: %w", p.entry.key, err)
	}
	if _, err := p.lease.Get(); err != nil {
		p.guard.call.unlock()
		p.giveTurn()
		return lost(err)
	}
	return nil
}

func (p *proxy) leave() {
	if p.turn && p.rows == 0 {
		p.guard.sweep(false)
	}
	// A transaction may have been begun by a text: then the driver knows.
	keep := p.turn && !p.closing && (p.rows > 0 || p.conn.InTx())
	p.guard.call.unlock()
	if !keep {
		p.giveTurn()
	}
}

// takeTurn makes this the one holder of a common connection that may use it.
func (p *proxy) takeTurn(ctx context.Context) error {
	if p.entry.sharing != pool.Common || p.turn {
		return nil
	}
	patience := p.entry.patience
	if patience < 0 { // strategies.NoWait
		patience = time.Nanosecond
	}
	if err := p.guard.lock(ctx, p.guard.turn, patience); err != nil {
		if errors.Is(err, driver.ErrBadConn) {
			return err
		}
		return fmt.Errorf("manage: pool %s: another holder of the static connection has rows or a transaction open: close them first: %w",
			p.entry.pool.Name(), err)
	}
	p.turn = true
	return nil
}

// drop closes a statement. If others have the turn, it does not wait for them, but leaves
// the statement to them.
func (p *proxy) drop(wrapper any, closeRaw func() error) error {
	if p.entry.sharing == pool.Common && !p.turn {
		if !p.guard.turn.try() {
			p.guard.leave(wrapper)
			return nil
		}
		p.turn = true
	}
	return p.end(func() error {
		p.guard.forget(wrapper)
		return closeRaw()
	})
}

func (p *proxy) giveTurn() {
	if p.turn {
		p.turn = false
		p.guard.turn.unlock()
	}
}

// note remembers what an error of the driver says about the connection, and returns it as
// it is: database/sql compares some by ==.
func (p *proxy) note(err error) error {
	if err == nil || err == driver.ErrSkip || err == driver.ErrRemoveArgument {
		return err
	}
	fault := p.entry.backend.Classify(err)
	if errors.Is(err, driver.ErrBadConn) {
		// database/sql now tries again, twice, with what it thinks may be an
		// idle connection. After a restart of the server every idle one is as bad as this:
		// then only a new one keeps its promise.
		fault = pool.AllDead
	}
	if fault > p.fault {
		p.fault, p.cause = fault, err
	}
	return err
}

// condemn has the connection closed instead of kept when it is returned.
func (p *proxy) condemn(cause error) {
	if p.fault == pool.Sound {
		p.fault, p.cause = pool.Dead, cause
	}
}

// IsValid tells database/sql never to keep the connection, so that every return reaches
// Close. database/sql asks at each return, but not when it has met driver.ErrBadConn:
// by that, Close learns of what the proxy does not see.
func (p *proxy) IsValid() bool {
	p.sound = true
	return false
}

// ResetSession is there because the pool resets the session on return. database/sql relies
// on having it together with IsValid to keep a connection whose transaction was rolled back
// because its ctx ended. It is never called, since nothing is kept.
func (p *proxy) ResetSession(context.Context) error { return driver.ErrBadConn }

// Close returns the connection to the pool. A second Close does nothing.
func (p *proxy) Close() error {
	if p.closed {
		return nil
	}
	for len(p.stmts) > 0 {
		_ = p.stmts[len(p.stmts)-1].Close() // takes itself off; its error is the driver's to repeat
	}
	if p.entry.sharing == pool.Common {
		p.tidy()
	}
	p.closed = true
	p.giveTurn()
	switch {
	case p.fault == pool.AllDead:
		_ = p.lease.Fail(fmt.Errorf("%w: %w", pool.ErrInvalidatePool, p.cause))
	case p.fault == pool.Dead:
		_ = p.lease.Discard(p.cause)
	case p.unseen && !p.sound:
		_ = p.lease.Discard(driver.ErrBadConn)
	default:
		_ = p.lease.Release()
	}
	return nil // the verbs fail only for a lease that has ended, which the pool has logged
}

// tidy ends a transaction left open on a common connection. The pool resets that only when
// its last holder returns, and the others would find themselves within the
// transaction.
func (p *proxy) tidy() {
	if !p.turn {
		return // whoever leaves something open has the turn
	}
	p.closing = true // from here on the turn is not kept
	if p.enter(context.Background(), 0) != nil {
		return
	}
	defer p.leave()
	if p.entry.settings.Reset == sqldriver.NoReset || !p.conn.InTx() {
		return
	}
	ctx, cancel := p.entry.resetContext()
	defer cancel()
	if err := p.entry.backend.Reset(ctx, p.conn); err != nil {
		p.condemn(err)
	}
}
