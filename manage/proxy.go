package manage

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/pool"
)

// proxy is what database/sql takes for a connection. It is none of its own: it is bound to a
// leased connection while somebody uses it, and lies in the free list of the *sql.DB without.
// binding.go says how. For what the driver's connection can do beyond driver.Conn it is wrapped in
// one of the types of offers.go.
//
// database/sql calls a proxy, its statements, rows and transactions by one goroutine at a
// time; its own fields rely on that. Several proxies may be bound to one connection: see guard.
type proxy struct {
	// What each use looks at lies together. First what is of the connection that the proxy is bound to.

	conn    *sqldriver.Conn // nil while it is bound to none
	entry   *entry
	lease   pool.Lease[*sqldriver.Conn]
	guard   *guard
	stmts   []*stmt    // that have a prepared statement of the connection
	streams int        // open
	rows    int        // open, counted where the connection is shared
	cause   error      // of fault
	fault   pool.Fault // the worst met
	turn    bool       // this proxy has the turn of a common connection
	calling bool       // the driver, and it has not returned: between enter and note
	unseen  bool       // the holder does something that the proxy does not see the errors of
	forget  bool       // what is prepared on the connection may be gone
	sound   bool       // database/sql has looked at the connection and found nothing
	closing bool

	offer      offer
	made       bool // for what offer says, for good
	fresh      bool // database/sql does not call ResetSession before it uses it
	closed     bool
	pinned     bool       // it is of a DB, and stands for one connection for good
	refusal    error      // why it could not be bound
	preparedOn bool       // database/sql has, or had, statements of it
	connector  *connector // whose pool it leases from

	// Of pinned proxies only.

	spoilt  atomic.Bool // database/sql has given it up
	tenancy tenancy
	left    atomic.Pointer[sql.Conn] // of a connection that is gone; see letGo
	mu      sync.Mutex               // held by who looks at stmts, of which one may be closed late
}

// errDone is for a proxy that is used after its Close, or while it is bound to nothing.
var errDone = fmt.Errorf("manage: the connection has been returned: %w", driver.ErrBadConn)

// lost says that the lease has ended under its holder. By driver.ErrBadConn, database/sql
// tries again where it can.
func lost(err error) error {
	return fmt.Errorf("manage: the connection was closed under its holder (%w): %w", err, driver.ErrBadConn)
}

// raw is the driver's connection, to ask what it can do; nil while there is none.
func (p *proxy) raw() driver.Conn {
	if p.conn == nil {
		return nil
	}
	return p.conn.For("")
}

// on is the driver's connection, to execute a text.
func (p *proxy) on(query string) driver.Conn {
	if !p.forget && p.guard.keeps.Load() > 0 && forgets(query) {
		p.forget = true
	}
	return p.conn.For(query)
}

// forgets reports whether a text may end prepared statements that it did not make: if it has
// PostgreSQL's DISCARD or DEALLOCATE anywhere.
func forgets(query string) bool {
	for i := 0; i+7 <= len(query); i++ {
		if query[i]|0x20 == 'd' && (strings.EqualFold(query[i:i+7], "DISCARD") || strings.EqualFold(query[i:i+7], "DEALLOC")) {
			return true
		}
	}
	return false
}

// Raw returns the driver's connection. It does not keep others from a shared one, as
// the function Raw does, and what fails there is not seen by the pool.
func (p *proxy) Raw() driver.Conn {
	if p.ready(context.Background()) != nil {
		return nil
	}
	p.unseen = true
	return p.conn.Raw()
}

// use calls f with the driver's connection while nobody else does.
func (p *proxy) use(f func(driver.Conn) error) error {
	if err := p.ready(context.Background()); err != nil {
		return err
	}
	p.unseen = true // if f panics
	var err error
	none := p.do(context.Background(), func() error {
		if err = f(p.conn.Raw()); err != nil {
			p.judge(p.entry.backend.Classify(err), err)
		}
		return nil // for database/sql does not try again, so it says nothing of the other connections
	})
	if none != nil {
		return none // there was no call
	}
	return err
}

// do makes a call of the driver. Its error is the driver's own, unless there was no call.
func (p *proxy) do(ctx context.Context, call func() error) error { return p.run(ctx, true, call) }

// end is do for a call that ends something, and so must not be left out because others take
// their time.
func (p *proxy) end(call func() error) error { return p.run(context.Background(), false, call) }

// run is do, for somebody who waits as long as the pool's timeout says, or as long as it takes.
func (p *proxy) run(ctx context.Context, impatient bool, call func() error) error {
	if err := p.enter(ctx, impatient); err != nil {
		return err
	}
	defer p.leave()
	return p.note(call())
}

var errUnfinished = errors.New("manage: a call of the driver panicked or called runtime.Goexit")

// ready binds a proxy that database/sql uses without having called ResetSession.
func (p *proxy) ready(ctx context.Context) error {
	switch {
	case p.conn != nil:
		return nil
	case p.refusal != nil:
		return p.refusal
	case p.closed || !p.fresh:
		return errDone
	}
	waited, err := p.connector.owed.claim(ctx) // a DB with a limit has had it made by another goroutine
	if err != nil {
		return err
	}
	return p.bindAfter(ctx, inLine, waited)
}

