package strategies_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

// acquireInAPlaceOfItsOwn is a frame to be found in a stack.
func acquireInAPlaceOfItsOwn(r *rig) lease {
	l, err := r.Acquire(context.Background())
	if err != nil {
		r.Fatal(err)
	}
	return l
}

func TestAssertionFailsTheSecondAcquireWithTheStackOfTheFirst(t *testing.T) {
	with(t, strategies.Assertion{}, func(r *rig) {
		l := acquireInAPlaceOfItsOwn(r)
		for name, acquire := range map[string]func(context.Context) (lease, error){
			"Acquire": r.Acquire, "TryAcquire": r.TryAcquire, "AcquireUnique": r.AcquireUnique,
		} {
			_, err := acquire(context.Background())
			var already *strategies.AlreadyAcquiredError
			if !errors.Is(err, strategies.ErrAlreadyAcquired) || !errors.As(err, &already) {
				r.Fatalf("%s while another holds: %v, want an *AlreadyAcquiredError", name, err)
			}
			first, _, _ := strings.Cut(already.Stack, "\n")
			if !strings.HasSuffix(first, "strategies_test.acquireInAPlaceOfItsOwn") {
				r.Errorf("%s: the stack begins with %q, want the function that acquired; the whole is\n%s", name, first, already.Stack)
			}
			if !strings.Contains(err.Error(), "already acquired at:\n"+already.Stack) {
				r.Errorf("%s: the message does not tell the stack:\n%v", name, err)
			}
		}
		if took := r.now(); took != 0 {
			r.Errorf("the refusals took %v, want no time", took)
		}
		r.end(l)
	})
}

func TestAssertionWithoutStackSaysSoShortly(t *testing.T) {
	with(t, strategies.Assertion{NoStack: true}, func(r *rig) {
		l := r.get()
		_, err := r.Acquire(context.Background())
		var already *strategies.AlreadyAcquiredError
		if !errors.As(err, &already) || already.Stack != "" {
			r.Fatalf("second Acquire: %v, want an *AlreadyAcquiredError without a stack", err)
		}
		if got, want := already.Error(), "strategies: resource is already acquired"; got != want {
			r.Errorf("error is %q, want %q", got, want)
		}
		r.end(l)
	})
}

// eachAssertion runs a test with either kind.
func eachAssertion(t *testing.T, o pool.Options, f func(*rig)) {
	t.Helper()
	for _, a := range []strategies.Assertion{{}, {NoStack: true}} {
		withOptions(t, a, o, f)
	}
}

func TestAssertionWorksAgainAfterAnyEnd(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(r *rig, l lease)
		next int // the resource of the next Acquire
	}{
		"Release":      {func(_ *rig, l lease) { _ = l.Release() }, 1},
		"ReleaseClean": {func(_ *rig, l lease) { _ = l.ReleaseClean() }, 1},
		"Discard":      {func(_ *rig, l lease) { _ = l.Discard(errDown) }, 2},
		"Retire":       {func(_ *rig, l lease) { _ = l.Retire(nil); _ = l.Release() }, 2},
		"Detach": {func(r *rig, l lease) {
			d, err := l.Detach()
			if err != nil {
				r.Fatal(err)
			}
			_ = d.Close()
		}, 2},
		"Dispose after":  {func(r *rig, l lease) { _ = l.Release(); r.Dispose() }, 2},
		"Dispose before": {func(r *rig, l lease) { r.Dispose(); _ = l.Release() }, 2},
		"failed Reset": {func(r *rig, l lease) {
			r.fake.Next(pooltest.Reset, pooltest.Fail(errDown))
			_ = l.Release()
		}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			eachAssertion(t, pool.Options{}, func(r *rig) {
				c.end(r, r.get())
				l := r.get()
				r.wants(l, c.next, "after "+name)
				if _, err := r.TryAcquire(context.Background()); !errors.Is(err, strategies.ErrAlreadyAcquired) {
					r.Errorf("second Acquire: %v, want ErrAlreadyAcquired as before", err)
				}
				r.end(l)
			})
		})
	}
}

func TestAssertionSecondReleaseDoesNotFreeTheNextHolder(t *testing.T) {
	eachAssertion(t, pool.Options{}, func(r *rig) {
		a := r.get()
		r.end(a)
		b := r.get()
		_ = a.Release()
		if _, err := r.Acquire(context.Background()); !errors.Is(err, strategies.ErrAlreadyAcquired) {
			r.Errorf("Acquire after a second Release: %v, want ErrAlreadyAcquired", err)
		}
		r.end(b)
	})
}

func TestAssertionDisposeUnderAHolderDoesNotLetAnotherIn(t *testing.T) {
	eachAssertion(t, pool.Options{}, func(r *rig) {
		l := r.get()
		r.Dispose()
		if _, err := r.Acquire(context.Background()); !errors.Is(err, strategies.ErrAlreadyAcquired) {
			r.Errorf("Acquire after Dispose with a lease out: %v, want ErrAlreadyAcquired", err)
		}
		r.end(l)
	})
}

