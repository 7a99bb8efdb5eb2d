package strategies_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"sync"
	"testing"
	"unsafe"
	"weak"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/strategies"
)

// inOneBlock calls f on a part of the stack such that what f calls lies, for more than a kilobyte, in
// the same 2 KB. By these Affine tells goroutines apart: elsewhere it takes the calls of one
// goroutine for those of two.
func inOneBlock(f func()) {
	var here byte
	if uintptr(unsafe.Pointer(&here))%2048 < 1850 {
		inOneBlock(f)
		return
	}
	f()
}

// collect runs the garbage collector and waits until the cleanups it queued have run.
func collect() {
	samples := []metrics.Sample{{Name: "/gc/cleanups/queued:cleanups"}, {Name: "/gc/cleanups/executed:cleanups"}}
	runtime.GC()
	for {
		metrics.Read(samples)
		if samples[0].Value.Uint64() == samples[1].Value.Uint64() {
			return
		}
		runtime.Gosched() // there is nothing else to wait for them by
	}
}

// uncollected has nothing collected during a test but by collect: a collection makes goroutines forget their
// seats.
func uncollected(t *testing.T) {
	was := debug.SetGCPercent(-1)
	t.Cleanup(func() { debug.SetGCPercent(was) })
	collect()
}

// user is a goroutine with a lease of its own.
type user struct {
	p    *pool.Pool[int]
	todo chan func()
	held []pool.Lease[int]
}

// newUser starts a goroutine that ends with the test.
func newUser(t *testing.T, p *pool.Pool[int]) *user {
	u := &user{p: p, todo: make(chan func())}
	var over sync.WaitGroup
	over.Go(func() {
		inOneBlock(func() {
			for f := range u.todo {
				f()
			}
		})
	})
	t.Cleanup(func() { close(u.todo); over.Wait() })
	return u
}

func (u *user) does(f func()) {
	done := make(chan struct{})
	u.todo <- func() { f(); close(done) }
	<-done
}

// takes acquires, and tells which seat that is.
func (u *user) takes(t *testing.T) (seat pool.Seat) {
	t.Helper()
	u.does(func() {
		l, err := u.p.Acquire(context.Background())
		if err != nil {
			t.Errorf("Acquire: %v, want a lease", err)
			return
		}
		seat = l.Seat()
		u.held = append(u.held, l)
	})
	return seat
}

// gives releases what it holds.
func (u *user) gives() {
	u.does(func() {
		for _, l := range u.held {
			_ = l.Release()
		}
		u.held = nil
	})
}

// opened is a pool whose resources all are open and idle.
func opened(t *testing.T, seats int) *pool.Pool[int] {
	t.Helper()
	p := plain(t, strategies.Queue{Size: seats})
	u := newUser(t, p)
	for range seats {
		u.takes(t)
	}
	u.gives()
	return p
}

// holds leaves it with these seats alone, of all that there are.
func (u *user) holds(t *testing.T, seats ...pool.Seat) {
	t.Helper()
	for range u.p.Limits().Seats {
		u.takes(t)
	}
	u.does(func() {
		u.held = slices.DeleteFunc(u.held, func(l pool.Lease[int]) bool {
			return !slices.Contains(seats, l.Seat()) && l.Release() == nil
		})
	})
}

func TestAffineGivesAGoroutineTheSeatItHadLast(t *testing.T) {
	uncollected(t)
	failure := ""
	for range 3 { // of a pair whose stacks have like hashes, one looks first where the other was
		if failure = changeSeats(t); failure == "" {
			return
		}
	}
	t.Error(failure)
}

// changeSeats has a goroutine have one seat after the other, and come back to each.
func changeSeats(t *testing.T) (failure string) {
	p := opened(t, 3)
	me, others := newUser(t, p), newUser(t, p)
	for _, next := range []pool.Seat{2, 1, 0, 1, 2, 0, 2} {
		var rest []pool.Seat // and no other one is idle: so that is the one I have then
		for s := range pool.Seat(3) {
			if s != next {
				rest = append(rest, s)
			}
		}
		others.holds(t, rest...)
		if got := me.takes(t); got != next {
			t.Fatalf("with seats %v held a goroutine got seat %d, want %d", rest, got, next)
		}
		me.gives()
		others.gives()
		for range 100 {
			if got := me.takes(t); got != next {
				return fmt.Sprintf("a goroutine that had seat %d last, which is idle, got seat %d", next, got)
			}
			me.gives()
		}
	}
	return ""
}