// aCall is how long who may not wait in line waits for another's call on a shared connection to end. Arbitrary:
// longer than most; but it may be the call that this one is made from.
const aCall = time.Second

// enter waits until this holder may call the driver. Its partner is leave, to be deferred; in between, note
// is told how the call ended, or the connection is taken for one whose call did not.
func (p *proxy) enter(ctx context.Context, impatient bool) error {
	if p.conn == nil || p.entry.sharing == pool.Common || !p.guard.call.try() {
		if err := p.await(ctx, impatient); err != nil {
			return err
		}
	}
	if _, err := p.lease.Get(); err != nil {
		p.guard.call.unlock()
		p.giveTurn()
		return lost(err)
	}
	p.calling = true
	return nil
}

// await is enter for who has to bind the proxy first, to take the turn, or to wait for the end of another's call.
func (p *proxy) await(ctx context.Context, impatient bool) error {
	if err := p.ready(ctx); err != nil {
		return err
	}
	if err := p.takeTurn(ctx); err != nil {
		return err
	}
	patience := time.Duration(0)
	if impatient {
		patience = p.entry.patience
		if patience < 0 { // strategies.NoWait
			patience = aCall
		}
	}
	if err := p.guard.lock(ctx, &p.guard.call, patience); err != nil {
		p.giveTurn()
		if p.entry.sharing == pool.Exclusive || errors.Is(err, driver.ErrBadConn) {
			return err
		}
		return fmt.Errorf("manage: %v: another call is going on on the shared connection, perhaps the one that this is called from: %w", p.entry.key, err)
	}
	return nil
}

func (p *proxy) leave() {
	if p.calling {
		p.calling = false
		p.condemn(errUnfinished)
	}
	if p.turn || p.guard.due.Load() {
		p.settleCall()
		return
	}
	p.guard.call.unlock()
}

// settleCall is leave for who has the turn, or finds statements to reap.
func (p *proxy) settleCall() {
	returned, keep := false, false
	defer func() {
		if !returned {
			p.condemn(errUnfinished)
		}
		p.guard.call.unlock()
		if !keep {
			p.giveTurn()
		}
	}()
	if p.mayReap() && !p.guard.reap() {
		p.condemn(errUnfinished)
	}
	// A transaction may have been begun by a text: then the driver knows.
	keep = p.turn && !p.closing && (p.rows > 0 || p.conn.InTx())
	returned = true
}

// reap closes statements that are over. It does not wait: who calls the driver just now will do it, and
// may be the one who called this.
func (p *proxy) reap() {
	had := p.turn
	switch {
	case !p.guard.due.Load(), p.guard.closed.Load(), !p.mayReap() && !p.tryTurn():
	case p.guard.call.try():
		p.leave()
	case !had:
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
	if err := p.guard.lock(ctx, &p.guard.turn, patience); err != nil {
		if errors.Is(err, driver.ErrBadConn) {
			return err
		}
		return fmt.Errorf("manage: pool %s: another holder of the static connection has rows or a transaction open: close them first: %w",
			p.entry.pool.Name(), err)
	}
	p.turn = true
	return nil
}

// tryTurn is takeTurn for something that is left to others if they have it.
func (p *proxy) tryTurn() bool {
	if !p.turn {
		p.turn = p.guard.turn.try()
		return p.turn
	}
	return false // it has it, and rows are open
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
	p.calling = false
	if err == nil || err == driver.ErrSkip || err == driver.ErrRemoveArgument {
		return err
	}
	return p.noteError(err)
}

func (p *proxy) noteError(err error) error {
	fault := p.entry.backend.Classify(err)
	if errors.Is(err, driver.ErrBadConn) {
		// database/sql now tries again, twice, with what it thinks may be an
		// idle connection. After a restart of the server every idle one is as bad as this:
		// then only a new one keeps its promise.
		fault = pool.AllDead
	}
	p.judge(fault, err)
	return err
}

// judge remembers the worst that was said of the connection, of which pool.Full says nothing.
func (p *proxy) judge(fault pool.Fault, cause error) {
	if fault > p.fault && fault != pool.Full {
		p.fault, p.cause = fault, cause
	}
}

// condemn has the connection closed instead of kept when it is returned.
func (p *proxy) condemn(cause error) {
	p.judge(pool.Dead, cause)
}

// tidy ends a transaction left open on a common connection. The pool resets that only when
// its last holder returns, and the others would find themselves within the
// transaction.
func (p *proxy) tidy() {
	if !p.turn {
		return // whoever leaves something open has the turn
	}
	p.closing = true // from here on the turn is not kept
	if p.enter(context.Background(), false) != nil {
		return
	}
	defer p.leave()
	p.calling = false // a reset that does not return is seen by unbind
	if p.entry.settings.Reset == sqldriver.NoReset || !p.conn.InTx() {
		return
	}
	ctx, cancel := p.entry.resetContext()
	defer cancel()
	if err := p.entry.backend.Reset(ctx, p.conn); err != nil {
		p.condemn(err)
	}
}
