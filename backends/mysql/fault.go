package mysql

import (
	"errors"
	"strings"

	gomysql "github.com/go-sql-driver/mysql"

	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/pool"
)

// Classify says what an error means for its connection.
//
// pool.Full: 1040 (too many connections), 1203 and 1226 (too many of this user).
//
// pool.AllDead: 1053. The server shuts down, and all connections with it.
//
// pool.Dead: 1927, 3169 and 4031 (killed, or idle for too long), 2006 and 2013 (the server is
// gone, says a proxy), all of SQLSTATE class 08 (a broken communication; a Galera node that
// is not ready), the driver's ErrInvalidConn, ErrMalformPkt, ErrPktSync and ErrPktSyncMul, and
// what sqldriver.Classify says. A server that restarts says 1053 to few; the
// others find their socket closed, at no cost, when they are next checked out.
//
// pool.Dead too: 1290, if it speaks of read-only, and 1836. The server has become a standby, and the
// connection is retired at the first write that it refuses, so that the next one is opened to wherever
// the name leads by then. Who writes to a standby on purpose pays with a connection
// for each attempt. 1792 is pool.Sound: it speaks of a read-only transaction, which the holder began.
//
// pool.Dead also: 1820. A holder has let the password of the account expire, and MySQL executes
// nothing in that session any more, not even after the password was set elsewhere.
//
// pool.Sound: all others, such as a deadlock (1213), a lock timeout (1205) or KILL QUERY (1317).
func Classify(err error) pool.Fault {
	for _, dead := range []error{gomysql.ErrInvalidConn, gomysql.ErrMalformPkt, gomysql.ErrPktSync, gomysql.ErrPktSyncMul} {
		if errors.Is(err, dead) {
			return pool.Dead
		}
	}
	e, ok := errors.AsType[*gomysql.MySQLError](err)
	if !ok {
		return sqldriver.Classify(err)
	}
	switch e.Number {
	case 1040, 1203, 1226:
		return pool.Full
	case 1053:
		return pool.AllDead
	case 1927, 2006, 2013, 3169, 4031, 1836, 1820:
		return pool.Dead
	case 1290: // of any option: "is running with the --read-only option so it cannot execute this"
		if strings.Contains(e.Message, "read-only") || strings.Contains(e.Message, "read_only") {
			return pool.Dead
		}
	}
	if e.SQLState[0] == '0' && e.SQLState[1] == '8' {
		return pool.Dead
	}
	return sqldriver.Classify(err)
}
