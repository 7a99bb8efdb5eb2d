package pool_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

// scene is a pool with a recorder and the leases that a scenario has out.
type scene struct {
	t        *testing.T
	fake     *pooltest.Fake
	pool     *testPool
	rec      *recorder
	leases   []testLease
	detached *pool.Detached[res]
}

// The acts of scenarios. They work on the newest lease.

func acquires(s *scene) { s.leases = append(s.leases, acquire(s.t, s.pool)) }

func (s *scene) pop() testLease {
	l := s.leases[len(s.leases)-1]
	s.leases = s.leases[:len(s.leases)-1]
	return l
}

func releases(s *scene)      { release(s.t, s.pop()) }
func releasesClean(s *scene) { s.noError("ReleaseClean", s.pop().ReleaseClean()) }
func discards(s *scene)      { s.noError("Discard", s.leases[len(s.leases)-1].Discard(errTest)) }
func retires(s *scene)       { s.noError("Retire", s.leases[len(s.leases)-1].Retire(errTest)) }
func invalidates(s *scene)   { s.pool.Invalidate(errTest) }
func disposes(s *scene)      { s.pool.Dispose() }
func ages(*scene)            { time.Sleep(time.Hour) }

func closes(s *scene) {
	s.fake.AllowForcedClose()
	s.noError("Pool.Close", s.pool.Close())
}

func detaches(s *scene) {
	var err error
	s.detached, err = s.pop().Detach()
	s.noError("Detach", err)
}

func closesDetached(s *scene) { s.noError("Detached.Close", s.detached.Close()) }

func failsToAcquire(s *scene) {
	if l, err := s.pool.Acquire(s.t.Context()); err == nil {
		s.t.Errorf("Acquire gave %v, want an error", l)
	}
}

func recreates(s *scene) {
	p, err := s.pool.Recreate()
	s.noError("Recreate", err)
	s.t.Cleanup(func() { s.noError("Close of the recreated pool", p.Close()) })
	s.pool = p
}

// next has the next call of a backend's method fail.
func next(m pooltest.Method) func(*scene) {
	return func(s *scene) { s.fake.Next(m, pooltest.Fail(errTest)) }
}

// nextHook has the next call of a hook fail with err.
func nextHook(event string, err error) func(*scene) {
	return func(s *scene) {
		s.rec.mu.Lock()
		defer s.rec.mu.Unlock()
		s.rec.does[event] = func(context.Context, pool.Event[res]) error {
			s.rec.mu.Lock()
			defer s.rec.mu.Unlock()
			delete(s.rec.does, event)
			return err
		}
	}
}

// always has a hook fail with err at every call.
func always(event string, err error) func(*scene) {
	return func(s *scene) { s.rec.act(event, pooltest.Fail(err)) }
}

func (s *scene) noError(what string, err error) {
	s.t.Helper()
	if err != nil {
		s.t.Errorf("%s: %v, want nil", what, err)
	}
}

// step is one act and the events that it is to cause, in order.
type step struct {
	do   func(*scene)
	want string
}

