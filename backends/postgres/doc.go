// Package postgres pools connections to PostgreSQL, by github.com/lib/pq.
//
// [Open] gives a backend whose resource is a *sqldriver.Conn: one connection of the driver,
// with all that it can do.
//
//	backend, err := postgres.Open("postgres://app:secret@db/shop?sslmode=verify-full")
//	p, err := pool.New(backend, strategies.Queue{Size: 5}, pool.Options{})
//
// [Backend] is what package manage registers, for database/sql and for pools chosen by DSN.
//
// # DSN
//
// A DSN is a URL or key=value pairs, as lib/pq reads them. lib/pq takes what it does not say from
// the environment (PGHOST, PGPASSWORD…) and a service file, at the moment of Open; from then on
// that is fixed, and [Backend.Canonical] says all of it. Read anew for each connection are the
// files that it names: passfile or ~/.pgpass, sslcert, sslkey, sslrootcert. A password that is
// rotated belongs into the passfile, or [Backend.Password] asks for it.
//
// Beyond lib/pq, what a URL most likely says by mistake is an error: a password with an /, ? or #
// that is not percent-encoded, after which lib/pq takes a part of the password for the port or
// the database. So is a host with a colon that is no IP address: of db-1:5432,db-2:5433 in a URL, which
// libpq reads as two hosts, lib/pq looks for two of the names db-1:5432 and db-2:5433.
//
// # What ends on time
//
// lib/pq heeds a ctx by asking the server to cancel, and then waits for the server's answer. So
// with a server that is frozen, or behind a network that swallows packets, it would wait until TCP
// gives up, often 15 minutes. Here:
//
//   - Opening, Ping, Reset and Close end when their ctx does, since their deadline is that of the
//     socket too.
//   - A query of yours whose ctx has ended has [Backend.Grace] more to hear the
//     server's answer. Then its socket is given up: it fails with a *net.OpError that says so, which
//     satisfies errors.Is for os.ErrDeadlineExceeded, and the connection is dead. So has the
//     Commit or Rollback of a transaction after the ctx of its BeginTx.
//   - BeginTx, for which lib/pq heeds no ctx at all, ends with its ctx, and the connection is dead.
//
// A query without a ctx that ends is yours to wait for.
//
// # What is not run twice
//
// lib/pq says driver.ErrBadConn of a connection that ends before the answer has come, and database/sql
// then runs the statement again, though the server may have executed it. Here that is a
// *net.OpError, which wraps io.ErrUnexpectedEOF and is not tried again. Of a session that the server
// ends by an error it stays driver.ErrBadConn: what went on there is rolled back.
//
// # What costs a round trip
//
// Nothing at Acquire: a look at the socket tells whether the server has closed the connection,
// about 1 µs, except on Windows, where nothing is found. Nothing at Release either, unless a
// transaction may be open: one by Conn.BeginTx, or by a text that [Begins] recognizes, or whatever
// was done behind Conn.Raw. The reset mode full costs one round trip after each use.
//
// # Reset
//
// The modes rollback and commit end the transaction, and leave alone what else belongs to the
// session: settings by SET, temporary tables, advisory locks, LISTEN. The mode full brings all of
// these back to what they were after the open, and keeps the prepared statements of the driver.
// Rows that were not closed, or a COPY not finished, make a reset that has something to do fail:
// then the connection is closed.
package postgres
