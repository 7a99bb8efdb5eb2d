//go:build unix

package load

import (
	"syscall"
	"time"
)

// cpuTime is how long the process has had a processor, user and system together. Negative: unknown.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return unmeasured
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
