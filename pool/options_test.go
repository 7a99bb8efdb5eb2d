package pool_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

func TestNewRefusesWhatMakesNoSense(t *testing.T) {
	const duration = "give a positive duration, or 0 for the default"
	for _, tc := range []struct {
		opts  pool.Options
		field string
		want  string
	}{
		{pool.Options{MaxAge: -5}, "MaxAge", "pool: MaxAge is -5ns: give a positive duration, or 0 for no limit"},
		{pool.Options{MaxAge: pool.Inline}, "MaxAge", "pool: MaxAge is -1ns: give a positive duration, or 0 for no limit"},
		{pool.Options{Ping: true, PingAfter: -time.Second}, "PingAfter", "pool: PingAfter is -1s: give a positive duration, or 0 for every checkout"},
		{pool.Options{PingAfter: time.Second}, "PingAfter", "pool: PingAfter is 1s: it needs Ping: true"},
		{pool.Options{OpenTimeout: -2}, "OpenTimeout", "pool: OpenTimeout is -2ns: " + duration + ", or pool.Inline"},
		{pool.Options{PingTimeout: -time.Minute}, "PingTimeout", "pool: PingTimeout is -1m0s: " + duration + ", or pool.Inline"},
		{pool.Options{ResetTimeout: -2}, "ResetTimeout", "pool: ResetTimeout is -2ns: " + duration + ", or pool.Inline"},
		{pool.Options{CloseTimeout: -2}, "CloseTimeout", "pool: CloseTimeout is -2ns: " + duration + ", or pool.Inline"},
		{pool.Options{Attempts: -1}, "Attempts", "pool: Attempts is -1: give 1 or more, or 0 for the default"},
		{pool.Options{OpenAttempts: -3}, "OpenAttempts", "pool: OpenAttempts is -3: give 1 or more, or 0 for the default"},
		{pool.Options{OpensAtOnce: -2}, "OpensAtOnce", "pool: OpensAtOnce is -2: give 1 or more, or 0 for the default, or pool.Unlimited"},
		{pool.Options{OpenInterval: -time.Second}, "OpenInterval", "pool: OpenInterval is -1s: give a positive duration, or 0 for none"},
		{pool.Options{Backoff: -2}, "Backoff", "pool: Backoff is -2ns: give a positive duration, or 0 for the default, or pool.NoBackoff"},
		{pool.Options{BackoffMax: -time.Second}, "BackoffMax", "pool: BackoffMax is -1s: give at least Backoff, 20ms, or 0 for the default"},
		{pool.Options{Backoff: 2 * time.Second, BackoffMax: time.Second}, "BackoffMax", "pool: BackoffMax is 1s: give at least Backoff, 2s, or 0 for the default"},
		{pool.Options{OnOpenFailure: 2}, "OnOpenFailure", "pool: OnOpenFailure is OpenFailure(2): give FailWaiting or KeepWaiting"},
		{pool.Options{Dropped: 9}, "Dropped", "pool: Dropped is Dropped(9): give DiscardDropped, KeepDropped or IgnoreDropped"},
	} {
		_, err := pool.New[res](pooltest.NewFake(), one, tc.opts)
		var e *pool.OptionError
		if !asError(err, &e) || e.Field != tc.field {
			t.Errorf("New(%+v): %v, want an OptionError of %s", tc.opts, err, tc.field)
		} else if err.Error() != tc.want {
			t.Errorf("New(%+v): message %q, want %q", tc.opts, err, tc.want)
		}
	}
}

func TestNewRefusesToLackAPart(t *testing.T) {
	for _, tc := range []struct {
		backend  pool.Backend[int]
		strategy pool.Strategy
		want     string
	}{
		{nil, one, "pool: backend is nil: give a Backend, or Funcs with an OpenFunc"},
		{pool.Funcs[int]{}, one, "pool: Funcs.OpenFunc is nil: give the function that opens a resource"},
		{pool.Funcs[int]{OpenFunc: openInt}, nil, "pool: strategy is nil: give one, such as strategies.Queue{Size: 5}"},
	} {
		_, err := pool.New(tc.backend, tc.strategy, pool.Options{})
		if err == nil || err.Error() != tc.want {
			t.Errorf("New(%v, %v): %v, want %q", tc.backend, tc.strategy, err, tc.want)
		}
	}
}

func openInt(context.Context) (int, error) { return 1, nil }

func TestNewPassesTheStrategysErrorOn(t *testing.T) {
	_, err := pool.New[res](pooltest.NewFake(), strategies.Queue{Size: -7}, pool.Options{})
	var e *pool.OptionError
	if !asError(err, &e) {
		t.Errorf("New with a bad strategy: %v, want its OptionError", err)
	}
}