func TestAssertionHolderIsFreedWhenItGetsNothing(t *testing.T) {
	t.Run("open fails", func(t *testing.T) {
		eachAssertion(t, pool.Options{}, func(r *rig) {
			r.fake.Next(pooltest.Open, pooltest.Fail(errDown))
			if _, err := r.Acquire(context.Background()); !errors.Is(err, errDown) {
				r.Errorf("Acquire: %v, want the open's error", err)
			}
			r.end(r.get())
		})
	})
	t.Run("ctx ends", func(t *testing.T) {
		eachAssertion(t, pool.Options{}, func(r *rig) {
			r.fake.Next(pooltest.Open, pooltest.Slow(time.Second))
			ctx, cancel := context.WithTimeout(r.Context(), time.Millisecond)
			defer cancel()
			if _, err := r.Acquire(ctx); !errors.Is(err, pool.ErrTimeout) {
				r.Errorf("Acquire: %v, want ErrTimeout", err)
			}
			l := r.get()
			r.wants(l, 1, "the open goes on and serves the next")
			r.end(l)
		})
	})
	t.Run("replacement fails", func(t *testing.T) {
		eachAssertion(t, pool.Options{Ping: true}, func(r *rig) {
			r.end(r.get())
			time.Sleep(time.Second)
			r.fake.Next(pooltest.Ping, pooltest.Fail(errDown))
			r.fake.Next(pooltest.Open, pooltest.Fail(errDown))
			if _, err := r.Acquire(context.Background()); !errors.Is(err, errDown) {
				r.Errorf("Acquire: %v, want the open's error", err)
			}
			l := r.get()
			r.wants(l, 2, "the first was found dead")
			r.end(l)
		})
	})
}

func TestAssertionIsHeldWhileTheOpenLasts(t *testing.T) {
	eachAssertion(t, pool.Options{}, func(r *rig) {
		r.fake.Next(pooltest.Open, pooltest.Slow(time.Second))
		first := r.ask(r.Context())
		if _, err := r.Acquire(r.Context()); !errors.Is(err, strategies.ErrAlreadyAcquired) {
			r.Errorf("second Acquire during the first one's open: %v, want ErrAlreadyAcquired", err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		r.end(first.lease)
	})
}

func TestAssertionDoesNotAccuseItsOnlyHolderWhenAPingHangs(t *testing.T) {
	eachAssertion(t, pool.Options{Ping: true, PingTimeout: time.Second}, func(r *rig) {
		r.end(r.get())
		time.Sleep(time.Second)
		r.fake.Next(pooltest.Ping, pooltest.Stuck(10*time.Second))
		l, err := r.Acquire(r.Context())
		if errors.Is(err, strategies.ErrAlreadyAcquired) {
			r.Errorf("Acquire by the only goroutine, whose ping hangs: %v", err)
		}
		if err == nil {
			r.end(l)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		r.end(r.get())
	})
}

func TestAssertionHolderThatWaitedForADisposalStaysTheHolder(t *testing.T) {
	eachAssertion(t, pool.Options{}, func(r *rig) {
		r.end(r.get())
		r.fake.Next(pooltest.Close, pooltest.Slow(time.Second))
		go r.Dispose()
		synctest.Wait()
		a := r.ask(r.Context()) // stands behind the close
		time.Sleep(time.Second)
		synctest.Wait()
		if !a.done() || a.err != nil {
			r.Fatalf("Acquire during a disposal: done %t, %v; want a lease once the close is done", a.done(), a.err)
		}
		if _, err := r.TryAcquire(r.Context()); !errors.Is(err, strategies.ErrAlreadyAcquired) {
			r.Errorf("second Acquire: %v, want ErrAlreadyAcquired", err)
		}
		r.end(a.lease)
	})
}

// Upkeep that has the resource for itself is no holder.
func TestAssertionWaitsForThePoolsOwnUse(t *testing.T) {
	eachAssertion(t, pool.Options{KeepAlive: time.Minute, Jitter: pool.NoJitter}, func(r *rig) {
		r.fake.Always(pooltest.Ping, pooltest.Slow(time.Second))
		r.end(r.get())
		for r.fake.Calls(pooltest.Ping) == 0 {
			time.Sleep(time.Second / 2)
		}
		l, err := r.Acquire(context.Background())
		if err != nil {
			r.Fatalf("Acquire during a ping of upkeep's: %v, want a lease after it", err)
		}
		r.end(l)
	})
}

func TestAssertionFailsBesideOneThatWaitsForItsOpen(t *testing.T) {
	eachAssertion(t, pool.Options{}, func(r *rig) {
		r.fake.Next(pooltest.Open, pooltest.Slow(time.Second))
		first := r.come(context.Background())
		if _, err := r.Acquire(context.Background()); !errors.Is(err, strategies.ErrAlreadyAcquired) {
			r.Errorf("Acquire while another waits for its open: %v, want ErrAlreadyAcquired", err)
		}
		<-first.answered
		r.end(first.lease)
	})
}
