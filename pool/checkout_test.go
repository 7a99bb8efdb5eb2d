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

func TestMaxAgeIsExact(t *testing.T) {
	for _, tc := range []struct {
		age  time.Duration
		want int
	}{{time.Minute, 1}, {time.Minute + 1, 2}} {
		synctest.Test(t, func(t *testing.T) {
			p := open(t, pooltest.NewFake(), one, pool.Options{MaxAge: time.Minute, Jitter: pool.NoJitter})
			release(t, acquire(t, p))
			time.Sleep(tc.age)
			synctest.Wait()
			if got := acquire(t, p).Value().ID; got != tc.want {
				t.Errorf("at the age of %v with MaxAge 1m: got resource %d, want %d: older is too old, as old is not", tc.age, got, tc.want)
			}
		})
	}
}

func TestResourceThatGrewOldInUseIsNotLentAgain(t *testing.T) {
	for _, s := range []pool.Strategy{one, strategies.Static{}, strategies.Singleton{Size: 1}} {
		synctest.Test(t, func(t *testing.T) { // without a reset all are lent the fast way
			p := open(t, pooltest.NewFake(), s, pool.Options{MaxAge: time.Minute, NoReset: true, Jitter: pool.NoJitter})
			warm(t, p)
			l := acquire(t, p)
			time.Sleep(time.Minute)
			synctest.Wait()
			release(t, l)
			if got := acquire(t, p).Value().ID; got != 2 {
				t.Errorf("%s: after a minute in use: got resource %d, want a fresh one", s.Kind(), got)
			}
		})
	}
}

func TestMaxAgeCountsTheWaitForAResource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, pooltest.NewFake(), one, pool.Options{MaxAge: time.Minute})
		l := acquire(t, p)
		time.Sleep(time.Second)
		out := start(t.Context(), p)
		time.Sleep(time.Hour)
		release(t, l)
		if r := <-out; r.err != nil || r.lease.Value().ID != 2 {
			t.Errorf("a waiter of an hour got %v (%v), want a fresh one: nothing expired is handed out", r.lease.Value(), r.err)
		}
	})
}

func TestMaxAgeOfStaticIsCheckedWhenAHolderJoins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, strategies.Static{}, pool.Options{MaxAge: time.Minute})
		a := acquire(t, p)
		time.Sleep(time.Hour)
		out := start(t.Context(), p)
		a.Value().Use(t)
		release(t, a)
		if r := <-out; r.err != nil || r.lease.Value().ID != 2 {
			t.Errorf("the newcomer got %v, %v, want resource 2", r.lease, r.err)
		}
	})
}

func TestReplacedResourceIsClosedBeforeItsSuccessorIsOpened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, one, pool.Options{})
		warm(t, p)
		p.Invalidate(nil)
		f.Next(pooltest.Close, pooltest.Stuck(3*time.Second))
		r := <-start(t.Context(), p)
		if r.err != nil || r.took != 3*time.Second || f.MaxOpen() != 1 {
			t.Errorf("got %v after %v with %d open at once; want it after the close, 3s, and 1 open", r.err, r.took, f.MaxOpen())
		}
	})
}

func TestCloseThatHangsInAReplaceFailsTheAcquireSoonAfterCloseTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, one, pool.Options{CloseTimeout: 3 * time.Second})
		warm(t, p)
		p.Invalidate(nil)
		f.Next(pooltest.Close, pooltest.Stuck(time.Hour))
		r := <-start(t.Context(), p)
		var e *pool.OpenError
		if !asError(r.err, &e) || r.took < 3*time.Second || r.took > 4*time.Second {
			t.Errorf("got %v after %v; want an OpenError soon after CloseTimeout, 3s", r.err, r.took)
		}
		time.Sleep(time.Hour)
		acquire(t, p)
		if f.MaxOpen() != 1 {
			t.Errorf("%d were open at once, want 1: the seat is taken until the close returns", f.MaxOpen())
		}
	})
}

func TestAttemptsCountsTheResourcesTried(t *testing.T) {
	for _, tc := range []struct{ attempts, want int }{{0, 3}, {1, 1}, {5, 5}} {
		for _, s := range []pool.Strategy{two, strategies.Static{}, strategies.Null{Max: 2}, strategies.Assertion{}} {
			synctest.Test(t, func(t *testing.T) {
				f, rec := pooltest.NewFake(), newRecorder()
				rec.on("checkout", func(_ context.Context, e pool.Event[res]) error {
					return &lastError{pool.ErrDisconnected, e.Resource.ID}
				})
				p := open(t, f, s, pool.Options{Attempts: tc.attempts, Name: "orders"}, rec.hooks())
				_, err := p.Acquire(t.Context())
				var e *pool.AttemptsError
				if !asError(err, &e) || e.Attempts != tc.want || e.Pool != "orders" {
					t.Fatalf("%s: Attempts %d: got %v, want an AttemptsError of %d", s.Kind(), tc.attempts, err, tc.want)
				}
				var last *lastError
				if !asError(err, &last) || last.id != tc.want {
					t.Errorf("%s: the error is of resource %d, want the last one, %d", s.Kind(), last.id, tc.want)
				}
				is(t, "AttemptsError", err, pool.ErrDisconnected)
				if f.Opened() != tc.want || f.Closed() != tc.want {
					t.Errorf("%s: opened %d, closed %d, want %d each", s.Kind(), f.Opened(), f.Closed(), tc.want)
				}
			})
		}
	}
}

