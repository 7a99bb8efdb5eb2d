package manage

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

var errOwed = errors.New("owed")

func TestADebtIsClaimedOnceByItsGoroutineAndContext(t *testing.T) {
	var o owed
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o.note(ctx, debt{err: errOwed})
	o.note(ctx, debt{err: errOwed, waited: time.Second}) // by the next proxy of the same call
	other := make(chan error)
	go func() { _, err := o.claim(ctx); other <- err }()
	if err := <-other; err != nil {
		t.Errorf("another goroutine claimed %v", err)
	}
	if waited, err := o.claim(ctx); err != errOwed || waited != time.Second {
		t.Errorf("claimed %v and a wait of %v, want what was left last", err, waited)
	}
	if waited, err := o.claim(ctx); err != nil || waited != 0 {
		t.Errorf("claimed %v and a wait of %v twice", err, waited)
	}
	o.note(ctx, debt{err: errOwed})
	if _, err := o.claim(t.Context()); err != nil {
		t.Errorf("a call with another ctx claimed %v", err)
	}
	if n := o.n.Load(); n != 0 {
		t.Errorf("%d are left, want none", n)
	}
}

func TestADebtThatNobodyClaimsIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o owed
		o.note(t.Context(), debt{err: errOwed})
		time.Sleep(atOnce)
		synctest.Wait()
		if n := o.n.Load(); n != 0 {
			t.Errorf("%d are left a second later, want none", n)
		}
		if _, err := o.claim(t.Context()); err != nil {
			t.Errorf("a call a second later claimed %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		o.note(ctx, debt{err: errOwed}) // database/sql answers by itself
		if n := o.n.Load(); n != 0 {
			t.Errorf("%d are left of a ctx that has ended", n)
		}
	})
}
