// Package goid tells goroutines apart: it gives the calling goroutine an
// identity that no other goroutine of the process ever has, and tells later
// whether that goroutine has ended. A pool that lends one resource per
// goroutine needs both.
//
// It is not a goroutine-local store, and a value in a context is a better key
// wherever a context is at hand.
//
// # How the identity is obtained
//
// The Go runtime numbers goroutines with a 64-bit counter and never gives a
// number twice. The public way to read it is the first line that
// [runtime.Stack] prints, "goroutine 123 [running]:". That is slow, because the
// whole stack is walked to print it.
//
// The fast path reads the number where the runtime keeps it, in the g struct of
// the goroutine. Three lines of assembly fetch the address of that struct; the
// offsets of the number and of the status word are not compiled in but found at
// the first use. Calibration starts goroutines that learn their number from
// runtime.Stack and looks for the word of their g that holds it, and for the
// word that reads running, waiting and dead as they run, park and end. It does
// so twice, with fresh goroutines. Unless each word is found exactly once and in
// the same place both times, the package uses runtime.Stack for the rest of the
// process. See calibrate.go.
//
// Liveness rests on a second property of the runtime: a g struct is never
// freed, only marked dead and used again for a later goroutine, which has
// another number. So a goroutine is alive exactly while its g holds its number
// and is not marked dead.
//
// # What it costs
//
// Medians on a busy two-core Linux machine, amd64, Go 1.26.8:
//
//	BenchmarkCurrent                          3 ns  no allocation
//	BenchmarkAlive                            1 ns  no allocation
//	BenchmarkCurrentPortable/frames=0         5 µs  no allocation
//	BenchmarkCurrentPortable/frames=50       28 µs  no allocation
//	BenchmarkLive/goroutines=1000             2 µs
//	BenchmarkLivePortable/goroutines=1000     2 ms  and the world stands still
//	BenchmarkCalibrate                     0.05 ms  0.2 ms as the first use of a process
//
// # The risk
//
// The fast path reads memory of the runtime by offset, and no API promises that
// it stays possible. The words are only ever read. They lie within the first
// 256 bytes of a struct of 440 bytes or more (Go 1.24 to 1.27), and they are
// used only after they agreed with the public answer in this very process. A
// later runtime that moves or renumbers them makes the package slow,
// not wrong. A runtime that stops calling them what they are between two uses
// in one process, or that frees g structs, would defeat the check.
//
// # The portable path
//
// It uses the public API alone, and it is what runs on architectures other than
// amd64 and arm64, with compilers other than gc, when calibration fails, and
// when the program is built with the tag lido_portable, which compiles the
// assembly out:
//
//	go test -tags lido_portable ./...
//
// On it [Ref.Alive] does not know, and [Live] lists all goroutines once.
//
// # What a goroutine is, here
//
//   - The body of an [iter.Pull] iterator runs on a goroutine of its own, with an
//     identity of its own.
//   - Finalizers and cleanups share a few goroutines of the runtime. On the
//     portable path those count as ended between two calls.
//   - A callback from a C thread runs on a goroutine that the runtime lends to
//     that thread and, when the thread has exited, to another, with the same
//     identity. In between it counts as alive on the fast path of Go 1.26 and as
//     ended on the portable path. Callbacks that share a goroutine never run at
//     the same time, but what must not pass from one C thread to the next is
//     better tied to a context.
package goid
