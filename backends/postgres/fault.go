package postgres

import (
	"errors"
	"strings"

	"github.com/lib/pq"

	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/pool"
)

// Classify says what an error means for its connection.
//
// pool.Dead:
//
//   - what ends the session: severity FATAL and PANIC, which lib/pq turns into driver.ErrBadConn
//     where it sees them in a query; class 08; 57P01, 57P04, 57P05, 25P03. An operator's
//     pg_terminate_backend gives 57P01 as the shutdown of the server does. It counts for the one
//     connection: after a shutdown each of the others is found dead by the look at its socket,
//     which costs nothing, while one session that is ended would cost the whole pool.
//   - 25006, a write that a read-only server refuses: after a fail-over the connection to
//     the demoted primary is given up at the first of them. A transaction that was begun
//     read-only and writes gets the same error, and costs its connection too.
//   - 0A000, where it says that a standby begins no transaction that writes, and no serializable
//     one. BeginTx of lib/pq asks for READ WRITE, so this, and no 25006, is what most transactions meet.
//     To ask a standby for one that reads, say ReadOnly.
//   - what sqldriver.Classify says, such as driver.ErrBadConn and every *net.OpError.
//
// pool.AllDead: 57P02, a session process has crashed, and the server has ended all sessions; and
// 57P03, the server starts, stops or recovers.
//
// pool.Full: 53300, too many connections, of the server, the database or the role; and the
// like of PgBouncer's.
//
// pool.Sound: all others, among them 57014 (canceled), 40001, 40P01, 25P02, 53200. lib/pq gives a
// connection up after a cancel by itself, and says so to Reset.
func Classify(err error) pool.Fault {
	e, ok := errors.AsType[*pq.Error](err)
	if !ok {
		return sqldriver.Classify(err)
	}
	switch e.Code {
	case "53300":
		return pool.Full
	case "57P02", "57P03":
		return pool.AllDead
	case "57P01", "57P04", "57P05", "25P03", "25006":
		return pool.Dead
	case "0A000":
		// The texts are translated; what a setting is checked by is not. That it has this code too for a setting
		// which no server has any more, such as default_with_oids, costs a connection.
		if e.Routine == "call_bool_check_hook" || e.Routine == "call_enum_check_hook" {
			return pool.Dead
		}
	}
	connection := strings.HasPrefix(string(e.Code), "08") // Code.Class panics where there is no code
	switch {
	case connection && strings.Contains(e.Message, "no more connections allowed"): // PgBouncer, which has one code for all
		return pool.Full
	case connection, e.Fatal(), e.Severity == "PANIC":
		return pool.Dead
	}
	return sqldriver.Classify(err)
}
