//go:build !unix

package trial

import "time"

// cpuTime is how long the process has computed so far. Negative: it cannot be told.
func cpuTime() time.Duration { return -1 }
