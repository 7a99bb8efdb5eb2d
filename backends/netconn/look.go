package netconn

import (
	"net"
	"syscall"

	"github.com/lidopool/lido/internal/socket"
)

// look looks at what has come in on an idle connection: there should be nothing.
func look(c net.Conn) error {
	s, ok := c.(syscall.Conn)
	if !ok {
		return nil // over TLS, say
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return err
	}
	n, err := socket.Peek(raw, make([]byte, 1))
	if n > 0 {
		return errUnasked
	}
	return err
}
