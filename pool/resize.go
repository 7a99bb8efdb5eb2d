package pool

// Resize changes the numbers of the pool's strategy to those of s, which must be of the same kind. It
// does not wait, and may be called from any goroutine at any time.
//
// If there may be more resources now, those who wait are served at once. If there may be fewer, none
// is opened until they fit; what is idle and too many is closed in the background, one after the
// other, and what is lent and too many when it is returned. Nobody loses a resource in use, and those
// who wait go on waiting. Options.MinIdle is kept as far as the strategy has seats.
//
// The error is ErrClosed, or an *OptionError that names what cannot be used, or not be changed, or what
// the backend answers if it is a LimitChecker. Nothing is changed then. It costs a look at every seat.
func (p *Pool[T]) Resize(s Strategy) error { return ofPool(p.opts.Name, p.resize(s)) }

func (p *Pool[T]) resize(s Strategy) error {
	if s == nil {
		return &OptionError{Field: "strategy", Value: "nil", Remedy: "give one, such as strategies.Queue{Size: 5}"}
	}
	p.resizing.Lock()
	defer p.resizing.Unlock()
	if p.closed.Load() {
		return ErrClosed
	}
	if kind := p.Strategy().Kind(); s.Kind() != kind {
		return &OptionError{Field: "strategy", Value: s.Kind(), Remedy: "give one of kind " + kind + ", as the pool has, or make another pool"}
	}
	r, ok := p.seating.(Resizer)
	if !ok {
		return &OptionError{Field: "strategy", Value: s.Kind(), Remedy: "it cannot be resized: make another pool"}
	}
	if c, ok := p.backend.(LimitChecker); ok {
		seating, err := s.Start(trial{})
		if err != nil {
			return err
		}
		if err := c.CheckLimits(s.Kind(), seating.Limits()); err != nil {
			return err
		}
	}
	if err := r.Resize(s); err != nil {
		return err
	}
	limits := p.seating.Limits()
	p.limits.Store(&limits)
	p.strategy.Store(&s)
	p.trim(limits)
	p.upkeep.soon()
	p.news.spread()
	p.logStatus("pool resized")
	return nil
}

// trim takes away what rests over the limits, the highest seats first, and has it closed.
func (p *Pool[T]) trim(l Limits) {
	n := p.seating.Load()
	tooMany := l.Seats != Unlimited && n.Lent+n.Idle+n.Opening > l.Seats
	tooIdle := l.Linger == 0 && l.Keep != Unlimited && n.Idle > l.Keep
	if !tooMany && !tooIdle {
		return
	}
	var surplus []*record[T]
	for seat := Seat(p.seats.n.Load()); seat > 0; seat-- {
		r := p.seats.at(seat - 1)
		if p.gather(r) {
			r.move(idle)
		} else if !p.seating.Claim(r.seat) {
			continue
		}
		h := r.own.Load()
		if !p.seating.Release(r.seat, true) { // the seating knows how many are too many
			surplus = append(surplus, r)
			continue
		}
		if p.disposed(h) {
			go p.sweep(r)
		}
		break
	}
	if len(surplus) == 0 {
		return
	}
	go func() { // the pool's end waits for the seats
		for _, r := range surplus {
			_ = isolate("close", func() error { // or Goexit in one that is Inline would lose the others
				p.vacate(p.life, r, ReasonOverflow, nil)
				return nil
			})
		}
	}()
}

// trial is the host of a seating that is only looked at, to learn the limits of its strategy.
type trial struct{}

func (trial) Open(Seat)   {}
func (trial) AtOnce() int { return Unlimited }
