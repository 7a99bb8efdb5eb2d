package mysql_test

import (
	"context"
	"sync"
	"testing"

	"github.com/lidopool/lido/backends/mysql"
	"github.com/lidopool/lido/backends/servertest"
	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/strategies"
)

func newPool(t *testing.T, b pool.Backend[*sqldriver.Conn], size int) *pool.Pool[*sqldriver.Conn] {
	t.Helper()
	p, err := pool.New(b, strategies.Queue{Size: size}, pool.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func acquire(t *testing.T, p *pool.Pool[*sqldriver.Conn]) pool.Lease[*sqldriver.Conn] {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	lease, err := p.Acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return lease
}

func TestNobodySeesThatTheServerHasEndedIdleConnections(t *testing.T) {
	b := backend(t, mysql.Backend{}, servertest.MySQL(t).Database(t))
	observer := connect(t, b)
	p := newPool(t, b, 3)
	var numbers []string
	var leases []pool.Lease[*sqldriver.Conn]
	for range 3 {
		lease := acquire(t, p)
		numbers = append(numbers, id(t, lease.Value()))
		leases = append(leases, lease)
	}
	for _, lease := range leases {
		lease.Release()
	}
	for _, number := range numbers {
		exec(t, observer, "KILL "+number)
	}
	until(t, "the sessions are gone", func() bool {
		return query(t, observer, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID IN ("+numbers[0]+","+numbers[1]+","+numbers[2]+")") == "0"
	})
	for range 6 {
		lease := acquire(t, p)
		exec(t, lease.Value(), "DO 1")
		lease.Release()
	}
}

func TestAllConnectionsAreReplacedAfterARestartWithoutAnError(t *testing.T) {
	s := servertest.OwnMySQL(t)
	p := newPool(t, backend(t, mysql.Backend{}, s.DSN()), 8)
	everyone := func(do func(c *sqldriver.Conn)) {
		var leases []pool.Lease[*sqldriver.Conn]
		for range 8 {
			leases = append(leases, acquire(t, p))
		}
		var wg sync.WaitGroup
		for _, lease := range leases {
			wg.Go(func() { do(lease.Value()) })
		}
		wg.Wait()
		for _, lease := range leases {
			lease.Release()
		}
	}
	run := func(c *sqldriver.Conn) {
		if err := try(c, "DO 1"); err != nil {
			t.Error(err)
		}
	}
	for _, end := range []func(){s.Kill, s.Stop} {
		everyone(run)
		end()
		s.Start()
		everyone(run)
	}
}

func TestThePoolKeepsToItsConnectionWhenAStandbyRefusesOneWrite(t *testing.T) {
	s := servertest.OwnMySQL(t)
	root := connect(t, backend(t, mysql.Backend{}, s.DSN()))
	exec(t, root, "CREATE TABLE t(x INT)")
	p := newPool(t, backend(t, mysql.Backend{}, user(t, s, root, "app", "")), 1)
	lease := acquire(t, p)
	before := id(t, lease.Value())
	exec(t, root, "SET GLOBAL read_only=1")
	err := try(lease.Value(), "INSERT INTO t VALUES (1)")
	lease.Fail(err)
	lease.Release()
	exec(t, root, "SET GLOBAL read_only=0") // as if the name led to another server now
	lease = acquire(t, p)
	defer lease.Release()
	if after := id(t, lease.Value()); after == before {
		t.Errorf("after %v the same connection is lent again, want another", err)
	}
	exec(t, lease.Value(), "INSERT INTO t VALUES (1)")
}
