package pool_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

// One timer serves all opens: each is overdue at its own time all the same, whatever became of those before it.
func TestEachOpenIsOverdueAtItsOwnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const timeout, grace = 10 * time.Second, 100 * ms
		f := pooltest.NewFake()
		p := open(t, f, strategies.Null{Max: 5}, pool.Options{OpenTimeout: timeout})
		start := time.Now()
		at := func(when time.Duration) {
			time.Sleep(when - time.Since(start))
			synctest.Wait()
		}
		for _, o := range []struct {
			begins time.Duration
			act    pooltest.Act
		}{
			{0, pooltest.Slow(3 * time.Second)},
			{time.Second, pooltest.Stuck(time.Minute)},
			{2 * time.Second, pooltest.Stuck(timeout + grace/2)}, // late, but within the grace
			{3 * time.Second, pooltest.Stuck(time.Minute)},
			{30 * time.Second, pooltest.Stuck(time.Minute)}, // the timer has rung for all before
		} {
			at(o.begins)
			f.Next(pooltest.Open, o.act)
			go func() {
				if l, err := p.Acquire(context.Background()); err == nil {
					_ = l.Release()
				}
			}()
		}
		overdue := func(when time.Duration, want uint64) {
			t.Helper()
			at(when)
			if got := p.Stats().Overdue; got != want {
				t.Errorf("after %v: %d opens overdue, want %d", when, got, want)
			}
		}
		overdue(30*time.Second, 2)
		overdue(40*time.Second+grace-1, 2)
		overdue(40*time.Second+grace, 3)
		time.Sleep(time.Minute) // until all have returned
	})
}

func TestEachOpenIsOverdueAtItsOwnTimeBeforeOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, strategies.Null{Max: 3}, pool.Options{OpenTimeout: time.Second})
		f.Always(pooltest.Open, pooltest.Stuck(10*time.Second))
		for n := range uint64(3) {
			go func() { _, _ = p.TryAcquire(context.Background()) }()
			time.Sleep(300 * ms)
			synctest.Wait()
			if got := p.Stats().Overdue; got != 0 {
				t.Errorf("%d opens begun: %d overdue after %v, want none", n+1, got, 300*ms*time.Duration(n+1))
			}
		}
		for n := range uint64(3) {
			time.Sleep(200*ms - 1)
			synctest.Wait()
			if got := p.Stats().Overdue; got != n {
				t.Errorf("%d overdue just before the next, want %d", got, n)
			}
			time.Sleep(100*ms + 1)
			synctest.Wait()
			if got := p.Stats().Overdue; got != n+1 {
				t.Errorf("%d overdue, want %d", got, n+1)
			}
		}
		time.Sleep(10 * time.Second) // until all have returned
	})
}

