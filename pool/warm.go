package pool

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Warm returns nil once n resources are open, idle or lent, and has opened what is missing, as fast
// as Options.OpensAtOnce, OpenInterval and Backoff allow. Call it before traffic comes, so that the
// first callers need not wait, or to learn at once that the backend cannot be reached. To have so many
// idle all the time, without waiting for them, set Options.MinIdle. Resources that an Invalidate has
// outdated count, until they are replaced.
//
// Under FailWaiting the first open that fails ends it. Under KeepWaiting it goes on until ctx ends. The
// error is a *WarmError, which satisfies errors.Is for ErrClosed, the error of the open, or ctx's cause
// and the last error of an open. What has been opened stays, and opens that were asked for go
// on. It is an *OptionError if the strategy does not keep n open. It costs a look at every seat for each
// resource opened.
func (p *Pool[T]) Warm(ctx context.Context, n int) error {
	if n < 0 {
		return &OptionError{Pool: p.opts.Name, Field: "n of Warm", Value: n, Remedy: "give 1 or more, or 0 for none"}
	}
	before := p.lastFailed.Load()
	for {
		news := p.news.listen()
		inHand := p.seating.Stock(0) // first, lest what has just come to be open be missed in the other count
		usable, failed := p.countOpen(), p.lastFailed.Load()
		open := min(usable, inHand) // what has just been opened counts once the seating has it
		switch keep := p.Limits().kept(); {
		case keep != Unlimited && n > keep:
			return &OptionError{Pool: p.opts.Name, Field: "n of Warm", Value: n, Remedy: fmt.Sprintf("give %d at most, which is what the strategy keeps", keep)}
		case p.closed.Load() && n > 0:
			return p.cold(open, n, ErrClosed, nil)
		case open >= n:
			return nil
		case failed != before && p.opts.OnOpenFailure == FailWaiting:
			return p.cold(open, n, failed, nil)
		case ctx.Err() != nil:
			last := p.lastOpen.Load()
			if last == nil && failed != before {
				last = failed
			}
			return p.cold(open, n, context.Cause(ctx), last)
		}
		p.seating.Stock(n + max(0, inHand-usable)) // the seating takes for open also what is being closed
		select {
		case <-news:
		case <-ctx.Done():
		case <-p.life.Done():
		}
	}
}

// countOpen counts the resources that can be used.
func (p *Pool[T]) countOpen() (n int) {
	p.seats.all(func(r *record[T]) bool {
		switch r.state() {
		case idle, free, checking, leased, returning:
			n++
		}
		return true
	})
	return n
}

func (p *Pool[T]) cold(open, want int, err error, last *OpenError) error {
	e := &WarmError{Pool: p.opts.Name, Open: open, Want: want, Err: err}
	if last != nil {
		e.LastOpen = last
	}
	return e
}

// WarmError says why Warm ended too soon, and what was reached.
type WarmError struct {
	Pool     string
	Open     int   // how many were open
	Want     int   // how many should have been
	Err      error // why it ended: ctx's cause, ErrClosed, or the *OpenError of an open
	LastOpen error // if ctx ended it: the last *OpenError since it began; nil if there was none
}

func (e *WarmError) Error() string {
	var b strings.Builder
	why := strings.TrimPrefix(e.Err.Error(), "pool: ")
	if open, ok := errors.AsType[*OpenError](e.Err); ok {
		why = open.message()
	}
	fmt.Fprintf(&b, "%swarm-up ended with %d of %d open: %s", prefix(e.Pool), e.Open, e.Want, why)
	if open, ok := errors.AsType[*OpenError](e.LastOpen); ok {
		fmt.Fprintf(&b, "; last open error: %v", open.Err)
	}
	return b.String()
}

// Unwrap returns why it ended, and the last error of an open.
func (e *WarmError) Unwrap() []error {
	if e.LastOpen == nil {
		return []error{e.Err}
	}
	return []error{e.Err, e.LastOpen}
}
