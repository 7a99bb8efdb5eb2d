package pool_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

// borrow is an Acquire that must succeed at once, or after an open.
func borrow(t testing.TB, p *pool.Pool[*owned]) pool.Lease[*owned] {
	t.Helper()
	l, err := p.Acquire(context.Background())
	if err != nil {
		t.Fatalf("Acquire: %v, want a lease", err)
	}
	return l
}

// back is a Release that must succeed.
func back(t testing.TB, l pool.Lease[*owned]) {
	t.Helper()
	if err := l.Release(); err != nil {
		t.Errorf("Release: %v, want nil", err)
	}
}

func TestFastPathAsksNobody(t *testing.T) {
	p, s, _ := onFastPath(t, 2)
	for range 100 {
		one, two := borrow(t, p), borrow(t, p)
		back(t, one)
		back(t, two)
	}
	if acquires, releases := s.visits(); acquires != 0 || len(releases) != 0 {
		t.Errorf("200 leases of free seats came to the seating %d times to acquire and %d to release, want never", acquires, len(releases))
	}
	if got := p.Stats(); got.Idle != 2 || got.Acquired != 202 {
		t.Errorf("afterwards: %d idle, %d leases begun; want 2, and 202 with the first two", got.Idle, got.Acquired)
	}
}

func TestSuspendedSeatingSeesEveryAcquireAndRelease(t *testing.T) {
	p, s, _ := onFastPath(t, 2)
	held := borrow(t, p)
	if found := s.suspend(); len(found) != 1 || found[0] == held.Seat() {
		t.Errorf("Suspend with seat %d lent handed over %v, want the other of two", held.Seat(), found)
	}
	other := borrow(t, p)
	back(t, held)
	back(t, other)
	acquires, releases := s.visits()
	if want := []pool.Seat{held.Seat(), other.Seat()}; acquires != 1 || !slices.Equal(releases, want) {
		t.Errorf("during suspension %d acquires and releases of seats %v came to the seating, want 1 and %v", acquires, releases, want)
	}
}

func TestSuspendHandsOverWhatIsFree(t *testing.T) {
	p, s, _ := onFastPath(t, 3)
	one, two := borrow(t, p), borrow(t, p)
	back(t, one)
	found := s.suspend()
	slices.Sort(found)
	want := []pool.Seat{0, 1, 2}
	want = slices.DeleteFunc(want, func(seat pool.Seat) bool { return seat == two.Seat() })
	if !slices.Equal(found, want) {
		t.Errorf("Suspend with seat %d lent handed over %v, want %v", two.Seat(), found, want)
	}
	if _, releases := s.visits(); len(releases) != 0 {
		t.Errorf("seats %v came by Release too; what is handed over by Suspend comes once", releases)
	}
	back(t, two)
}

// duel runs a race again and again: prepare, then one and other at the same moment, then judge. What is looked
// for happens if one of them is between two steps of a few nanoseconds, so each begins a little
// sooner or later than in the round before.
func duel(rounds int, prepare, one, other, judge func()) {
	var turn, done atomic.Int64
	meet := func(n int64) (over bool) {
		for i := 0; turn.Load() < n; i++ {
			if i > 2000 {
				runtime.Gosched() // there may be one processor
			}
		}
		for range rand.IntN(1 << rand.IntN(10)) { // some nanoseconds, or hundreds
			_ = turn.Load()
		}
		return turn.Load() > n
	}
	var all sync.WaitGroup
	defer all.Wait()
	defer turn.Store(int64(rounds) + 2) // also when judge ends the test
	all.Go(func() {
		for i := range int64(rounds) {
			if meet(i + 1) {
				return
			}
			other()
			done.Store(i + 1)
		}
	})
	for i := range int64(rounds) {
		prepare()
		turn.Store(i + 1)
		meet(i + 1)
		one()
		for done.Load() < i+1 {
			runtime.Gosched()
		}
		judge()
	}
}

// rounds is how often a race is run: many, as a seat is lost in few of them.
func rounds() int {
	if testing.Short() || raceEnabled() {
		return 5000
	}
	return 50000
}

// manySeats are how many seats the races are run with: with many, a look at all of them takes long after the
// look at the first, which is the one in play.
var manySeats = []int{1, 64}

