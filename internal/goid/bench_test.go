package goid_test

import (
	"fmt"
	"testing"
	"unsafe"

	"github.com/lidopool/lido/internal/goid"
)

// portable makes the benchmark run without the fast path.
func portable(b *testing.B) {
	goid.Use(func() unsafe.Pointer { return nil })
	b.Cleanup(func() { goid.Use(goid.Getg) })
}

func BenchmarkCurrent(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		goid.Current()
	}
}

func BenchmarkSelf(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		goid.Self()
	}
}

// BenchmarkCurrentPortable is one identity by runtime.Stack, at the bottom of
// the benchmark's own stack and under 50 frames more.
func BenchmarkCurrentPortable(b *testing.B) {
	for _, frames := range []int{0, 50} {
		b.Run(fmt.Sprint("frames=", frames), func(b *testing.B) {
			portable(b)
			b.ReportAllocs()
			under(frames, func() {
				for b.Loop() {
					goid.Current()
				}
			})
		})
	}
}

func under(frames int, f func()) {
	if frames == 0 {
		f()
		return
	}
	under(frames-1, f)
}

// BenchmarkAlive is one question about one goroutine.
func BenchmarkAlive(b *testing.B) {
	ref := goid.Self()
	b.ReportAllocs()
	for b.Loop() {
		ref.Alive()
	}
}

// BenchmarkLive is one question about all of n parked goroutines.
func BenchmarkLive(b *testing.B) { benchmarkLive(b) }

// BenchmarkLivePortable is the same by a listing of all goroutines.
func BenchmarkLivePortable(b *testing.B) {
	portable(b)
	benchmarkLive(b)
}

func benchmarkLive(b *testing.B) {
	for _, n := range []int{10, 1000} {
		b.Run(fmt.Sprint("goroutines=", n), func(b *testing.B) {
			refs, quit := make(chan goid.Ref), make(chan struct{})
			defer close(quit)
			var all []goid.Ref
			for range n {
				go func() { refs <- goid.Self(); <-quit }()
				all = append(all, <-refs)
			}
			b.ReportAllocs()
			for b.Loop() {
				goid.Live(all)
			}
		})
	}
}

// BenchmarkCalibrate is what the first use in a process costs.
func BenchmarkCalibrate(b *testing.B) {
	for b.Loop() {
		goid.Calibrates(goid.Getg)
	}
}

func BenchmarkInBubble(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		goid.InBubble()
	}
}
