package pooltest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
)

var errDown = errors.New("backend is down")

// witness is a testing.TB that remembers what was said to it.
type witness struct {
	testing.TB
	mu   sync.Mutex
	said []string
}

func (w *witness) Helper() {}

func (w *witness) Errorf(format string, args ...any) { w.Error(fmt.Sprintf(format, args...)) }

func (w *witness) Error(args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said = append(w.said, fmt.Sprint(args...))
}

func open(t *testing.T, f *pooltest.Fake) *pooltest.Resource {
	t.Helper()
	r, err := f.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestFakeNoticesWhatAPoolMustNeverDo(t *testing.T) {
	for want, misdeed := range map[string]func(f *pooltest.Fake, r *pooltest.Resource, w *witness){
		"resource 1 was never closed; every opened resource is closed exactly once": func(*pooltest.Fake, *pooltest.Resource, *witness) {},
		"resource 1 was closed twice": func(f *pooltest.Fake, r *pooltest.Resource, _ *witness) {
			_ = f.Close(t.Context(), r)
			_ = f.Close(t.Context(), r)
		},
		"ping of resource 1 after its close": func(f *pooltest.Fake, r *pooltest.Resource, _ *witness) {
			_ = f.Close(t.Context(), r)
			_ = f.Ping(t.Context(), r)
		},
		"close of resource 1 while reset of it ran": func(f *pooltest.Fake, r *pooltest.Resource, _ *witness) {
			f.Next(pooltest.Reset, func(ctx context.Context) error { return f.Close(ctx, r) })
			_ = f.Reset(t.Context(), r)
		},
		"reset of resource 1 while somebody had taken it": func(f *pooltest.Fake, r *pooltest.Resource, w *witness) {
			r.Take(w)
			_ = f.Reset(t.Context(), r)
			r.Give(w)
			_ = f.Close(t.Context(), r)
		},
		"resource 1 has two owners; a resource lent exclusively has one": func(f *pooltest.Fake, r *pooltest.Resource, w *witness) {
			r.Take(w)
			r.Take(w)
			r.Give(w)
			_ = f.Close(t.Context(), r)
		},
		"resource 1 was given back twice, or by somebody who had not taken it": func(f *pooltest.Fake, r *pooltest.Resource, w *witness) {
			r.Give(w)
			_ = f.Close(t.Context(), r)
		},
		"resource 1 was used after its close": func(f *pooltest.Fake, r *pooltest.Resource, w *witness) {
			_ = f.Close(t.Context(), r)
			r.Use(w)
		},
	} {
		t.Run(want, func(t *testing.T) {
			f, w := pooltest.NewFake(), &witness{}
			misdeed(f, open(t, f), w)
			f.Verify(w)
			if !slices.Contains(w.said, want) {
				t.Errorf("the fake said %q, want %q", w.said, want)
			}
		})
	}
}

func TestFakeHasNothingToSayOfAGoodPool(t *testing.T) {
	f, w := pooltest.NewFake(), &witness{}
	r := open(t, f)
	r.Take(w)
	r.Use(w)
	r.Give(w)
	_ = f.Reset(t.Context(), r)
	_ = f.Close(t.Context(), r)
	if f.Verify(w); len(w.said) != 0 {
		t.Errorf("the fake said %q, want nothing", w.said)
	}
	if got, want := f.Story(), "open 1, reset 1, close 1"; got != want {
		t.Errorf("Story is %q, want %q", got, want)
	}
}

func TestFakeDoesNextThingsFirstAndThenAlways(t *testing.T) {
	f := pooltest.NewFake()
	f.Always(pooltest.Open, pooltest.Fail(errDown))
	f.Next(pooltest.Open, pooltest.OK, pooltest.Fail(context.Canceled))
	var got []error
	for range 4 {
		_, err := f.Open(t.Context())
		got = append(got, err)
	}
	if want := []error{nil, context.Canceled, errDown, errDown}; !slices.Equal(got, want) {
		t.Errorf("four opens: %v, want %v", got, want)
	}
	if f.Calls(pooltest.Open) != 4 || f.Opened() != 1 || f.OpenNow() != 1 {
		t.Errorf("%d calls, %d opened, %d open now; want 4, 1, 1", f.Calls(pooltest.Open), f.Opened(), f.OpenNow())
	}
}

func TestFakeCountsAResourceUntilItsCloseIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		f.Always(pooltest.Open, pooltest.Slow(time.Second))
		f.Always(pooltest.Close, pooltest.Stuck(time.Second, pooltest.Fail(errDown)))
		go func() {
			r, _ := f.Open(context.Background())
			_ = f.Close(context.Background(), r)
		}()
		for _, want := range []int{1, 1, 0} { // opening, closing, gone
			synctest.Wait()
			if n := f.OpenNow(); n != want {
				t.Errorf("OpenNow is %d, want %d", n, want)
			}
			time.Sleep(time.Second)
		}
	})
}

func TestActsHeedCtxAsTheySay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		release := make(chan struct{})
		time.AfterFunc(3*time.Second, func() { close(release) })
		for _, c := range []struct {
			name string
			act  pooltest.Act
			err  error
			at   time.Duration // since the test began
		}{
			{"Slow", pooltest.Slow(time.Minute), context.DeadlineExceeded, time.Second},
			{"Stuck", pooltest.Stuck(time.Second, pooltest.Fail(errDown)), errDown, 2 * time.Second},
			{"Hang", pooltest.Hang(release, pooltest.OK, pooltest.Fail(errDown)), errDown, 3 * time.Second},
		} {
			if err := c.act(ctx); !errors.Is(err, c.err) {
				t.Errorf("%s: %v, want %v", c.name, err, c.err)
			}
			if left := time.Until(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(c.at)); left != 0 {
				t.Errorf("%s ended %v away from %v", c.name, left, c.at)
			}
		}
	})
}

func TestFakeSurvivesPanicAndGoexit(t *testing.T) {
	f := pooltest.NewFake()
	f.Next(pooltest.Open, pooltest.Panic("on purpose"), pooltest.Goexit)
	for range 2 {
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer func() { _ = recover() }()
			_, _ = f.Open(t.Context())
		}()
		<-done
	}
	if n := f.OpenNow(); n != 0 {
		t.Errorf("after two opens that did not return %d are open, want none", n)
	}
	_ = f.Close(t.Context(), open(t, f))
	f.Verify(t)
}

func TestFakeClassifies(t *testing.T) {
	f := pooltest.NewFake()
	for err, want := range map[error]pool.Fault{pooltest.ErrDead: pool.Dead, pooltest.ErrAllDead: pool.AllDead, errDown: pool.Sound} {
		if got := f.Classify(fmt.Errorf("wrapped: %w", err)); got != want {
			t.Errorf("Classify(%v) = %v, want %v", err, got, want)
		}
	}
}
