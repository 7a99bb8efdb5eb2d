package pool_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"weak"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

func TestEmptySeatKeepsNoResourceInMemory(t *testing.T) {
	type big struct{ _ [1 << 16]byte }
	p, err := pool.New[*big](pool.Funcs[*big]{OpenFunc: func(context.Context) (*big, error) { return new(big), nil }},
		one, pool.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	l, err := p.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	gone := weak.Make(l.Value())
	_ = l.Release()
	p.Dispose()
	runtime.GC()
	if gone.Value() != nil {
		t.Error("a resource that was closed is still in memory: its empty seat must not hold it")
	}
}

// ending is a queue whose Acquire ends the caller's ctx and then fails for a reason of its own.
type ending struct {
	strategies.Queue
	end context.CancelFunc
}

func (e ending) Start(h pool.Host) (pool.Seating, error) {
	s, err := e.Queue.Start(h)
	return endingSeating{s, e.end}, err
}

type endingSeating struct {
	pool.Seating
	end context.CancelFunc
}

func (s endingSeating) Acquire(context.Context, pool.Mode) (pool.Grant, error) {
	s.end()
	return pool.Grant{}, pool.ErrClosed
}

func TestAcquireErrorDoesNotBlameACtxThatMerelyEndedToo(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p, err := pool.New[res](pooltest.NewFake(), ending{strategies.Queue{Size: 1}, cancel}, pool.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	_, err = p.Acquire(ctx)
	if !errors.Is(err, pool.ErrClosed) || errors.Is(err, context.Canceled) {
		t.Errorf("got %v; want ErrClosed, which is the reason, and not context.Canceled, which is none", err)
	}
}

func TestOrdinaryClosesAreNotLoggedAtInfo(t *testing.T) {
	var log bytes.Buffer
	p, err := pool.New[res](pooltest.NewFake(), strategies.Null{Max: 1}, pool.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	release(t, acquire(t, p))
	if log.Len() > 0 {
		t.Errorf("opening and closing a resource in due course logged at Info:\n%s", log.String())
	}
	_ = acquire(t, p).Discard(errTest)
	if !strings.Contains(log.String(), "closing") {
		t.Errorf("a discard logged %q, want a line at Info", log.String())
	}
}

func TestMisuseIsLoggedWithItsCallerIfStacksAreOn(t *testing.T) {
	for _, stacks := range []bool{true, false} {
		var log bytes.Buffer
		p, err := pool.New[res](pooltest.NewFake(), one, pool.Options{Stacks: stacks, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		l := acquire(t, p)
		release(t, l)
		is(t, "a second Release", l.Release(), pool.ErrReleased)
		if named := strings.Contains(log.String(), "retained_test.go"); named != stacks {
			t.Errorf("Stacks %v: the log names the caller = %v:\n%s", stacks, named, log.String())
		}
	}
}
