// Package manage keeps the pools of a program: one for each database that it uses, found by
// the name of a backend and a DSN. It is where code that knows only database/sql
// meets Lido.
//
//	m := manage.New(manage.Options{})
//	defer m.Close()
//	err := m.Register(sqlite.Backend{})
//
//	db, err := m.OpenDB("sqlite3", "file:data.db?pool_size=10")   // a plain *sql.DB
//	conn, err := m.Connect(ctx, "sqlite3", "file:data.db")        // one connection, leased
//	sql.Register("lido-sqlite3", m.Driver("sqlite3"))             // for code that calls sql.Open
//	d, err := m.Wrap("other", &other.Driver{})                    // a driver without a backend here
//
// There is no state but in a Manager; a program may have several. For pools of anything
// else than database connections use package pool itself.
//
// # One pool for each database
//
// A pool has a [Key]: the backend's name and the canonical form of the DSN, without the
// settings below. Whoever asks for the same key gets the same pool, however many do at
// once, and whether by OpenDB, Connect or sql.Open. A DSN that asks an existing pool for another value
// of a setting is refused with a [ConflictError]; one that says nothing of a setting takes
// the pool as it is. To change a pool's settings, Dispose of it and open it anew.
//
// # Settings
//
// They stand in the query of the DSN, behind its last question mark, whatever form it has before that
// (host=h dbname=d?pool_size=5 too), and are taken out before the driver sees it. A name that begins with pool_
// and is none of these is an error. [Options].Settings lie under them, and the defaults under those.
//
//	pool_strategy       queue (default), singleton, null, static, assertion
//	pool_size           queue: connections kept, 5; singleton: connections at most, 5
//	pool_max_overflow   queue: more of them under load, 10; or unlimited; none over an unlimited size
//	pool_max            null: connections at most, unlimited
//	pool_timeout        longest wait, 30s; 0s: do not wait; or unlimited
//	pool_order          queue: which idle one is lent, affine (default), lifo or fifo
//	pool_fairness       queue: strict (default), or bounded: more throughput, a waiter may be passed over for a millisecond
//	pool_max_waiters    queue, null, singleton: who comes when so many wait is refused; 0: no bound
//	pool_shed           queue: refuse at once who cannot be served before its deadline; false
//	pool_shares         queue: priority classes, as per cent of the hand-offs: 0,20,10; none
//	pool_linger         queue: how long what is over the size stays open while idle, 0s
//	pool_no_stack       assertion: do not remember the holder's stack
//	pool_name           name in logs, errors and statistics; default: the redacted key
//	pool_max_age        a connection older than this is replaced; unlimited
//	pool_max_idle       one that lies unused for so long is closed; unlimited
//	pool_min_idle       so many are kept idle, opened in the background, 0
//	pool_keep_alive     how often an idle one is pinged; never
//	pool_jitter         by how many per cent these limits are shorter at most, drawn for each, 10; or none
//	pool_ping           check a connection before it is lent; false
//	pool_ping_after     only if it was idle for this long, 0s; needs pool_ping=true
//	pool_attempts       connections that one acquirer tries, 3
//	pool_open_attempts  opens tried for one connection, 1
//	pool_opens_at_once  opens under way at once, 4; or unlimited, the default where nothing is kept
//	pool_open_interval  least time between the beginnings of two opens, 0s
//	pool_backoff        longest pause after a failed open, doubled at each further one, 20ms; or none
//	pool_backoff_max    longest pause at all, 1s
//	pool_on_open_failure those in line: fail (default) when the backend is down, or wait for their own deadline
//	pool_open_timeout   30s; or inline, for a call that cannot hang: the acquirer makes it itself
//	pool_ping_timeout   5s; or inline, for a call that cannot hang
//	pool_reset_timeout  5s; or inline
//	pool_close_timeout  5s; or inline
//	pool_hung_close     the seat of a close that hangs: keep_seat (default) or free_seat
//	pool_preset         none, or transaction-pooler: for what stands behind PgBouncer and its like, see [TransactionPooler]
//	pool_statements     prepared statements that each connection keeps, 64; or none; or text: never prepare
//	pool_reset          an open transaction at return: rollback (default), commit, none; or full: the whole session
//	pool_dropped        a connection never returned: discard (default), keep, ignore
//	pool_stacks         remember where connections were acquired; false
//
// # What holds a connection
//
// An *sql.DB of the manager keeps no connections. Each statement leases one and returns it;
// rows, a transaction and an *sql.Conn hold theirs until they are closed. What database/sql takes for
// a connection is a proxy without one, which it keeps in its free list for the next use: there
// may be more of them than connections, one for each goroutine that uses or waits for one. So its
// own ways stay as fast as they are, and who waits does so in the pool's line.
//
// A prepared statement is a text that finds its statement on whatever connection it meets: each
// keeps those of which nobody has more need, up to pool_statements of them. So code that prepares once,
// or each time, prepares on each connection once. It is not kept if it gave an error,
// nor is a COPY of PostgreSQL, of which each execution sends a row.
//
// Close what you open: forgotten sql.Rows, sql.Tx and sql.Conn never come back by themselves,
// because database/sql keeps hold of them. Only a [Conn] of Connect that is dropped
// without Close does, as pool_dropped says.
//
// The DB's own Stats count proxies: use [Manager.Stats] or [Manager.All] for those of the pool. Of its limits
// leave SetMaxOpenConns alone: its line is not served in order. The others do no harm. Of a DB that
// sql.Open has made, SetMaxIdleConns(1024) spares about a microsecond each time that more than two
// goroutines use it at once.
//
// DB.Conn, and DB.Ping of a driver without one, answer the bare error of a ctx that ends while they wait, as those of
// database/sql do; everything else tells the pool's load too.
//
// A connection is closed instead of kept when the driver's error says that it is dead.
// At driver.ErrBadConn all connections of its generation are replaced, because database/sql then
// tries again and must not meet the next one that a restart of the server has left behind. Rows
// that fail while they are read are the driver's own, unless the strategy shares connections: what
// their errors mean is noticed at the reset, or at the next use.
//
// # What the strategies mean here
//
//   - queue and null are what they are everywhere.
//   - singleton: all that one goroutine does by one *sql.DB, or several of the same pool, is on one
//     connection while any of it is open. db.Exec within a loop over rows, or while a transaction is open, is on
//     the same connection, and so in the same transaction; it cannot wait for itself.
//     The driver must allow a statement while rows are open, as SQLite's does. A second Begin
//     is an error while the first goes on.
//   - static: all holders have the same connection, and take turns, since a driver's connection serves one at
//     a time. A statement takes its turn and gives it back; rows keep it until they are closed,
//     a transaction until it ends, also one begun by a text if the backend can
//     see it. Waiting for a turn ends with ctx or pool_timeout. A goroutine that waits for
//     itself, by db.Exec within its own loop over rows, gets that error.
//   - assertion: a second use at the same time is an error that shows the stack of the first.
//
// # What a driver shows
//
// The driver.Conn that database/sql sees has exactly the optional interfaces of the driver's connection,
// but always a Validator and a SessionResetter, since keeping and resetting are the pool's
// affair. To have exactly these it is of one of 256 generated types, one for each set of the
// eight interfaces: database/sql and users ask for an interface by a type assertion, and only a
// type without the method answers no. A method that refuses when it is called is not the same. They
// make a binary larger by about 2 MB, 1.5 MB if it is stripped, and cost no time.
//
// The driver's connection itself is given by [Conn].Raw and [Raw].
package manage
