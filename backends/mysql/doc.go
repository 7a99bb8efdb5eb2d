// Package mysql pools connections to MySQL and MariaDB, by github.com/go-sql-driver/mysql.
//
// [Backend] is what package manage registers, for database/sql and for pools chosen by DSN. [Open]
// gives a backend for a pool by itself, whose resource is an *sqldriver.Conn:
//
//	backend, err := mysql.Open("app:secret@tcp(db:3306)/shop")
//	p, err := pool.New(backend, strategies.Queue{Size: 10}, pool.Options{})
//
// The DSN is the driver's, with all its parameters; those that the driver does not know are session
// variables, as ever. Names that were registered with the driver work (RegisterTLSConfig,
// RegisterServerPubKey, RegisterDialContext), except that tcp and unix are always dialled by
// package net. A network of one's own has a socket that only the driver knows: give such a DSN a
// readTimeout, since a rollback cannot be stopped there when the server hangs.
//
// # What it costs
//
//   - An open asks the server one thing more than the driver does: whether autocommit is on.
//   - A checkout looks at the socket, at no cost, and finds what the server has closed: after a
//     restart or a KILL nobody sees an error. It does not see a server that is frozen or a network
//     that is cut: Options.Ping of the pool does, for a round trip.
//   - A return costs nothing, unless there may be a transaction to end: one of BeginTx that was not
//     ended, or one that an SQL text may have begun, which [Begins] tells by its words. Then the
//     return takes three round trips: it rolls back, unlocks tables, and asks whether autocommit is
//     still on; if it is not, the connection is discarded.
//   - Where autocommit is off by the DSN (autocommit=0) or by the server (autocommit,
//     init_connect), every text may begin a transaction, and every return costs these three.
//
// completion_type must be NO_CHAIN, the default: otherwise each transaction begins the next one. A
// connection where it is not is refused.
//
// # What ends on time
//
// The driver heeds a ctx by closing the connection. It takes none for Commit and Rollback, and
// would wait for a server that is frozen until TCP gives up: those end [Backend.Grace] after
// the ctx of their BeginTx has ended, at the latest, and the connection is dead. What a server was
// doing when its connection was closed it goes on to do, and notices later: MariaDB ends a SLEEP
// after 5 s.
//
// # Reset
//
// The reset mode rollback ends transactions and unlocks tables. It leaves alone what else belongs
// to the session: settings, user variables, temporary tables, prepared statements, locks of
// GET_LOCK, the database chosen by USE, and BACKUP locks. An XA transaction makes the reset fail,
// and the connection is discarded; one that is prepared stays on the server.
//
// The mode full undoes all of these too, by COM_RESET_CONNECTION, if anything was done on the
// connection: three round trips. The driver has no call for it, so it needs the socket: tcp or
// unix, without TLS and compression. It also drops the statements that were prepared on the
// connection: whoever keeps them must prepare them anew, or gets error 1243.
//
// No mode undoes SET ROLE: the command leaves the role as it is, with MySQL and with MariaDB. Who takes
// a role must give it back, or the next holder has it.
//
// # A standby, a fail-over
//
// [Primary] as Backend.Validate refuses servers that are read-only. A connection whose server has
// become read-only is retired when it first refuses a write; see [Classify]. The driver's own
// rejectReadOnly=true goes further: such an error becomes driver.ErrBadConn, at which database/sql
// runs the statement again.
//
// # Which servers
//
// The tests are run with MariaDB, 10.11 say. They were run with MySQL 9.7.4 too, but for those that
// kill, freeze or fill a server of their own; most of what these are about was tried by hand:
// caching_sha2_password, with and without TLS; max_connections and max_user_connections;
// super_read_only, offline_mode and innodb_read_only; KILL, KILL QUERY, wait_timeout and
// max_execution_time; a shutdown in the middle of a query. CONTRIBUTING.md says how to test with a
// server of one's own.
package mysql
