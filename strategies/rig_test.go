package strategies_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
)

type (
	resource = pooltest.Resource
	lease    = pool.Lease[*pooltest.Resource]
)

var errDown = errors.New("backend is down")

// rig is a pool of fake resources in a synctest bubble. It shuts the pool down at the end, and looks whether
// every resource was closed once.
type rig struct {
	*testing.T
	*pool.Pool[*resource]
	fake  *pooltest.Fake
	start time.Time
}

// with runs a test on a pool with the strategy, in a bubble.
func with(t *testing.T, s pool.Strategy, test func(r *rig)) { withOptions(t, s, pool.Options{}, test) }

func withOptions(t *testing.T, s pool.Strategy, o pool.Options, test func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		if o.Backoff == 0 {
			o.Backoff = pool.NoBackoff // what is tested is who is served, and when
		}
		if o.OpensAtOnce == 0 {
			o.OpensAtOnce = pool.Unlimited
		}
		fake := pooltest.NewFake()
		p, err := pool.New(fake, s, o)
		if err != nil {
			t.Fatal(err)
		}
		r := &rig{T: t, Pool: p, fake: fake, start: time.Now()}
		test(r)
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		if err := p.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v, want nil", err)
		}
		fake.Verify(t)
	})
}

// now is the time since the test began.
func (r *rig) now() time.Duration { return time.Since(r.start) }

// get acquires, and must succeed.
func (r *rig) get() lease {
	r.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	return r.getIn(ctx)
}

func (r *rig) getIn(ctx context.Context) lease {
	r.Helper()
	l, err := r.Acquire(ctx)
	if err != nil {
		r.Fatalf("Acquire: %v, want a lease", err)
	}
	return l
}

// end releases leases, and must succeed.
func (r *rig) end(leases ...lease) {
	r.Helper()
	for _, l := range leases {
		if err := l.Release(); err != nil {
			r.Errorf("Release: %v, want nil", err)
		}
	}
}

// wants asserts which resource a lease is of.
func (r *rig) wants(l lease, id int, why string) {
	r.Helper()
	v, err := l.Get()
	if err != nil {
		r.Fatalf("Get: %v, want resource %d: %s", err, id, why)
	}
	if v.ID != id {
		r.Errorf("got resource %d, want %d: %s", v.ID, id, why)
	}
}

// asker is an Acquire on a goroutine of its own. Its fields may be read once it is done.
type asker struct {
	answered chan struct{}
	at       time.Duration // when it was answered, on the rig's clock
	lease    lease
	err      error
}

// ask starts an Acquire and returns when it waits or is done.
func (r *rig) ask(ctx context.Context) *asker {
	a := &asker{answered: make(chan struct{})}
	go func() {
		defer close(a.answered)
		a.lease, a.err = r.Acquire(ctx)
		a.at = r.now()
	}()
	synctest.Wait()
	return a
}

func (a *asker) done() bool {
	select {
	case <-a.answered:
		return true
	default:
		return false
	}
}

// goroutine is one that does what it is told, for strategies that look at who calls.
type goroutine struct {
	todo chan func()
	over chan struct{}
}

// spawn starts a goroutine. It ends with the test at the latest.
func (r *rig) spawn() *goroutine {
	g := &goroutine{todo: make(chan func()), over: make(chan struct{})}
	go func() {
		defer close(g.over)
		for f := range g.todo {
			f()
		}
	}()
	return g
}

// do has f done and waits until it is.
func (g *goroutine) do(f func()) {
	done := make(chan struct{})
	g.todo <- func() { defer close(done); f() }
	<-done
}

// end lets the goroutine end, and waits until it has.
func (g *goroutine) end() {
	close(g.todo)
	<-g.over
	synctest.Wait() // until it is really gone
}

// once acquires on g, releases, and tells which resource that was.
func (r *rig) once(g *goroutine) (id int) {
	r.Helper()
	g.do(func() {
		l, err := r.Acquire(context.Background())
		if err != nil {
			r.Errorf("Acquire: %v, want a lease", err)
			return
		}
		id = l.Value().ID
		r.end(l)
	})
	return id
}
