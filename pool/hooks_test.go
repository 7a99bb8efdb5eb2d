package pool_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

// hookNames are the ten events.
var hookNames = []string{"first_connect", "connect", "checkout", "reset", "checkin",
	"invalidate", "soft_invalidate", "close", "detach", "close_detached"}

// point is a place where a pool calls somebody else's code.
type point struct {
	name string
	set  func(*faulty, pooltest.Act) // has the next call there do as told
}

// faulty is a pool in which one callback misbehaves.
type faulty struct {
	fake     *pooltest.Fake
	rec      *recorder
	onReturn pooltest.Act
	classify pooltest.Act
}

// Classify does as told, then as the Fake would.
func (f *faulty) classified(err error) pool.Fault {
	f.rec.mu.Lock()
	act := f.classify
	f.classify = nil
	f.rec.mu.Unlock()
	if act != nil {
		_ = act(context.Background())
	}
	return f.fake.Classify(err)
}

// classifier is a Fake whose Classify can be told what to do.
type classifier struct {
	*pooltest.Fake
	classify func(error) pool.Fault
}

func (c classifier) Classify(err error) pool.Fault { return c.classify(err) }

func points() (all []point) {
	for _, m := range []pooltest.Method{pooltest.Open, pooltest.Ping, pooltest.Reset, pooltest.Close} {
		all = append(all, point{"Backend." + string(m), func(f *faulty, a pooltest.Act) { f.fake.Next(m, a) }})
	}
	all = append(all,
		point{"Backend.classify", func(f *faulty, a pooltest.Act) { f.classify = a }},
		point{"OnReturn function", func(f *faulty, a pooltest.Act) { f.onReturn = a }})
	for _, name := range hookNames {
		all = append(all, point{name + " hook", func(f *faulty, a pooltest.Act) {
			f.rec.on(name, func(ctx context.Context, _ pool.Event[res]) error {
				f.rec.mu.Lock()
				delete(f.rec.does, name)
				f.rec.mu.Unlock()
				return a(ctx)
			})
		}})
	}
	return all
}

// TestCallbackThatFailsLosesNoSeat has every callback of a pool misbehave in every way, in the manner
// of deadpool's matrix, while a holder goes through every verb. While the callback hangs, others are served;
// afterwards no seat is lost, every resource was closed once, and no goroutine is left, which the
// end of the synctest bubble asserts.
func TestCallbackThatFailsLosesNoSeat(t *testing.T) {
	acts := []struct {
		name string
		act  func(release chan struct{}) pooltest.Act
	}{
		{"succeeds", func(chan struct{}) pooltest.Act { return pooltest.OK }},
		{"fails", func(chan struct{}) pooltest.Act { return pooltest.Fail(errTest) }},
		{"finds it dead", func(chan struct{}) pooltest.Act { return pooltest.Fail(pooltest.ErrDead) }},
		{"finds all dead", func(chan struct{}) pooltest.Act { return pooltest.Fail(pooltest.ErrAllDead) }},
		{"panics", func(chan struct{}) pooltest.Act { return pooltest.Panic("boom") }},
		{"panics with an error", func(chan struct{}) pooltest.Act { return pooltest.Panic(errTest) }},
		{"exits", func(chan struct{}) pooltest.Act { return pooltest.Goexit }},
		{"is slow and heeds ctx", func(chan struct{}) pooltest.Act { return pooltest.Slow(time.Minute) }},
		{"is slow beyond every bound", func(chan struct{}) pooltest.Act { return pooltest.Stuck(time.Minute) }},
		{"is slow, then panics", func(chan struct{}) pooltest.Act { return pooltest.Stuck(time.Minute, pooltest.Panic("late")) }},
		{"never returns", func(release chan struct{}) pooltest.Act { return pooltest.Hang(release) }},
		{"never returns, then exits", func(release chan struct{}) pooltest.Act { return pooltest.Hang(release, pooltest.Goexit) }},
	}
	for _, strategy := range []pool.Strategy{two, strategies.Static{}, strategies.Null{Max: 2}, strategies.Singleton{Size: 2}} {
		for _, inline := range []bool{false, true} {
			for _, pt := range points() {
				if pt.name == "Backend.ping" && strategy.Kind() == "null" {
					continue // every resource is fresh
				}
				for _, a := range acts {
					name := fmt.Sprintf("%s/inline=%v/%s/%s", strategy.Kind(), inline, pt.name, a.name)
					t.Run(name, func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) {
							hurt(t, strategy, inline, pt, a.act)
						})
					})
				}
			}
		}
	}
}

