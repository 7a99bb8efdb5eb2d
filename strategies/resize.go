package strategies

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/lidopool/lido/pool"
)

// Resize implements pool.Resizer. A new Timeout counts for those in line too: from when they came,
// or from the change on if there was none before.
func (l *line) Resize(s pool.Strategy) error {
	var h pool.Host = trial{}
	if _, ok := l.host.(pool.SelfService); ok {
		h = trialSelf{}
	}
	started, err := s.Start(h)
	if err != nil {
		return err
	}
	to, ok := started.(*line)
	switch {
	case !ok, to.oneUse != l.oneUse:
		return otherKind(s)
	case to.order() != l.order():
		return fixed("Order", to.order(), l.order())
	case to.passing.allowed != l.passing.allowed:
		return fixed("Fairness", to.fairness(), l.fairness())
	case to.waiting.classes.shares() != l.waiting.classes.shares():
		return fixed("Shares", to.waiting.classes.shares(), l.waiting.classes.shares())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if l.passing.open {
		l.closeLine(now)
	}
	l.attend() // more may be open now than are to be kept
	if l.timeout <= 0 {
		l.untimed, l.timed = l.arrivals, now
	}
	l.limits, l.timeout = to.limits, to.timeout
	l.most, l.linger = to.most, to.linger
	l.service = service{on: to.service.on} // what was measured was of the old numbers
	l.feed()
	l.ring(now)
	l.calm()
	return nil
}

func (l *line) order() Order {
	switch {
	case l.fifo:
		return FIFO
	case l.self != nil:
		return Affine
	}
	return LIFO
}

func (l *line) fairness() Fairness {
	if l.passing.allowed {
		return Bounded
	}
	return Strict
}

// shares are the shares of classes, as the strategy had them.
func (c *classes) shares() Shares {
	if c == nil {
		return ""
	}
	texts := make([]string, len(c.all))
	for i := range c.all {
		texts[i] = strconv.Itoa(c.all[i].share)
	}
	return Shares(strings.Join(texts, ","))
}

// Resize implements pool.Resizer. There is nothing that could be changed.
func (a *asserting) Resize(s pool.Strategy) error { return resizeAssertion(s, false) }

// Resize is that of asserting.
func (s *sole) Resize(to pool.Strategy) error { return resizeAssertion(to, true) }

func resizeAssertion(s pool.Strategy, noStack bool) error {
	started, err := s.Start(trial{})
	if err != nil {
		return err
	}
	to := false
	switch started.(type) {
	case *asserting:
	case *sole:
		to = true
	default:
		return otherKind(s)
	}
	if to != noStack {
		return fixed("NoStack", to, noStack)
	}
	return nil
}

// Resize implements pool.Resizer. Those who wait keep the Timeout that they came with.
func (s *sharing) Resize(to pool.Strategy) error {
	started, err := to.Start(trial{})
	if err != nil {
		return err
	}
	want, ok := started.(*sharing)
	if !ok || want.shares != s.shares {
		return otherKind(to)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limits, s.timeout, s.most = want.limits, want.timeout, want.most
	if !s.closed {
		s.serve()
	}
	return nil
}

func otherKind(s pool.Strategy) error {
	return &pool.OptionError{Field: "strategy", Value: s.Kind(), Remedy: "give one of the kind that the pool has"}
}

// fixed is the error for a setting that only another pool could have.
func fixed(field string, value, present any) error {
	return &pool.OptionError{Field: field, Value: fmt.Sprintf("%q", fmt.Sprint(value)),
		Remedy: fmt.Sprintf("it cannot be changed at run time: leave it %q, or make another pool", fmt.Sprint(present))}
}

// trial is the host of a seating that is only looked at, to learn the settings of its strategy.
type trial struct{}

func (trial) Open(pool.Seat) {}
func (trial) AtOnce() int    { return pool.Unlimited }

// trialSelf is a trial that offers self-service, since a seating shows by its use what its order is.
type trialSelf struct{ trial }

func (trialSelf) Suspend(func(pool.Seat)) {}
func (trialSelf) Resume()                 {}
func (trialSelf) Look()                   {}
func (trialSelf) Put(pool.Seat)           {}
func (trialSelf) Take(pool.Seat) bool     { return false }
func (trialSelf) Free() int               { return 0 }
