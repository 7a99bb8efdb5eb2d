package pool

import (
	"fmt"
	"sync/atomic"
	"time"
)

// counts are of things that happen on slow paths only.
type counts struct {
	leases                               atomic.Uint64 // of resources that are closed
	misused, dropped, detached           atomic.Uint64
	opened, openFailures                 atomic.Uint64
	pingFailures, resetFailures          atomic.Uint64
	closeFailures, hookFailures, overdue atomic.Uint64
	closed                               [len(reasonNames)]atomic.Uint64
	stuck                                atomic.Int64 // up when a call is overdue, down when it returns
	abandoned                            atomic.Int64 // likewise, of closes whose seat is free
}

// Stats is what a pool is and has done, at one moment.
type Stats struct {
	Pool     string
	Strategy string
	Limits   Limits

	// Seats by what is in them, counted seat by seat: each seat is in one of Idle, InUse,
	// Opening and Closing, or empty.
	Open     int // Idle + InUse + Closing: resources that exist
	Idle     int
	InUse    int // leased, or being checked or reset
	Opening  int
	Closing  int
	Overflow int // of those open, how many more than Limits.Keep
	Stuck    int // seats taken by a call of the backend that has not returned in time

	Pending   int  // of those Opening, how many wait for their turn
	Down      bool // the last open failed, and the next one is a probe
	Suspended bool
	Abandoned int // closes that have not returned in time, and whose seat is free (FreeSeat)

	Leases     int    // held now; more than InUse where holders share
	Waiting    int    // acquirers in line
	Generation uint64 // how many invalidations and disposals there were

	// Totals since the pool was made.
	Acquired      uint64 // leases begun
	Opened        uint64
	OpenFailures  uint64 // calls of Backend.Open or connect hooks that failed
	Closed        uint64 // all reasons
	ClosedBy      map[Reason]uint64
	CloseFailures uint64
	Overdue       uint64 // calls of the backend that did not return in time
	PingFailures  uint64
	ResetFailures uint64
	HookFailures  uint64 // of the hooks whose errors are only logged
	Detached      uint64
	Dropped       uint64 // leases that came back because their holder forgot them
	Misused       uint64 // verbs on leases that had ended, such as a second Release

	Waited   uint64        // acquirers that stood in line
	WaitTime time.Duration // that they spent there
	TimedOut uint64        // of these, by deadline or Timeout
	Canceled uint64        // of these, by ctx
	Shed     uint64        // acquirers turned away instead of standing in line
}

// Stats counts what goes on. Its cost is proportional to the number of seats that were
// ever used. Counts taken while the pool is busy are of slightly different moments.
func (p *Pool[T]) Stats() Stats {
	if p.bubble {
		p.takeBackDropped()
	}
	s := Stats{Pool: p.opts.Name, Strategy: p.Strategy().Kind(), Limits: p.Limits()}
	c := &p.counts
	s.Acquired = c.leases.Load()
	p.seats.all(func(r *record[T]) bool {
		leases, acquired := r.countLeases()
		switch at := r.state(); at {
		case idle, free:
			s.Idle++
		case checking, leased, returning:
			if at == leased && leases == 0 && p.quickJoint { // all its joints are free
				s.Idle++
			} else {
				s.InUse++
			}
		case opening:
			s.Opening++
		case closing:
			s.Closing++
		}
		s.Leases += leases
		s.Acquired += acquired
		return true
	})
	s.Open = s.Idle + s.InUse + s.Closing
	s.Overflow = overflow(s.Limits, s.Open)
	s.Generation = p.gate.Load() / oneGeneration
	s.Opened, s.OpenFailures = c.opened.Load(), c.openFailures.Load()
	s.ClosedBy = make(map[Reason]uint64)
	for why := range c.closed {
		if n := c.closed[why].Load(); n > 0 {
			s.ClosedBy[Reason(why)] = n
			s.Closed += n
		}
	}
	s.Stuck, s.Abandoned = int(c.stuck.Load()), int(c.abandoned.Load())
	s.Pending, s.Down = p.turns.state()
	s.CloseFailures, s.Overdue = c.closeFailures.Load(), c.overdue.Load()
	s.PingFailures, s.ResetFailures = c.pingFailures.Load(), c.resetFailures.Load()
	s.HookFailures, s.Detached = c.hookFailures.Load(), c.detached.Load()
	s.Dropped, s.Misused = c.dropped.Load(), c.misused.Load()
	n := p.seating.Load()
	if lent := s.Idle - n.Idle; lent > 0 && !p.quickJoint { // handed to waiters that have not run yet
		s.Idle -= lent
		s.InUse += lent
	}
	s.Waiting, s.Waited, s.WaitTime = n.Waiting, n.Waited, n.WaitTime
	s.TimedOut, s.Canceled, s.Shed, s.Suspended = n.TimedOut, n.Canceled, n.Shed, n.Paused
	return s
}

// countLeases tells how many leases of a seat are held now, and how many ever began.
func (r *record[T]) countLeases() (held int, begun uint64) {
	count := func(h *hold[T]) {
		begun += h.begun()
		if stateOf(h.word.v.Load()) == leased {
			held++
		}
	}
	s := r.sharing()
	if s == nil {
		if h := r.own.Load(); h != nil {
			count(h)
		}
		return held, begun
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	begun = s.ended
	for _, h := range s.holds {
		count(h)
	}
	return held, begun
}

// String is one line: what it is, and how busy.
func (s Stats) String() string { return prefix(s.Pool) + s.Strategy + ": " + s.load() }

func (s Stats) load() string {
	of := "of " + fmt.Sprint(s.Limits.Seats)
	if s.Limits.Seats == Unlimited {
		of = "of unlimited"
	}
	line := fmt.Sprintf("%d %s in use (%d overflow), %d idle, %d opening, %d closing, %d waiting",
		s.InUse, of, s.Overflow, s.Idle, s.Opening, s.Closing, s.Waiting)
	if s.Pending > 0 {
		line += fmt.Sprintf(", %d opens wait for their turn", s.Pending)
	}
	if s.Down {
		line += ", the last open failed"
	}
	if s.Suspended {
		line += ", suspended"
	}
	if s.Stuck > 0 {
		line += fmt.Sprintf(", %d stuck in a call of the backend", s.Stuck)
	}
	return line
}
