package target

import (
	"context"
	"errors"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/strategies"
)

// KindOf says in a word or two what an error of a pool of Lido's, or of a use, is:
//
//	timeout           no resource came in time, or the use did not end in time
//	canceled          who asked has given up
//	shed              the pool turned the request away, since too many wait
//	refused           the pool does not let anybody wait
//	already acquired  the strategy assertion found a second holder
//	open failed       a resource could not be opened
//	use failed        a resource failed in use
//	all dead          each resource that was tried was found dead
//	closed            the pool is closed
//	other             none of these
func KindOf(err error) string {
	_, use := errors.AsType[*useError](err)
	_, open := errors.AsType[*pool.OpenError](err)
	_, dead := errors.AsType[*pool.AttemptsError](err)
	switch {
	// First what stands for itself: an open that failed by its own deadline is no timeout of who waited.
	case open:
		return "open failed"
	case dead:
		return "all dead"
	case errors.Is(err, strategies.ErrAlreadyAcquired):
		return "already acquired"
	case errors.Is(err, pool.ErrOverloaded):
		return "shed"
	case errors.Is(err, pool.ErrExhausted), errors.Is(err, pool.ErrSuspended):
		return "refused"
	case errors.Is(err, pool.ErrClosed):
		return "closed"
	case errors.Is(err, pool.ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, context.Canceled):
		return "canceled"
	case use, errors.Is(err, pool.ErrInvalidated):
		return "use failed"
	}
	return "other"
}
