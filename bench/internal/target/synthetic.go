package target

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lidopool/lido/bench/internal/load"
	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/strategies"
)

// synthetic is a backend that is made up: a server in this process, whose resources cost what its spec
// says. What depends on chance is drawn from the seed, for each resource by itself. It runs in a bubble of
// testing/synctest, but for work=spin.
type synthetic struct {
	spec   spec
	faults Faults
	open   atomic.Int64
	seats  chan struct{} // of capacity spec.capacity; nil if that is 0
	timers sync.Pool     // of *time.Timer, of this server only: timers belong to a bubble
	opens  atomic.Uint64 // numbers the resources

	mu   sync.Mutex
	dice *rand.Rand // of opens, closes and pings
}

var (
	errRefused = errors.New("target: connection refused: the backend is down")
	errFull    = errors.New("target: too many connections: the backend has as many as max says")
	errLost    = errors.New("target: open failed, as openfail says that a share does")
	errBroken  = errors.New("target: connection is broken")

	brokenUse = &useError{errBroken}
)

func openSynthetic(query string) (*synthetic, error) {
	spec, err := parseSpec(query)
	if err != nil {
		return nil, err
	}
	s := &synthetic{spec: spec, dice: spec.dice(0)}
	if spec.capacity > 0 {
		s.seats = make(chan struct{}, spec.capacity)
	}
	return s, nil
}

// Name implements Backend.
func (s *synthetic) Name() string { return s.spec.String() }

// Faults implements Backend.
func (s *synthetic) Faults() *Faults { return &s.faults }

// Sessions implements Backend.
func (s *synthetic) Sessions(context.Context) (n int, known bool, err error) {
	return s.sessions(), true, nil
}

func (s *synthetic) sessions() int { return int(s.open.Load()) }

// Close implements Backend.
func (s *synthetic) Close() error { return nil }

// Target implements Backend. All that the backend does not cost is left out of the pool's backend too,
// so that a spec of nothing shows the pool alone.
func (s *synthetic) Target(c strategies.Config) (load.Target, error) {
	m, shared := &Meter{}, false
	return newLido(origin[*made]{
		backend: pool.Funcs[*made]{
			OpenFunc: func(ctx context.Context) (*made, error) {
				r, err := s.dial(ctx, m)
				if err == nil && shared {
					r.share()
				}
				return r, err
			},
			PingFunc:     func(ctx context.Context, r *made) error { return r.ping(ctx) },
			CloseFunc:    func(r *made) error { return s.hangUp(r, m) },
			ClassifyFunc: classifyMade,
		},
		meter:    m,
		conn:     func(r *made) load.Conn { return r },
		sessions: s.sessions,
		shared:   func() { shared = true },
	}, c)
}

// Dial implements Backend.
func (s *synthetic) Dial(ctx context.Context, m *Meter) (load.Conn, func() error, error) {
	r, err := s.dial(ctx, m)
	if err != nil {
		return nil, nil, err
	}
	return r, func() error { return s.hangUp(r, m) }, nil
}

func (s *synthetic) dial(ctx context.Context, m *Meter) (r *made, err error) {
	m.begin()
	defer func() { m.ended(err) }()
	since := s.faults.down.Load()
	if s.faults.isDown() {
		if err := s.wait(ctx, s.spec.dial); err != nil {
			return nil, err
		}
		return nil, errRefused
	}
	if n := s.open.Add(1); s.spec.max > 0 && n > int64(s.spec.max) {
		s.open.Add(-1)
		return nil, errFull
	}
	defer func() {
		if err != nil {
			s.open.Add(-1)
		}
	}()
	if err := s.wait(ctx, s.spec.open); err != nil {
		return nil, err
	}
	if s.spec.openFail > 0 && s.chance(s.spec.openFail) {
		return nil, errLost
	}
	r = &made{server: s}
	if s.spec.draws() {
		r.dice = s.spec.dice(s.opens.Add(1))
	}
	if !s.faults.add(&r.resource, since) {
		return nil, errRefused
	}
	return r, nil
}

func (s *synthetic) hangUp(r *made, m *Meter) error {
	s.faults.remove(&r.resource)
	err := s.wait(context.Background(), s.spec.close)
	s.open.Add(-1)
	m.close()
	return err
}

func (s *synthetic) chance(share float64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dice.Float64() < share
}

// wait spends a time drawn from d as who waits for a network does.
func (s *synthetic) wait(ctx context.Context, d load.Dist) error {
	if d.IsZero() {
		return nil
	}
	s.mu.Lock()
	took := d.Draw(s.dice)
	s.mu.Unlock()
	return s.sleep(ctx, took)
}

// sleep returns after d, or when ctx ends, with its cause.
func (s *synthetic) sleep(ctx context.Context, d time.Duration) error {
	if ctx.Done() == nil {
		time.Sleep(d)
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	t, _ := s.timers.Get().(*time.Timer)
	if t == nil {
		t = time.NewTimer(d)
	} else {
		t.Reset(d)
	}
	defer func() {
		t.Stop()
		s.timers.Put(t)
	}()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// work spends d as a use does.
func (s *synthetic) work(ctx context.Context, d time.Duration) error {
	if s.spec.work == sleep {
		return s.sleep(ctx, d)
	}
	for begun := time.Now(); time.Since(begun) < d; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}

// made is a resource of a synthetic backend.
type made struct {
	resource
	server *synthetic

	mu   sync.Mutex // there may be several holders
	dice *rand.Rand // nil if nothing depends on chance
}

// Use implements load.Conn. Reading and writing are the same.
func (r *made) Use(ctx context.Context, _ bool) error {
	if err := r.enter(ctx); err != nil {
		return &useError{err}
	}
	defer r.leave()
	if r.broken.Load() {
		return brokenUse
	}
	took, fails := r.draw()
	if err := r.server.serve(ctx, took); err != nil {
		return &useError{err}
	}
	if fails {
		r.server.faults.spoil(&r.resource)
	}
	if r.broken.Load() { // in mid-use, perhaps
		return brokenUse
	}
	return nil
}

// draw is what a use takes, and whether it breaks the resource.
func (r *made) draw() (took time.Duration, fails bool) {
	s := r.server
	if r.dice == nil {
		took = s.spec.use.Mean()
	} else {
		r.mu.Lock()
		defer r.mu.Unlock()
		took, fails = s.spec.use.Draw(r.dice), r.dice.Float64() < s.spec.fail
	}
	if f := s.faults.factor(); f > 1 {
		took = time.Duration(float64(took) * f)
	}
	return took, fails
}

// serve does the work of a use, once the server has capacity for it: first come, first served.
func (s *synthetic) serve(ctx context.Context, took time.Duration) error {
	if s.seats != nil {
		select {
		case s.seats <- struct{}{}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		defer func() { <-s.seats }()
	}
	if took == 0 {
		return nil
	}
	return s.work(ctx, took)
}

// ping is what the pool's backend does for a ping.
func (r *made) ping(ctx context.Context) error {
	if err := r.server.wait(ctx, r.server.spec.ping); err != nil {
		return err
	}
	if r.broken.Load() {
		return errBroken
	}
	return nil
}

// classifyMade says what an error of a synthetic backend means.
func classifyMade(err error) pool.Fault {
	switch {
	case errors.Is(err, errBroken):
		return pool.Dead
	case errors.Is(err, errFull):
		return pool.Full
	}
	return pool.Sound
}
