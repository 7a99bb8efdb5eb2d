package strategies

import "time"

// The lists that are fuzzed against slices.
type Opens = opens

var NewIdle, IdlePush, IdlePop, IdleRemove, IdleN = newIdle, (*idle).push, (*idle).pop, (*idle).remove, func(l *idle) int { return l.n }
var OpensAdd, OpensRemove, OpensOldest, OpensDoubt = (*opens).add, (*opens).remove, (*opens).oldest, (*opens).doubt
var OpensBegin = (*opens).begin
var OpensN, OpensDoubtful = (*opens).n, func(o *opens) int { return o.doubtful }

func (a attempt) Since() time.Duration { return a.since }
