package pooltest

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lidopool/lido/pool"
)

// StressStrategy drives pools with the strategy for about as long as d: many goroutines that
// do everything a lease and a pool can do, at random, while opens, resets and closes fail,
// panic and exit; most of the pools are short-lived and closed in the middle of it. Whatever happens, a
// resource has one owner (one of its kind, if the strategy shares), none is used after its close, each
// is closed exactly once, and no seat is lost.
//
// It is worth most with -race: a resource passed from owner to owner without
// synchronization is a data race.
func StressStrategy(t *testing.T, d time.Duration, newStrategy func() pool.Strategy, traits ...Trait) {
	t.Helper()
	nature := natureOf(t, newStrategy(), traits)
	pools := 0
	defer func() { t.Logf("%d pools", pools) }()
	for start, i := time.Now(), 0; i < 10 || time.Since(start) < d; i++ {
		pools++
		tr := newTraffic(&kit{T: t, nature: nature, newStrategy: newStrategy, plain: i%2 == 1, inline: i%3 == 2, start: time.Now()})
		tr.detaching = i%8 < 4
		if i%8 < 2 {
			tr.rounds(8, 200)
			tr.finish()
		} else {
			tr.closeDuring(8, 50)
		}
		if t.Failed() {
			t.Fatalf("failed in pool %d", i+1)
		}
	}
}

// traffic is many goroutines that use one pool at random.
type traffic struct {
	*kit
	seed      uint64
	detaching bool
	closing   atomic.Bool
	verbs     atomic.Int64 // acquires begun
	closeAt   int64        // the acquire during which the pool is closed; 0: none

	mu       sync.Mutex
	detached int // resources that are detached now
	most     int // the most there were
}

// newTraffic makes a pool whose backend fails now and then.
func newTraffic(k *kit) *traffic {
	tr := &traffic{kit: k, seed: rand.Uint64()}
	k.open()
	if k.Sharing == pool.Common {
		k.fake.AllowForcedClose() // one holder discards under the others
	}
	k.fake.Always(Reset, mostly(Fail(errDown), Panic("reset")))
	if k.inline { // where Goexit would end the caller
		k.fake.Always(Open, mostly(Fail(errDown), Panic("open")))
		k.fake.Always(Close, mostly(Fail(errDown), Panic("close")))
	} else {
		k.fake.Always(Open, mostly(Fail(errDown), Goexit, Panic("open")))
		k.fake.Always(Close, mostly(Fail(errDown), Goexit, Panic("close")))
	}
	return tr
}

// mostly succeeds, sometimes later, and now and then does one of the acts.
func mostly(acts ...Act) Act {
	return func(ctx context.Context) error {
		switch n := rand.IntN(100); {
		case n < len(acts):
			return acts[n](ctx)
		case n < 40:
			runtime.Gosched()
		}
		return nil
	}
}

func (tr *traffic) rounds(workers, rounds int) {
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() { tr.work(i, rounds) })
	}
	wg.Wait()
	if tr.Failed() {
		tr.Logf("seed %d", tr.seed)
	}
}

// closeDuring closes the pool at some moment in the middle.
func (tr *traffic) closeDuring(workers, rounds int) {
	tr.fake.AllowForcedClose()
	tr.closeAt = 1 + rand.Int64N(int64(workers*rounds))
	tr.rounds(workers, rounds)
	tr.end()
	tr.reconcile()
}

// finish looks at the pool at rest, and ends it.
func (tr *traffic) finish() {
	tr.fake.Always(Open, OK)
	tr.release(tr.fillMended()...) // every seat is there
	// Where seats are unlimited not all of them were filled, and what the traffic has left behind, such as the return of
	// a lease that was invalidated as it was made, may take a moment longer on a busy machine.
	for late := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		s := tr.pool.Stats()
		if s.Waiting+s.Leases+s.InUse == 0 {
			break
		}
		if time.Now().After(late) {
			tr.Errorf("at rest: %v, want nothing in use or waiting", s)
			break
		}
	}
	tr.end()
	tr.reconcile()
}

// fillMended is fill where opens that began before the backend was mended may yet fail; each of
// them fails at most one acquirer.
func (tr *traffic) fillMended() (held []pool.Lease[*Resource]) {
	want := tr.many()
	if tr.Sharing == pool.Common {
		want = 1
	}
	for failures := 0; len(held) < want; {
		ctx, cancel := context.WithTimeout(tr.stranger(), patience)
		l, err := tr.pool.Acquire(ctx)
		cancel()
		if err == nil {
			held = append(held, l)
			continue
		}
		tr.expected(err)
		if failures++; failures > 100 {
			tr.Errorf("a mended backend has failed 100 acquires, the last with %v", err)
			return held
		}
		// Really, since a strategy may refuse without waiting, and on a busy machine what the traffic has left
		// behind, such as a ping nobody waits for, has the seat for a moment longer.
		time.Sleep(time.Millisecond)
	}
	return held
}

// reconcile compares the pool's books with the backend's.
func (tr *traffic) reconcile() {
	s := tr.pool.Stats()
	if int(s.Opened) != tr.fake.Opened() || int(s.Closed) != tr.fake.Closed() || s.Opened != s.Closed {
		tr.Errorf("Stats: %d opened, %d closed; the backend saw %d and %d; want the same four",
			s.Opened, s.Closed, tr.fake.Opened(), tr.fake.Closed())
	}
	if s.TimedOut+s.Canceled > s.Waited {
		tr.Errorf("Stats: %d waited, of which %d timed out and %d were canceled", s.Waited, s.TimedOut, s.Canceled)
	}
	if n := tr.fake.MaxOpen(); tr.bounded() && n > tr.Seats+tr.most {
		tr.Errorf("%d resources were open at once with %d seats and at most %d detached", n, tr.Seats, tr.most)
	}
}

