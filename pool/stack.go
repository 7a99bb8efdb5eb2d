package pool

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"
)

// trail is where and when a lease was acquired. It is written before the lease is made, and
// has a lock because Pool.Held reads it while leases come and go.
type trail struct {
	mu sync.Mutex
	at time.Duration // on the pool's clock
	stack
}

func (t *trail) mark(now time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.at = now
	t.stack = t.callers()
}

// text is the stack, read once its lease has ended.
func (t *trail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.String()
}

// stack is where a lease was acquired, innermost call first. It is printed only when
// somebody looks.
type stack []uintptr

// callers fills s with who called, reusing its memory.
func (s stack) callers() stack {
	const depth = 16 // enough to get through a framework to the user's code; 8 saves 0.2 µs
	if cap(s) < depth {
		s = make(stack, depth)
	}
	return s[:runtime.Callers(2, s[:depth])]
}

const ownPackage = "github.com/lidopool/lido/pool."

func (s stack) String() string {
	if len(s) == 0 {
		return "unknown (set Options.Stacks to see where)"
	}
	var b strings.Builder
	frames := runtime.CallersFrames(s)
	outside := false // the pool's own frames come first and tell nothing
	for {
		f, more := frames.Next()
		if outside = outside || !strings.HasPrefix(f.Function, ownPackage); outside {
			fmt.Fprintf(&b, "%s\n\t%s:%d\n", f.Function, f.File, f.Line)
		}
		if !more {
			return b.String()
		}
	}
}
