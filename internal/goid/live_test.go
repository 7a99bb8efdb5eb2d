package goid_test

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/lidopool/lido/internal/goid"
)

func TestAliveIsKnownOnTheFastPathOnly(t *testing.T) {
	onBothPaths(t, func(t *testing.T) {
		alive, known := goid.Self().Alive()
		if known != goid.Fast() || alive != known {
			t.Errorf("Self().Alive() = %t, %t; want both %t", alive, known, goid.Fast())
		}
		if alive, known := (goid.Ref{}).Alive(); alive || !known {
			t.Errorf("Alive() of the zero Ref = %t, %t; want false, true", alive, known)
		}
	})
}

func TestLiveSaysNoOfTheZeroRefAndYesOfTheCaller(t *testing.T) {
	onBothPaths(t, func(t *testing.T) {
		self := goid.Self()
		got := goid.Live([]goid.Ref{{}, self, {}, self})
		if want := []bool{false, true, false, true}; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("Live(zero, self, zero, self) = %v, want %v", got, want)
		}
		if got := goid.Live(nil); len(got) != 0 {
			t.Errorf("Live(nil) = %v, want nothing", got)
		}
	})
}

func TestLiveNeverDeclaresALiveGoroutineDead(t *testing.T) {
	onBothPaths(t, func(t *testing.T) {
		crowd, end := newCrowd(scale(4000))
		defer end()
		done := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() { // the collector adds its scan bit to their status
			for {
				select {
				case <-done:
					return
				default:
					runtime.GC()
				}
			}
		})
		rounds := 10
		if goid.Fast() {
			rounds = scale(500)
		}
		for range rounds {
			if n := count(goid.Live(crowd)); n != len(crowd) {
				t.Errorf("Live: %d of %d goroutines alive, want all", n, len(crowd))
				break
			}
		}
		close(done)
		wg.Wait()
	})
}

// newCrowd starts n goroutines that wait in different ways or run, until end.
func newCrowd(n int) (crowd []goid.Ref, end func()) {
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		refs = make(chan goid.Ref)
		quit = make(chan struct{})
		ways = []func(){
			func() { <-quit },
			//lint:ignore SA2001 waits until end unlocks it
			func() { mu.Lock(); mu.Unlock() },
			func() {
				select {
				case <-quit:
				case <-time.After(time.Hour):
				}
			},
			func() {
				for i := 0; ; i++ { // runs, is preempted, is runnable
					select {
					case <-quit:
						return
					default:
						if i%100 == 0 {
							runtime.Gosched()
						}
					}
				}
			},
		}
	)
	mu.Lock()
	for i := range n {
		way := ways[i%3]
		if i%500 == 0 {
			way = ways[3]
		}
		wg.Go(func() { refs <- goid.Self(); way() })
	}
	for range n {
		crowd = append(crowd, <-refs)
	}
	return crowd, func() { close(quit); mu.Unlock(); wg.Wait() }
}

func count(live []bool) (n int) {
	for _, l := range live {
		if l {
			n++
		}
	}
	return n
}

func TestLiveDeclaresEndedGoroutinesDeadForEver(t *testing.T) {
	onBothPaths(t, func(t *testing.T) {
		first, end := newCrowd(scale(4000))
		end()
		awaitDead(t, first)

		second, end := newCrowd(scale(4000)) // lives in the structs of the first
		defer end()
		if n := count(goid.Live(first)); n != 0 {
			t.Errorf("Live: %d of %d ended goroutines alive again after their structs were reused", n, len(first))
		}
		if n := count(goid.Live(second)); n != len(second) {
			t.Errorf("Live: %d of %d goroutines alive in reused structs, want all", n, len(second))
		}
		if goid.Fast() && !anyShared(first, second) {
			t.Error("no struct was reused, so this test has shown nothing")
		}
	})
}

func anyShared(first, second []goid.Ref) bool {
	for _, f := range first {
		for _, s := range second {
			if f.SharesStruct(s) {
				return true
			}
		}
	}
	return false
}

// awaitDead waits until Live says of all refs that they have ended. It has to
// ask again: a goroutine ends a moment after the last thing it tells others.
func awaitDead(t *testing.T, refs []goid.Ref) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; runtime.Gosched() {
		n := count(goid.Live(refs))
		if n == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("Live: %d of %d goroutines still alive 30 s after they ended", n, len(refs))
		}
	}
}

func TestGoexitAndPanicEndAGoroutineToo(t *testing.T) {
	onBothPaths(t, func(t *testing.T) {
		refs := make(chan goid.Ref)
		go func() { refs <- goid.Self(); runtime.Goexit() }()
		go func() {
			defer func() { recover() }()
			refs <- goid.Self()
			panic("on purpose")
		}()
		go func() { // ends with its thread
			runtime.LockOSThread()
			refs <- goid.Self()
		}()
		awaitDead(t, []goid.Ref{<-refs, <-refs, <-refs})
	})
}

func TestLiveReadsDumpsFarLargerThanItsFirstGuess(t *testing.T) {
	goid.Use(func() unsafe.Pointer { return nil })
	defer goid.Use(goid.Getg)
	quit, refs := make(chan struct{}), make(chan goid.Ref)
	var wg sync.WaitGroup
	var deep func(int)
	deep = func(n int) {
		if n > 0 {
			deep(n - 1)
			return
		}
		refs <- goid.Self()
		<-quit
	}
	var crowd []goid.Ref
	for range 100 {
		wg.Go(func() { deep(100) })
		crowd = append(crowd, <-refs)
	}
	if n := count(goid.Live(crowd)); n != len(crowd) {
		t.Errorf("Live: %d of %d goroutines with deep stacks alive, want all", n, len(crowd))
	}
	close(quit)
	wg.Wait()
}

func TestManyGoroutinesAskAtOnce(t *testing.T) {
	onBothPaths(t, func(t *testing.T) {
		var wg sync.WaitGroup
		shared := make(chan goid.Ref, 64)
		for range 8 {
			wg.Go(func() {
				for range scale(500) {
					wg.Go(func() {
						self := goid.Self()
						select {
						case shared <- self:
						case other := <-shared:
							if alive, known := other.Alive(); known && alive && other == self {
								t.Errorf("Ref %v came from a goroutine that equals its reader", other)
							}
						}
						if alive, known := self.Alive(); known && !alive {
							t.Errorf("goroutine %d declared dead by itself", self.ID())
						}
					})
				}
			})
		}
		wg.Wait()
		close(shared)
		var left []goid.Ref
		for r := range shared {
			left = append(left, r)
		}
		awaitDead(t, left)
	})
}

func TestLiveDeclaresADeadParentDeadWhileItsChildLives(t *testing.T) {
	onBothPaths(t, func(t *testing.T) {
		refs, quit := make(chan goid.Ref), make(chan struct{})
		defer close(quit)
		go func() { // the stack of its child says "created by ... in goroutine N"
			refs <- goid.Self()
			go func() { refs <- goid.Self(); <-quit }()
		}()
		parent, child := <-refs, <-refs
		awaitDead(t, []goid.Ref{parent})
		if got := goid.Live([]goid.Ref{parent, child}); got[0] || !got[1] {
			t.Errorf("Live(dead parent, living child) = %v, want [false true]", got)
		}
	})
}
