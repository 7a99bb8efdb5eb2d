package goid

import (
	"bytes"
	"fmt"
	"iter"
	"runtime"
	"sync"
)

// headerStart is what runtime.Stack prints before the number of a goroutine.
const headerStart = "goroutine "

// buffers keeps the buffer of stackID off the heap's bill: an array on the
// stack would be moved to the heap, since runtime.Stack lets it escape. 64 bytes
// hold headerStart and any number.
var buffers = sync.Pool{New: func() any { return new([64]byte) }}

// stackID returns the number of the calling goroutine as the public API tells
// it. It panics if runtime.Stack does not print one: then there is no identity
// to be had, and any answer could let two goroutines pass for one.
func stackID() ID {
	buf := buffers.Get().(*[64]byte)
	header := buf[:runtime.Stack(buf[:], false)]
	id, ok := parseHeader(header)
	if !ok {
		panic(fmt.Sprintf("goid: runtime.Stack printed %q, which has no goroutine number: this Go toolchain is not supported", header))
	}
	buffers.Put(buf)
	return id
}

// stackAll returns the stacks of all goroutines, which run on afterwards. What
// runtime.Stack cannot fit it cuts off, so a full buffer is one too small.
func stackAll() []byte {
	// A short stack prints about half a kilobyte. The world stops once more for
	// each buffer that was too small, so the first guess is a generous one.
	size := 64<<10 + runtime.NumGoroutine()<<10
	for {
		buf := make([]byte, size)
		if n := runtime.Stack(buf, true); n < size {
			return buf[:n]
		}
		size *= 2
	}
}

// headerIDs yields the number of each goroutine in a dump of runtime.Stack. A
// header stands at the start of the dump or after an empty line; "goroutine "
// elsewhere, as in "created by main.main in goroutine 1", is none.
func headerIDs(dump []byte) iter.Seq[ID] {
	return func(yield func(ID) bool) {
		for len(dump) > 0 {
			if id, ok := parseHeader(dump); ok && !yield(id) {
				return
			}
			end := bytes.Index(dump, []byte("\n\n"))
			if end < 0 {
				return
			}
			dump = dump[end+2:]
		}
	}
}

// parseHeader returns the number in a header such as
// "goroutine 123 [running, synctest bubble 1]:". What follows the number
// differs between releases and settings and is not looked at.
func parseHeader(header []byte) (id ID, ok bool) {
	if len(header) < len(headerStart) || string(header[:len(headerStart)]) != headerStart {
		return 0, false
	}
	for i, c := range header[len(headerStart):] {
		if c < '0' || c > '9' {
			return id, c == ' ' && i > 0 && id != 0
		}
		id = id*10 + ID(c-'0')
	}
	return 0, false // cut off within the number
}
