//go:build unix

package netconn

import (
	"errors"
	"io"
	"net"
	"syscall"
)

// look reads from an idle connection without waiting: there should be nothing.
func look(c net.Conn) error {
	s, ok := c.(syscall.Conn)
	if !ok {
		return nil // over TLS, say, where a byte taken away would be missed
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return err
	}
	var found error
	err = raw.Read(func(fd uintptr) bool {
		var buf [1]byte
		n, err := syscall.Read(int(fd), buf[:])
		switch {
		case n > 0:
			found = errUnasked
		case err == nil:
			found = io.EOF
		case !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EINTR):
			found = err
		}
		return true // never wait
	})
	return errors.Join(err, found)
}