// TestEventsComeInOrder has the sequences measured on SQLAlchemy 2.1. Where they differ from it, the
// old behaviour is a known fault, and the comment says which.
func TestEventsComeInOrder(t *testing.T) {
	const first = "first_connect connect checkout"
	var (
		singleton = strategies.Singleton{Size: 2}
		null      = strategies.Null{Max: 2}
		overflow  = strategies.Queue{Size: 1, MaxOverflow: 1}
		keepsOne  = []pool.Strategy{one, singleton, strategies.Static{}, strategies.Assertion{}}
		all       = []pool.Strategy{one, null, singleton, strategies.Static{}, strategies.Assertion{}}
	)
	for _, tc := range []struct {
		name  string
		on    []pool.Strategy
		opts  pool.Options
		steps []step
	}{
		{"first checkout, return, checkout again", keepsOne, pool.Options{},
			[]step{{acquires, first}, {releases, "reset checkin"}, {acquires, "checkout"}, {releases, "reset checkin"}}},
		{"null opens at each checkout and closes at each return", []pool.Strategy{null}, pool.Options{},
			[]step{{acquires, first}, {releases, "reset checkin close"}, {acquires, "connect checkout"}, {releases, "reset checkin close"}}},
		{"return as overflow", []pool.Strategy{overflow}, pool.Options{},
			[]step{{acquires, first}, {acquires, "connect checkout"}, {releases, "reset checkin"}, {releases, "reset checkin close"}}},
		{"return that is clean", keepsOne, pool.Options{},
			[]step{{acquires, first}, {releasesClean, "reset checkin"}}},
		{"return without Backend.Reset", keepsOne, pool.Options{NoReset: true},
			[]step{{acquires, first}, {releases, "reset checkin"}}},
		{"discard; a later return is nothing", all, pool.Options{},
			[]step{{acquires, first}, {discards, "invalidate close checkin(None)"}, {releases, ""}, {acquires, "connect checkout"}}},
		{"retire, return, checkout", keepsOne, pool.Options{},
			[]step{{acquires, first}, {retires, "soft_invalidate"}, {retires, ""}, {releases, "reset checkin"},
				{acquires, "close connect checkout"}}},
		{"retire with a strategy that keeps nothing", []pool.Strategy{null}, pool.Options{},
			[]step{{acquires, first}, {retires, "soft_invalidate"}, {releases, "reset checkin close"}, {acquires, "connect checkout"}}},
		{"detach and close", all, pool.Options{},
			[]step{{acquires, first}, {detaches, "detach"}, {closesDetached, "reset(detached) close_detached"}, {closesDetached, ""},
				{acquires, "connect checkout"}}},
		{"recycle by age", keepsOne, pool.Options{MaxAge: time.Minute},
			[]step{{acquires, first}, {releases, "reset checkin"}, {ages, "close"}, {acquires, "connect checkout"}}},
		{"recycle by age of what was out", keepsOne, pool.Options{MaxAge: time.Minute},
			[]step{{acquires, first}, {ages, ""}, {releases, "reset checkin"}, {acquires, "close connect checkout"}}},
		{"pool invalidated while idle", keepsOne, pool.Options{},
			[]step{{acquires, first}, {releases, "reset checkin"}, {invalidates, ""}, {acquires, "close connect checkout"}}},
		{"pool invalidated while out", keepsOne, pool.Options{},
			[]step{{acquires, first}, {invalidates, ""}, {releases, "reset checkin"}, {acquires, "close connect checkout"}}},
		{"ping fails", keepsOne, pool.Options{Ping: true},
			[]step{{acquires, first}, {releases, "reset checkin"}, {ages, ""}, {next(pooltest.Ping), ""},
				{acquires, "invalidate close connect checkout"}}},
		{"reset fails at return, which does not fail", all, pool.Options{},
			[]step{{acquires, first}, {next(pooltest.Reset), ""}, {releases, "reset invalidate close checkin(None)"}}},
		{"reset hook fails at return", all, pool.Options{},
			[]step{{acquires, first}, {nextHook("reset", errTest), ""}, {releases, "reset invalidate close checkin(None)"}}},
		// SQLAlchemy loses the slot for ever here (§0.4c).
		{"checkin hook fails at return", all, pool.Options{},
			[]step{{acquires, first}, {nextHook("checkin", errTest), ""}, {releases, "reset checkin invalidate close checkin(None)"},
				{acquires, "connect checkout"}}},
		{"reconnect fails", all, pool.Options{},
			[]step{{acquires, first}, {discards, "invalidate close checkin(None)"}, {next(pooltest.Open), ""},
				{failsToAcquire, "checkin(None)"}, {acquires, "connect checkout"}}},
		{"first connect fails in the backend", all, pool.Options{},
			[]step{{next(pooltest.Open), ""}, {failsToAcquire, ""}, {acquires, first}}},
		{"first_connect hook fails and runs again", all, pool.Options{},
			[]step{{nextHook("first_connect", errTest), ""}, {failsToAcquire, "first_connect close"}, {acquires, first}}},
		// SQLAlchemy does not close this connection (#13548).
		{"connect hook fails", all, pool.Options{},
			[]step{{nextHook("connect", errTest), ""}, {failsToAcquire, "first_connect connect close"}, {acquires, "connect checkout"}}},
		{"checkout hook fails", all, pool.Options{},
			[]step{{nextHook("checkout", errTest), ""}, {failsToAcquire, first + " invalidate close checkin(None)"},
				{acquires, "connect checkout"}}},
		{"checkout hook finds it disconnected once", all, pool.Options{},
			[]step{{nextHook("checkout", pool.ErrDisconnected), ""}, {acquires, first + " invalidate close connect checkout"}}},
		// SQLAlchemy runs the hook twice for its three connections, and fails with "This connection is closed" (§0.5).
		{"checkout hook always finds it disconnected", all, pool.Options{},
			[]step{{always("checkout", pool.ErrDisconnected), ""},
				{failsToAcquire, first + " invalidate close connect checkout invalidate close connect checkout invalidate close checkin(None)"}}},
		{"checkout hook always finds the pool outdated", all, pool.Options{},
			[]step{{always("checkout", pool.ErrInvalidatePool), ""},
				{failsToAcquire, first + " invalidate close connect checkout invalidate close connect checkout invalidate close checkin(None)"}}},
		{"dispose while idle", keepsOne, pool.Options{},
			[]step{{acquires, first}, {releases, "reset checkin"}, {disposes, "close"}, {acquires, "connect checkout"}}},
		// SQLAlchemy keeps it (§0.4a).
		{"dispose while out closes at return", all, pool.Options{},
			[]step{{acquires, first}, {disposes, ""}, {releases, "reset checkin close"}, {acquires, "connect checkout"}}},
		{"close while idle", keepsOne, pool.Options{},
			[]step{{acquires, first}, {releases, "reset checkin"}, {closes, "close"}}},
		{"close while out; a later return is nothing", all, pool.Options{},
			[]step{{acquires, first}, {closes, "invalidate close checkin(None)"}, {releases, ""}}},
		{"recreated pool begins anew", all, pool.Options{},
			[]step{{acquires, first}, {recreates, ""}, {acquires, first}}},
		// Nested holders are one checkout.
		{"nested acquires of one goroutine", []pool.Strategy{singleton}, pool.Options{},
			[]step{{acquires, first}, {acquires, ""}, {releases, ""}, {releases, "reset checkin"}}},
		// SQLAlchemy resets at each return and so rolls back the work of the others.
		{"holders of a static resource", []pool.Strategy{strategies.Static{}}, pool.Options{},
			[]step{{acquires, first}, {acquires, "checkout"}, {releases, "checkin"}, {releases, "reset checkin"}}},
		{"static discard under another holder", []pool.Strategy{strategies.Static{}}, pool.Options{},
			[]step{{acquires, first}, {acquires, "checkout"}, {discards, "invalidate close checkin(None)"}, {releases, ""}, {releases, ""},
				{acquires, "connect checkout"}}},
	} {
		for _, s := range tc.on {
			t.Run(tc.name+"/"+s.Kind(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					play(t, s, tc.opts, tc.steps)
				})
			})
		}
	}
}

