package pool

import (
	"context"
	"errors"
	"sync"
	"time"
)

// grace is how long after its deadline an open may return before it counts as one that
// ignores its ctx. Arbitrary: enough for a goroutine to be scheduled on a busy machine.
const grace = 100 * time.Millisecond

var errOverdue = errors.New("pool: did not return in time")

// open is the opener: it opens a resource for a seat that the seating gave it, and
// hands the seat back. It runs on a goroutine of the pool's, so that the fate of the
// acquirer who asked for it does not matter to it.
func (p *Pool[T]) open(r *record[T]) {
	w := &watch{}
	w.timer = time.AfterFunc(plus(p.opts.OpenTimeout, grace), func() {
		w.expire(func() {
			p.logError("open is overdue: its seat stays taken until it returns", nil, "seat", r.seat)
			p.counts.overdue.Add(1)
			p.counts.stuck.Add(1)
			p.seating.Overdue(r.seat, p.openFailed(1, errOverdue))
		})
	})
	if old := r.own.Load(); old != nil { // the seating was given it by Replace
		// The old one must be closed before another is opened in its place, or
		// there would be more open than seats.
		if p.opts.CloseTimeout != Inline {
			w.more(p.opts.CloseTimeout)
		}
		why := old.extra()
		if e := p.sendClose(r, old, why.reason, why.cause, false); e != nil {
			<-e.done
		}
		r.clear()
	}
	var res *hold[T]
	err := ErrGoexit // unless Backend.Open comes back
	defer func() { p.openDone(r, w, res, err) }()
	res, err = p.openResource(r, w)
}

// openDone hands the seat back to the seating with what came of the open.
func (p *Pool[T]) openDone(r *record[T], w *watch, res *hold[T], err error) {
	inTime := w.end()
	if !inTime {
		p.counts.stuck.Add(-1)
	}
	if err != nil {
		if err == ErrGoexit {
			err = p.openFailed(1, err)
		}
		if r.before() {
			p.tell(onCheckin, p.event(r, nil))
		}
		r.move(empty)
		p.live.done()
		if inTime {
			p.seating.Opened(r.seat, err)
		} else {
			p.seating.Release(r.seat, false)
		}
		return
	}
	r.put(res)
	r.move(idle)
	switch {
	case !inTime:
		p.hand(r, res)
	case !p.seating.Opened(r.seat, nil):
		p.vacate(context.Background(), r, ReasonUnwanted, nil)
	case p.disposed(res):
		p.sweep(r)
	}
}

// watch decides whether an open has ended in time. Its lock is held while the seating
// is told that it has not, so that this cannot come after the end.
type watch struct {
	timer *time.Timer

	mu            sync.Mutex
	ended, missed bool
}

// more gives the open d from now on, for its next step.
func (w *watch) more(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.missed {
		w.timer.Reset(plus(d, grace))
	}
}

func (w *watch) expire(tell func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.ended && !w.missed {
		w.missed = true
		tell()
	}
}

// end reports whether the open ended in time.
func (w *watch) end() bool {
	w.timer.Stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	return !w.missed
}

// openResource opens a resource, in as many attempts as the options allow.
func (p *Pool[T]) openResource(r *record[T], w *watch) (*hold[T], error) {
	for attempt := 1; ; attempt++ {
		w.more(p.opts.OpenTimeout)
		if p.closed.Load() {
			return nil, ErrClosed
		}
		res, err := p.openOnce(r)
		if err == nil {
			p.lastOpen.Store(nil)
			return res, nil
		}
		failure := p.openFailed(attempt, err)
		if attempt == p.opts.OpenAttempts {
			return nil, failure
		}
	}
}

func (p *Pool[T]) openFailed(attempt int, err error) error {
	p.counts.openFailures.Add(1)
	p.logDebug("open failed", nil, "attempt", attempt, "err", err)
	failure := &OpenError{Pool: p.opts.Name, Attempts: attempt, Err: err}
	p.lastOpen.Store(failure)
	return failure
}

func (p *Pool[T]) openOnce(r *record[T]) (*hold[T], error) {
	ctx, cancel := context.WithTimeout(p.life, p.opts.OpenTimeout)
	defer cancel()
	// The epoch is read before the open: an Invalidate that comes during it means this
	// resource too.
	res := &hold[T]{rec: r}
	res.word.v.Store(uint64(opening))
	res.fit.Store(epochOf(p.gate.Load()))
	err := inline("Backend.Open", func() (err error) {
		res.value, err = p.backend.Open(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	res.id = p.nextID.Add(1)
	res.openedAt = p.now()
	if p.opts.PingAfter > 0 {
		res.extra().idleAt = res.openedAt
	}
	p.counts.opened.Add(1)
	p.logDebug("opened", res)
	if err := p.connected(ctx, r, res); err != nil {
		if e := p.sendClose(r, res, ReasonOpenHook, err, false); e != nil {
			<-e.done
		}
		return nil, err
	}
	return res, nil
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
