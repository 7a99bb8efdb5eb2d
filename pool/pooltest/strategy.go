package pooltest

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/pool"
)

// TestStrategy tests whether a strategy keeps the promises of pool.Strategy, pool.Seating and
// pool.Sharer. newStrategy is called once or more for each promise; what it returns
// should be small, three seats or so, so that the line is put to the test. When a promise is
// broken, the test says which, and what it is good for.
//
//	func TestMine(t *testing.T) {
//		pooltest.TestStrategy(t, func() pool.Strategy { return Mine{Seats: 3} })
//	}
//
// Promises about waiting do not apply to a strategy with unlimited seats: give it limits here. All of
// it takes about a second.
func TestStrategy(t *testing.T, newStrategy func() pool.Strategy, traits ...Trait) {
	t.Helper()
	nature := natureOf(t, newStrategy(), traits)
	keep(t, seatingPromises(), nature, newStrategy)
	if t.Failed() {
		t.Log("these promises come first; what a pool promises with this strategy has not been tested")
		return
	}
	keep(t, poolPromises(), nature, newStrategy)
}

// keep runs those promises that apply.
func keep(t *testing.T, promises []promise, n nature, newStrategy func() pool.Strategy) {
	t.Helper()
	for _, p := range promises {
		if p.applies != nil && !p.applies(n) {
			t.Logf("%s: does not apply to %s", p.name, newStrategy().Kind())
			continue
		}
		t.Run(p.name, func(t *testing.T) {
			defer func() {
				if t.Failed() {
					t.Logf("the promise broken: %s", p.explanation)
				}
			}()
			for _, plain := range []bool{false, true} {
				synctest.Test(t, func(t *testing.T) {
					p.run(&kit{T: t, nature: n, newStrategy: newStrategy, plain: plain, start: time.Now()})
				})
			}
		})
	}
}

// Trait is what a strategy says of itself to TestStrategy, where its Limits cannot.
type Trait func(*nature)

// FailsWhenHeld says that the strategy lets nobody stand in line for a seat that others hold:
// Acquire then fails at once with an error that is err, by errors.Is.
func FailsWhenHeld(err error) Trait { return func(n *nature) { n.refusal = err } }

// PassesOver says that the strategy may let who runs take a seat while others wait, but nobody
// is passed over for longer than d. What else is served at once may then take as long.
func PassesOver(d time.Duration) Trait { return func(n *nature) { n.passing = d } }

// nature is what the promises depend on.
type nature struct {
	pool.Limits
	refusal error         // FailsWhenHeld
	passing time.Duration // PassesOver
}

func natureOf(t *testing.T, s pool.Strategy, traits []Trait) nature {
	t.Helper()
	seating, err := s.Start(newHost())
	if err != nil {
		t.Fatalf("%T.Start: %v", s, err)
	}
	defer seating.Close()
	n := nature{Limits: seating.Limits()}
	for _, trait := range traits {
		trait(&n)
	}
	return n
}

func (n nature) bounded() bool { return n.Seats != pool.Unlimited }

// apart: acquirers of different owners get different seats.
func (n nature) apart() bool { return n.Sharing != pool.Common }

// waits: acquirers stand in line for seats that others hold.
func (n nature) waits() bool { return n.bounded() && n.apart() && n.refusal == nil }

func (n nature) shares() bool { return n.Sharing != pool.Exclusive }

// many is how many acquirers of different owners can hold at once, or enough of them if
// there is no bound.
func (n nature) many() int {
	if n.bounded() {
		return n.Seats
	}
	return 5
}

// promise is one thing that users of a strategy rely on.
type promise struct {
	name        string
	explanation string
	applies     func(nature) bool // nil: always
	run         func(*kit)
}

// kit is the setting of one promise: a strategy in a pool of Resources, in a synctest bubble.
type kit struct {
	*testing.T
	nature
	newStrategy func() pool.Strategy
	plain       bool // there is nothing to reset, so that pools take their fast path
	inline      bool // acquirers and holders call the backend themselves
	start       time.Time

	fake *Fake
	pool *pool.Pool[*Resource]
}

