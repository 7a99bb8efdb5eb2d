package pool_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

func TestInvalidateOutdatesIdleAndLeasedAndClosesNothingYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, two, pool.Options{})
		idle, out := acquire(t, p), acquire(t, p)
		release(t, idle)
		p.Invalidate(errTest)
		if f.Closed() != 0 || p.Stats().Generation != 1 {
			t.Errorf("Invalidate closed %d, generation %d, want 0 and 1", f.Closed(), p.Stats().Generation)
		}
		out.Value().Use(t)
		release(t, out)
		a, b := acquire(t, p), acquire(t, p)
		if a.Value().ID <= 2 || b.Value().ID <= 2 {
			t.Errorf("after Invalidate: %v and %v, want fresh ones", a.Value(), b.Value())
		}
	})
}

func TestFailuresOfOneGenerationAreOneInvalidation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, strategies.Queue{Size: 3}, pool.Options{})
		a, b, c := acquire(t, p), acquire(t, p), acquire(t, p)
		_ = a.Fail(pooltest.ErrAllDead)
		fresh := acquire(t, p)
		want := fresh.Value()
		release(t, fresh)
		_ = b.Fail(pooltest.ErrAllDead)
		_ = c.Fail(pooltest.ErrAllDead)
		if got := p.Stats().Generation; got != 1 {
			t.Errorf("generation %d after three failures of one generation, want 1", got)
		}
		if got := acquire(t, p).Value(); got != want {
			t.Errorf("got %v, want %v, which was opened after the failure", got, want)
		}
	})
}

func TestResourceBeingOpenedAtInvalidateIsNotHandedOut(t *testing.T) {
	for _, s := range []pool.Strategy{one, strategies.Static{}, strategies.Null{Max: 1}, strategies.Singleton{Size: 1}} {
		t.Run(s.Kind(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := pooltest.NewFake()
				f.Next(pooltest.Open, pooltest.Slow(time.Second))
				p := open(t, f, s, pool.Options{})
				out := start(t.Context(), p)
				p.Invalidate(errTest)
				if r := <-out; r.err != nil || r.lease.Value().ID != 2 {
					t.Errorf("got %v, %v, want resource 2: the first was being opened when Invalidate came", r.lease.Value(), r.err)
				}
			})
		})
	}
}

func TestInvalidationsInOneInstantBothCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, pooltest.NewFake(), one, pool.Options{})
		for want := 1; want < 5; want++ { // no time passes in between
			l := acquire(t, p)
			if got := l.Value().ID; got != want {
				t.Errorf("got resource %d, want %d: generations are counted, not timed", got, want)
			}
			release(t, l)
			p.Invalidate(nil)
		}
	})
}

func TestDisposeClosesIdleNowAndLeasedAtTheirReturn(t *testing.T) {
	for _, shape := range shapes {
		t.Run(shape.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := pooltest.NewFake()
				p := open(t, f, shape.strategy, shape.opts, shape.hooks)
				release(t, acquire(t, p))
				p.Dispose()
				if f.Closed() != 1 || p.Stats().Open != 0 {
					t.Errorf("Dispose of an idle pool closed %d, want 1", f.Closed())
				}
				l := acquire(t, p)
				p.Dispose()
				l.Value().Use(t)
				if f.Closed() != 1 {
					t.Error("Dispose closed a resource under its holder")
				}
				release(t, l)
				if f.Closed() != 2 || p.Stats().Open != 0 {
					t.Errorf("closed %d, %v; want a resource that returns after Dispose closed", f.Closed(), p)
				}
				acquire(t, p)
			})
		})
	}
}

func TestDisposeMeansResourcesBeingOpenedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		f.Next(pooltest.Open, pooltest.Slow(time.Second))
		p := open(t, f, one, pool.Options{})
		out := start(t.Context(), p)
		p.Dispose()
		r := <-out
		if r.err != nil {
			t.Fatal(r.err)
		}
		if got := r.lease.Value().ID; got != 2 {
			t.Errorf("got resource %d, want 2: the first was being opened when Dispose came", got)
		}
	})
}

func TestDisposeWaitsForClosesButNotForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, two, pool.Options{CloseTimeout: 3 * time.Second})
		a, b := acquire(t, p), acquire(t, p)
		release(t, a)
		release(t, b)
		f.Next(pooltest.Close, pooltest.Stuck(time.Second), pooltest.Stuck(time.Minute))
		begin := time.Now()
		p.Dispose()
		if took := time.Since(begin); took != 3*time.Second {
			t.Errorf("Dispose took %v, want CloseTimeout, 3s: closes run side by side, and one hangs", took)
		}
		if s := p.Stats(); s.Overdue != 1 || s.Closing != 1 {
			t.Errorf("stats %+v, want one close overdue", s)
		}
		time.Sleep(time.Minute)
	})
}

func TestRecreateKeepsEverythingButTheResources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, rec := pooltest.NewFake(), newRecorder()
		old := open(t, f, two, pool.Options{Name: "orders", MaxAge: time.Minute, Ping: true, PingAfter: time.Second, Attempts: 2}, rec.hooks())
		l := acquire(t, old)
		p, err := old.Recreate()
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if f.Opened() != 1 {
			t.Errorf("Recreate opened %d resources, want none", f.Opened()-1)
		}
		if p.Name() != "orders" || p.Strategy() != pool.Strategy(two) || p.Limits() != old.Limits() {
			t.Errorf("recreated: %q, %v, %+v", p.Name(), p.Strategy(), p.Limits())
		}
		rec.take()
		release(t, acquire(t, p))
		if got := rec.take(); got != "first_connect connect checkout reset checkin" {
			t.Errorf("the recreated pool's events: %q, want the hooks of the old one, first_connect among them", got)
		}
		time.Sleep(time.Second)
		release(t, acquire(t, p))
		if f.Calls(pooltest.Ping) != 1 {
			t.Error("the recreated pool does not ping")
		}
		time.Sleep(time.Hour)
		if got := acquire(t, p).Value().ID; got != 3 {
			t.Errorf("the recreated pool gave resource %d, want the third: MaxAge is kept", got)
		}
		l.Value().Use(t) // the old pool is as it was
		release(t, l)
	})
}

func TestDisposeReachesAResourceOnItsWayToRest(t *testing.T) {
	for _, tc := range []struct {
		name string
		busy func(t *testing.T, f *pooltest.Fake, p *testPool)
	}{
		{"being opened for nobody", func(t *testing.T, f *pooltest.Fake, p *testPool) {
			f.Next(pooltest.Open, pooltest.Slow(2*time.Second))
			<-start(after(t, time.Millisecond), p)
		}},
		{"being reset", func(t *testing.T, f *pooltest.Fake, p *testPool) {
			l := acquire(t, p)
			f.Next(pooltest.Reset, pooltest.Slow(2*time.Second))
			go l.Release()
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := pooltest.NewFake()
				p := open(t, f, one, pool.Options{})
				tc.busy(t, f, p)
				time.Sleep(time.Second)
				p.Dispose()
				time.Sleep(time.Minute)
				if f.Opened() != 1 || f.Closed() != 1 {
					t.Errorf("opened %d, closed %d a minute after Dispose, want 1 and 1", f.Opened(), f.Closed())
				}
			})
		})
	}
}
