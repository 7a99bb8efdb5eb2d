// Command versus measures Lido against its peers: the same resource, the same work, in one
// run, as ratios. It is a module of its own, so that users of Lido never see the peers among
// their dependencies.
//
//	make bench-versus                      # a quarter of an hour, to the screen and bench-versus.html
//	make bench-versus-quick OUT=out.json   # under a minute after the build
//	make bench-versus VITESS=1 OUT=out.json VERSUSFLAGS='-markdown out.md -json all.json'
//	make figure                            # docs/versus.svg and .md from bench/results/versus.json
//
// There are two kinds of measurements. Works show the pools' own price, on resources that cost
// nothing: their ratios are those of docs/performance.md. Workloads are those of lidobench, done by
// its engine, on resources that take time to open and to use; -backend says how much. Both come
// into the page of -html, and into the file of -json, which lidobench reads. -out has the works alone.
//
// # What an op is
//
// In workloads it is what lidobench list says of them. In works it is to acquire a resource, count
// a use in it, and release it; the resource costs nothing to open, use or close, so what is
// measured is the pool's own price.
//
//   - single, parallel, parallel-8: nobody ever waits. ns_per_op is the time of the window by
//     the ops of all goroutines together: two goroutines that do not hinder each other halve it.
//   - contended…: many goroutines share few seats, and a holder yields the processor once. 1024x10
//     is 1,024 goroutines on 10 seats.
//   - hold-1ms: 50 goroutines share 2 seats, a holder sleeps for a millisecond, and computes for
//     one after it has released: does the one that was woken run before or after that?
//   - cancel: 10,000 stand in line for 2 seats that are held, and one cancel sends them home.
//     ns_per_op is the 10,000th part of the time until the last has returned. Then all seats must
//     be there at once.
//
// Works in -strict measure Lido with its strict line, those in -bounded with the bounded
// fairness. The peers have one fairness each: they are measured once a round, and the result
// stands under both names.
//
// # How works are measured
//
// Every round measures all works once, the pools of a crowd in random order, each on a new
// pool, after a garbage collection, a warm-up, and the end of the last goroutine of the one
// before. Rows are medians of the rounds, but max_wait_ns, min_ns and max_ns, which are
// extremes. Ops are counted in a window of time, while all goroutines run. How long each
// acquire takes is measured in a window of its own, as reading the clock would distort the
// first. GOMAXPROCS is what the machine has, but for the parallel works. jain is Jain's index of the ops of each goroutine: 1 if all got the same. allocs_per_op
// is what the whole process allocated while the goroutines ran, once the pool was warm.
//
// # What can be compared
//
// Ratios within one run, and no figures of two: machines differ, and so do minutes on the
// same machine. Three of the pools do less than the others and show what the least is:
//
//   - syncpool is sync.Pool: no cap, no owner, nobody waits, and memory collection empties it.
//   - atomic is one resource in one place: no owner, and who does not find it spins.
//   - mutex is a slice under a mutex: a cap, but no owner, and who comes too late is sent away.
//
// chan and semaphore are what people write themselves: a cap and a line, but a resource that
// is released twice is lent twice. The others open lazily, know their resources, and close
// them; several do more on the way, and cannot be asked not to: go-commons-pool, redigo and
// puddle read the clock, database/sql asks the connection how it is, pgxpool its age and state.
// What the pool lends is sometimes reached by a detour, and that is in the op: Conn.Raw of
// database/sql, a map of pgx, a method call of redigo.
//
// In workloads those three take part where there is a resource for everybody, and else are unfit. chan,
// mutex and semaphore open all resources when they are made, while the others open the first ones in the
// warm-up; and who held one of theirs that broke opens another in its place.
//
// In the figure the bars of those three are hollow. Its scale is logarithmic: a bar twice as
// long is a ratio squared, and it begins at Lido, since there is no zero. So a pool as fast as Lido
// has none. A figure and tables can be drawn from an older file; -draw measures nothing.
//
// pgxpool is the real one over real connections, to a server in this process that knows the
// beginning of the protocol; no message is sent in an op. In workloads what the backend opens is opened
// beside each connection. smartconnpool of Vitess takes part only if VITESS=1 asks for it, see
// vitess.go. silenceper/pool is absent: the module proxy does not have it.
//
// go-redis lends nothing but for a command, as its pool is internal. So an op of it is a PING of the real
// client, over connections that answer at once and without a system call. It includes what Lido
// and the others do not do: to make the command, to encode it, to parse the reply, to read the clock
// several times. There are no retries and no deadlines for reading and writing. A holder holds while the
// client copies the reply of its PING.
package main
