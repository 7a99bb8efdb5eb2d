package pool

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// grace is how long after its deadline an open may return before it counts as one that
// ignores its ctx. Arbitrary: enough for a goroutine to be scheduled on a busy machine.
const grace = 100 * time.Millisecond

var errOverdue = errors.New("pool: did not return in time")

// Open implements Host. What is in the seat, if the seating was given it by Replace, is closed
// first, or there would be more open than seats.
func (h host[T]) Open(s Seat) {
	p := h.Pool
	r := p.seats.ensure(p, s)
	old := r.own.Load()
	if old == nil {
		r.move(opening)
		p.live.add()
		p.turns.ask(&turn{seat: s, attempt: 1})
		return
	}
	go p.closeOld(r, old)
}

// AtOnce implements Host.
func (h host[T]) AtOnce() int { return h.turns.limit }

// closeOld closes what is in a seat that is to be opened.
func (p *Pool[T]) closeOld(r *record[T], old *hold[T]) {
	open := func() {
		r.clear()
		p.turns.ask(&turn{seat: r.seat, attempt: 1})
	}
	why := old.extra()
	e := p.sendClose(r, old, why.reason, why.cause, false)
	if e == nil || e.within(context.Background(), p.opts.CloseTimeout) {
		open()
		return
	}
	if p.mayAbandon(old) {
		p.live.add() // the seat, beside the close
		p.abandon(e)
		open()
		return
	}
	to := AnswerUnlessOpen // the backend may be well: others can be returned
	if p.opts.OnOpenFailure == KeepWaiting {
		to = AnswerNobody
	}
	p.seating.Overdue(r.seat, p.openFailed(1, errOldOverdue), to)
	p.adopt(e, func() {
		r.clear()
		p.giveBackEmpty(r)
	})
}

var errOldOverdue = errors.New("pool: the resource to be replaced was not closed within Options.CloseTimeout")

// open is the opener: it opens a resource for a seat that the seating gave it, and
// hands the seat back. It runs on a goroutine of the pool's, so that the fate of the
// acquirer who asked for it does not matter to it.
func (p *Pool[T]) open(o *turn) {
	r := p.seats.at(o.seat)
	r.move(empty) // the seating's, if it says so
	if !p.closed.Load() && !p.seating.Begin(o.seat) {
		p.turns.skip(o)
		p.live.done()
		p.news.spread()
		return
	}
	r.move(opening)
	o.watch.ring = func() { p.openOverdue(o) }
	p.opens.add(&o.watch)
	var res *hold[T]
	err := ErrGoexit // unless Backend.Open comes back
	defer func() { p.openDone(r, o, res, err) }()
	if p.closed.Load() {
		err = ErrClosed
		return
	}
	res, err = p.openOnce(r, o)
}

// openOverdue says of an open that it does not heed its ctx.
func (p *Pool[T]) openOverdue(o *turn) {
	o.outcome.miss(func() {
		p.logError("open is overdue: its seat stays taken until it returns", nil, "seat", o.seat)
		p.counts.overdue.Add(1)
		p.counts.stuck.Add(1)
		p.failed(o, p.openFailed(o.attempt, errOverdue), p.seating.Overdue)
		p.news.spread()
	})
}

// openDone hands the seat back to the seating with what came of the open.
func (p *Pool[T]) openDone(r *record[T], o *turn, res *hold[T], err error) {
	p.opens.remove(&o.watch)
	o.watch.ring = nil // who keeps the ctx of the open keeps the turn, and need not keep the pool
	inTime := o.outcome.end()
	if !inTime {
		p.counts.stuck.Add(-1)
	}
	defer p.news.spread()
	if err != nil {
		p.openLost(r, o, inTime, err)
		return
	}
	p.lastOpen.Store(nil)
	p.turns.end(o, true)
	r.put(res)
	r.move(idle)
	switch {
	case !inTime:
		p.hand(r, res)
	case !p.seating.Opened(r.seat):
		p.vacate(context.Background(), r, ReasonUnwanted, nil)
	case p.disposed(res):
		p.sweep(r)
	}
	p.upkeep.opened(res)
}

// openLost is openDone after an open without a resource.
func (p *Pool[T]) openLost(r *record[T], o *turn, inTime bool, err error) {
	if err != ErrClosed {
		err = p.openFailed(o.attempt, err)
		if inTime && o.attempt < p.opts.OpenAttempts {
			p.turns.again(o)
			return
		}
	}
	if r.before() {
		p.tell(onCheckin, p.event(r, nil))
	}
	r.move(empty)
	if inTime {
		p.failed(o, err, p.seating.Failed)
	} else {
		p.turns.end(o, false)
		p.seating.Release(r.seat, false)
	}
	p.live.done()
	p.upkeep.opened(nil)
}

