package strategies

import (
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
var Join, JoinInFront = (*waiters).pushBack, func(l *waiters, w *waiter) { w.replaces = true; l.pushFront(w) }
var NewWaiter, First, Leave = (*waiters).newWaiter, (*waiters).first, (*waiters).remove
var Serve = func(l *waiters, w *waiter) { l.serve(w, pool.Grant{}, nil) }

func (a attempt) Since() time.Duration { return a.since }
