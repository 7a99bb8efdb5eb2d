package manage

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/internal/goid"
	"github.com/lidopool/lido/pool"
)

// How an *sql.DB gets its connections from a pool without leaving its own fast ways.
//
// database/sql keeps proxies in its free list as if they were connections. It calls
// ResetSession when it takes one out, and IsValid before it puts one back: there the proxy
// leases a connection from the pool and gives it back. So the pool sees every use, its
// waiters stand in its own line, what nobody uses is idle in the pool and not in the *sql.DB,
// and several of them, and Manager.Connect, share it. There may be more proxies than connections:
// one for each goroutine that uses or waits for a connection. Only if none is in the free list does
// database/sql call Connect.
//
// database/sql must not limit proxies, or its line, which serves at random, comes before the
// pool's.

// maxIdleProxies is how many proxies an *sql.DB keeps. Each is about 400 bytes. Arbitrary: as
// many goroutines as seldom use one database at a time; those above pay about 1 µs for a new one.
const maxIdleProxies = 1024

// bind leases a connection for p, as connector.lease does.
func (p *proxy) bind(ctx context.Context, w wait) error {
	l, e, err := p.connector.lease(ctx, w)
	if err != nil {
		return err
	}
	c, err := l.Get()
	if err != nil {
		_ = l.Release() // it counts until then, even of a resource that another holder has discarded
		return lost(err)
	}
	g := guardOf(c)
	if p.made && g.offer != p.offer {
		_ = l.Release()
		return errOffer
	}
	p.bindTo(e, l, c, g)
	return nil
}

// bindTo has p stand for a connection that was leased.
func (p *proxy) bindTo(e *entry, l pool.Lease[*sqldriver.Conn], c *sqldriver.Conn, g *guard) {
	p.lease, p.conn = l, c
	if p.guard != g { // seldom, and a pointer that is not written costs nothing while the collector marks
		p.entry, p.guard = e, g
	}
	p.sound, p.unseen, p.closing, p.forget = false, false, false, false
	if p.fault != pool.Sound {
		p.fault, p.cause = pool.Sound, nil
	}
}

// errOffer is for a driver whose connections have not all the same interfaces. database/sql gives the
// proxy up, and Connect makes one for whatever connection it gets.
var errOffer = fmt.Errorf("manage: the connection has other interfaces than the one before: %w", driver.ErrBadConn)

// unbind gives the connection back.
func (p *proxy) unbind() {
	if p.refusal != nil {
		p.refusal = nil
	}
	if p.conn == nil {
		return
	}
	returned, clean := false, false
	defer func() {
		if !returned { // a panic of the driver goes on through here; the lease must not go with it
			p.condemn(errUnfinished)
		}
		p.giveBack(clean)
	}()
	if len(p.stmts) > 0 || p.streams > 0 || p.forget || p.turn || p.guard.due.Load() {
		p.clearUp()
	}
	clean = p.clean()
	returned = true
}

// clearUp ends what its holder has left on the connection, but for what a reset ends.
func (p *proxy) clearUp() {
	if len(p.stmts) > 0 {
		p.lockStmts()
		for _, s := range p.stmts {
			p.guard.give(s.own)
			s.own = nil
		}
		clear(p.stmts)
		p.stmts = p.stmts[:0]
		p.unlockStmts()
	}
	if p.streams > 0 {
		p.streams = 0
		p.condemn(errStreaming)
	}
	if p.forget {
		p.guard.drop()
	}
	if p.turn {
		p.tidy()
	}
	p.reap()
}

// clean reports whether there is nothing to reset, as far as this holder knows. Of a shared connection it looks
// while nobody calls the driver; if somebody does just now, nobody knows. The others look when they return: so
// the pool need reset it only if one of them found something.
func (p *proxy) clean() bool {
	cleaner := p.entry.cleaner
	switch {
	case cleaner == nil, p.fault != pool.Sound:
		return false
	case p.entry.sharing == pool.Exclusive:
		return cleaner.Clean(p.conn)
	case !p.guard.call.try():
		return false
	}
	defer p.guard.call.unlock()
	return !p.guard.closed.Load() && cleaner.Clean(p.conn)
}