func TestReleaseAndSuspendAtTheSameMomentBringTheSeatOnce(t *testing.T) {
	for i, seats := range append(manySeats, manySeats...) {
		p, s, _ := onFastPath(t, seats)
		for range seats - 1 {
			borrow(t, p)
		}
		clean := i >= len(manySeats)
		var l pool.Lease[*owned]
		var found []pool.Seat
		var err error
		byRelease := 0
		duel(rounds(), func() { l = borrow(t, p) }, func() { found = s.suspend() }, func() {
			if clean {
				err = l.ReleaseClean()
			} else {
				err = l.Release()
			}
		}, func() {
			_, releases := s.visits()
			if err != nil {
				t.Fatalf("Release: %v, want nil", err)
			}
			if len(found)+len(releases) != 1 {
				t.Fatalf("a Release and a Suspend of %d seats at once brought the seat %d times by Suspend and %d times by Release, want once in all",
					seats, len(found), len(releases))
			}
			byRelease += len(releases)
			s.resume()
		})
		t.Logf("with %d seats %d of %d came by Release", seats, byRelease, rounds())
	}
}

func TestAcquireAndSuspendAtTheSameMomentLendTheSeatOnce(t *testing.T) {
	for _, seats := range manySeats {
		p, s, _ := onFastPath(t, seats)
		for range seats - 1 {
			borrow(t, p)
		}
		var l pool.Lease[*owned]
		var err error
		var found []pool.Seat
		before := 0
		duel(rounds(), func() {}, func() { found = s.suspend() }, func() { l, err = p.TryAcquire(context.Background()) }, func() {
			acquires, _ := s.visits()
			switch {
			case err != nil:
				t.Fatalf("TryAcquire of the only free seat and a Suspend at once: %v, want a lease", err)
			case acquires == 0 && len(found) != 0:
				t.Fatalf("the seat was lent without the seating, and Suspend handed it over")
			case acquires == 0:
				before++
			}
			l.Value().take(t, 1)
			l.Value().give(t, 1)
			back(t, l)
			s.resume()
		})
		t.Logf("with %d seats %d of %d acquires were before Suspend", seats, before, rounds())
	}
}

func TestCloseDuringAFastLeaseClosesItsResourceOnce(t *testing.T) {
	p, _, b := onFastPath(t, 2)
	l := borrow(t, p)
	if err := p.Close(); err != nil {
		t.Errorf("Close: %v, want nil", err)
	}
	if n := b.closed.Load(); n != 2 {
		t.Errorf("after Close with one lent and one free %d are closed, want both", n)
	}
	if _, err := l.Get(); !errors.Is(err, pool.ErrInvalidated) {
		t.Errorf("Get of the lease that Close ended: %v, want ErrInvalidated", err)
	}
	if err := l.Release(); err != nil {
		t.Errorf("Release after Close: %v, want nil: it is harmless", err)
	}
	if _, err := p.Acquire(t.Context()); !errors.Is(err, pool.ErrClosed) {
		t.Errorf("Acquire after Close: %v, want ErrClosed", err)
	}
	if n := b.closed.Load(); n != 2 {
		t.Errorf("after the Release %d were closed, want 2", n)
	}
}

// Each verb meets Close at some moment of the fast path. Close ends every lease that there is, and what is
// lent during it is taken back; else it would wait for a holder in vain.
func TestCloseAndAFastVerbAtTheSameMomentCloseTheResourceOnce(t *testing.T) {
	for name, verb := range map[string]func(t *testing.T, p *pool.Pool[*owned], held pool.Lease[*owned]){
		"Release": func(t *testing.T, _ *pool.Pool[*owned], held pool.Lease[*owned]) {
			if err := held.Release(); err != nil {
				t.Errorf("Release during Close: %v, want nil", err)
			}
		},
		"ReleaseClean": func(t *testing.T, _ *pool.Pool[*owned], held pool.Lease[*owned]) {
			if err := held.ReleaseClean(); err != nil {
				t.Errorf("ReleaseClean during Close: %v, want nil", err)
			}
		},
		"Acquire": func(t *testing.T, p *pool.Pool[*owned], _ pool.Lease[*owned]) {
			if _, err := p.Acquire(context.Background()); err != nil && !errors.Is(err, pool.ErrClosed) {
				t.Errorf("Acquire during Close: %v, want a lease, which Close ends, or ErrClosed", err)
			}
		},
	} {
		for _, lax := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, self-service left to the pool: %t", name, lax), func(t *testing.T) {
				var p *pool.Pool[*owned]
				var b *ownedBackend
				var held pool.Lease[*owned]
				var closed error
				duel(rounds()/50, func() { // each with a pool
					f := &flicker{seats: 2, lax: lax}
					b = &ownedBackend{t: t}
					var err error
					p, err = pool.New(b.funcs(), f, pool.Options{Dropped: pool.IgnoreDropped, CloseTimeout: 10 * time.Second})
					if err != nil {
						t.Fatal(err)
					}
					held = borrow(t, p)
					free := borrow(t, p)
					back(t, free)
					f.started.resume()
				}, func() { closed = p.Close() }, func() { verb(t, p, held) }, func() {
					if o, c := b.opened.Load(), b.closed.Load(); closed != nil || o != 2 || c != 2 {
						t.Fatalf("%s during Close: Close returned %v with %d opened and %d closed, want nil, 2 and 2", name, closed, o, c)
					}
				})
			})
		}
	}
}

