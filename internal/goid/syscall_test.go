//go:build unix

package goid_test

import (
	"syscall"
	"testing"

	"github.com/lidopool/lido/internal/goid"
)

func TestLiveSaysYesOfAGoroutineBlockedInASystemCall(t *testing.T) {
	onBothPaths(t, func(t *testing.T) {
		var pipe [2]int
		if err := syscall.Pipe(pipe[:]); err != nil {
			t.Fatal(err)
		}
		refs, done := make(chan goid.Ref), make(chan struct{})
		go func() {
			defer close(done)
			refs <- goid.Self()
			syscall.Read(pipe[0], make([]byte, 1)) // blocks its thread, not only itself
		}()
		blocked := []goid.Ref{<-refs}
		for range 100 {
			if !goid.Live(blocked)[0] {
				t.Fatal("Live() = false for a goroutine in a system call")
			}
		}
		syscall.Close(pipe[1])
		<-done
		syscall.Close(pipe[0])
		awaitDead(t, blocked)
	})
}
