package pool_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

func TestRetireReplacesTheResourceAtItsNextCheckout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, one, pool.Options{})
		l := acquire(t, p)
		if err := l.Retire(errTest); err != nil {
			t.Fatal(err)
		}
		l.Value().Use(t) // the lease goes on
		release(t, l)
		if f.Closed() != 0 {
			t.Error("the resource was closed at its return; a retired one is replaced when it is needed next")
		}
		if got := acquire(t, p).Value().ID; got != 2 {
			t.Errorf("the next holder got resource %d, want a fresh one", got)
		}
	})
}

func TestRetiredStaticIsReplacedOnceItsHoldersHaveLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, strategies.Static{}, pool.Options{})
		a, b := acquire(t, p), acquire(t, p)
		if err := a.Retire(errTest); err != nil {
			t.Fatal(err)
		}
		out := start(t.Context(), p)
		release(t, a)
		synctest.Wait()
		select {
		case r := <-out:
			t.Fatalf("a newcomer got %v, %v while a holder of the retired resource was left", r.lease, r.err)
		default:
		}
		b.Value().Use(t)
		release(t, b)
		if r := <-out; r.err != nil || r.lease.Value().ID != 2 {
			t.Errorf("the newcomer got %v, %v, want resource 2", r.lease, r.err)
		}
	})
}

func TestFailDoesWhatTheBackendMakesOfTheError(t *testing.T) {
	for _, tc := range []struct {
		name   string
		err    error
		ended  bool
		others bool // whether idle resources of the generation stay
	}{
		{"nil", nil, false, true},
		{"sound", errTest, false, true},
		{"dead", pooltest.ErrDead, true, true},
		{"all dead", pooltest.ErrAllDead, true, false},
		{"disconnected", pool.ErrDisconnected, true, true},
		{"pool invalid", pool.ErrInvalidatePool, true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := pooltest.NewFake()
				p := open(t, f, two, pool.Options{})
				l, other := acquire(t, p), acquire(t, p)
				release(t, other)
				if got := l.Fail(tc.err); got != tc.err {
					t.Errorf("Fail(%v) = %v, want the error itself", tc.err, got)
				}
				if _, err := l.Get(); (err != nil) != tc.ended {
					t.Errorf("after Fail(%v): Get: %v, want ended = %v", tc.err, err, tc.ended)
				}
				next := acquire(t, p)
				if kept := next.Value().ID == 2; kept != tc.others {
					t.Errorf("after Fail(%v) the next holder got %v, want the old idle one = %v", tc.err, next.Value(), tc.others)
				}
			})
		})
	}
}

func TestOnReturnRunsOnceLastGivenFirst(t *testing.T) {
	for _, shape := range shapes {
		t.Run(shape.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := pooltest.NewFake()
				p := open(t, f, shape.strategy, shape.opts, shape.hooks)
				l := acquire(t, p)
				for _, name := range []string{"first", "second"} {
					if err := l.OnReturn(func(_ context.Context, r res) error {
						if r.ID != 1 {
							t.Errorf("OnReturn function was given %v, want resource 1", r)
						}
						f.Note(name)
						return nil
					}); err != nil {
						t.Fatal(err)
					}
				}
				f.ForgetLog()
				release(t, l)
				want := "reset 1, second, first"
				if shape.opts.NoReset {
					want = "second, first"
				}
				if got := f.Story(); got != want {
					t.Errorf("at the return: %q, want %q", got, want)
				}
				f.ForgetLog()
				release(t, acquire(t, p))
				if got := f.Story(); strings.Contains(got, "first") {
					t.Errorf("at the next return: %q; OnReturn is for one return", got)
				}
			})
		})
	}
}

func TestOnReturnIsDroppedWhenTheResourceIsDiscardedOrDetached(t *testing.T) {
	for _, end := range []func(testLease){
		func(l testLease) { _ = l.Discard(nil) },
		func(l testLease) {
			if d, err := l.Detach(); err == nil {
				_ = d.Close()
			}
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := open(t, pooltest.NewFake(), one, pool.Options{})
			l := acquire(t, p)
			_ = l.OnReturn(func(context.Context, res) error {
				t.Error("OnReturn function ran for a resource that was not returned")
				return nil
			})
			end(l)
			release(t, acquire(t, p))
		})
	}
}

func TestOnReturnThatFailsDiscardsTheResource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, one, pool.Options{})
		l := acquire(t, p)
		_ = l.OnReturn(func(context.Context, res) error { return errTest })
		release(t, l)
		if got := acquire(t, p).Value().ID; got != 2 {
			t.Errorf("the next holder got resource %d, want a fresh one", got)
		}
	})
}

func TestResetRunsUnderItsOwnDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, one, pool.Options{ResetTimeout: 3 * time.Second})
		f.Next(pooltest.Reset, func(ctx context.Context) error {
			at, ok := ctx.Deadline()
			if !ok || time.Until(at) != 3*time.Second || ctx.Err() != nil {
				t.Errorf("ctx of Reset: deadline %v (%v), %v; want 3s from now, not ended", time.Until(at), ok, ctx.Err())
			}
			return nil
		})
		ctx, cancel := context.WithCancel(t.Context())
		l, err := p.Acquire(ctx)
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		release(t, l)
	})
}

func TestReleaseReturnsWhenResetHangsAndTheSeatComesBackAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, one, pool.Options{ResetTimeout: time.Second})
		l := acquire(t, p)
		f.Next(pooltest.Reset, pooltest.Stuck(time.Minute))
		begin := time.Now()
		release(t, l)
		if took := time.Since(begin); took != time.Second {
			t.Errorf("Release took %v, want ResetTimeout, 1s", took)
		}
		out := start(t.Context(), p)
		r := <-out
		if r.err != nil || r.took != 59*time.Second || f.MaxOpen() != 1 {
			t.Errorf("the next Acquire: %v after %v with %d open at once; want a fresh one when the reset returned after 59s, and 1", r.err, r.took, f.MaxOpen())
		}
	})
}

func TestDoReturnsTheResourceWhateverHappens(t *testing.T) {
	for _, tc := range []struct {
		name string
		f    func(context.Context, res) error
		keep bool
		err  error
	}{
		{"nil", func(context.Context, res) error { return nil }, true, nil},
		{"error", func(context.Context, res) error { return errTest }, true, errTest},
		{"dead", func(context.Context, res) error { return pooltest.ErrDead }, false, pooltest.ErrDead},
		{"all dead", func(context.Context, res) error { return pooltest.ErrAllDead }, false, pooltest.ErrAllDead},
		{"panic", func(context.Context, res) error { panic("boom") }, false, nil},
		{"Goexit", func(ctx context.Context, _ res) error { return pooltest.Goexit(ctx) }, false, nil},
	} {
		for _, shape := range shapes {
			t.Run(tc.name+"/"+shape.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := pooltest.NewFake()
					p := open(t, f, shape.strategy, shape.opts, shape.hooks)
					done := make(chan any)
					go func() {
						defer close(done)
						defer func() {
							if v := recover(); v != nil {
								done <- v
							}
						}()
						if err := p.Do(t.Context(), tc.f); err != tc.err {
							t.Errorf("Do = %v, want %v", err, tc.err)
						}
					}()
					if v := <-done; (v != nil) != (tc.name == "panic") {
						t.Errorf("Do panicked with %v", v)
					}
					synctest.Wait()
					atRest(t, p)
					if kept := f.Closed() == 0; kept != tc.keep {
						t.Errorf("resource kept = %v, want %v", kept, tc.keep)
					}
				})
			})
		}
	}
}

func TestDoReturnsAcquiresError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, pooltest.NewFake(), one, pool.Options{})
		l := acquire(t, p)
		defer l.Release()
		err := p.Do(after(t, time.Second), func(context.Context, res) error {
			t.Error("Do called its function without a resource")
			return nil
		})
		is(t, "Do", err, pool.ErrTimeout)
	})
}

func TestASharedResourceIsResetUnlessAllItsHoldersSaidThatItIsClean(t *testing.T) {
	for _, s := range []pool.Strategy{strategies.Static{}, strategies.Singleton{Size: 1}} {
		for unclean := range 1 << 3 { // a bit for each of three holders, in the order in which they leave
			synctest.Test(t, func(t *testing.T) {
				f := pooltest.NewFake()
				p := open(t, f, s, pool.Options{})
				resets := func(unclean int) int {
					before := f.Calls(pooltest.Reset)
					for i, l := range []testLease{acquire(t, p), acquire(t, p), acquire(t, p)} {
						end := l.ReleaseClean
						if unclean&(1<<i) != 0 {
							end = l.Release
						}
						if err := end(); err != nil {
							t.Fatal(err)
						}
					}
					return f.Calls(pooltest.Reset) - before
				}
				if got, want := resets(unclean), min(unclean, 1); got != want {
					t.Errorf("%s, where those of %03b did not say that it is clean: %d resets, want %d", s.Kind(), unclean, got, want)
				}
				if got := resets(0); got != 0 {
					t.Errorf("%s, where all who came after those of %03b said that it is clean: %d resets, want none", s.Kind(), unclean, got)
				}
			})
		}
	}
}