// failed counts an open that has failed, and gives those in line their answer. One after the
// other: of several that take all their time together the last to be counted is the last to answer, and so the one
// that says it to all.
func (p *Pool[T]) failed(o *turn, err error, tell func(Seat, error, Answer)) {
	full := p.opts.OnOpenFailure != KeepWaiting && p.full(err) // not under the lock, since it asks the backend
	p.failing.Lock()
	defer p.failing.Unlock()
	if e, ok := err.(*OpenError); ok { // else the pool is closed
		p.lastFailed.Store(e)
	}
	tell(o.seat, err, p.answer(p.turns.end(o, false), full))
}

// answer says to whom a failed open is the answer, the last of so many failures in a row.
func (p *Pool[T]) answer(failures int, full bool) Answer {
	switch {
	case p.closed.Load():
		return AnswerAll
	case p.opts.OnOpenFailure == KeepWaiting:
		return AnswerNobody
	case full && failures == 1:
		return AnswerUnlessComing // what was under way with it may have got the last room
	case full:
		return AnswerUnlessOpen
	case failures > 1:
		return AnswerAll
	}
	return AnswerOne // it may have been a single mishap, and the next one is soon
}

// outcome decides whether an open has ended in time. Its lock is held while the seating
// is told that it has not, so that this cannot come after the end.
type outcome struct {
	mu            sync.Mutex
	ended, missed bool
}

// miss tells that the open has not ended, if it has not.
func (o *outcome) miss(tell func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.ended {
		o.missed = true
		tell()
	}
}

// end reports whether the open ended in time.
func (o *outcome) end() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = true
	return !o.missed
}

func (p *Pool[T]) openFailed(attempt int, err error) error {
	p.counts.openFailures.Add(1)
	p.logDebug("open failed", nil, "attempt", attempt, "err", err)
	failure := &OpenError{Pool: p.opts.Name, Attempts: attempt, Err: err}
	p.lastOpen.Store(failure)
	return failure
}

func (p *Pool[T]) openOnce(r *record[T], o *turn) (*hold[T], error) {
	ctx := p.life
	if p.opts.OpenTimeout != Inline {
		o.term.parent, o.term.end = ctx, p.start.Add(plus(p.now(), p.opts.OpenTimeout))
		defer o.term.finish()
		ctx = &o.term
	}
	// The epoch is read before the open: an Invalidate that comes during it means this
	// resource too.
	res := &hold[T]{rec: r}
	res.word.v.Store(uint64(opening))
	res.fit.Store(epochOf(p.gate.Load()))
	opened := false
	p.census.add(res.epoch())
	defer func() {
		if !opened {
			p.census.remove(res.epoch())
		}
	}()
	ctx, err := p.beforeOpen(ctx, r)
	if err != nil {
		return nil, err
	}
	err = inline("Backend.Open", func() (err error) {
		res.value, err = p.backend.Open(ctx)
		return err
	})
	if err != nil {
		if ctx.Err() == context.DeadlineExceeded && errors.Is(err, context.DeadlineExceeded) { // not a caller's
			err = fmt.Errorf("not done within OpenTimeout, %v: %w", p.opts.OpenTimeout, err)
		}
		return nil, err
	}
	opened = true
	res.id = p.nextID.Add(1)
	res.openedAt = p.now()
	if p.opts.PingAfter > 0 {
		res.extra().idleAt = res.openedAt
	}
	p.counts.opened.Add(1)
	p.logDebug("opened", res)
	if err := p.connected(ctx, r, res); err != nil {
		e := p.sendClose(r, res, ReasonOpenHook, err, false)
		switch {
		case e == nil || e.within(context.Background(), p.opts.CloseTimeout):
		case p.mayAbandon(res):
			p.live.add() // the seat, beside the close
			p.abandon(e)
		default:
			<-e.news
		}
		return nil, err
	}
	return res, nil
}

// beforeOpen runs the hooks before an open, each with the ctx of the one before.
func (p *Pool[T]) beforeOpen(ctx context.Context, r *record[T]) (context.Context, error) {
	for i := range p.hooks {
		f := p.hooks[i].BeforeOpen
		if f == nil {
			continue
		}
		var next context.Context
		err := isolate("before_open hook", func() (err error) {
			next, err = f(ctx, p.event(r, nil))
			return err
		})
		if err != nil {
			return ctx, err
		}
		if next != nil {
			ctx = next
		}
	}
	return ctx, nil
}

// connected runs the connect hooks.
func (p *Pool[T]) connected(ctx context.Context, r *record[T], res *hold[T]) error {
	if len(p.on[onFirstConnect]) > 0 {
		err := p.first.once(ctx, func() error {
			return isolate("first_connect hook", func() error { return p.on.fire(ctx, onFirstConnect, p.event(r, res)) })
		})
		if err != nil {
			return err
		}
	}
	if len(p.on[onConnect]) > 0 {
		return isolate("connect hook", func() error { return p.on.fire(ctx, onConnect, p.event(r, res)) })
	}
	return nil
}
