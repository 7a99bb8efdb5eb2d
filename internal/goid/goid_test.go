package goid_test

import (
	"fmt"
	"iter"
	"runtime"
	"sync"
	"testing"
	"unsafe"

	"github.com/lidopool/lido/internal/goid"
)

// onBothPaths runs the test as the process calibrates itself, and again with a
// calibration that failed.
func onBothPaths(t *testing.T, test func(t *testing.T)) {
	t.Run("calibrated", test)
	t.Run("portable", func(t *testing.T) {
		goid.Use(func() unsafe.Pointer { return nil })
		defer goid.Use(goid.Getg)
		test(t)
	})
}

// scale returns n, or a tenth of it in a short run.
func scale(n int) int {
	if testing.Short() {
		return n / 10
	}
	return n
}

// stackNumber reads the number of the calling goroutine in the plainest way.
func stackNumber(t *testing.T) goid.ID {
	buf := make([]byte, 1024)
	buf = buf[:runtime.Stack(buf, false)]
	var id goid.ID
	if _, err := fmt.Sscanf(string(buf), "goroutine %d ", &id); err != nil {
		t.Errorf("runtime.Stack printed %q: %v", buf, err)
	}
	return id
}

func TestCurrentAgreesWithRuntimeStack(t *testing.T) {
	onBothPaths(t, func(t *testing.T) {
		var wg sync.WaitGroup
		for range scale(2000) {
			wg.Go(func() {
				want := stackNumber(t)
				if got, self := goid.Current(), goid.Self().ID(); got != want || self != want {
					t.Errorf("Current() = %d, Self().ID() = %d, runtime.Stack says %d", got, self, want)
				}
			})
		}
		wg.Wait()
	})
}

func TestCurrentIsNeverTheSameForTwoGoroutines(t *testing.T) {
	onBothPaths(t, func(t *testing.T) {
		const lanes = 4 // few at once, so that the runtime reuses its g structs
		n := scale(100_000)
		seen := make(map[goid.ID]bool, n)
		ids := make(chan goid.ID, lanes)
		for range n / lanes {
			for range lanes {
				go func() { ids <- goid.Current() }()
			}
			for range lanes {
				id := <-ids
				if id == 0 || seen[id] {
					t.Fatalf("goroutine %d of %d got the ID %d; want one that is not zero and was not seen before", len(seen)+1, n, id)
				}
				seen[id] = true
			}
		}
	})
}

func TestCurrentStaysTheSameWhileItsGoroutineMoves(t *testing.T) {
	onBothPaths(t, func(t *testing.T) {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				self := goid.Self()
				for range scale(500) {
					runtime.Gosched() // perhaps to another thread
					growStack(200)    // and to another stack
					if again := goid.Self(); again != self || goid.Current() != self.ID() {
						t.Errorf("Self() = %v after a move, want %v as before", again, self)
						return
					}
				}
			})
		}
		wg.Wait()
	})
}

func growStack(depth int) byte {
	var frame [256]byte
	if depth > 0 {
		frame[depth] = growStack(depth - 1)
	}
	return frame[0]
}

func TestSelfIsEqualOnlyToItself(t *testing.T) {
	onBothPaths(t, func(t *testing.T) {
		mine, other := goid.Self(), make(chan goid.Ref)
		go func() { other <- goid.Self() }()
		if mine != goid.Self() {
			t.Error("two Refs of one goroutine differ")
		}
		if mine == <-other {
			t.Error("the Refs of two goroutines are equal")
		}
	})
}

func TestPulledIteratorHasAnIdentityOfItsOwn(t *testing.T) {
	onBothPaths(t, func(t *testing.T) {
		next, stop := iter.Pull(func(yield func(goid.ID) bool) { yield(goid.Current()) })
		defer stop()
		if id, _ := next(); id == goid.Current() {
			t.Errorf("the body of a pulled iterator has its caller's ID %d; the package comment says otherwise", id)
		}
	})
}

func TestNothingAllocatesOnceCalibrated(t *testing.T) {
	onBothPaths(t, func(t *testing.T) {
		ref := goid.Self()
		for name, f := range map[string]func(){
			"Current": func() { goid.Current() },
			"Self":    func() { goid.Self() },
			"Alive":   func() { ref.Alive() },
		} {
			if n := testing.AllocsPerRun(100, f); n != 0 {
				t.Errorf("%s allocates %v times, want 0", name, n)
			}
		}
	})
}

func TestParseHeaderReadsOnlyWholeHeaders(t *testing.T) {
	for header, want := range map[string]goid.ID{
		"goroutine 1 [running]:\n":                                    1,
		"goroutine 18446744073709551615 [running]:":                   1<<64 - 1,
		"goroutine 7 [running, synctest bubble 1]:":                   7,
		"goroutine 8 gp=0xc000002380 m=0 mp=0x1 [select, 5 minutes]:": 8,
		"goroutine 9 ":                        9,
		"":                                    0,
		"goroutine":                           0,
		"goroutine ":                          0,
		"goroutine 123":                       0, // cut off: may be 1234
		"goroutine 0 [idle]:":                 0,
		"goroutine  1 [running]:":             0,
		"goroutine -1 [running]:":             0,
		"goroutine 1[running]:":               0,
		"goroutine running on other thread; ": 0,
		"main.main()":                         0,
	} {
		got, ok := goid.ParseHeader([]byte(header))
		if ok != (want != 0) || ok && got != want {
			t.Errorf("parseHeader(%q) = %d, %t; want %d, where 0 means not ok", header, got, ok, want)
		}
	}
}
