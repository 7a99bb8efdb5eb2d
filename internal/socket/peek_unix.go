//go:build unix

package socket

import (
	"errors"
	"io"
	"syscall"
)

// Peek copies what has come in and was not read yet into b, as far as it fits, and leaves it
// there. It never waits, and heeds no deadline: 0 and no error is an open connection on which nothing
// has come in. io.EOF is one that the peer has closed; other errors are the system's.
//
// It costs one system call. Where the system cannot do it, it always returns 0 and no error.
func Peek(c syscall.RawConn, b []byte) (n int, err error) {
	var failed error
	err = c.Control(func(fd uintptr) {
		for {
			n, _, failed = syscall.Recvfrom(int(fd), b, syscall.MSG_PEEK) // Go's sockets do not block
			if !errors.Is(failed, syscall.EINTR) {
				return
			}
		}
	})
	switch {
	case err != nil: // closed on this side
		return 0, err
	case errors.Is(failed, syscall.EAGAIN):
		return 0, nil
	case failed != nil:
		return 0, failed
	case n == 0 && len(b) > 0:
		return 0, io.EOF
	}
	return n, nil
}