func TestFastPathLendsNothingThatIsToBeReplaced(t *testing.T) {
	for name, spoil := range map[string]func(p *testPool, l testLease){
		"retired": func(_ *testPool, l testLease) { _ = l.Retire(nil) },
		"invalidated while lent": func(p *testPool, _ testLease) {
			p.Invalidate(nil)
		},
		"disposed of while lent": func(p *testPool, _ testLease) { p.Dispose() },
	} {
		t.Run(name, func(t *testing.T) {
			f := pooltest.NewFake()
			p := open(t, f, one, pool.Options{NoReset: true})
			warm(t, p)
			l := acquire(t, p)
			spoil(p, l)
			l.Value().Use(t) // its holder keeps it
			release(t, l)
			if got := acquire(t, p).Value().ID; got != 2 {
				t.Errorf("after a return of resource 1, %s, the next holder got %d, want a new one, 2", name, got)
			}
		})
	}
	for name, spoil := range map[string]func(p *testPool){
		"invalidated": func(p *testPool) { p.Invalidate(nil) },
		"disposed of": func(p *testPool) { p.Dispose() },
	} {
		t.Run(name+" while free", func(t *testing.T) {
			f := pooltest.NewFake()
			p := open(t, f, one, pool.Options{NoReset: true})
			warm(t, p)
			warm(t, p)
			spoil(p)
			for range 2 {
				l := acquire(t, p)
				if got := l.Value().ID; got != 2 {
					t.Errorf("after resource 1 was %s while free, the next holder got %d, want a new one, 2", name, got)
				}
				release(t, l)
			}
		})
	}
}

// meddler is a ctx that does something when it is asked whether it has ended, which Acquire does between its
// look at the pool and the taking of a seat.
type meddler struct {
	context.Context
	do func()
}

func (m *meddler) Err() error {
	if do := m.do; do != nil {
		m.do = nil
		do()
	}
	return nil
}

func TestFastAcquireTakesNothingThatIsTakenOutOfUseMeanwhile(t *testing.T) {
	for name, meddle := range map[string]func(p *pool.Pool[*owned], s *flickerSeating){
		"Invalidate": func(p *pool.Pool[*owned], _ *flickerSeating) { p.Invalidate(nil) },
		"Dispose":    func(p *pool.Pool[*owned], _ *flickerSeating) { p.Dispose() },
	} {
		p, s, b := onFastPath(t, 1)
		old := borrow(t, p)
		was := old.Value()
		back(t, old)
		l, err := p.Acquire(&meddler{t.Context(), func() { meddle(p, s) }})
		if err != nil {
			t.Fatalf("Acquire during %s: %v, want a lease", name, err)
		}
		if l.Value() == was || b.opened.Load() != 2 || was.closed.Load() != 1 {
			t.Errorf("Acquire during %s got the old resource: %t, of %d opened, the old one closed %d times; want a new one, of 2, and the old closed once",
				name, l.Value() == was, b.opened.Load(), was.closed.Load())
		}
		back(t, l)
	}
}

func TestFastAcquireAsksTheSeatingThatSuspendsMeanwhile(t *testing.T) {
	p, s, _ := onFastPath(t, 1)
	l, err := p.Acquire(&meddler{t.Context(), func() { s.suspend() }})
	if err != nil {
		t.Fatalf("Acquire during Suspend: %v, want a lease", err)
	}
	if acquires, _ := s.visits(); acquires != 1 {
		t.Errorf("Acquire during Suspend came to the seating %d times, want once", acquires)
	}
	back(t, l)
	s.resume()
	l, err = p.Acquire(&meddler{t.Context(), func() { s.suspend(); s.resume() }})
	if err != nil {
		t.Fatalf("Acquire during Suspend and Resume: %v, want a lease", err)
	}
	back(t, l)
}

