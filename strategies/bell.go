package strategies

import (
	"time"

	"github.com/lidopool/lido/pool"
)

// bell is the one timer of a line. It rings when the first in line has waited for as long as
// it may, when an open line is to close, and when an open that somebody relies on is to be
// doubted. Waiters come in order, so who is first is due
// first, and nobody else needs a timer. Those who replace stand in front, whenever they came;
// they are few.
type bell struct {
	timer *time.Timer
	at    time.Duration // when it rings, on the line's clock; 0: it does not
}

const never = time.Duration(1<<63 - 1)

// ring sees to it that the bell rings in time. The caller holds mu, as for all below.
func (l *line) ring(now time.Duration) {
	at := never
	if l.passing.open {
		at = l.passing.until
	}
	if l.adopts() {
		at = min(at, l.opening.doubtAt())
	}
	for w := l.waiting.head; w != nil && l.timeout > 0; w = w.next {
		at = min(at, l.expiry(w))
		if w.role != replacing {
			break
		}
	}
	if at == never || l.bell.at != 0 && l.bell.at <= at {
		return
	}
	l.bell.at = max(at, 1)
	if l.bell.timer == nil {
		l.bell.timer = time.AfterFunc(at-now, l.rung)
	} else {
		l.bell.timer.Reset(at - now)
	}
}

// expiry is when a waiter has waited for too long. Who came before there was a timeout is bound from
// when there was one: so those who came first are due first still.
func (l *line) expiry(w *waiter) time.Duration {
	if l.timeout <= 0 {
		return never
	}
	from := l.timed
	if w.number > l.untimed {
		from = w.since - w.prior
	}
	if from > never-l.timeout {
		return never
	}
	return from + l.timeout
}

func (l *line) rung() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bell.at = 0
	if l.closed {
		return
	}
	now := l.now()
	if l.passing.open && now >= l.passing.until { // first, lest time run out beside an idle seat
		l.closeLine(now)
	}
	for w := l.waiting.head; w != nil; {
		next := w.next
		late := l.expiry(w) <= now
		if late {
			l.waiting.serve(w, pool.Grant{}, pool.ErrTimeout)
		} else if w.role != replacing {
			break
		}
		w = next
	}
	l.doubt(now)
	l.feed()
	l.ring(now)
	l.calm()
}
