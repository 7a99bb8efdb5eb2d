package goid

import (
	"bytes"
	"runtime"
)

// InBubble reports whether the calling goroutine belongs to a testing/synctest
// bubble, where clocks are fake and channels and timers must not be shared with
// the outside. The answer is read from the header that runtime.Stack prints,
// "goroutine 7 [running, synctest bubble 1]:", and costs a microsecond or more,
// growing with the depth of the stack, and one allocation.
func InBubble() bool {
	// The longest header up to the bubble's number is about 150 bytes.
	var buf [256]byte
	header := buf[:runtime.Stack(buf[:], false)]
	header, _, _ = bytes.Cut(header, []byte("\n"))
	// Profiler labels follow, and say what the user wants: behind the bracket in
	// Go 1.27, within it in 1.26.
	header, _, _ = bytes.Cut(header, []byte("]"))
	header, _, _ = bytes.Cut(header, []byte(" labels:{"))
	return bytes.Contains(header, []byte(", synctest bubble "))
}
