package load

import (
	"math/rand/v2"
	"sync"
	"time"
)

// unserved is the kind of error of arrivals that were due, but for whom there was no goroutine yet
// when the window ended.
const unserved = "unserved"

// lateTimer is by how much a timer may come too late without that counting as a wait. Go's come up
// to 1 ms late where nothing else runs, and the system adds some: that is neither the pool's fault
// nor that of those who use it. What is later than this has been kept from running by something,
// and counts in full.
const lateTimer = 2 * time.Millisecond

// A schedule says when arrivals are due. It is drawn as it is asked, and does not depend on how
// the pool fares. Its methods may be called from any goroutine.
type schedule struct {
	mu   sync.Mutex
	rand *rand.Rand
	gap  float64 // mean, in ns, between bursts
	even bool
	size uint64  // arrivals of a burst
	n    uint64  // arrivals so far
	at   float64 // ns: when the last burst was due
	// woken are the latest bursts, as many as may be waited for at once, each at its number modulo
	// their count.
	woken []burst
}

// A burst is arrivals that are due at the same time.
type burst struct {
	n    uint64
	due  time.Duration
	late time.Duration // by which a timer woke the first of those who waited for it. Negative: nobody has been woken
}

// An arrival is one of a burst.
type arrival struct {
	n, burst uint64
	due      time.Duration
	late     time.Duration // of its burst, as far as that is known
}

func newSchedule(w Workload, in Window) *schedule {
	s := &schedule{
		rand:  rand.New(rand.NewPCG(in.Seed, ^uint64(0))),
		even:  w.Even,
		size:  uint64(max(w.Burst, 1)),
		woken: make([]burst, in.Goroutines+1),
	}
	s.gap = quotient(float64(s.size)*float64(time.Second), w.Rate)
	return s
}

// next is the next arrival, which the caller takes care of.
func (s *schedule) next() arrival {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.n / s.size
	b := s.slot(n)
	if s.n%s.size == 0 {
		if s.even {
			s.at += s.gap
		} else {
			s.at += s.gap * s.rand.ExpFloat64()
		}
		*b = burst{n, time.Duration(s.at), -1}
	}
	s.n++
	return arrival{s.n, n, b.due, max(b.late, 0)}
}

func (s *schedule) slot(n uint64) *burst { return &s.woken[n%uint64(len(s.woken))] }

// came is when an arrival came for whom somebody has waited until now. All of a burst come when its
// first does.
func (s *schedule) came(a arrival, now time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.slot(a.burst)
	if b.n != a.burst {
		return a.due // long ago, and so it counts in full
	}
	if b.late < 0 {
		b.late = 0
		if late := now - a.due; late <= lateTimer {
			b.late = late
		}
	}
	return a.due + b.late
}

// arrive is an open loop. Each visitor takes the next arrival that nobody has taken, and sleeps
// until it is due. So as long as one is free an arrival meets somebody who waits for it; and when
// all are busy it waits for the first to come back, from when it was due.
func (v *visitor) arrive(s *schedule) {
	r := v.run
	for r.phase.Load() != ended {
		next := s.next()
		came := next.due + next.late
		if early := next.due - r.now(); early > 0 {
			if !v.sleep(early) {
				return
			}
			came = s.came(next, r.now())
		}
		phase := r.phase.Load()
		if phase == ended && next.due >= r.over {
			return
		}
		v.timed = phase != warming && next.due >= r.started
		v.source.Seed(r.in.Seed, next.n*spread) // so that what it does is the same, whoever takes care of it
		err := v.visit(v.ctx, came)
		v.done(err, r.phase.Load())
	}
}