func play(t *testing.T, strategy pool.Strategy, o pool.Options, steps []step) {
	f, rec := pooltest.NewFake(), newRecorder()
	f.AllowForcedClose()
	s := &scene{t: t, fake: f, rec: rec, pool: open(t, f, strategy, o, rec.hooks())}
	for i, step := range steps {
		step.do(s)
		synctest.Wait()
		if got := rec.take(); got != step.want {
			t.Errorf("step %d: events %q, want %q; the order of events is a promise", i+1, got, step.want)
		}
	}
}

func TestFirstConnectRunsOnceAndOthersWaitForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, rec := pooltest.NewFake(), newRecorder()
		gate := make(chan struct{})
		rec.act("first_connect", pooltest.Hang(gate))
		p := open(t, f, strategies.Queue{Size: 3}, pool.Options{}, rec.hooks())
		a, b, c := start(t.Context(), p), start(t.Context(), p), start(t.Context(), p)
		if got := rec.take(); got != "first_connect" {
			t.Errorf("while first_connect runs: events %q, want only it", got)
		}
		close(gate)
		for _, out := range []<-chan result{a, b, c} {
			if r := <-out; r.err != nil {
				t.Errorf("Acquire: %v", r.err)
			}
		}
		synctest.Wait()
		if got := count(rec.take(), "first_connect"); got != 0 {
			t.Errorf("first_connect ran %d more times after it succeeded, want 0", got)
		}
	})
}

