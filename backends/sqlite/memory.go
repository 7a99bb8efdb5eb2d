package sqlite

import (
	"fmt"

	"github.com/lidopool/lido/pool"
)

// memdbScheme begins a DSN for an in-memory database: memdb:name.
const memdbScheme = "memdb:"

// Memory returns the DSN of an in-memory database that all connections of the
// process share, whichever pool they belong to: file:/name?vfs=memdb, for which
// memdb:name is short. Parameters may follow after an ampersand.
//
// The database vanishes when its last connection closes. So a pool over
// it should keep at least one resource open (a strategy that keeps some, no MaxAge, no
// idle limit), or be accompanied by one connection that stays open.
//
// It has no journal in a file, so _journal_mode=WAL does nothing for it: a
// writer and the readers wait for each other, up to the busy timeout.
func Memory(name string) string { return "file:/" + escapePath(name) + "?vfs=memdb" }

// checkLimits refuses a strategy under which the holders of a pool would not
// see the same in-memory database, or would lose it between two leases.
func (d dsn) checkLimits(allowed bool, strategy string, l pool.Limits) error {
	switch said := d.params["private_memory"]; {
	case said == "1", said == "" && allowed, d.kind == inFile:
		return nil
	}
	if d.kind == sharedMemory {
		if l.Keep != 0 {
			return nil
		}
		return fmt.Errorf("sqlite: strategy is %s, which keeps no connection open while nobody uses one, "+
			"and %s vanishes with its last connection: give a strategy that keeps one (static, or queue with size 1 or more), "+
			"or a database in a file, or say private_memory=true if it may vanish", strategy, d.path)
	}
	if strategy != "null" && l.Seats == 1 && l.Keep != 0 {
		return nil
	}
	return fmt.Errorf("sqlite: strategy is %s with up to %s connections, and each would have a database of its own, "+
		"since %q is private to its connection: give the shared DSN %s, "+
		"or the strategy static, or say private_memory=true if that is what you want",
		strategy, count(l.Seats), d.path, Memory("name"))
}

func count(n int) string {
	if n == pool.Unlimited {
		return "unlimited"
	}
	return fmt.Sprint(n)
}