// lastError tells the errors of several attempts apart.
type lastError struct {
	error
	id int
}

func (e *lastError) Unwrap() error { return e.error }

func TestCheckoutHookThatRefusesAJoiningHolderFailsItsAcquire(t *testing.T) {
	for _, tc := range []struct {
		name string
		err  error
		want int // resource that the Acquire gets; 0: none
	}{
		{"refused", errTest, 0},
		{"disconnected", pool.ErrDisconnected, 2},
		{"pool invalid", pool.ErrInvalidatePool, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, rec := pooltest.NewFake(), newRecorder()
				f.AllowForcedClose()
				p := open(t, f, strategies.Static{}, pool.Options{}, rec.hooks())
				acquire(t, p)
				nextHook("checkout", tc.err)(&scene{rec: rec})
				l, err := p.Acquire(after(t, time.Second))
				switch {
				case tc.want == 0:
					is(t, "Acquire", err, tc.err)
				case err != nil:
					t.Errorf("Acquire: %v, want resource %d", err, tc.want)
				case l.Value().ID != tc.want:
					t.Errorf("got %v, want resource %d", l.Value(), tc.want)
				}
			})
		})
	}
}

func TestCloseDuringCheckoutLendsNothing(t *testing.T) {
	for _, end := range poolEnds {
		for _, where := range []string{"ping", "checkout hook"} {
			for _, s := range []pool.Strategy{one, strategies.Static{}} {
				t.Run(end.name+"/"+where+"/"+s.Kind(), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						f, rec := pooltest.NewFake(), newRecorder()
						p := open(t, f, s, pool.Options{Ping: true}, rec.hooks())
						warm(t, p)
						if where == "ping" {
							f.Next(pooltest.Ping, pooltest.Slow(2*time.Second))
						} else {
							rec.act("checkout", pooltest.Slow(2*time.Second))
						}
						out := start(t.Context(), p)
						time.Sleep(time.Second)
						done := make(chan error, 1)
						go func() { done <- end.end(t.Context(), p) }()
						r := <-out
						is(t, "Acquire in mid-"+where+" when the pool ends", r.err, pool.ErrClosed)
						if r.err == nil {
							_ = r.lease.Release()
						}
						if err := <-done; err != nil {
							t.Errorf("%s: %v, want nil", end.name, err)
						}
					})
				})
			}
		}
	}
}

func TestTryAcquireNeverStandsInLineForHeldSeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		f.Always(pooltest.Open, pooltest.Slow(time.Second))
		p := open(t, f, two, pool.Options{})
		a, err := p.TryAcquire(t.Context()) // opens
		if err != nil {
			t.Fatalf("TryAcquire with a free seat: %v, want a resource", err)
		}
		release(t, a)
		begin := time.Now()
		if a, err = p.TryAcquire(t.Context()); err != nil || time.Since(begin) != 0 {
			t.Fatalf("TryAcquire with an idle resource: %v after %v", err, time.Since(begin))
		}
		acquire(t, p)
		begin = time.Now()
		_, err = p.TryAcquire(t.Context())
		is(t, "TryAcquire of a full pool", err, pool.ErrExhausted)
		isNot(t, "TryAcquire of a full pool", err, pool.ErrTimeout)
		if took := time.Since(begin); took != 0 {
			t.Errorf("TryAcquire of a full pool took %v, want no time", took)
		}
		release(t, a)
	})
}

// Closing what was refused takes its time, but not that of the acquirer.
func TestAcquireDoesNotWaitForTheCloseOfARefusedResource(t *testing.T) {
	for _, tc := range []struct {
		name string
		err  error
	}{{"refused", errTest}, {"last attempt", pool.ErrDisconnected}} {
		for _, s := range []pool.Strategy{one, strategies.Static{}} {
			t.Run(tc.name+"/"+s.Kind(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f, rec := pooltest.NewFake(), newRecorder()
					rec.act("checkout", pooltest.Fail(tc.err))
					f.Always(pooltest.Close, pooltest.Stuck(4*time.Second))
					p := open(t, f, s, pool.Options{Attempts: 1}, rec.hooks())
					r := <-start(after(t, time.Second), p)
					is(t, "Acquire", r.err, tc.err)
					if r.took > time.Second {
						t.Errorf("Acquire under a deadline of 1s took %v, while the resource was closed", r.took)
					}
					time.Sleep(time.Minute)
				})
			})
		}
	}
}