func TestFirstConnectThatFailsIsRunByTheNextInLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, rec := pooltest.NewFake(), newRecorder()
		gate := make(chan error)
		rec.act("first_connect", func(context.Context) error { return <-gate })
		p := open(t, f, two, pool.Options{}, rec.hooks())
		a, b := start(t.Context(), p), start(t.Context(), p)
		gate <- errTest
		gate <- nil
		failed, served := <-a, <-b
		if failed.err == nil { // which open comes first is the scheduler's choice
			failed, served = served, failed
		}
		is(t, "the Acquire whose first_connect failed", failed.err, errTest)
		if served.err != nil {
			t.Errorf("the other Acquire: %v, want a resource", served.err)
		}
		if got := count(rec.take(), "first_connect"); got != 2 {
			t.Errorf("first_connect ran %d times, want 2: once in vain, once for good", got)
		}
	})
}

func TestHooksOfSeveralValuesRunInTheOrderGiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, log := pooltest.NewFake(), newRecorder()
		other := newRecorder()
		a, b := log.hooks(), other.hooks()
		// The second writes into the first's list under names of its own.
		log.tag = "a."
		b.Checkout = func(context.Context, pool.Event[res]) error {
			log.mu.Lock()
			defer log.mu.Unlock()
			log.list = append(log.list, "b.checkout")
			return nil
		}
		p := open(t, f, one, pool.Options{}, a, pool.Hooks[res]{}, b)
		acquire(t, p)
		if got, want := log.take(), "a.first_connect a.connect a.checkout b.checkout"; got != want {
			t.Errorf("hooks ran as %q, want %q", got, want)
		}
		if got, want := other.take(), "first_connect connect"; got != want {
			t.Errorf("the second value's hooks ran as %q, want %q", got, want)
		}
	})
}

func TestFailedHookStopsThoseAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, a, b := pooltest.NewFake(), newRecorder(), newRecorder()
		a.act("connect", pooltest.Fail(errTest))
		p := open(t, f, one, pool.Options{}, a.hooks(), b.hooks())
		_, err := p.Acquire(t.Context())
		is(t, "Acquire with a failed connect hook", err, errTest)
		synctest.Wait()
		if got, want := b.take(), "first_connect close"; got != want {
			t.Errorf("hooks after the failed one ran as %q, want %q", got, want)
		}
	})
}

func TestEventTellsWhatHappened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, rec := pooltest.NewFake(), newRecorder()
		got := make(map[string]pool.Event[res])
		for _, name := range []string{"connect", "checkout", "reset", "checkin", "invalidate", "soft_invalidate", "close", "detach"} {
			rec.on(name, func(_ context.Context, e pool.Event[res]) error {
				if _, seen := got[name]; !seen {
					got[name] = e
				}
				return nil
			})
		}
		p := open(t, f, one, pool.Options{Name: "orders"}, rec.hooks())
		l := acquire(t, p)
		time.Sleep(time.Second)
		if err := l.Retire(errTest); err != nil {
			t.Fatal(err)
		}
		if err := l.ReleaseClean(); err != nil {
			t.Fatal(err)
		}
		l = acquire(t, p)
		time.Sleep(time.Second)
		if err := l.Discard(errTest); err != nil {
			t.Fatal(err)
		}
		l = acquire(t, p)
		d, err := l.Detach()
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		for name, want := range map[string]pool.Event[res]{
			"connect":         {ID: 1},
			"checkout":        {ID: 1},
			"reset":           {ID: 1, Age: time.Second, Clean: true},
			"checkin":         {ID: 1, Age: time.Second},
			"soft_invalidate": {ID: 1, Age: time.Second, Cause: errTest},
			"close":           {ID: 1, Age: time.Second, Reason: pool.ReasonRetired},
			"invalidate":      {ID: 2, Age: time.Second, Cause: errTest, Reason: pool.ReasonInvalid},
			"detach":          {ID: 3},
		} {
			e := got[name]
			if e.Pool != "orders" || e.Seat != 0 || !e.Open || e.Resource == nil || uint64(e.Resource.ID) != e.ID {
				t.Errorf("%s: event %+v, want pool orders, seat 0 and its resource", name, e)
			}
			if e.ID != want.ID || e.Age != want.Age || e.Cause != want.Cause || e.Reason != want.Reason || e.Clean != want.Clean {
				t.Errorf("%s: event %+v, want %+v", name, e, want)
			}
		}
	})
}
