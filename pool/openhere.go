package pool

import (
	"context"
	"time"
)

// openHere has the acquirer open a seat on its own goroutine, if there is one that it need not wait for. If done, the
// grant, or the error, is the answer to Acquire.
func (p *Pool[T]) openHere(ctx context.Context) (_ Grant, done bool, _ error) {
	s, ok := p.vacant.Vacant()
	if !ok {
		return Grant{}, false, nil
	}
	r := p.seats.ensure(p, s)
	p.live.add()
	o := &turn{seat: s, attempt: 1}
	if p.closed.Load() || !p.turns.take(o) {
		p.seating.Failed(s, nil, AnswerNobody) // there was none
		p.live.done()
		p.news.spread() // Warm may have counted on it
		return Grant{}, false, nil
	}
	r.move(opening)
	returned := false
	defer func() {
		if !returned { // Goexit goes on through here; the seat must not go with it
			_ = p.lostHere(r, o, p.openFailed(o.attempt, ErrGoexit))
		}
	}()
	res, err := p.openOnce(r, o)
	for ; err != nil; res, err = p.openOnce(r, o) {
		err = p.openFailed(o.attempt, err)
		if o.attempt >= p.opts.OpenAttempts || !p.retry(ctx, o) {
			break
		}
		o.attempt++
	}
	returned = true
	if err != nil {
		err = p.lostHere(r, o, err)
		return Grant{}, err != nil, err
	}
	if !p.vacant.Taken(s) {
		p.openDone(r, o, res, nil)
		return Grant{}, false, nil
	}
	p.lastOpen.Store(nil)
	p.turns.end(o, true)
	r.put(res)
	r.move(idle)
	p.upkeep.opened(res)
	p.news.spread()
	return Grant{Seat: s}, true, nil
}

// retry waits until the next attempt of an open that an acquirer makes has begun. It reports whether it has: not if
// ctx or the pool ends before.
func (p *Pool[T]) retry(ctx context.Context, o *turn) bool {
	for !p.closed.Load() {
		wait := p.turns.retry(o)
		if wait == 0 {
			return true
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-p.life.Done():
		case <-ctx.Done():
			t.Stop()
			return false
		}
		t.Stop()
	}
	return false
}

// spared reports whether an open that failed is not the answer to who made it, while its seat still counts as one
// that is being opened.
func (p *Pool[T]) spared(a Answer) bool {
	switch a {
	case AnswerNobody:
		return true
	case AnswerUnlessOpen:
		l := p.seating.Load()
		return l.Lent+l.Idle > 0
	case AnswerUnlessComing:
		l := p.seating.Load()
		return l.Lent+l.Idle+l.Opening > 1
	}
	return false
}

// lostHere is openHere after an open without a resource. It returns what is the answer to the acquirer too; nil if it
// is to stand in line.
func (p *Pool[T]) lostHere(r *record[T], o *turn, err error) error {
	defer p.news.spread()
	if r.before() {
		p.tell(onCheckin, p.event(r, nil))
	}
	r.move(empty)
	p.failed(o, err, func(s Seat, failure error, a Answer) {
		if p.closed.Load() || p.spared(a) {
			err = nil
		}
		p.seating.Failed(s, failure, a)
	})
	p.live.done()
	p.upkeep.opened(nil)
	return err
}