func hurt(t *testing.T, strategy pool.Strategy, inline bool, pt point, makeAct func(chan struct{}) pooltest.Act) {
	f := &faulty{fake: pooltest.NewFake(), rec: newRecorder()}
	f.fake.AllowForcedClose()
	// Times must pass, or a resource would seem to be fresh and not be pinged.
	f.fake.Always(pooltest.Open, pooltest.Slow(time.Millisecond))
	o := pool.Options{Ping: true, OpenTimeout: time.Second, PingTimeout: time.Second, ResetTimeout: time.Second, CloseTimeout: time.Second}
	if inline {
		o.PingTimeout, o.ResetTimeout, o.CloseTimeout = pool.Inline, pool.Inline, pool.Inline
	}
	p, err := pool.New[res](classifier{f.fake, f.classified}, strategy, o, f.rec.hooks())
	if err != nil {
		t.Fatal(err)
	}
	hung, begun := make(chan struct{}), make(chan struct{})
	act := makeAct(hung)
	pt.set(f, func(ctx context.Context) error {
		close(begun)
		return act(ctx)
	})

	done := make(chan struct{})
	go everyVerb(t.Context(), p, f, done)
	select {
	case <-begun:
	case <-done:
		t.Fatal("the callback was never called; the test is to be mended")
	}
	synctest.Wait()

	// One callback at most is busy now. Others are served within their deadline if a seat is
	// free for them; first_connect is the one that all opens wait for.
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	begin := time.Now()
	l, err := acquireElsewhere(ctx, p)
	cancel()
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("another Acquire took %v under a deadline of 10s; it returns by its deadline", took)
	}
	if free := p.Limits().Seats > 1 && pt.name != "first_connect hook"; free && err != nil {
		t.Errorf("another Acquire, with a seat free: %v, want a resource; a callback holds only its own seat", err)
	}
	if err == nil {
		releaseElsewhere(l)
	}
	time.Sleep(time.Hour)
	close(hung)
	<-done
	time.Sleep(time.Hour)

	// All is well again: every seat can be had at once.
	for range 2 {
		var leases []testLease
		for range p.Limits().Seats {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			l, err := acquireElsewhere(ctx, p)
			cancel()
			if err != nil {
				t.Errorf("Acquire afterwards: %v; no callback may lose a seat; %v", err, p)
				break
			}
			leases = append(leases, l)
		}
		for _, l := range leases {
			if _, err := l.Get(); err != nil {
				t.Errorf("Get afterwards: %v", err)
			}
			release(t, l)
		}
	}
	synctest.Wait()
	atRest(t, p)
	ctx, cancel = context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := p.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown afterwards: %v, want nil", err)
	}
	atRest(t, p)
	if s := p.Stats(); s.Opened != s.Closed {
		t.Errorf("opened %d, closed %d; every opened resource is closed once", s.Opened, s.Closed)
	}
	f.fake.Verify(t)
}

// acquireElsewhere acquires on a goroutine of its own, so that a singleton does not share.
func acquireElsewhere(ctx context.Context, p *testPool) (l testLease, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		l, err = p.Acquire(ctx)
	}()
	<-done
	return l, err
}

func releaseElsewhere(l testLease) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = l.Release()
	}()
	<-done
}

// everyVerb calls all verbs of a pool, each on a goroutine of its own, which a callback's Goexit ends.
func everyVerb(ctx context.Context, p *testPool, f *faulty, done chan struct{}) {
	defer close(done)
	held := func(verb func(testLease)) func() {
		return func() {
			ctx, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			l, err := p.Acquire(ctx)
			if err != nil {
				return
			}
			defer l.Release()
			verb(l)
		}
	}
	for _, story := range []func(){
		held(func(testLease) {}),
		held(func(testLease) { time.Sleep(time.Millisecond) }),
		held(func(l testLease) {
			if act := f.onReturn; act != nil {
				f.onReturn = nil
				_ = l.OnReturn(func(ctx context.Context, _ res) error { return act(ctx) })
			}
		}),
		held(func(l testLease) { _ = l.Retire(errTest) }),
		held(func(l testLease) { _ = l.Discard(errTest) }),
		held(func(l testLease) { _ = l.Fail(pooltest.ErrDead) }),
		held(func(l testLease) {
			if d, err := l.Detach(); err == nil {
				_ = d.Close()
			}
		}),
		func() { _ = p.Do(ctx, func(context.Context, res) error { return errTest }) },
		func() { _ = p.Do(ctx, func(context.Context, res) error { return pooltest.ErrAllDead }) },
		p.Dispose,
	} {
		finished := make(chan struct{})
		go func() {
			defer close(finished)
			story()
		}()
		<-finished
		time.Sleep(time.Millisecond)
	}
}