// Whoever makes many pools learns which of them it is.
func TestOptionErrorsNameThePool(t *testing.T) {
	p, err := pool.New[res](pooltest.NewFake(), strategies.Queue{Size: 2}, pool.Options{Name: "users"})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	_, option := pool.New[res](pooltest.NewFake(), one, pool.Options{Name: "users", Attempts: -1})
	_, lack := pool.New[res](nil, one, pool.Options{Name: "users"})
	_, size := pool.New[res](pooltest.NewFake(), strategies.Queue{Size: -7}, pool.Options{Name: "users"})
	_, several := pool.New[res](pooltest.NewFake(), strategies.Queue{Size: -7, MaxWaiters: -7}, pool.Options{Name: "users"})
	_, idle := pool.New[res](pooltest.NewFake(), strategies.Queue{Size: 2}, pool.Options{Name: "users", MinIdle: 3})
	for what, err := range map[string]error{
		"New, an option": option, "New, a lack": lack, "New, the strategy": size, "New, MinIdle": idle, "New, several": several,
		"Resize, the kind": p.Resize(strategies.Null{}), "Resize, the size": p.Resize(strategies.Queue{Size: -7}),
		"Warm, less": p.Warm(t.Context(), -1), "Warm, more": p.Warm(t.Context(), 3),
	} {
		var e *pool.OptionError
		if !asError(err, &e) || e.Pool != "users" || !strings.HasPrefix(err.Error(), "pool users: "+e.Field+" is ") {
			t.Errorf("%s: %v, want an OptionError of the pool users", what, err)
		}
		if what == "New, several" {
			for line := range strings.Lines(err.Error()) {
				if !strings.HasPrefix(line, "pool users: ") {
					t.Errorf("%s: line %q does not name the pool", what, line)
				}
			}
		}
	}
}

// A strategy of somebody's may have but one error, for all pools.
func TestNamingThePoolLeavesTheStrategysErrorAlone(t *testing.T) {
	own := &pool.OptionError{Field: "Size", Value: 0, Remedy: "give 1"}
	for _, err := range []error{own, errors.Join(own, own), fmt.Errorf("mine: %w, %w", own, errTest)} {
		want := strings.ReplaceAll(err.Error(), "pool: ", "pool users: ")
		if strings.HasPrefix(want, "mine") {
			want = err.Error()
		}
		if _, got := pool.New[res](pooltest.NewFake(), failing{err}, pool.Options{Name: "users"}); got == nil || got.Error() != want {
			t.Errorf("New: %v, want %s", got, want)
		}
	}
	if own.Pool != "" {
		t.Errorf("the strategy's own error is now of pool %s", own.Pool)
	}
}

// failing is a strategy that does not start.
type failing struct{ err error }

func (f failing) Kind() string                          { return "failing" }
func (f failing) Start(pool.Host) (pool.Seating, error) { return nil, f.err }

// picky is a backend that does not suit every strategy.
type picky struct {
	*pooltest.Fake
	kind string
	got  pool.Limits
}

func (p *picky) CheckLimits(kind string, l pool.Limits) error {
	p.kind, p.got = kind, l
	if l.Seats > 1 {
		return errTest
	}
	return nil
}

func TestNewAsksTheBackendWhetherTheLimitsSuit(t *testing.T) {
	b := &picky{Fake: pooltest.NewFake()}
	_, err := pool.New[res](b, strategies.Queue{Size: 2, MaxOverflow: 3}, pool.Options{})
	is(t, "New with limits the backend refuses", err, errTest)
	if want := (pool.Limits{Seats: 5, Keep: 2}); b.kind != "queue" || b.got != want {
		t.Errorf("the backend was asked for %q, %+v, want queue, %+v", b.kind, b.got, want)
	}
	p, err := pool.New[res](b, strategies.Static{}, pool.Options{})
	if err != nil {
		t.Fatalf("New with limits the backend accepts: %v", err)
	}
	_ = p.Close()
}

func TestZeroOptionsWork(t *testing.T) {
	p, err := pool.New[int](pool.Funcs[int]{OpenFunc: openInt}, one, pool.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if p.Name() != "pool" {
		t.Errorf("Name = %q, want %q", p.Name(), "pool")
	}
	if err := p.Do(t.Context(), func(_ context.Context, n int) error {
		if n != 1 {
			t.Errorf("got %d, want 1", n)
		}
		return errTest // Funcs without Classify take every error for Sound
	}); err != errTest {
		t.Errorf("Do = %v, want %v", err, errTest)
	}
	if s := p.Stats(); s.Open != 1 {
		t.Errorf("stats %+v, want the resource kept", s)
	}
}

func TestFuncsCallWhatTheyAreGiven(t *testing.T) {
	var calls []string
	f := pool.Funcs[int]{
		OpenFunc:     openInt,
		PingFunc:     func(context.Context, int) error { calls = append(calls, "ping"); return nil },
		ResetFunc:    func(context.Context, int) error { calls = append(calls, "reset"); return nil },
		CloseFunc:    func(int) error { calls = append(calls, "close"); return nil },
		ClassifyFunc: func(error) pool.Fault { return pool.Dead },
	}
	ctx := t.Context()
	_, _, _ = f.Ping(ctx, 1), f.Reset(ctx, 1), f.Close(ctx, 1)
	if len(calls) != 3 || f.Classify(errTest) != pool.Dead {
		t.Errorf("called %v, Classify %v", calls, f.Classify(errTest))
	}
	var none pool.Funcs[int]
	if none.Ping(ctx, 1) != nil || none.Reset(ctx, 1) != nil || none.Close(ctx, 1) != nil || none.Classify(errTest) != pool.Sound {
		t.Error("a nil function has something to do")
	}
}
