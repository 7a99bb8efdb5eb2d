package strategies

import (
	"time"

	"github.com/lidopool/lido/pool"
)

// moving is what WhileMoving has beyond NoWait.
const moving = pool.WhileMoving &^ pool.NoWait

// still is for how long nobody must have been served before those leave who wait only while the line moves.
// Arbitrary: longer than a busy machine keeps a running holder from its processor, shorter than what a person notices.
const still = 10 * time.Millisecond

// longest is how long they stay in a line that moves. Arbitrary: longer than most waits, shorter than what whoever they
// keep from something would take for a fault.
const longest = 100 * time.Millisecond

// standstill is the one timer of those who wait only while the line moves. While there are some it looks, again and
// again, whether anybody was served since its last look.
type standstill struct {
	timer  *time.Timer
	set    bool
	seated uint64 // at the last look
	failed uint64 // opens, by then
}

// expectMoves has w sent away when the line stands still. The caller holds mu, as for all below.
func (l *line) expectMoves(w *waiter) {
	w.role = brief
	l.waiting.brief++
	if !l.still.set {
		l.lookAgain()
	}
}

func (l *line) lookAgain() {
	l.still.set, l.still.seated, l.still.failed = true, l.waiting.seated, l.failures
	if l.still.timer == nil {
		l.still.timer = time.AfterFunc(still, l.looked)
	} else {
		l.still.timer.Reset(still)
	}
}

// looked is called by the timer.
func (l *line) looked() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.still.set = false
	if l.waiting.brief == 0 {
		return
	}
	l.sendAway(l.now())
	if l.waiting.brief > 0 {
		l.lookAgain()
	}
	l.calm()
}

// sendAway ends the wait of those who wait only while the line moves: of all who have for long, and if nobody was served
// since the last look, of all who have for as long as that. Who has an open coming stays. It looks no further than the
// first of them who has not waited enough, since they stand in order of arrival.
func (l *line) sendAway(now time.Duration) {
	why, enough, coming := pool.ErrExhausted, longest, l.coming()
	if l.paused {
		why = pool.ErrSuspended
	}
	if l.waiting.seated == l.still.seated {
		enough = still
	}
	for w := l.waiting.head; w != nil; coming-- {
		next := w.next
		if w.role == brief {
			if now-w.since < enough {
				return
			}
			if coming <= 0 {
				l.waiting.serve(w, pool.Grant{}, why)
			}
		}
		w = next
	}
}

// coming is for how many in line a resource is being opened, or will be. Not while opens fail: then they wait for what is
// lent.
func (l *line) coming() int {
	switch {
	case l.paused || l.failures != l.still.failed:
		return 0
	case l.limits.Seats == pool.Unlimited:
		return l.waiting.n
	}
	return l.opening.n() + max(0, l.limits.Seats-(l.used-len(l.empty))) // there may be more than the limit, for a while
}
