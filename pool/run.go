package pool

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// errand is a call of somebody else's code on a goroutine of its own: only so can the
// pool go on when the call hangs, panics or calls runtime.Goexit. One at a time may wait for it.
type errand struct {
	op   string
	f    func() error
	news chan struct{} // of capacity 1: it has ended, or is late

	err   error // valid once it has ended
	watch watch

	mu    sync.Mutex
	ended bool
	after func()
}

// send starts f. op names it in the error if it panics.
func send(op string, f func() error) *errand {
	e := &errand{op: op, f: f, news: make(chan struct{}, 1), err: ErrGoexit} // unless f comes back
	go e.run()
	return e
}

func (e *errand) run() {
	defer e.end()
	defer recoverInto(&e.err, e.op)
	e.err = e.f()
}

func (e *errand) end() {
	e.mu.Lock()
	e.ended = true
	f := e.after
	e.mu.Unlock()
	e.tell()
	if f != nil {
		f()
	}
}

// tell wakes who waits.
func (e *errand) tell() {
	select {
	case e.news <- struct{}{}:
	default:
	}
}

func (e *errand) over() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.ended
}

// then has the errand's own goroutine go on with f, so that none has to wait for it. If it has
// ended, another does: the caller may have no time for f. It is said once.
func (e *errand) then(f func()) {
	e.mu.Lock()
	ended := e.ended
	if !ended {
		e.after = f
	}
	e.mu.Unlock()
	if ended {
		go f()
	}
}

// isolate runs f to its end, and turns a panic or Goexit into an error.
func isolate(op string, f func() error) error {
	e := send(op, f)
	<-e.news
	return e.err
}

// inline runs f on this goroutine. Goexit passes through.
func inline(op string, f func() error) (err error) {
	defer recoverInto(&err, op)
	return f()
}

// within waits for the errand until ctx ends, for at most d, and reports whether it has
// ended.
func (e *errand) within(ctx context.Context, d time.Duration) bool {
	if d == Inline {
		return e.wait(ctx, nil)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	return e.wait(ctx, t.C)
}

// inTime is within for the time of an alarm, at a fraction of the cost; nil: for any time.
func (e *errand) inTime(ctx context.Context, a *alarm) bool {
	if a == nil {
		return e.wait(ctx, nil)
	}
	e.watch.ring = e.tell
	a.add(&e.watch)
	defer a.remove(&e.watch)
	return e.wait(ctx, nil)
}

func (e *errand) wait(ctx context.Context, late <-chan time.Time) (ended bool) {
	select {
	case <-e.news:
	case <-late:
	case <-ctx.Done():
	}
	return e.over()
}

// deadline is the ctx of a call that the pool makes on its own account: it carries parent's
// values and the bound d, but not parent's end.
func deadline(parent context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if parent != context.Background() {
		parent = context.WithoutCancel(parent)
	}
	if d == Inline {
		return parent, func() {}
	}
	t := &term{parent: parent, end: time.Now().Add(d)}
	return t, t.finish
}

// plus adds two bounds, of which one may be as good as none.
func plus(a, b time.Duration) time.Duration {
	if sum := a + b; sum >= a {
		return sum
	}
	return 1<<63 - 1
}

// gate lets one at a time through, and nobody any more once what it guards is done. It is
// a channel because its holder does I/O, and whoever waits for it must be seen to wait.
type gate struct {
	turn chan struct{}
	done chan struct{}
}

func newGate() gate { return gate{turn: make(chan struct{}, 1), done: make(chan struct{})} }

// once runs f unless it has succeeded before. Others wait meanwhile, until their ctx ends.
func (g gate) once(ctx context.Context, f func() error) error {
	select {
	case <-g.done:
		return nil
	default:
	}
	select {
	case <-g.done:
		return nil
	case g.turn <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-g.turn }()
	select {
	case <-g.done: // while this one waited for its turn
		return nil
	default:
	}
	if err := f(); err != nil {
		return err
	}
	close(g.done)
	return nil
}

// tally counts what is still alive, so that Shutdown can wait for it.
type tally struct {
	mu     sync.Mutex
	n      int
	others int // who are not counted, but waited for
	ending bool
	zero   chan struct{} // closed when n is 0 and the pool is ending
}

func (t *tally) add() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n++
}

func (t *tally) done() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n--
	t.check()
}

// hold and drop are add and done for those who are waited for, but do not count.
func (t *tally) hold() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.others++
}

func (t *tally) drop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.others--
	t.check()
}

// finish says that nothing will be added once n is 0.
func (t *tally) finish() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ending = true
	t.check()
	return t.zero
}

func (t *tally) check() {
	if !t.ending || t.n+t.others > 0 {
		return
	}
	select {
	case <-t.zero:
	default:
		close(t.zero)
	}
}

// left is how many are still alive.
func (t *tally) left() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.n
}

// news tells whoever listens that something has changed: an open has ended, well or not, or is
// not needed any more; a seat has come back; the pool was resized or goes on. Who waits for
// something listens first and looks afterwards.
type news struct {
	next atomic.Pointer[chan struct{}] // nil: nobody listens
}

// listen returns a channel that is closed at the next news.
func (n *news) listen() <-chan struct{} {
	for {
		if c := n.next.Load(); c != nil {
			return *c
		}
		c := make(chan struct{})
		n.next.CompareAndSwap(nil, &c)
	}
}

// spread costs one load while nobody listens.
func (n *news) spread() {
	if n.next.Load() == nil {
		return
	}
	if c := n.next.Swap(nil); c != nil {
		close(*c)
	}
}