func TestAffineKeepsGoroutinesApart(t *testing.T) {
	uncollected(t)
	const pairs = 40
	kept := 0
	for range pairs {
		p := opened(t, 2)
		one, two := newUser(t, p), newUser(t, p)
		mine, yours := one.takes(t), two.takes(t)
		one.gives()
		two.gives()
		own := true
		for range 20 {
			for u, seat := range map[*user]pool.Seat{one: mine, two: yours} {
				own = own && u.takes(t) == seat
				u.gives()
			}
		}
		if own {
			kept++
		}
	}
	// Goroutines share a place where it is noted if their stacks happen to have the same hash: 2 or so in 64.
	t.Logf("%d of %d pairs of goroutines kept their seats", kept, pairs)
	if kept < pairs*3/4 {
		t.Errorf("%d of %d pairs of goroutines kept their seats, want nearly all: they tear the cache lines out of each other's hands", kept, pairs)
	}
}

func TestAffineLetsWhatLowLoadDoesNotNeedFallIdle(t *testing.T) {
	uncollected(t)
	const goroutines = 20
	p := plain(t, strategies.Queue{Size: goroutines})
	var users []*user
	for range goroutines {
		users = append(users, newUser(t, p))
	}
	for range 2 { // a burst, and one more, when all are open
		for _, u := range users {
			u.takes(t)
		}
		for _, u := range users {
			u.gives()
		}
	}
	use := func() map[pool.Seat]int {
		used := make(map[pool.Seat]int)
		for range 10 {
			for _, i := range rand.Perm(goroutines) {
				used[users[i].takes(t)]++
				users[i].gives()
			}
		}
		return used
	}
	before := use()
	collect()
	after := use()
	t.Logf("one at a time, %d goroutines use %d of %d seats after a burst, and %d after a collection", goroutines, len(before), goroutines, len(after))
	if len(after) != 1 || after[0] == 0 {
		t.Errorf("after a collection goroutines that come one at a time use the seats %v, want the lowest alone: the others are to fall idle", after)
	}
	if len(before) < goroutines/2 {
		t.Errorf("before the collection they use %d seats, want most of %d, one for each; else this test shows nothing", len(before), goroutines)
	}
}

func TestAffineKeepsNoClosedResourceInMemory(t *testing.T) {
	type big struct{ _ [1 << 16]byte }
	for name, end := range map[string]func(p *pool.Pool[*big], l pool.Lease[*big]){
		"Dispose":    func(p *pool.Pool[*big], l pool.Lease[*big]) { _ = l.Release(); p.Dispose() },
		"Discard":    func(_ *pool.Pool[*big], l pool.Lease[*big]) { _ = l.Discard(nil) },
		"Invalidate": func(p *pool.Pool[*big], l pool.Lease[*big]) { p.Invalidate(nil); _ = l.Release() },
	} {
		uncollected(t)
		p, err := pool.New[*big](pool.Funcs[*big]{OpenFunc: func(context.Context) (*big, error) { return new(big), nil }},
			strategies.Queue{Size: 1}, pool.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		var gone weak.Pointer[big]
		var user sync.WaitGroup
		user.Go(func() { // so that nothing is left of it on a stack
			inOneBlock(func() {
				for i := range 5 { // the first opens, and the later ones find it
					l, err := p.Acquire(context.Background())
					if err != nil {
						t.Error(err)
						return
					}
					if i < 4 {
						_ = l.Release()
						continue
					}
					gone = weak.Make(l.Value())
					end(p, l)
				}
			})
		})
		user.Wait()
		if name == "Invalidate" { // it is closed when the next one comes
			l, err := p.Acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_ = l.Release()
		}
		runtime.GC() // once: the next would find that goroutines have forgotten their seats
		if gone.Value() != nil {
			t.Errorf("a resource that was closed by %s is still in memory", name)
		}
	}
}

// atDepth calls f with so much more of the stack in use.
//
//go:noinline
func atDepth(n int, f func()) {
	var pad [16]byte
	pad[0] = byte(n)
	if n > 0 {
		atDepth(n-1, f)
	} else {
		f()
	}
	_ = pad[0]
}

// A goroutine is told by where its stack lies, in blocks of 2 KB: what one call notes another must find, also where
// a block ends between their frames.
func TestAffinityHoldsWhereverTheStackIs(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	p := plain(t, strategies.Queue{Size: 2})
	ctx := context.Background()
	holdAll(t, p, 0)
	atDepth(200, func() {}) // so that the stack is not moved later
	lost := 0
	const depths = 80
	for n := range depths {
		atDepth(n, func() {
			a, _ := p.Acquire(ctx)
			b, _ := p.Acquire(ctx) // by a search: so this is what is noted
			_ = a.Release()
			_ = b.Release()
			c, _ := p.Acquire(ctx)
			if c.Seat() != b.Seat() {
				lost++
			}
			_ = c.Release()
		})
	}
	if lost > 0 {
		t.Errorf("at %d of %d depths of the stack a goroutine did not get back the seat it had last", lost, depths)
	}
}
