// Package strategies holds the five ways in which package pool can lend its
// resources. Each is a plain value, given to pool.New or chosen by name with a
// Config.
//
//	kind       lends                                  who comes too late     kept when idle
//	Queue      one resource to one holder             stands in line         Size of them
//	Singleton  one to each goroutine or scope         stands in line         all, with their owners
//	Null       a fresh one each time                  stands in line at Max  none
//	Static     one to all at once                     joins                  the one
//	Assertion  one to one holder, and there is one    fails at once          the one
//
// # Which one
//
// [Queue] is right unless there is a reason for another: connections to a server, clients,
// workers, anything that is dear to open and used by one at a time.
//
// [Singleton] is for code in which a function that holds a resource calls others that ask the pool
// again, and all are to work on the same one: a transaction that spans calls which know nothing of
// it. With a queue each of them would take another resource, and a pool in which every holder
// waits for a second one stands still. Where a context is at hand pool.WithScope says
// explicitly who shares.
//
// [Null] is for backends behind a pooler of their own, such as PgBouncer, for resources that
// must not outlive a use, and for tests which want each use to start afresh. It still
// limits how many are open at once, and hooks and resets run as with the others.
//
// [Static] is for what is safe for concurrent use and needed once: an HTTP/2 connection, a
// SQLite database in memory, a client that multiplexes.
//
// [Assertion] is for tests: it shows that code never needs two resources at a time, and if it does, where
// the first was acquired.
//
// # What each costs
//
// An Acquire and a Release of an idle resource by one goroutine, from BenchmarkCycle and
// BenchmarkNested; a two-core machine that was not idle, amd64, Go 1.26, where Get and Put of a sync.Pool take
// 27 ns. docs/performance.md has more:
//
//	Queue       20 ns  a compare-and-swap each way; with LIFO 61 ns and FIFO 77 ns, a lock and a list
//	Singleton  414 ns  the owner looked up in a map, and the tenancy counted. A nested
//	                   Acquire 28 ns. An owner without a resource costs a look at
//	                   every seat, and some microseconds where only public API can tell
//	                   goroutines apart (package internal/goid)
//	Static      27 ns  a nested Acquire 19 ns
//	Assertion   20 ns  with NoStack, by the way of a queue; else 1 µs and two allocations for the stack
//	Null       3.6 µs  two goroutines, one for the open and one for the close, before either has done
//	                   anything, and 14 allocations; the others have none. Where both are
//	                   pool.Inline, 0.8 µs and no goroutine
//
// # What all promise
//
// Waiters are served in order of arrival, with what comes first, a returned resource or a finished
// open. A failed open answers one waiter (with Static, all; see pool.Answer for when the backend is down)
// and frees its seat for the next. A waiter that gives up costs nobody a seat. pooltest.TestStrategy tests this of
// any strategy: write one by implementing pool.Strategy and pool.Seating, and run it.
package strategies