// cleaner is a backend that knows whether there is nothing to reset.
type cleaner interface{ Clean(*sqldriver.Conn) bool }

// giveBack ends the lease.
func (p *proxy) giveBack(clean bool) {
	if p.turn {
		p.giveTurn()
	}
	p.conn = nil
	switch {
	case p.fault != pool.Sound, p.unseen && !p.sound, p.spoilt.Load():
		p.giveUp()
	case clean:
		_ = p.lease.ReleaseClean()
	default:
		_ = p.lease.Release()
	}
	// The verbs fail only for a lease that has ended, which the pool has logged.
}

// giveUp ends the lease of a connection that is not to be lent again.
func (p *proxy) giveUp() {
	switch p.fault {
	case pool.AllDead:
		_ = p.lease.Fail(fmt.Errorf("%w: %w", pool.ErrInvalidatePool, p.cause))
	case pool.Dead:
		_ = p.lease.Discard(p.cause)
	default:
		_ = p.lease.Discard(driver.ErrBadConn)
	}
}

// ResetSession implements driver.SessionResetter. database/sql calls it when it takes the proxy
// out of its free list.
func (p *proxy) ResetSession(ctx context.Context) error {
	p.fresh = false
	switch {
	case p.closed:
		return driver.ErrBadConn
	case p.conn != nil:
		return nil
	}
	waited, err := p.connector.owed.claim(ctx) // from another proxy: there may be one more before Connect is called
	if err == nil {
		err = p.bindLocked(ctx, waited)
	}
	if err != nil {
		return p.refuse(ctx, err, waited)
	}
	return nil
}

// bindLocked is bind for ResetSession. database/sql has locked the proxy, and waits for that lock when it forgets a statement
// prepared on it, maybe for the one whose connection this waits for. So a proxy that was ever prepared on waits only while
// others are served; and not at all where whoever waits for a lock keeps the clock from going on.
func (p *proxy) bindLocked(ctx context.Context, waited time.Duration) error {
	switch {
	case !p.preparedOn:
		return p.bindAfter(ctx, inLine, waited)
	case waited > 0 || p.connector.entry.Load().bubble:
		return p.bindAfter(ctx, never, waited)
	}
	return p.bind(ctx, whileMoving)
}

// bindAfter is bind for who may have waited already.
func (p *proxy) bindAfter(ctx context.Context, w wait, waited time.Duration) error {
	if waited == 0 {
		return p.bind(ctx, w)
	}
	return p.bindLate(ctx, w, waited)
}

// bindLate is bindAfter for who has. What it waited counts for the pool's timeout, and in the error.
func (p *proxy) bindLate(ctx context.Context, w wait, waited time.Duration) error {
	if patience := p.connector.entry.Load().patience; patience > 0 {
		limited, cancel := context.WithTimeoutCause(ctx, patience-waited, pool.ErrTimeout)
		defer cancel()
		ctx = limited
	}
	err := p.bind(ctx, w)
	if a, ok := errors.AsType[*pool.AcquireError](err); ok {
		a.Waited += waited
	}
	return err
}

// refuse is ResetSession when no connection could be had, by somebody who had waited for another proxy before.
func (p *proxy) refuse(ctx context.Context, err error, waited time.Duration) error {
	switch {
	case errors.Is(err, driver.ErrBadConn):
		return err // database/sql tries another proxy, or a new one
	case p.preparedOn && (errors.Is(err, pool.ErrExhausted) || errors.Is(err, pool.ErrSuspended)):
		if a, ok := errors.AsType[*pool.AcquireError](err); ok {
			waited = a.Waited // which counts that too, see bindLate
		}
		if waited > 0 {
			p.connector.owed.note(ctx, debt{waited: waited})
		}
		return driver.ErrBadConn
	case mustAnswerNow(p.offer&pings != 0):
		if a, ok := ctx.Value(answerKey{}).(*answer); ok {
			a.err = err
		}
		p.connector.owed.note(ctx, debt{err: err})
		return driver.ErrBadConn
	}
	// database/sql heeds no error but driver.ErrBadConn here. It goes on to what it wants the
	// connection for, and that fails.
	p.refusal = err
	return nil
}

