package load_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lidopool/lido/bench/internal/load"
)

// A fake is a pool of n resources in a channel, which serves who waits first come, first served,
// and whose resources take as long as its test says.
type fake struct {
	conns   chan *conn
	use     func(write bool) time.Duration  // how long a use takes. nil: no time
	visit   func(ctx context.Context) error // before an acquire. nil: nothing
	useFail func() error
	inUse   atomic.Int64
	waiting atomic.Int64

	mu     sync.Mutex
	reads  int
	writes int
	depths map[int]int // how often it was acquired within so many others
	stays  []stay
}

// A stay is a visit, as the pool itself sees it.
type stay struct{ came, entered, left time.Time }

// within is for how long a part of each stay, from one moment to another, lay in the window, in all.
func (f *fake) within(from, to time.Time, part func(stay) (begin, end time.Time)) (sum time.Duration) {
	for _, s := range f.stays {
		begin, end := part(s)
		if begin.Before(from) {
			begin = from
		}
		if end.After(to) {
			end = to
		}
		sum += max(end.Sub(begin), 0)
	}
	return sum
}

func waited(s stay) (begin, end time.Time) { return s.came, s.entered }
func used(s stay) (begin, end time.Time)   { return s.entered, s.left }

type conn struct{ f *fake }

var (
	errRefused = errors.New("refused")
	errUse     = errors.New("broken")
)

func newFake(n int) *fake {
	f := &fake{conns: make(chan *conn, n), depths: map[int]int{}}
	for range n {
		f.conns <- &conn{f}
	}
	return f
}

func (c *conn) Use(ctx context.Context, write bool) error {
	f := c.f
	var takes time.Duration
	if f.use != nil {
		takes = f.use(write)
	}
	f.mu.Lock()
	if write {
		f.writes++
	} else {
		f.reads++
	}
	f.mu.Unlock()
	if takes > 0 {
		time.Sleep(takes)
	}
	if f.useFail != nil {
		return f.useFail()
	}
	return ctx.Err()
}

func (f *fake) Cycle(ctx context.Context, n int) error {
	for range n {
		select {
		case c := <-f.conns:
			f.conns <- c
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

type depthKey struct{}

func (f *fake) Visit(ctx context.Context, during func(context.Context, load.Conn) error) error {
	if f.visit != nil {
		if err := f.visit(ctx); err != nil {
			return err
		}
	}
	came := time.Now()
	f.waiting.Add(1)
	var c *conn
	select {
	case c = <-f.conns:
		f.waiting.Add(-1)
	case <-ctx.Done():
		f.waiting.Add(-1)
		return context.Cause(ctx)
	}
	f.inUse.Add(1)
	entered := time.Now()
	depth, _ := ctx.Value(depthKey{}).(int)
	err := during(context.WithValue(ctx, depthKey{}, depth+1), c) // ctx as it is: a pool that passes it on
	f.inUse.Add(-1)
	f.mu.Lock()
	f.depths[depth]++
	f.stays = append(f.stays, stay{came, entered, time.Now()})
	f.mu.Unlock()
	f.conns <- c
	return err
}

func (f *fake) Kind(err error) string {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.Is(err, errRefused):
		return "refused"
	case errors.Is(err, errUse):
		return "use failed"
	}
	return "other"
}

func (f *fake) Gauges() load.Gauges {
	return load.Gauges{Open: cap(f.conns), Peak: cap(f.conns), Opened: uint64(cap(f.conns)),
		InUse: int(f.inUse.Load()), Waiting: int(f.waiting.Load()), Sessions: -1}
}

func (f *fake) Close(context.Context) error { return nil }
