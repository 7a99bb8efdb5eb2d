// Package sqlite pools connections to SQLite databases, by
// github.com/mattn/go-sqlite3, which needs cgo and a C compiler.
//
// [Open] gives a backend whose resource is a *sqlite3.SQLiteConn, with all that
// it can do (Backup, RegisterFunc, Serialize):
//
//	backend, err := sqlite.Open("data.db")
//	p, err := pool.New(backend, strategies.Queue{Size: 5}, pool.Options{})
//
// [Backend] is what package manage registers, for database/sql and for pools
// chosen by DSN.
//
// # DSN
//
// A DSN is a path (data.db), a URI (file:data.db?mode=ro), memdb:name, or
// :memory:, with parameters after a question mark. The parameters are those of
// go-sqlite3, under all their names, those of SQLite's URIs, and private_memory.
// A parameter that nobody knows is an error, since both would ignore it.
//
// For a database in a file, these are laid under what the DSN says:
//
//   - _journal_mode=WAL: readers and the writer do not block each other. Not
//     laid under if the DSN says mode=ro, immutable, nolock or vfs.
//   - _busy_timeout=5000: a writer waits up to 5 s for another.
//   - _txlock=immediate: a transaction takes its write lock when it
//     begins, and waits for it. A deferred one that reads first and then writes fails
//     at once when another has written meanwhile, whatever the timeout: of 1600
//     such transactions by 8 goroutines more than half failed. With _query_only it is deferred.
//   - _synchronous=NORMAL with WAL, FULL otherwise. NORMAL with WAL never corrupts
//     a database, but a power failure may undo the last commits; say FULL
//     where that must not be. (go-sqlite3 itself says NORMAL always, which without
//     WAL can corrupt a database in a power failure.)
//
// Foreign keys are enforced only with _foreign_keys=1, as in go-sqlite3.
//
// # In memory
//
// [Memory] names an in-memory database that all connections of the process
// share. It vanishes when its last connection closes. A plain :memory: is a
// database of its own for every connection; see [Backend.PrivateMemory].
// cache=shared is refused for databases in memory: its locks ignore the busy timeout, so
// that writers fail at random (SQLITE_LOCKED_SHAREDCACHE).
//
// # What a reset does not undo
//
// Reset ends an open transaction, however it was begun. It leaves alone temporary
// tables, attached databases, PRAGMA settings, registered functions and rows
// that the holder did not close: those keep their read lock, and the next holder sees
// the database as it was then.
//
// A Go function registered with a connection must not panic: see [Guard].
package sqlite
