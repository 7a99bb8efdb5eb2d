package manage

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

var errOwed = errors.New("owed")

// registry is a ctx that counts the functions which wait for its end.
type registry struct {
	context.Context
	waiting int
}

func (r *registry) AfterFunc(func()) func() bool {
	r.waiting++
	return func() bool { r.waiting--; return true }
}

func TestAnOwedErrorIsClaimedOnceByItsGoroutineAndContext(t *testing.T) {
	var o owed
	ctx := &registry{Context: t.Context()}
	o.note(ctx, errOwed)
	o.note(ctx, errOwed) // by the next proxy of the same call
	other := make(chan error)
	go func() { other <- o.claim(ctx) }()
	if err := <-other; err != nil {
		t.Errorf("another goroutine claimed %v", err)
	}
	if err := o.claim(ctx); err != errOwed {
		t.Errorf("claimed %v, want what was left", err)
	}
	if err := o.claim(ctx); err != nil {
		t.Errorf("claimed %v twice", err)
	}
	o.note(ctx, errOwed)
	if err := o.claim(t.Context()); err != nil {
		t.Errorf("a call with another ctx claimed %v", err)
	}
	if n := o.n.Load(); n != 0 || ctx.waiting != 0 {
		t.Errorf("%d are left, and %d functions wait for the end of the ctx; want none", n, ctx.waiting)
	}
}

func TestAnOwedErrorThatNobodyClaimsIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o owed
		o.note(t.Context(), errOwed)
		time.Sleep(time.Second)
		if err := o.claim(t.Context()); err != nil {
			t.Errorf("a call a second later claimed %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		o.note(ctx, errOwed)
		cancel()
		o.note(ctx, errOwed) // database/sql answers by itself
		synctest.Wait()
		if n := o.n.Load(); n != 0 {
			t.Errorf("%d are left of a ctx that has ended", n)
		}
	})
}
