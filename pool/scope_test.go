package pool_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

func TestScopeSharesOneResourceAmongGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, pooltest.NewFake(), strategies.Singleton{Size: 2}, pool.Options{})
		ctx, end := pool.WithScope(t.Context())
		defer end()
		a, err := p.Acquire(ctx)
		if err != nil {
			t.Fatal(err)
		}
		b := <-start(ctx, p)
		c := <-start(t.Context(), p)
		if b.err != nil || b.lease.Value() != a.Value() {
			t.Errorf("another goroutine in the scope got %v, %v, want %v", b.lease, b.err, a)
		}
		if c.err != nil || c.lease.Value() == a.Value() {
			t.Errorf("a goroutine outside the scope got %v, %v, want a resource of its own", c.lease, c.err)
		}
	})
}

func TestScopeEndsByItsFunctionOrWithItsParent(t *testing.T) {
	if got := pool.ScopeOf(t.Context()); got != nil {
		t.Errorf("ScopeOf a plain ctx = %v, want nil", got)
	}
	parent, cancel := context.WithCancel(t.Context())
	outer, endOuter := pool.WithScope(parent)
	inner, endInner := pool.WithScope(outer)
	a, b := pool.ScopeOf(outer), pool.ScopeOf(inner)
	if a == nil || b == nil || a == b {
		t.Fatalf("ScopeOf: %p and %p, want two scopes, the innermost each", a, b)
	}
	if a.Ended() || b.Ended() {
		t.Error("a scope has ended before its time")
	}
	endInner()
	if a.Ended() || !b.Ended() {
		t.Errorf("after the inner end: outer ended %v, inner %v, want false, true", a.Ended(), b.Ended())
	}
	cancel()
	if !a.Ended() {
		t.Error("a scope goes on after its parent ctx ended")
	}
	endOuter()
}

func TestEndedScopeGivesUpItsIdleResource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pooltest.NewFake()
		p := open(t, f, strategies.Singleton{Size: 3}, pool.Options{})
		for range 5 {
			ctx, end := pool.WithScope(t.Context())
			l, err := p.Acquire(ctx)
			if err != nil {
				t.Fatal(err)
			}
			release(t, l)
			end()
		}
		if f.Opened() != 1 {
			t.Errorf("five scopes, one after the other, opened %d resources, want 1: an ended scope's is free for others", f.Opened())
		}
	})
}
