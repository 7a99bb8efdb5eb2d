package strategies

import (
	"context"
	"time"

	"github.com/lidopool/lido/pool"
)

// The lists that are fuzzed against slices.
type Opens = opens

var NewIdle, IdlePush, IdlePop, IdleRemove, IdleN = newIdle, (*idle).push, (*idle).pop, (*idle).remove, func(l *idle) int { return l.n }
var OpensAdd, OpensRemove, OpensOldest, OpensDoubt = (*opens).add, (*opens).remove, (*opens).oldest, (*opens).doubt
var OpensBegin = (*opens).begin
var OpensN, OpensDoubtful = (*opens).n, func(o *opens) int { return o.doubtful }

// The line with classes is, too.
var NewLine = func(percents ...int) *waiters { return &waiters{classes: newClasses(percents)} }
var Join, JoinInFront = (*waiters).pushBack, func(l *waiters, w *waiter) { w.role = replacing; l.pushFront(w) }
var NewWaiter, First, Leave = (*waiters).newWaiter, (*waiters).first, (*waiters).remove
var Serve = func(l *waiters, w *waiter) { l.serve(w, pool.Grant{}, nil) }

func (a attempt) Since() time.Duration { return a.since }

// LooksForever makes a line without seats, which some join who wait only while it moves. It reports whether there is
// still something that looks after all have left it, in one way after the other.
func LooksForever() bool {
	l := newLine(nil, pool.Limits{}, 0)
	for _, ctx := range []context.Context{context.Background(), canceledSoon()} {
		for range 3 {
			go func() { _, _ = l.Acquire(ctx, pool.WhileMoving) }()
		}
		time.Sleep(10 * still)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.still.set || l.waiting.brief != 0
}

func canceledSoon() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(still/2, cancel)
	return ctx
}
