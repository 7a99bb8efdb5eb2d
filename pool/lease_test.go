package pool_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

// verbs are what can be said to a lease. Each returns its error.
var verbs = []struct {
	name string
	say  func(testLease) error
}{
	{"Get", func(l testLease) error { _, err := l.Get(); return err }},
	{"Release", testLease.Release},
	{"ReleaseClean", testLease.ReleaseClean},
	{"Discard", func(l testLease) error { return l.Discard(errTest) }},
	{"Retire", func(l testLease) error { return l.Retire(errTest) }},
	{"OnReturn", func(l testLease) error {
		return l.OnReturn(func(context.Context, res) error { return nil })
	}},
	{"Detach", func(l testLease) error { _, err := l.Detach(); return err }},
}

// shapes are pools with a plain way of Acquire and Release, with a slow one, and shared ones.
var shapes = []struct {
	name     string
	strategy pool.Strategy
	opts     pool.Options
	hooks    pool.Hooks[res]
}{
	{"queue, plain", one, pool.Options{NoReset: true}, pool.Hooks[res]{}},
	{"queue, slow", one, pool.Options{Ping: true, Stacks: true}, newRecorder().hooks()},
	{"static", strategies.Static{}, pool.Options{}, pool.Hooks[res]{}},
	{"singleton", strategies.Singleton{Size: 1}, pool.Options{}, pool.Hooks[res]{}},
}

func TestVerbsOnReleasedLeaseAreErrReleasedAndTouchNobodyElse(t *testing.T) {
	for _, shape := range shapes {
		for _, verb := range verbs {
			t.Run(shape.name+"/"+verb.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := pooltest.NewFake()
					p := open(t, f, shape.strategy, shape.opts, shape.hooks)
					old := acquire(t, p)
					release(t, old)
					is(t, verb.name+" while the resource is idle", verb.say(old), pool.ErrReleased)

					next := acquire(t, p)
					is(t, verb.name+" while another holds the resource", verb.say(old), pool.ErrReleased)
					if old.Info() != nil || old.SeatInfo() != nil {
						t.Error("Info of an ended lease is not nil; it may be another's")
					}
					if r, err := next.Get(); err != nil {
						t.Errorf("the next holder's Get: %v; a stale lease must not touch it", err)
					} else {
						r.Use(t)
					}
					if s := p.Stats(); s.Leases != 1 || s.InUse != 1 || s.Open != 1 {
						t.Errorf("stats %+v, want the next holder's lease alone", s)
					}
					release(t, next)
				})
			})
		}
	}
}

func TestVerbsOnReleasedLeaseAreCountedAndLogged(t *testing.T) {
	for _, verb := range verbs[1:] { // Get costs a nanosecond and counts nothing
		t.Run(verb.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log logged
				p := open(t, pooltest.NewFake(), one, pool.Options{Name: "orders", Logger: slog.New(&log)})
				l := acquire(t, p)
				release(t, l)
				log.forget()
				for range 3 {
					is(t, verb.name, verb.say(l), pool.ErrReleased)
				}
				if got := p.Stats().Misused; got != 3 {
					t.Errorf("Stats.Misused = %d after 3 verbs on an ended lease, want 3", got)
				}
				if got := log.at(slog.LevelWarn); len(got) != 3 || !strings.Contains(got[0], "lease that is over") || !strings.Contains(got[0], "pool=orders") {
					t.Errorf("logged at Warn: %q, want three times that the lease is over, with the pool's name", got)
				}
			})
		})
	}
}

func TestReleaseAfterTheLeaseEndedOtherwiseIsHarmless(t *testing.T) {
	ends := []struct {
		name string
		end  func(t *testing.T, f *pooltest.Fake, p *testPool, l testLease)
	}{
		{"Discard", func(t *testing.T, _ *pooltest.Fake, _ *testPool, l testLease) { _ = l.Discard(nil) }},
		{"Fail", func(t *testing.T, _ *pooltest.Fake, _ *testPool, l testLease) { _ = l.Fail(pooltest.ErrDead) }},
		{"Detach", func(t *testing.T, _ *pooltest.Fake, _ *testPool, l testLease) {
			d, err := l.Detach()
			if err != nil {
				t.Fatalf("Detach: %v", err)
			}
			d.Close()
		}},
		{"Pool.Close", func(t *testing.T, f *pooltest.Fake, p *testPool, _ testLease) {
			f.AllowForcedClose()
			p.Close()
		}},
	}
	for _, shape := range shapes {
		for _, end := range ends {
			t.Run(shape.name+"/"+end.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := pooltest.NewFake()
					p := open(t, f, shape.strategy, shape.opts, shape.hooks)
					l := acquire(t, p)
					end.end(t, f, p, l)
					for range 2 {
						if err := l.Release(); err != nil {
							t.Errorf("Release: %v, want nil: defer Release stands beside every end", err)
						}
					}
					if _, err := l.Get(); err == nil {
						t.Error("Get gave a resource after the lease ended")
					}
					if got := p.Stats().Misused; got != 0 {
						t.Errorf("Stats.Misused = %d, want 0: this is no misuse", got)
					}
				})
			})
		}
	}
}

func TestCopiesAreTheSameLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, pooltest.NewFake(), one, pool.Options{})
		a := acquire(t, p)
		b := a
		if a.Value() != b.Value() || a.Info() != b.Info() || a.Seat() != b.Seat() {
			t.Error("a copy of a lease shows another resource")
		}
		release(t, b)
		is(t, "Release of the other copy", a.Release(), pool.ErrReleased)
	})
}

func TestZeroLeaseHasEnded(t *testing.T) {
	var l testLease
	for _, verb := range verbs {
		is(t, verb.name, verb.say(l), pool.ErrReleased)
	}
	if got := l.Fail(errTest); got != errTest {
		t.Errorf("Fail = %v, want the error given", got)
	}
	if l.Info() != nil || l.SeatInfo() != nil || l.Seat() != 0 || l.String() != "lease (none)" {
		t.Errorf("zero lease: %v, want nothing", l)
	}
}

func TestValuePanicsWithGetsError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, pooltest.NewFake(), one, pool.Options{})
		l := acquire(t, p)
		release(t, l)
		defer func() {
			if got := recover(); got != pool.ErrReleased {
				t.Errorf("Value after Release panicked with %v, want %v", got, pool.ErrReleased)
			}
		}()
		l.Value()
		t.Error("Value after Release returned")
	})
}

func TestLeaseSaysWhichSeatItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, pooltest.NewFake(), two, pool.Options{})
		a, b := acquire(t, p), acquire(t, p)
		release(t, a)
		if got := a.String() + ", " + b.String(); got != "lease of seat 0 (ended), lease of seat 1" {
			t.Errorf("String() = %q", got)
		}
		if b.Seat() != 1 {
			t.Errorf("Seat() = %d, want 1", b.Seat())
		}
	})
}

func TestHolderOfSharedResourceLearnsThatAnotherDiscardedIt(t *testing.T) {
	for _, s := range []pool.Strategy{strategies.Static{}, strategies.Singleton{Size: 1}} {
		t.Run(s.Kind(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := pooltest.NewFake()
				p := open(t, f, s, pool.Options{})
				a, b := acquire(t, p), acquire(t, p)
				if err := a.Discard(errTest); err != nil {
					t.Fatal(err)
				}
				_, err := b.Get()
				is(t, "Get of the other holder", err, pool.ErrInvalidated)
				if b.Info() != nil {
					t.Error("Info of an invalidated lease is not nil")
				}
				fresh := acquire(t, p)
				if fresh.Value().ID != 2 {
					t.Errorf("the next Acquire got %v, want a new one", fresh.Value())
				}
				if err := b.Release(); err != nil {
					t.Errorf("Release of the invalidated lease: %v, want nil", err)
				}
				if _, err := fresh.Get(); err != nil {
					t.Errorf("Get of the new lease: %v; a void lease must not end it", err)
				}
			})
		})
	}
}

func TestAcquireUniqueSharesWithNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, strategies.Singleton{Size: 2}, pool.Options{})
		a := acquire(t, p)
		b, err := p.AcquireUnique(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if a.Value() == b.Value() {
			t.Error("AcquireUnique gave the resource that the goroutine shares")
		}
		static := open(t, pooltest.NewFake(), strategies.Static{}, pool.Options{})
		_, err = static.AcquireUnique(t.Context())
		is(t, "AcquireUnique of a static pool", err, pool.ErrUnshareable)
	})
}

func TestSecondReleaseIsReportedWhateverBecameOfLaterLeases(t *testing.T) {
	for _, shape := range shapes {
		synctest.Test(t, func(t *testing.T) {
			p := open(t, pooltest.NewFake(), shape.strategy, shape.opts, shape.hooks)
			old := acquire(t, p)
			release(t, old)
			_ = acquire(t, p).Discard(nil)
			is(t, shape.name+": second Release, after a later lease was discarded", old.Release(), pool.ErrReleased)
			if got := p.Stats().Misused; got != 1 {
				t.Errorf("%s: Stats.Misused = %d, want 1", shape.name, got)
			}
		})
	}
}

func TestHolderUnderWhichThePoolClosedLearnsThatItIsInvalid(t *testing.T) {
	for _, shape := range shapes {
		synctest.Test(t, func(t *testing.T) {
			f := pooltest.NewFake()
			f.AllowForcedClose()
			p := open(t, f, shape.strategy, shape.opts, shape.hooks)
			l := acquire(t, p)
			_ = p.Close()
			_, err := l.Get()
			is(t, shape.name+": Get after the pool closed the resource", err, pool.ErrInvalidated)
		})
	}
}
