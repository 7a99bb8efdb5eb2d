//go:build unix

package trial

import (
	"syscall"
	"time"
)

// cpuTime is how long the process has computed so far. Negative: it cannot be told.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return -1
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