// IsValid implements driver.Validator. database/sql calls it before it puts the proxy into its
// free list, and not when it has met driver.ErrBadConn: by that, unbind learns of what the
// proxy does not see.
func (p *proxy) IsValid() bool {
	if p.pinned {
		return false // its connection is closed, or it would not be put back
	}
	if p.conn != nil {
		p.fresh = false // it was used
	}
	p.sound = true
	p.unbind()
	return !p.closed
}

// Close returns the connection to the pool, for good. A second Close does nothing.
func (p *proxy) Close() error {
	if p.pinned {
		p.spoilt.Store(true) // the last holder gives it back
		return nil
	}
	p.unbind()
	p.closed, p.guard = true, nil
	return nil
}

// pings is the bit of driver.Pinger, see offerOf.
const pings offer = 1

// mustAnswerNow reports whether database/sql is about to use the connection for nothing that
// could fail: for DB.Conn, and DB.Ping of a driver that has none. It is asked only when no
// connection could be had.
//
// It looks at the stack, because nothing else tells: should a later database/sql be built
// otherwise, DB.Conn would give out a Conn of which every use fails.
func mustAnswerNow(pings bool) bool {
	const conn, ping = "database/sql.(*DB).Conn", "database/sql.(*DB).PingContext"
	by := calledBy(32, conn, ping)
	return by == conn || by == ping && !pings
}

// calledBy is the innermost of some functions that is among the depth nearest on the stack, the caller's
// excluded; empty if none is. database/sql needs 6, and 1 to get to Connect; the rest is for
// wrappers.
func calledBy(depth int, names ...string) string {
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:depth])])
	for {
		f, more := frames.Next()
		if slices.Contains(names, f.Function) {
			return f.Function
		}
		if !more {
			return ""
		}
	}
}

// owed is what ResetSession had to hide behind driver.ErrBadConn. database/sql calls
// it again at once, or Connect, on the same goroutine with the same ctx: there it comes out.
type owed struct {
	n        atomic.Int64 // 0 nearly always, so that claim costs nothing
	byCaller sync.Map     // of goid.ID, *debt
}

type debt struct {
	err    error         // the answer, or
	waited time.Duration // for so long it stood in a line that came to stand still

	ctx    context.Context
	since  time.Time
	cancel func() bool // of what forgets it
}

// atOnce is how late a debt may be claimed. Where DB.Conn gives up before it has called Connect (SetMaxOpenConns
// and SetConnMaxLifetime can make it), what is left must not be the answer to another call. Arbitrary: much
// longer than database/sql takes.
const atOnce = time.Second

// note leaves a debt for the next claim of this goroutine. If ctx has ended, database/sql answers
// with that by itself. (And tells nothing of the pool's load: whoever wants to know puts an
// *answer into ctx.)
func (o *owed) note(ctx context.Context, owes debt) {
	if ctx.Err() != nil {
		return
	}
	me := goid.Current()
	o.take(me)
	d := &owes
	d.ctx, d.since = ctx, time.Now()
	o.byCaller.Store(me, d)
	o.n.Add(1)
	d.cancel = time.AfterFunc(atOnce, func() { // nobody has claimed it, and the goroutine may be gone
		if o.byCaller.CompareAndDelete(me, d) {
			o.n.Add(-1)
		}
	}).Stop
}

// claim is what is left for this goroutine and ctx: an error, or how long it has waited.
func (o *owed) claim(ctx context.Context) (time.Duration, error) {
	if o.n.Load() == 0 {
		return 0, nil
	}
	if d := o.take(goid.Current()); d != nil && same(d.ctx, ctx) && time.Since(d.since) < atOnce {
		return d.waited, d.err
	}
	return 0, nil
}

// take removes what is left for a goroutine, which is the caller's own.
func (o *owed) take(me goid.ID) *debt {
	d, ok := o.byCaller.LoadAndDelete(me)
	if !ok {
		return nil
	}
	o.n.Add(-1)
	d.(*debt).cancel()
	return d.(*debt)
}

// answer is for a caller of DB.Conn who wants to know why there is none, also if ctx has ended.
type answer struct{ err error }

type answerKey struct{}
