package target_test

import (
	"context"
	"testing"
	"time"

	"github.com/lidopool/lido/bench/internal/load"
	"github.com/lidopool/lido/bench/internal/target"
	"github.com/lidopool/lido/strategies"
)

func backend(t testing.TB, text string) target.Backend {
	t.Helper()
	b, err := target.Open(context.Background(), text)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("close %s: %v", b.Name(), err)
		}
	})
	return b
}

// pooled makes a pool over b. It is closed at the end of the test, and all it opened must be too.
func pooled(t testing.TB, b target.Backend, strategy string) load.Target {
	t.Helper()
	c, err := strategies.Parse(strategy)
	if err != nil {
		t.Fatal(err)
	}
	p, err := b.Target(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(t, p) })
	return p
}

// shut closes a target and sees to it that what was opened was closed.
func shut(t testing.TB, p load.Target) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := p.Close(ctx); err != nil {
		t.Errorf("close: %v", err)
	}
	if g := p.Gauges(); g.Open != 0 || g.Opened != g.Closed {
		t.Errorf("after the close %d are open, of %d opened and %d closed; want none", g.Open, g.Opened, g.Closed)
	}
}

// use visits p and reads.
func use(p load.Target) error { return useCtx(context.Background(), p, false) }

func useCtx(ctx context.Context, p load.Target, write bool) error {
	return p.Visit(ctx, func(_ context.Context, c load.Conn) error { return c.Use(ctx, write) })
}

// in visits p for f, which may be nil.
func in(t testing.TB, p load.Target, f func(c load.Conn)) {
	t.Helper()
	if err := p.Visit(context.Background(), func(_ context.Context, c load.Conn) error { f(c); return nil }); err != nil {
		t.Error(err)
	}
}

func wantKind(t testing.TB, p load.Target, err error, kind string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want one of the kind %q", kind)
	} else if got := p.Kind(err); got != kind {
		t.Errorf("%v is of the kind %q, want %q", err, got, kind)
	}
}
