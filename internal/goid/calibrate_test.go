package goid_test

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/lidopool/lido/internal/goid"
)

func TestCalibrationSucceedsWhereThereIsAWayToG(t *testing.T) {
	if want := goid.Getg() != nil; goid.Fast() != want {
		t.Errorf("fast path in use: %t, want %t on %s %s: has the layout of g changed?",
			goid.Fast(), want, runtime.Version(), runtime.GOARCH)
	}
}

func TestCalibrationSucceedsInABubbleWhereTheClockStands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if want := goid.Getg() != nil; goid.Calibrates(goid.Getg) != want {
			t.Errorf("calibration succeeds: %t, want %t", !want, want)
		}
	})
}

func TestCalibrationSucceedsAmongBusyGoroutines(t *testing.T) {
	quit := make(chan struct{})
	var busy, wg sync.WaitGroup
	for range 4 {
		busy.Go(func() { // starts goroutines that take over the structs of ended ones
			for {
				select {
				case <-quit:
					return
				default:
					var short sync.WaitGroup
					for range 16 {
						short.Go(func() { growStack(20) })
					}
					short.Wait()
				}
			}
		})
	}
	for range 4 {
		wg.Go(func() {
			for range scale(50) {
				if want := goid.Getg() != nil; goid.Calibrates(goid.Getg) != want {
					t.Errorf("calibration succeeds: %t, want %t", !want, want)
				}
			}
		})
	}
	wg.Wait()
	close(quit)
	busy.Wait()
}

// decoy is memory that passes for a g.
type decoy [64]uint64

// live lets word i read as what the status of a goroutine that runs, parks and
// ends reads: the first now, the others in turn. The times are a guess at the
// pace of calibration; where they miss it, calibration is refused for another
// reason.
func (d *decoy) live(i int, first uint64, later ...uint64) {
	d[i] = first
	for n, status := range later {
		time.AfterFunc(time.Duration(n+1)*2*time.Millisecond, func() { atomic.StoreUint64(&d[i], status) })
	}
}

// TestCalibrationRefusesWhatItCannotBeSureOf replaces the g by memory in which
// something is missing, or is there twice.
func TestCalibrationRefusesWhatItCannotBeSureOf(t *testing.T) {
	for name, fill := range map[string]func(d *decoy, id uint64){
		"nothing there":         func(d *decoy, id uint64) {},
		"no number":             func(d *decoy, id uint64) { d.live(19, 2, 4, 6) },
		"number twice":          func(d *decoy, id uint64) { d[20], d[24] = id, id; d.live(19, 2, 4, 6) },
		"number outside window": func(d *decoy, id uint64) { d[32] = id; d.live(19, 2, 4, 6) },
		"no status":             func(d *decoy, id uint64) { d[20] = id },
		"status never parks":    func(d *decoy, id uint64) { d[20] = id; d.live(19, 2) },
		"status never ends":     func(d *decoy, id uint64) { d[20] = id; d.live(19, 2, 4) },
		"status twice":          func(d *decoy, id uint64) { d[20] = id; d.live(19, 2|2<<32, 4|4<<32, 6|6<<32) },
	} {
		t.Run(name, func(t *testing.T) {
			fake := func() unsafe.Pointer {
				d := new(decoy)
				fill(d, uint64(stackNumber(t)))
				return unsafe.Pointer(d)
			}
			if goid.Calibrates(fake) {
				t.Fatal("calibration succeeded on memory that is not a g")
			}
			goid.Use(fake)
			defer goid.Use(goid.Getg)
			if got, want := goid.Current(), stackNumber(t); got != want {
				t.Errorf("Current() = %d after a failed calibration, want %d", got, want)
			}
			if !goid.Live([]goid.Ref{goid.Self()})[0] {
				t.Error("Live() = false for the caller after a failed calibration")
			}
		})
	}
}
