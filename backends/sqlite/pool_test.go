//go:build cgo

package sqlite_test

import (
	"strings"
	"testing"

	"github.com/mattn/go-sqlite3"

	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/backends/sqlite"
	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/strategies"
)

func TestPoolLendsAConnectionWithoutTheLastHoldersTransaction(t *testing.T) {
	p, err := pool.New(conns(t, file(t)), strategies.Queue{Size: 1}, pool.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	var before *sqlite3.SQLiteConn
	for range 3 {
		lease, err := p.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		c := lease.Value()
		if before != nil && c != before {
			t.Error("the pool lent another connection, so that its reset went wrong")
		}
		before = c
		exec(t, c, "BEGIN; CREATE TABLE t(x)") // fails if the last one is still there
		lease.Release()
	}
}

func TestPoolRefusesAStrategyThatWouldMultiplyPrivateMemory(t *testing.T) {
	managed, err := sqlite.Backend{}.Open(":memory:", sqldriver.Rollback)
	if err != nil {
		t.Fatal(err)
	}
	_, err = pool.New(managed, strategies.Queue{Size: 2}, pool.Options{})
	if err == nil || !strings.Contains(err.Error(), "private_memory=true") {
		t.Errorf("queue: got %v, want the backend's refusal", err)
	}
	p, err := pool.New(managed, strategies.Static{}, pool.Options{})
	if err != nil {
		t.Fatalf("static: %v", err)
	}
	p.Close()
}