func TestFastAcquireDuringWhichThePoolIsClosedGetsNothing(t *testing.T) {
	for _, lax := range []bool{false, true} {
		f, b := &flicker{seats: 1, lax: lax}, &ownedBackend{t: t}
		p, err := pool.New(b.funcs(), f, pool.Options{})
		if err != nil {
			t.Fatal(err)
		}
		back(t, borrow(t, p))
		f.started.resume()
		_, err = p.Acquire(&meddler{t.Context(), func() { _ = p.Close() }})
		if !errors.Is(err, pool.ErrClosed) {
			t.Errorf("Acquire during Close: %v, want ErrClosed", err)
		}
		if n := b.closed.Load(); n != 1 {
			t.Errorf("Acquire during Close left %d resources closed, want 1", n)
		}
	}
}

func TestOnReturnRunsThoughTheFastPathIsOn(t *testing.T) {
	p, s, _ := onFastPath(t, 1)
	var ran []int
	l := borrow(t, p)
	for i := range 2 {
		if err := l.OnReturn(func(context.Context, *owned) error { ran = append(ran, i); return nil }); err != nil {
			t.Errorf("OnReturn: %v, want nil", err)
		}
	}
	back(t, l)
	if !slices.Equal(ran, []int{1, 0}) {
		t.Errorf("of two functions given to OnReturn %v ran, want both, the last one first", ran)
	}
	if _, releases := s.visits(); len(releases) != 1 {
		t.Errorf("a Release with something to do came to the seating %d times, want once", len(releases))
	}
	back(t, borrow(t, p))
	if len(ran) != 2 {
		t.Errorf("the next lease of the resource ran them again: %v", ran)
	}
	if _, releases := s.visits(); len(releases) != 0 {
		t.Errorf("a Release with nothing to do any more came to the seating %d times, want never", len(releases))
	}
	l = borrow(t, p)
	_ = l.OnReturn(func(context.Context, *owned) error { return errTest })
	held := l.Value()
	back(t, l)
	if n := held.closed.Load(); n != 1 {
		t.Errorf("a resource whose OnReturn function failed was closed %d times, want once", n)
	}
}

func TestStaleReleaseOnTheFastPathIsRefused(t *testing.T) {
	p, _, _ := onFastPath(t, 1)
	stale := borrow(t, p)
	back(t, stale)
	is(t, "second Release of a free seat", stale.Release(), pool.ErrReleased)
	next := borrow(t, p)
	is(t, "Release by a stale copy while the next holder has the seat", stale.Release(), pool.ErrReleased)
	if _, err := next.Get(); err != nil {
		t.Errorf("Get by the next holder: %v, want its resource: a stale Release takes nothing from it", err)
	}
	is(t, "Discard by a stale copy", stale.Discard(nil), pool.ErrReleased)
	is(t, "Retire by a stale copy", stale.Retire(nil), pool.ErrReleased)
	if _, err := p.TryAcquire(t.Context()); !errors.Is(err, pool.ErrExhausted) {
		t.Errorf("TryAcquire with the only seat held, after stale verbs: %v, want ErrExhausted", err)
	}
	if n := p.Stats().Misused; n != 4 {
		t.Errorf("Stats.Misused = %d after four verbs of leases that were over, want 4", n)
	}
	back(t, next)
}

