package main

import (
	"context"
	"slices"

	"github.com/lidopool/lido/bench/internal/load"
)

// A subject is a pool under measurement. It counts a use, uses++, in each resource it lends.
type subject interface {
	// Cycle is that of load.Target.
	Cycle(ctx context.Context, n int) error
	// Visit is that of load.Target. What during gets is a *resource, which the pool closes if it
	// is broken after during.
	Visit(ctx context.Context, during func(context.Context, load.Conn) error) error
	// close closes the pool and all resources that it has.
	close()
}

// A spec is what a subject is made from.
type spec struct {
	seats   int  // how many resources there may be
	bounded bool // for Lido: the bounded fairness, not the strict one
	open    func(context.Context) (*resource, error)
}

// A peer is a pool that takes part.
type peer struct {
	name    string
	subject func(spec) (subject, error)
	capped  bool   // it never has more than spec.seats resources
	waits   bool   // whoever finds none stands in line until ctx ends
	fair    bool   // strict and bounded are not the same to it
	most    int    // goroutines that it is fit for. 0: any number
	lacks   string // what makes it less than a pool
	module  string // where it comes from, if that has a version of its own
}

// peers are all that take part, Lido first, then what shows the least a pool could cost, then
// those that people use.
var peers = append([]peer{
	{name: "lido", subject: newLido, capped: true, waits: true, fair: true},
	{name: "syncpool", subject: newSyncPool, lacks: "no cap, no owner, no waiting"},
	{name: "atomic", subject: newAtomic, capped: true, most: 2, lacks: "one resource, no owner, spins"},
	{name: "mutex", subject: newMutex, capped: true, lacks: "no owner, no waiting"},
	{name: "chan", subject: newChannel, capped: true, waits: true},
	{name: "semaphore", subject: newSemaphore, capped: true, waits: true, module: "golang.org/x/sync"},
	{name: "puddle", subject: newPuddle, capped: true, waits: true, module: "github.com/jackc/puddle/v2"},
	{name: "pgxpool", subject: newPgxPool, capped: true, waits: true, module: "github.com/jackc/pgx/v5"},
	{name: "database-sql", subject: newDatabaseSQL, capped: true, waits: true},
	{name: "redigo", subject: newRedigo, capped: true, waits: true, module: "github.com/gomodule/redigo"},
	{name: "go-redis", subject: newGoRedis, capped: true, waits: true, module: "github.com/redis/go-redis/v9"},
	{name: "go-commons-pool", subject: newCommonsPool, capped: true, waits: true, module: "github.com/jolestar/go-commons-pool/v2"},
}, vitess...)

// fits reports whether p can do the work of l.
func (p peer) fits(c *crowd) bool {
	return (p.waits || c.goroutines <= c.seats) && (p.most == 0 || c.goroutines <= p.most)
}

func peerNames() []string {
	names := make([]string, len(peers))
	for i, p := range peers {
		names[i] = p.name
	}
	return names
}

func peerIndex(name string) int {
	return slices.IndexFunc(peers, func(p peer) bool { return p.name == name })
}

// lacks is what makes a pool less than one; nothing, if it is unknown here: smartconnpool may
// stand in a file and not be in this binary.
func lacks(name string) string {
	if i := peerIndex(name); i >= 0 {
		return peers[i].lacks
	}
	return ""
}
