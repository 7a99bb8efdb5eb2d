package sqldriver

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"syscall"

	"github.com/lidopool/lido/pool"
)

// Classify says what an error of any driver means, as far as that can be said
// without knowing the driver. These are pool.Dead, wrapped or not:
// driver.ErrBadConn, sql.ErrConnDone, io.EOF, io.ErrUnexpectedEOF,
// net.ErrClosed, every *net.OpError (also a timeout: half an answer may be
// on its way), and the system's ECONNRESET, ECONNABORTED, EPIPE and ETIMEDOUT.
//
// All else is pool.Sound. The end of a context is: it speaks of the caller, and a
// driver that gives its connection up for it says so to Reset. Nothing is
// pool.AllDead: only a driver's own errors can tell that a server has gone.
func Classify(err error) pool.Fault {
	for _, dead := range []error{
		driver.ErrBadConn, sql.ErrConnDone, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed,
		syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE, syscall.ETIMEDOUT,
	} {
		if errors.Is(err, dead) {
			return pool.Dead
		}
	}
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return pool.Dead
	}
	return pool.Sound
}