// patience is the deadline of every acquire that should succeed: in a bubble it costs nothing, and a lost
// wake-up shows as an error instead of a deadlock. Under StressStrategy it is real; there 20 s are far longer than
// any machine is busy with something else.
const patience = 20 * time.Second

// open makes the pool.
func (k *kit) open() {
	k.Helper()
	k.fake = NewFake()
	o := pool.Options{NoReset: k.plain, Backoff: pool.NoBackoff, OpensAtOnce: pool.Unlimited}
	if k.inline {
		o.OpenTimeout, o.ResetTimeout, o.CloseTimeout = pool.Inline, pool.Inline, pool.Inline
	}
	p, err := pool.New(k.fake, k.newStrategy(), o)
	if err != nil {
		k.Fatalf("pool.New: %v", err)
	}
	k.pool = p
}

// end shuts the pool down and looks whether all is in order.
func (k *kit) end() {
	k.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := k.pool.Shutdown(ctx); err != nil {
		k.Errorf("Shutdown with nothing held: %v, want nil", err)
	}
	k.fake.Verify(k)
	if s := k.pool.Stats(); s.Open+s.Opening+s.Waiting+s.Leases != 0 {
		k.Errorf("after Shutdown: %v, want nothing in use, idle, opening, closing or waiting", s)
	}
}

// settle waits until everyone has got what there is for them.
func (k *kit) settle() {
	synctest.Wait()
	if k.passing > 0 {
		time.Sleep(k.passing)
		synctest.Wait()
	}
}

// now is the time since the promise began.
func (k *kit) now() time.Duration { return time.Since(k.start) }

// stranger is a ctx of a new owner, and so of a seat of its own.
func (k *kit) stranger() context.Context {
	ctx, _ := pool.WithScope(k.Context())
	return ctx
}

// acquire is an Acquire that must succeed, by a new owner.
func (k *kit) acquire() pool.Lease[*Resource] {
	k.Helper()
	ctx, cancel := context.WithTimeout(k.stranger(), patience)
	defer cancel()
	l, err := k.pool.Acquire(ctx)
	if err != nil {
		k.Fatalf("Acquire: %v, want a lease", err)
	}
	return l
}

// fill acquires until every seat is held, except for the last few.
func (k *kit) fill(except int) (held []pool.Lease[*Resource]) {
	k.Helper()
	if k.Sharing == pool.Common {
		if except == 0 {
			held = append(held, k.acquire())
		}
		return held
	}
	for range k.many() - except {
		held = append(held, k.acquire())
	}
	return held
}

func (k *kit) release(leases ...pool.Lease[*Resource]) {
	k.Helper()
	for _, l := range leases {
		if err := l.Release(); err != nil {
			k.Errorf("Release: %v, want nil", err)
		}
	}
}

// caller is an Acquire on a goroutine of its own. What it got may be read once it is done.
type caller struct {
	cancel   context.CancelFunc
	answered chan struct{}
	at       time.Duration // when it was answered
	lease    pool.Lease[*Resource]
	err      error
}

func (c *caller) done() bool { return isClosed(c.answered) }

func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// call starts an Acquire by a new owner and returns when it is waiting or done. then, if not nil, is
// called on the acquirer's goroutine when it got a lease.
func (k *kit) call(timeout time.Duration, then func(pool.Lease[*Resource])) *caller {
	ctx, cancel := context.WithTimeout(k.stranger(), timeout)
	return k.callIn(ctx, cancel, then)
}

func (k *kit) callIn(ctx context.Context, cancel context.CancelFunc, then func(pool.Lease[*Resource])) *caller {
	c := &caller{cancel: cancel, answered: make(chan struct{})}
	go func() {
		l, err := k.pool.Acquire(ctx)
		c.lease, c.err, c.at = l, err, k.now()
		close(c.answered)
		cancel()
		if err == nil && then != nil {
			then(l)
		}
	}()
	synctest.Wait()
	return c
}

// refused reports whether err is how the strategy says no at once.
func (k *kit) refused(err error) bool {
	return errors.Is(err, pool.ErrExhausted) || k.refusal != nil && errors.Is(err, k.refusal)
}
