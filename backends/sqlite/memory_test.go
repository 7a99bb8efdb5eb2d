//go:build cgo

package sqlite_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/lidopool/lido/backends/sqlite"
	"github.com/lidopool/lido/pool"
)

func TestMemoryIsSharedByConnectionsAndPools(t *testing.T) {
	dsn := sqlite.Memory("a name/with?odd#signs%41")
	exec(t, connect(t, conns(t, dsn)), "CREATE TABLE t(x)")
	wantQuery(t, connect(t, conns(t, dsn)), "SELECT count(*) FROM t", "0")
	_, c := managed(t, dsn, "")
	if c.InTx() {
		t.Error("a new connection is in a transaction")
	}
}

func TestMemoryDatabasesOfDifferentNamesAreDifferent(t *testing.T) {
	exec(t, connect(t, conns(t, "memdb:one")), "CREATE TABLE t(x)")
	exec(t, connect(t, conns(t, "memdb:two")), "CREATE TABLE t(x)") // fails if it exists
}

func TestMemoryVanishesWithItsLastConnection(t *testing.T) {
	b := conns(t, sqlite.Memory(t.Name()))
	for range 2 {
		c, err := b.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		exec(t, c, "CREATE TABLE t(x)") // fails if it exists
		if err := b.Close(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
}

func TestManyWritersLoseNothing(t *testing.T) {
	const writers, each = 8, 50
	for name, dsn := range map[string]string{"memory": sqlite.Memory(t.Name()), "file": file(t)} {
		t.Run(name, func(t *testing.T) {
			b := conns(t, dsn)
			first := connect(t, b)
			exec(t, first, "CREATE TABLE t(x); INSERT INTO t VALUES (0)")
			var wg sync.WaitGroup
			for range writers {
				c := connect(t, b)
				wg.Go(func() {
					for range each {
						tx, err := c.Begin()
						if err != nil {
							t.Error(err)
							return
						}
						x := query(t, c, "SELECT x FROM t")
						exec(t, c, "UPDATE t SET x = "+x+" + 1")
						if err := tx.Commit(); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			wantQuery(t, first, "SELECT x FROM t", "400")
		})
	}
}

func TestPrivateMemoryIsRefusedWithAStrategyThatWouldMultiplyIt(t *testing.T) {
	queue := pool.Limits{Seats: 15, Keep: 5}
	one := pool.Limits{Seats: 1, Keep: 1}
	for _, tt := range []struct {
		dsn    string
		kind   string
		limits pool.Limits
		ok     bool
	}{
		{":memory:", "queue", queue, false},
		{"", "queue", queue, false},
		{"file:x?mode=memory", "queue", queue, false},
		{"file:x?vfs=memdb", "queue", queue, false},
		{":memory:", "queue", pool.Limits{Seats: pool.Unlimited, Keep: pool.Unlimited}, false},
		{":memory:", "queue", pool.Limits{Seats: 1, Keep: 0}, false},
		{":memory:", "null", one, false},
		{":memory:", "queue", one, true},
		{":memory:", "static", pool.Limits{Seats: 1, Keep: pool.Unlimited, Sharing: pool.Common}, true},
		{":memory:?private_memory=true", "queue", queue, true},
		{":memory:?private_memory=true", "null", pool.Limits{}, true},
		{sqlite.Memory("x"), "queue", queue, true},
		{sqlite.Memory("x"), "null", pool.Limits{Seats: pool.Unlimited}, false},
		{sqlite.Memory("x"), "queue", pool.Limits{Seats: 5}, false},
		{sqlite.Memory("x") + "&private_memory=true", "null", pool.Limits{Seats: pool.Unlimited}, true},
		{"x.db", "null", pool.Limits{Seats: pool.Unlimited}, true},
		{"x.db", "queue", queue, true},
	} {
		plain, err := sqlite.Backend{}.Open(tt.dsn, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range []any{conns(t, tt.dsn), plain} {
			err := b.(pool.LimitChecker).CheckLimits(tt.kind, tt.limits)
			if (err == nil) != tt.ok {
				t.Errorf("%T of %q with %s %+v: got %v, want allowed: %v", b, tt.dsn, tt.kind, tt.limits, err, tt.ok)
			}
			if err == nil {
				continue
			}
			for _, word := range []string{"sqlite: strategy is " + tt.kind, "static", "private_memory=true"} {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%q does not say %q", err, word)
				}
			}
		}
	}
}

func TestPrivateMemoryIsAllowedByTheSettingUnlessTheDSNForbidsIt(t *testing.T) {
	queue := pool.Limits{Seats: 15, Keep: 5}
	allow := sqlite.Backend{PrivateMemory: true}
	for dsn, ok := range map[string]bool{":memory:": true, ":memory:?private_memory=false": false} {
		b, err := allow.Conns(dsn)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.CheckLimits("queue", queue); (err == nil) != ok {
			t.Errorf("%s: got %v, want allowed: %v", dsn, err, ok)
		}
	}
}

func TestPrivateMemoryParameterIsNotPassedOn(t *testing.T) {
	b := conns(t, ":memory:?private_memory=true")
	one, two := connect(t, b), connect(t, b)
	exec(t, one, "CREATE TABLE t(x)")
	exec(t, two, "CREATE TABLE t(x)") // fails if it exists
}
