package pooltest

import (
	"context"
	"runtime"
	"time"
)

// Act is what a method of a Fake does when it is called; its error is the method's. The acts of
// this package combine, and a test may write its own.
type Act func(ctx context.Context) error

// OK succeeds at once. It is what a Fake does unless told otherwise.
func OK(context.Context) error { return nil }

// Fail fails at once with err.
func Fail(err error) Act { return func(context.Context) error { return err } }

// Slow waits for d, then does as the acts say, one after the other until one fails. If ctx ends before, it
// fails with the cause of ctx.
func Slow(d time.Duration, then ...Act) Act {
	return func(ctx context.Context) error {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		return inTurn(ctx, then)
	}
}

// Stuck waits for d whatever becomes of ctx, as a call does that knows nothing of contexts, then
// does as the acts say.
func Stuck(d time.Duration, then ...Act) Act {
	return func(ctx context.Context) error {
		time.Sleep(d)
		return inTurn(ctx, then)
	}
}

// Hang waits until release is closed, or sends, whatever becomes of ctx; then it does as the acts say.
func Hang(release <-chan struct{}, then ...Act) Act {
	return func(ctx context.Context) error {
		<-release
		return inTurn(ctx, then)
	}
}

// Panic panics with v.
func Panic(v any) Act { return func(context.Context) error { panic(v) } }

// Goexit calls runtime.Goexit, as t.FailNow does in a callback.
func Goexit(context.Context) error {
	runtime.Goexit()
	return nil
}

func inTurn(ctx context.Context, acts []Act) error {
	for _, act := range acts {
		if err := act(ctx); err != nil {
			return err
		}
	}
	return nil
}
