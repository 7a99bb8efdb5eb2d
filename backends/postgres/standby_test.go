package postgres_test

import (
	"strings"
	"testing"

	"github.com/lidopool/lido/backends/postgres"
	"github.com/lidopool/lido/backends/servertest"
	"github.com/lidopool/lido/pool"
)

func TestAConflictWithRecoveryMeansDeadOnlyIfItEndsTheSession(t *testing.T) {
	primary := servertest.OwnPostgres(t, "synchronous_standby_names=standby", "synchronous_commit=remote_apply")
	standby := servertest.Standby(t, primary, "max_standby_streaming_delay=0")
	master := connect(t, backend(t, postgres.Backend{}, primary.DSN()))
	exec(t, master, "CREATE TABLE t AS SELECT 1 AS n")
	exec(t, master, "CREATE DATABASE doomed")
	b := backend(t, postgres.Backend{}, standby.DSN())
	admin := connect(t, b)
	running := func(pid, state string) {
		t.Helper()
		until(t, "the session is "+state, func() bool {
			return query(t, admin, "SELECT state FROM pg_stat_activity WHERE pid = "+pid) == state
		})
	}

	t.Run("a query", func(t *testing.T) {
		c := connect(t, b)
		pid := query(t, c, "SELECT pg_backend_pid()")
		told := make(chan error, 1)
		go func() { told <- try(c, "SELECT pg_sleep(60) FROM t") }()
		running(pid, "active")
		exec(t, master, "TRUNCATE t")
		err := wantCode(t, <-told, "40001")
		if f := b.Classify(err); f != pool.Sound {
			t.Errorf("Classify(%v) = %v, want Sound", err, f)
		}
		if err := b.Reset(t.Context(), c); err != nil {
			t.Errorf("reset: %v", err)
		}
		wantQuery(t, c, "SELECT pg_backend_pid()", pid)
	})
	t.Run("a query in a database that is dropped", func(t *testing.T) {
		c := connect(t, backend(t, postgres.Backend{}, strings.Replace(standby.DSN(), "/postgres?", "/doomed?", 1)))
		pid := query(t, c, "SELECT pg_backend_pid()")
		told := make(chan error, 1)
		go func() { told <- try(c, "SELECT pg_sleep(60)") }()
		running(pid, "active")
		exec(t, master, "DROP DATABASE doomed")
		if err := <-told; b.Classify(err) != pool.Dead {
			t.Errorf("Classify(%T %v) = %v, want Dead", err, err, b.Classify(err))
		}
	})
	t.Run("a transaction that is idle", func(t *testing.T) {
		c := connect(t, b)
		exec(t, c, "BEGIN; SELECT * FROM t")
		exec(t, master, "TRUNCATE t")
		if err := awaitError(t, c); b.Classify(err) != pool.Dead {
			t.Errorf("Classify(%T %v) = %v, want Dead", err, err, b.Classify(err))
		}
	})
}