func TestClassifyThatPanicsOrExitsLosesNoSeat(t *testing.T) {
	verbs := []struct {
		name string
		do   func(t *testing.T, f *pooltest.Fake, p *testPool)
	}{
		{"Fail", func(t *testing.T, _ *pooltest.Fake, p *testPool) {
			l := acquire(t, p)
			defer l.Release()
			_ = l.Fail(errTest)
		}},
		{"Do", func(t *testing.T, _ *pooltest.Fake, p *testPool) {
			_ = p.Do(t.Context(), func(context.Context, res) error { return errTest })
		}},
		{"failed ping", func(t *testing.T, f *pooltest.Fake, p *testPool) {
			f.Next(pooltest.Ping, pooltest.Fail(errTest))
			_ = p.Do(t.Context(), func(context.Context, res) error { return nil })
		}},
		{"failed ping after ctx", func(t *testing.T, f *pooltest.Fake, p *testPool) {
			f.Next(pooltest.Ping, pooltest.Stuck(time.Second, pooltest.Fail(errTest)))
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			_ = p.Do(ctx, func(context.Context, res) error { return nil })
		}},
	}
	for _, act := range []struct {
		name string
		act  pooltest.Act
	}{{"panics", pooltest.Panic("boom")}, {"exits", pooltest.Goexit}} {
		for _, verb := range verbs {
			t.Run(verb.name+"/"+act.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := pooltest.NewFake()
					var bad atomic.Bool
					p, err := pool.New[res](classifier{f, func(error) pool.Fault {
						if bad.Load() {
							_ = act.act(t.Context())
						}
						return pool.Sound
					}}, one, pool.Options{Ping: true})
					if err != nil {
						t.Fatal(err)
					}
					defer closeUp(t, f, p)
					warm(t, p)
					bad.Store(true)
					done := make(chan struct{})
					go func() {
						defer close(done)
						verb.do(t, f, p)
					}()
					<-done
					time.Sleep(time.Minute)
					bad.Store(false)
					l, err := p.Acquire(after(t, time.Second))
					if err != nil {
						t.Fatalf("Acquire afterwards: %v; Classify may lose no seat", err)
					}
					release(t, l)
				})
			})
		}
	}
}

func TestHookMayUseThePool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, event := range hookNames {
			f, rec := pooltest.NewFake(), newRecorder()
			f.AllowForcedClose()
			var p *testPool
			rec.on(event, func(ctx context.Context, _ pool.Event[res]) error {
				rec.mu.Lock()
				delete(rec.does, event)
				rec.mu.Unlock()
				_ = p.Stats()
				p.Invalidate(errTest)
				l, err := p.Acquire(ctx)
				if err != nil {
					t.Errorf("Acquire within the %s hook: %v", event, err)
					return nil
				}
				return l.Release()
			})
			p = open(t, f, two, pool.Options{}, rec.hooks())
			if event == "first_connect" {
				continue // all opens wait for it, so it must not wait for one
			}
			done := make(chan struct{})
			go everyVerb(t.Context(), p, &faulty{}, done)
			<-done
		}
	})
}

// A hook runs on the acquirer's goroutine, so that nobody can hurry it; but what comes too late is
// no success.
func TestAcquireFailsWhenCtxEndedInACheckoutHook(t *testing.T) {
	for _, s := range []pool.Strategy{one, strategies.Static{}} {
		synctest.Test(t, func(t *testing.T) {
			f := pooltest.NewFake()
			slow := true
			p := open(t, f, s, pool.Options{}, pool.Hooks[res]{
				Checkout: func(context.Context, pool.Event[res]) error {
					if slow {
						time.Sleep(time.Minute)
					}
					return nil
				},
			})
			r := <-start(after(t, time.Second), p)
			is(t, s.Kind(), r.err, pool.ErrTimeout, context.DeadlineExceeded)
			slow = false
			if l := acquire(t, p); l.Value().ID != 1 {
				t.Errorf("%s: the next holder got resource %d, want the one that was opened", s.Kind(), l.Value().ID)
			}
		})
	}
}
