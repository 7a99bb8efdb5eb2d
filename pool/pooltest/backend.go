package pooltest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/lidopool/lido/pool"
)

// BackendOptions say what TestBackend may expect. The zero value is usable.
type BackendOptions[T any] struct {
	// Break makes a resource unusable behind the backend's back, say by closing
	// its socket. With it, TestBackend expects Ping to fail with an error that Classify
	// takes for Dead or AllDead.
	Break func(t *testing.T, res T)
	// Dirty leaves something behind in a resource that Reset must clear, and Clean
	// reports whether there is anything left. Both or neither.
	Dirty func(t *testing.T, res T)
	Clean func(t *testing.T, res T) bool
	// Patience is how long one call may take. 0: 10 s.
	Patience time.Duration
}

// TestBackend tests whether a backend keeps the promises of pool.Backend on a real resource: it
// opens several, pings, resets and closes them, and sees to it that a ctx which has
// ended is heeded.
func TestBackend[T any](t *testing.T, b pool.Backend[T], o BackendOptions[T]) {
	t.Helper()
	if o.Patience == 0 {
		o.Patience = 10 * time.Second
	}
	bounded := func(t *testing.T) context.Context {
		ctx, cancel := context.WithTimeout(context.Background(), o.Patience)
		t.Cleanup(cancel)
		return ctx
	}
	open := func(t *testing.T) T {
		t.Helper()
		res, err := b.Open(bounded(t))
		if err != nil {
			t.Fatalf("Open: %v, want a resource", err)
		}
		return res
	}
	shut := func(t *testing.T, res T) {
		t.Helper()
		if err := b.Close(bounded(t), res); err != nil {
			t.Errorf("Close: %v, want nil", err)
		}
	}

	t.Run("LivesItsLife", func(t *testing.T) {
		res := open(t)
		for range 3 {
			if err := b.Ping(bounded(t), res); err != nil {
				t.Errorf("Ping of an open resource: %v, want nil", err)
			}
			if err := b.Reset(bounded(t), res); err != nil {
				t.Errorf("Reset of an open resource: %v, want nil", err)
			}
		}
		shut(t, res)
	})
	t.Run("ResourcesAreIndependent", func(t *testing.T) {
		one, other := open(t), open(t)
		shut(t, one)
		if err := b.Ping(bounded(t), other); err != nil {
			t.Errorf("Ping after another resource was closed: %v, want nil", err)
		}
		shut(t, other)
	})
	t.Run("OpenHeedsItsContext", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		start := time.Now()
		res, err := b.Open(ctx)
		if err == nil { // it needed no time, and then it must be whole
			shut(t, res)
		}
		if took := time.Since(start); took > o.Patience {
			t.Errorf("Open with an ended ctx took %v, want it to return soon: a pool that ends waits for it", took)
		}
	})
	t.Run("ClassifyKnowsTheUsual", func(t *testing.T) {
		if f := b.Classify(errors.New("pooltest: an error that no backend knows")); f != pool.Sound {
			t.Errorf("Classify of an unknown error is %v, want Sound: else every error of its users discards a resource", f)
		}
	})
	if o.Dirty != nil && o.Clean != nil {
		t.Run("ResetCleansUp", func(t *testing.T) {
			res := open(t)
			o.Dirty(t, res)
			if err := b.Reset(bounded(t), res); err != nil {
				t.Errorf("Reset: %v, want nil", err)
			} else if !o.Clean(t, res) {
				t.Error("something is left after Reset: the next holder would find it")
			}
			shut(t, res)
		})
	}
	if o.Break != nil {
		t.Run("PingFindsTheDead", func(t *testing.T) {
			res := open(t)
			o.Break(t, res)
			err := b.Ping(bounded(t), res)
			if err == nil {
				t.Error("Ping of a broken resource: nil, want an error")
			} else if b.Classify(err) == pool.Sound {
				t.Errorf("Classify(%v) is Sound, want Dead or AllDead: the resource would be lent again", err)
			}
			_ = b.Close(bounded(t), res) // must return; what it answers is its own business
		})
	}
}