func TestResourcesThatAreOutdatedAtOnceEndInAttemptsError(t *testing.T) {
	for _, tc := range []struct {
		name string
		opts pool.Options
		hook func(*testPool)
	}{
		{"by age", pool.Options{MaxAge: time.Nanosecond}, func(*testPool) { time.Sleep(time.Second) }},
		{"by a connect hook", pool.Options{}, func(p *testPool) { p.Invalidate(errTest) }},
	} {
		synctest.Test(t, func(t *testing.T) {
			f, rec := pooltest.NewFake(), newRecorder()
			var p *testPool
			rec.on("connect", func(context.Context, pool.Event[res]) error { tc.hook(p); return nil })
			p = open(t, f, one, tc.opts, rec.hooks())
			_, err := p.Acquire(after(t, time.Hour))
			var e *pool.AttemptsError
			if !asError(err, &e) || f.Opened() > 4 {
				t.Errorf("%s: Acquire: %v after %d opens, want an AttemptsError after some three", tc.name, err, f.Opened())
			}
		})
	}
}

// Five that are being opened at an invalidation arrive one after the other while one acquirer checks out.
func TestResourcesThatOneInvalidationMeansAreOneAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		for n := range time.Duration(5) {
			f.Next(pooltest.Open, pooltest.Slow((n+1)*time.Second))
		}
		f.Always(pooltest.Open, pooltest.Slow(10*time.Second))
		p := open(t, f, strategies.Queue{Size: 5}, pool.Options{OpensAtOnce: pool.Unlimited, Attempts: 1})
		out := crowd(t.Context(), p, 5)
		synctest.Wait()
		p.Invalidate(errTest)
		for _, o := range out {
			if r := <-o; r.err != nil {
				t.Errorf("Acquire: %v, want a resource", r.err)
			} else if got := r.lease.Value(); got.ID <= 5 {
				t.Errorf("got %v, want a resource whose open began after the invalidation", got)
			}
		}
	})
}

// A check finds that the server has restarted while two more are being opened: they are no attempts of their own.
func TestACheckThatFindsAllDeadSpeaksForThoseBeingOpened(t *testing.T) {
	for kind, attempts := range map[pool.Check]int{pool.SlowCheck: 2, pool.QuickCheck: 1} { // which is no attempt itself
		synctest.Test(t, func(t *testing.T) {
			f := pooltest.NewFake()
			c := checked{f, kind, func(context.Context, res) error {
				time.Sleep(time.Second)
				return pool.ErrInvalidatePool
			}}
			p := openChecked(t, c, strategies.Queue{Size: 3}, pool.Options{Attempts: attempts})
			warm(t, p)
			f.Next(pooltest.Open, pooltest.Slow(2*time.Second), pooltest.Slow(3*time.Second))
			f.Always(pooltest.Open, pooltest.Slow(10*time.Second))
			for _, o := range []<-chan result{start(t.Context(), p), start(t.Context(), p), start(t.Context(), p)} {
				if r := <-o; r.err != nil {
					t.Errorf("check %d: Acquire: %v, want a resource", kind, r.err)
				} else if got := r.lease.Value(); got.ID <= 3 {
					t.Errorf("check %d: got %v, want a resource whose open began after the restart", kind, got)
				}
			}
		})
	}
}

func TestTimeoutOfTheStrategyBoundsTheWholeWait(t *testing.T) {
	for _, make := range []func(time.Duration) pool.Strategy{
		func(d time.Duration) pool.Strategy { return strategies.Queue{Size: 1, Timeout: d} },
		func(d time.Duration) pool.Strategy { return strategies.Static{Timeout: d} },
	} {
		synctest.Test(t, func(t *testing.T) {
			f := pooltest.NewFake()
			p := open(t, f, make(time.Second), pool.Options{})
			l := acquire(t, p)
			_ = l.Retire(nil)
			out := start(t.Context(), p)
			time.Sleep(800 * time.Millisecond)
			f.Next(pooltest.Open, pooltest.Slow(time.Minute))
			release(t, l)
			r := <-out
			is(t, "Acquire", r.err, pool.ErrTimeout)
			if r.took != time.Second {
				t.Errorf("Acquire waited %v in line and for a replacement, want the Timeout, 1s, for both", r.took)
			}
		})
	}
}

func TestCheckoutHookThatExitsUnderAJoiningHolderLosesNoSeat(t *testing.T) {
	for _, act := range []pooltest.Act{pooltest.Goexit, pooltest.Panic("boom")} {
		synctest.Test(t, func(t *testing.T) {
			f, rec := pooltest.NewFake(), newRecorder()
			f.AllowForcedClose()
			p := open(t, f, strategies.Static{}, pool.Options{}, rec.hooks())
			l := acquire(t, p)
			rec.act("checkout", act)
			done := make(chan struct{})
			go func() {
				defer close(done)
				_, _ = p.Acquire(t.Context())
			}()
			<-done
			rec.act("checkout", pooltest.OK)
			release(t, l)
			release(t, acquire(t, p))
			atRest(t, p)
		})
	}
}
