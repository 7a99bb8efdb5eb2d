package strategies

import (
	"context"
	"fmt"
	"time"

	"github.com/lidopool/lido/pool"
)

// service is how fast a line is served, for Queue.Shed: the time between two hand-offs while somebody waits.
//
// It is measured where the line is served and not as the time that holders hold, for what
// counts is how fast the line moves: resets, pings, and seats that are dead or hang are in it.
// The mean is exponentially weighted, m += (x - m) / n, which needs no memory of what
// was measured and follows a change of load (Jacobson, "Congestion Avoidance and Control", 1988,
// appendix A, the round-trip time of TCP). For the first n it is the plain mean.
type service struct {
	on bool

	mean  float64 // nanoseconds
	n     int     // hand-offs that it is the mean of
	last  time.Duration
	lined bool // somebody has waited ever since the last
}

const (
	// least is of how many hand-offs a mean has to be before anybody is turned away for it.
	// Arbitrary: exponential times are then known to a third.
	least = 8
	// over is the n of the mean, or four times as many as there are seats, if that is more, for seats
	// that come back together come all within one round. Measured by the simulation of the tests at
	// twice the load: of those who wait in vain without Shed 12 per cent still do with 40, 10 with 64, and 6
	// with 256. A larger n follows a change more slowly.
	over = 64
	// What is older than it took to measure it, or than stale if that is longer, is forgotten. Arbitrary: a
	// second lets a mean of microseconds outlast the pause between two bursts.
	stale = time.Second
	// So many may always wait. By them the line goes on measuring, whatever it has measured before:
	// two, since it takes a hand-off to somebody while somebody waits.
	probes = 2
)

// handOff measures a hand-off to a line with so many seats open.
func (v *service) handOff(now time.Duration, seats int) {
	switch since := now - v.last; {
	case !v.lined:
	case v.n >= least && since > v.keeps(): // the pool had stalled, or is another than it was
		v.n, v.mean = 0, 0
	default:
		v.n = min(v.n+1, max(over, 4*seats))
		v.mean += (float64(since) - v.mean) / float64(v.n)
	}
	v.last, v.lined = now, true
}

// keeps is for how long the mean holds good without another hand-off.
func (v *service) keeps() time.Duration { return max(stale, time.Duration(v.mean*float64(v.n))) }

// wait estimates how long somebody waits who has so many ahead. It reports false if nothing is known.
func (v *service) wait(ahead int, now time.Duration) (time.Duration, bool) {
	if v.n < least || now-v.last > v.keeps() {
		return 0, false
	}
	wait := v.mean * float64(ahead)
	if v.lined { // else nobody knows when the next one is due: it may be now
		wait += max(0, v.mean-float64(now-v.last))
	}
	return time.Duration(min(wait, float64(never/2))), true
}

// served measures the service of w, who is about to get a seat. Who replaces has an open of its own: that
// goes on to the next if a return serves it, so the line does not move. The caller holds mu, as below.
func (l *line) served(w *waiter) {
	if l.service.on && w.role != replacing {
		l.service.handOff(l.now(), l.used-len(l.empty))
	}
}

// shed turns away an acquirer whose time would be over before its turn, as far as the line knows. It
// lets stand there who has a seat to be opened for it, or soon, when what was measured is
// of fewer seats than there will be.
func (l *line) shed(ctx context.Context) error {
	if !l.service.on || l.paused || l.spare() {
		return nil
	}
	ahead := l.waiting.ahead(ctx) - l.opening.n()
	if ahead < probes {
		return nil
	}
	left := never
	if l.timeout > 0 {
		left = l.timeout
	}
	if end, ok := ctx.Deadline(); ok {
		left = min(left, time.Until(end))
	}
	if left == never {
		return nil
	}
	wait, known := l.service.wait(ahead, l.now())
	if !known || wait <= left {
		return nil
	}
	l.waiting.shed++
	return &lateError{ahead: ahead, wait: wait, left: left}
}

// lateError is pool.ErrOverloaded for an acquirer that would not be served in time.
type lateError struct {
	ahead      int
	wait, left time.Duration
}

func (e *lateError) Error() string {
	return fmt.Sprintf("%v: cannot be served before its deadline: %d ahead, about %v, %v left",
		pool.ErrOverloaded, e.ahead, digits(e.wait), digits(e.left))
}

func (e *lateError) Unwrap() error { return pool.ErrOverloaded }

// digits is d to two or three digits, as good as an estimate is.
func digits(d time.Duration) time.Duration {
	unit := time.Duration(1)
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit)
}
