package pool_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

// What most tests of this package speak of.
type (
	res       = *pooltest.Resource
	testPool  = pool.Pool[res]
	testLease = pool.Lease[res]
)

var (
	errTest = errors.New("test: something is wrong")
	one     = strategies.Queue{Size: 1}
	two     = strategies.Queue{Size: 2}
)

// open makes a pool. When the test ends it closes the pool and asserts that nothing is left of it.
func open(t testing.TB, f *pooltest.Fake, s pool.Strategy, o pool.Options, hooks ...pool.Hooks[res]) *testPool {
	t.Helper()
	p, err := pool.New[res](f, s, o, hooks...)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(func() { closeUp(t, f, p) })
	return p
}

// closeUp ends a pool that may have leases out and asserts that it ends in order.
func closeUp(t testing.TB, f *pooltest.Fake, p *testPool) {
	t.Helper()
	f.AllowForcedClose()
	if err := p.Close(); err != nil {
		t.Errorf("Close: %v, want nil", err)
	}
	atRest(t, p)
	f.Verify(t)
}

// atRest asserts that a pool has nothing under way and that its counters say so.
func atRest(t testing.TB, p *testPool) {
	t.Helper()
	s := p.Stats()
	if s.InUse != 0 || s.Opening != 0 || s.Closing != 0 || s.Waiting != 0 || s.Leases != 0 {
		t.Errorf("at rest the pool says %q with %d leases, want nothing under way", s, s.Leases)
	}
	if open := int(s.Opened) - int(s.Closed); s.Open != open {
		t.Errorf("at rest %d are open, but opened %d - closed %d = %d; counters must reconcile", s.Open, s.Opened, s.Closed, open)
	}
}

// acquire acquires a lease or ends the test.
func acquire(t testing.TB, p *testPool) testLease {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	l, err := p.Acquire(ctx)
	if err != nil {
		t.Fatalf("Acquire: %v", err)
	}
	return l
}

// release releases a lease that must not have ended.
func release(t testing.TB, l testLease) {
	t.Helper()
	if err := l.Release(); err != nil {
		t.Errorf("Release: %v, want nil", err)
	}
}

// warm opens a resource and returns it to the pool, so that the next Acquire finds it idle and
// not fresh.
func warm(t testing.TB, p *testPool) {
	t.Helper()
	release(t, acquire(t, p))
	time.Sleep(time.Nanosecond)
}

// after returns a ctx of the test that ends after d.
func after(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// result is what an Acquire on another goroutine came to.
type result struct {
	lease testLease
	err   error
	took  time.Duration
}

// start acquires on another goroutine, which stands in line when start returns. It must be called
// in a synctest bubble.
func start(ctx context.Context, p *testPool) <-chan result {
	out := make(chan result, 1)
	begin := time.Now()
	go func() {
		l, err := p.Acquire(ctx)
		out <- result{l, err, time.Since(begin)}
	}()
	synctest.Wait()
	return out
}

// is asserts that err is each of targets.
func is(t testing.TB, what string, err error, targets ...error) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: got nil, want an error that is %v", what, targets)
		return
	}
	for _, target := range targets {
		if !errors.Is(err, target) {
			t.Errorf("%s: errors.Is(%q, %q) = false, want true", what, err, target)
		}
	}
}

// isNot asserts that err is none of targets.
func isNot(t testing.TB, what string, err error, targets ...error) {
	t.Helper()
	for _, target := range targets {
		if errors.Is(err, target) {
			t.Errorf("%s: errors.Is(%q, %q) = true, want false", what, err, target)
		}
	}
}

// recorder writes down the events of a pool, and does at each what it is told.
type recorder struct {
	mu   sync.Mutex
	list []string
	does map[string]func(context.Context, pool.Event[res]) error
	tag  string // prefixed to each event, to tell recorders apart
}

func newRecorder() *recorder {
	return &recorder{does: make(map[string]func(context.Context, pool.Event[res]) error)}
}

// on says what to do at an event.
func (r *recorder) on(event string, f func(context.Context, pool.Event[res]) error) *recorder {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.does[event] = f
	return r
}

// act says what to do at an event.
func (r *recorder) act(event string, a pooltest.Act) *recorder {
	return r.on(event, func(ctx context.Context, _ pool.Event[res]) error { return a(ctx) })
}

func (r *recorder) hook(event string) pool.Hook[res] {
	return func(ctx context.Context, e pool.Event[res]) error {
		name := r.tag + event
		switch {
		case !e.Open:
			name += "(None)"
		case event == "reset" && e.Detached:
			name += "(detached)"
		}
		r.mu.Lock()
		r.list = append(r.list, name)
		do := r.does[event]
		r.mu.Unlock()
		if do == nil {
			return nil
		}
		return do(ctx, e)
	}
}

func (r *recorder) hooks() pool.Hooks[res] {
	return pool.Hooks[res]{
		FirstConnect: r.hook("first_connect"), Connect: r.hook("connect"), Checkout: r.hook("checkout"),
		Reset: r.hook("reset"), Checkin: r.hook("checkin"), Invalidate: r.hook("invalidate"),
		SoftInvalidate: r.hook("soft_invalidate"), Close: r.hook("close"), Detach: r.hook("detach"),
		CloseDetached: r.hook("close_detached"),
	}
}

// take returns the events since the last take, separated by spaces.
func (r *recorder) take() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := strings.Join(r.list, " ")
	r.list = nil
	return s
}

// count is how often an event is in a list made by take.
func count(list, event string) (n int) {
	for _, e := range strings.Fields(list) {
		if e == event {
			n++
		}
	}
	return n
}

// stressFor is how long a stress test may take: LIDO_STRESS, or a second, or less under -short.
func stressFor(t testing.TB) time.Duration {
	t.Helper()
	if s := os.Getenv("LIDO_STRESS"); s != "" {
		d, err := time.ParseDuration(s)
		if err != nil {
			t.Fatalf("LIDO_STRESS: %v", err)
		}
		return d
	}
	if testing.Short() {
		return 200 * time.Millisecond
	}
	return time.Second
}

// asError is errors.As, for tests that go on with the target.
func asError[E error](err error, target *E) bool { return errors.As(err, target) }