// What an open gets as its ctx is a context.WithTimeout's in all that shows, also if nobody has asked it for Done.
func TestOpenGetsACtxLikeThatOfWithTimeout(t *testing.T) {
	type key struct{}
	const timeout = 10 * time.Second
	for _, early := range []bool{false, true} {
		look := func(ctx context.Context) {
			if early {
				ctx.Done()
			}
		}
		is := func(t *testing.T, ctx context.Context, err, cause error) {
			t.Helper()
			if ctx.Err() != err || context.Cause(ctx) != cause {
				t.Errorf("Done asked first %v: Err %v and Cause %v, want %v and %v", early, ctx.Err(), context.Cause(ctx), err, cause)
			}
			select {
			case <-ctx.Done():
				if err == nil {
					t.Errorf("Done asked first %v: it is done", early)
				}
			default:
				if err != nil {
					t.Errorf("Done asked first %v: it is not done, though Err is %v", early, err)
				}
			}
			if ctx.Err() != err {
				t.Errorf("Done asked first %v: Err is %v after Done, and was %v", early, ctx.Err(), err)
			}
		}
		with := func(f func(ctx context.Context, t *testing.T, p *testPool)) {
			synctest.Test(t, func(t *testing.T) {
				fake := pooltest.NewFake()
				var p *testPool
				fake.Next(pooltest.Open, func(ctx context.Context) error {
					look(ctx)
					f(ctx, t, p)
					return errors.New("enough")
				})
				p = open(t, fake, one, pool.Options{OpenTimeout: timeout})
				_, _ = p.Acquire(context.Background())
			})
		}
		with(func(ctx context.Context, t *testing.T, _ *testPool) { // its time ends
			begun := time.Now()
			if end, ok := ctx.Deadline(); !ok || end.Sub(begun) != timeout {
				t.Errorf("Deadline in %v, %v; want in %v", end.Sub(begun), ok, timeout)
			}
			if got := ctx.Value(key{}); got != nil {
				t.Errorf("Value of a key that nobody set: %v", got)
			}
			time.Sleep(timeout - 1)
			if !early {
				if err := ctx.Err(); err != nil {
					t.Errorf("Err just before the end: %v", err)
				}
			} else {
				is(t, ctx, nil, nil)
			}
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			is(t, ctx, context.DeadlineExceeded, context.DeadlineExceeded)
		})
		with(func(ctx context.Context, t *testing.T, p *testPool) { // the pool's time ends
			go func() { _ = p.Close() }()
			synctest.Wait()
			is(t, ctx, context.Canceled, pool.ErrClosed)
		})
		with(func(ctx context.Context, t *testing.T, _ *testPool) { // children end with it
			child, cancel := context.WithTimeout(context.WithValue(ctx, key{}, "v"), time.Hour)
			defer cancel()
			rang := make(chan time.Duration, 1)
			begun := time.Now()
			context.AfterFunc(ctx, func() { rang <- time.Since(begun) })
			<-child.Done()
			if took := time.Since(begun); took != timeout || child.Err() != context.DeadlineExceeded || child.Value(key{}) != "v" {
				t.Errorf("a child ended after %v with %v", took, child.Err())
			}
			if took := <-rang; took != timeout {
				t.Errorf("AfterFunc rang after %v, want %v", took, timeout)
			}
		})
		t.Run("ended", func(t *testing.T) { // the call has returned
			for _, since := range []string{"", "its time is over", "the pool is closed"} {
				synctest.Test(t, func(t *testing.T) {
					var kept context.Context
					f := pooltest.NewFake()
					f.Next(pooltest.Open, func(ctx context.Context) error { look(ctx); kept = ctx; return nil })
					p := open(t, f, one, pool.Options{OpenTimeout: timeout})
					release(t, acquire(t, p))
					switch since {
					case "its time is over":
						time.Sleep(2 * timeout)
					case "the pool is closed":
						_ = p.Close()
						if got := context.Cause(kept); got != context.Canceled {
							t.Errorf("Done asked first %v: Cause %v, want %v: it had ended before the pool", early, got, context.Canceled)
						}
					}
					is(t, kept, context.Canceled, context.Canceled)
					time.Sleep(2 * timeout)
					is(t, kept, context.Canceled, context.Canceled)
				})
			}
		})
		t.Run("ended after the pool", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var kept context.Context
				f := pooltest.NewFake()
				p := open(t, f, one, pool.Options{OpenTimeout: timeout})
				f.Next(pooltest.Open, func(ctx context.Context) error {
					look(ctx)
					kept = ctx
					go func() { _ = p.Close() }()
					time.Sleep(time.Second)
					return nil
				})
				_, _ = p.Acquire(context.Background())
				time.Sleep(2 * time.Second)
				is(t, kept, context.Canceled, pool.ErrClosed)
			})
		})
	}
}

// What prints a ctx, as mocks and logs do, sees what it sees of others, and is no data race.
func TestCtxOfAnOpenIsPrintedLikeThatOfWithTimeout(t *testing.T) {
	f := pooltest.NewFake()
	p := open(t, f, one, pool.Options{OpenTimeout: time.Hour})
	var text string
	f.Next(pooltest.Open, func(ctx context.Context) error {
		asked := make(chan struct{})
		go func() { defer close(asked); ctx.Done() }()
		child := context.WithValue(ctx, pool.Inline, "v")
		text = fmt.Sprintf("%v, %+v", ctx, child)
		<-asked
		return nil
	})
	release(t, acquire(t, p))
	if !regexp.MustCompile(`^context\.Background\.WithCancel\.WithDeadline\([^{}]* \[59m[^{}]*\]\), context\.Background\.WithCancel\.WithDeadline\([^{}]* \[59m[^{}]*\]\)\.WithValue\(`).MatchString(text) {
		t.Errorf("ctx and a child are printed as %s", text)
	}
}

// A driver that keeps the ctx of its open, in a goroutine of its own say, does not keep the pool by that.
func TestCtxOfAnOpenKeepsNoPoolInMemory(t *testing.T) {
	for _, closed := range []bool{true, false} {
		var kept context.Context
		gone := func() weak.Pointer[pool.Pool[int]] {
			p, err := pool.New[int](pool.Funcs[int]{OpenFunc: func(ctx context.Context) (int, error) { kept = ctx; return 1, nil }},
				strategies.Null{Max: 1}, pool.Options{})
			if err != nil {
				t.Fatal(err)
			}
			l, err := p.Acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_ = l.Release()
			if closed {
				_ = p.Close()
			}
			return weak.Make(p)
		}()
		for n := 0; gone.Value() != nil; n++ { // real time: goroutines of the pool may be about to end
			if n == 100 {
				t.Errorf("closed %v: the pool is still in memory", closed)
				break
			}
			time.Sleep(time.Duration(n) * ms / 5)
			runtime.GC()
		}
		runtime.KeepAlive(kept)
	}
}