// TestStressFastPathGivesEachResourceOneOwner has eight goroutines on three seats do, at a high rate, what
// goes the fast path and what must not, while self-service is suspended and resumed all the time.
func TestStressFastPathGivesEachResourceOneOwner(t *testing.T) {
	const workers, seats = 8, 3
	for _, c := range []struct {
		name     string
		strategy pool.Strategy
	}{
		{"at random", &flicker{seats: seats, random: true}},
		{"queue", strategies.Queue{Size: seats}},
		{"bounded queue", strategies.Queue{Size: seats, Fairness: strategies.Bounded}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := &ownedBackend{t: t}
			p, err := pool.New(b.funcs(), c.strategy, pool.Options{})
			if err != nil {
				t.Fatal(err)
			}
			until := time.Now().Add(stressFor(t) / 4) // real time: races are looked for
			var misused, leases, changes atomic.Uint64
			var all sync.WaitGroup
			for id := range int64(workers) {
				all.Go(func() {
					for n := 0; n%64 > 0 || time.Now().Before(until); n++ {
						oneLease(t, p, id+1, &leases, &misused, &changes)
					}
				})
			}
			all.Wait()

			for p.Stats().Opening > 0 { // for one who has left
				runtime.Gosched()
			}
			s := p.Stats()
			if s.InUse+s.Leases+s.Waiting+s.Opening != 0 || s.Open != s.Idle {
				t.Errorf("at rest: %v with %d leases, want nothing but idle ones", s, s.Leases)
			}
			if s.Misused != misused.Load() || s.Dropped != 0 {
				t.Errorf("Stats: %d misused, %d dropped; want %d and 0", s.Misused, s.Dropped, misused.Load())
			}
			// A lease that was made while the pool was invalidated is undone before anybody sees it, and counts.
			if undone := workers * changes.Load(); s.Acquired < leases.Load() || s.Acquired > leases.Load()+undone {
				t.Errorf("Stats: %d leases, want %d and at most %d that were undone", s.Acquired, leases.Load(), undone)
			}
			var held []pool.Lease[*owned]
			for range seats {
				held = append(held, borrow(t, p)) // every seat came home
			}
			for _, l := range held {
				back(t, l)
			}
			if err := p.Close(); err != nil {
				t.Errorf("Close: %v, want nil", err)
			}
			s = p.Stats()
			if o, c := b.opened.Load(), b.closed.Load(); o != c || int(s.Opened) != int(o) || int(s.Closed) != int(c) {
				t.Errorf("after Close %d are opened and %d closed, by Stats %d and %d; want the same four", o, c, s.Opened, s.Closed)
			}
			t.Logf("%d leases, %d misused, %d opened", leases.Load(), misused.Load(), b.opened.Load())
		})
	}
}

// oneLease is one lease of me, ended in one of many ways.
func oneLease(t *testing.T, p *pool.Pool[*owned], me int64, leases, misused, changes *atomic.Uint64) {
	ctx := context.Background()
	acquire := p.Acquire
	switch rand.IntN(2000) {
	case 0:
		changes.Add(1)
		p.Invalidate(nil)
	case 1:
		changes.Add(1)
		p.Dispose()
	case 2:
		if s := p.Stats(); s.Idle+s.InUse+s.Opening+s.Closing > 3 {
			t.Errorf("Stats count %v, with 3 seats", s)
		}
	case 3:
		if held := p.Held(); len(held) > 3 {
			t.Errorf("Held lists %d leases of 3 seats", len(held))
		}
	}
	switch rand.IntN(16) {
	case 0:
		acquire = p.TryAcquire
	case 1:
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(rand.IntN(20))*time.Microsecond)
		defer cancel()
	}
	l, err := acquire(ctx)
	if err != nil {
		if !errors.Is(err, pool.ErrExhausted) && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Acquire: %v, want a lease, or ErrExhausted, or the end of ctx", err)
		}
		return
	}
	leases.Add(1)
	r, err := l.Get()
	if err != nil {
		t.Errorf("Get of a new lease: %v, want its resource", err)
		return
	}
	r.take(t, me)
	if rand.IntN(8) == 0 {
		runtime.Gosched()
	}
	r.give(t, me)
	switch rand.IntN(64) {
	case 0:
		if err := l.Discard(nil); err != nil {
			t.Errorf("Discard: %v, want nil", err)
		}
	case 1:
		_ = l.Retire(nil)
		back(t, l)
	case 2, 3:
		back(t, l)
		is(t, "second Release", l.Release(), pool.ErrReleased)
		misused.Add(1)
	case 4:
		var ok atomic.Int32
		both := func() {
			switch err := l.Release(); {
			case err == nil:
				ok.Add(1)
			case !errors.Is(err, pool.ErrReleased):
				t.Errorf("one of two Releases at once: %v, want nil or ErrReleased", err)
			}
		}
		var other sync.WaitGroup
		other.Go(both)
		both()
		other.Wait()
		if n := ok.Load(); n != 1 {
			t.Errorf("of two Releases of copies at once %d were the one that counts, want 1", n)
		}
		misused.Add(1)
	case 5:
		_ = l.OnReturn(func(context.Context, *owned) error { return nil })
		back(t, l)
	default:
		back(t, l)
	}
}