// work is one goroutine's share.
func (tr *traffic) work(id, rounds int) {
	rng := rand.New(rand.NewPCG(tr.seed, uint64(id)))
	mine := tr.stranger() // one owner for all rounds, and sometimes another
	for range rounds {
		if tr.verbs.Add(1) == tr.closeAt {
			tr.closing.Store(true)
			if err := tr.pool.Close(); err != nil {
				tr.Errorf("Close during traffic: %v, want nil: nothing hangs", err)
			}
		}
		owner := mine
		if rng.IntN(4) == 0 {
			owner = tr.stranger()
		}
		switch rng.IntN(100) {
		case 0:
			tr.pool.Invalidate(nil)
		case 1:
			tr.pool.Dispose()
		case 2:
			_ = tr.pool.Stats()
		}
		if rng.IntN(6) == 0 {
			// An owner who holds one resource for itself and asks for another one may wait for its like
			// for ever; so this one does not nest.
			tr.acquire(tr.pool.AcquireUnique, owner, rng, visit{})
			continue
		}
		verb := tr.pool.Acquire
		if rng.IntN(5) == 0 {
			verb = tr.pool.TryAcquire
		}
		tr.acquire(verb, owner, rng, visit{mayNest: 2})
	}
}

// visit is the manner of one acquire.
type visit struct {
	mayNest int  // how many levels of acquires its owner may make meanwhile
	nested  bool // it is one of those
	gently  bool // its owner relies on the resource: it must be there, and stay
}

// acquire gets a lease by verb, holds it for a moment, and ends it; or complains if there is no good reason
// for not getting it.
func (tr *traffic) acquire(verb func(context.Context) (pool.Lease[*Resource], error), owner context.Context, rng *rand.Rand, v visit) {
	ctx, cancel := context.WithTimeout(owner, patience)
	defer cancel()
	if rng.IntN(5) == 0 {
		go cancel() // at any moment from now on
	}
	l, err := verb(ctx)
	if err != nil {
		tr.expected(err)
		return
	}
	r, err := l.Get()
	if err != nil {
		if !tr.fake.allowsForcedClose() {
			tr.Errorf("Get of a new lease: %v, want its resource", err)
		}
		_ = l.Release()
		return
	}
	alone := !v.nested && (tr.Sharing == pool.Exclusive || tr.Sharing == pool.Nested && rng.IntN(2) == 0)
	if alone {
		r.Take(tr)
	}
	if rng.IntN(2) == 0 {
		runtime.Gosched()
	}
	if tr.Sharing == pool.Nested && rng.IntN(3) == 0 && v.mayNest > 0 {
		tr.acquire(tr.pool.Acquire, owner, rng, visit{mayNest: v.mayNest - 1, nested: true, gently: v.gently || alone})
	}
	if alone {
		r.Give(tr)
	}
	tr.endLease(l, rng, v.gently)
}

// expected complains of errors that nothing here explains, such as a timeout.
func (tr *traffic) expected(err error) {
	var attempts *pool.AttemptsError
	var panicked *pool.PanicError
	switch {
	case tr.refused(err), errors.Is(err, context.Canceled), errors.Is(err, errDown), errors.Is(err, pool.ErrGoexit),
		errors.As(err, &attempts), errors.As(err, &panicked):
	case errors.Is(err, pool.ErrUnshareable) && tr.Sharing == pool.Common:
	case errors.Is(err, pool.ErrClosed) && tr.closing.Load():
	default:
		tr.Errorf("Acquire: %v; a waiter was forgotten, or the error is one that nothing here explains", err)
	}
}

// endLease ends a lease in one of all ways, or in one that harms no other holder of the resource.
func (tr *traffic) endLease(l pool.Lease[*Resource], rng *rand.Rand, gently bool) {
	switch n := rng.IntN(12); {
	case n == 0:
		_ = l.Retire(nil)
	case n == 1:
		_ = l.ReleaseClean()
	case n == 2:
		_ = l.OnReturn(func(context.Context, *Resource) error { return nil })
	case n == 3:
		_ = l.Release() // and once more below
	case gently:
	case n == 4:
		_ = l.Discard(errDown)
	case n == 5:
		_ = l.Fail(ErrAllDead)
	case n == 6 && tr.detaching:
		tr.detach(l)
	}
	_ = l.Release()
}

func (tr *traffic) detach(l pool.Lease[*Resource]) {
	tr.count(1)
	d, err := l.Detach()
	if err == nil {
		if err := d.Close(); err != nil && !errors.Is(err, errDown) && !errors.Is(err, pool.ErrGoexit) {
			var panicked *pool.PanicError
			if !errors.As(err, &panicked) {
				tr.Errorf("Detached.Close: %v, want nil or the backend's error", err)
			}
		}
	}
	tr.count(-1)
}

func (tr *traffic) count(n int) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.detached += n
	tr.most = max(tr.most, tr.detached)
}

func (f *Fake) allowsForcedClose() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.forced
}
