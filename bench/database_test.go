package main

import (
	"database/sql"
	"net/url"
	"strings"
	"testing"

	"github.com/lidopool/lido/backends/servertest"
	"github.com/lidopool/lido/bench/internal/result"
)

// In real time, since the server is real.
func TestARunOnADatabaseLeavesNothingBehindAndShowsNoPassword(t *testing.T) {
	dsn := servertest.Postgres(t).Database(t)
	t.Setenv("LIDOBENCH_DATABASE", dsn)
	got := lidobench(t.Context(), "run", "--backend", "env:LIDOBENCH_DATABASE", "--workload", "query,mixed", "--strategy", "queue,null", "--goroutines", "1,4",
		"--size", "2", "--rounds", "1", "--window", "200ms", "--warm", "50ms", "--json", "-")
	if got.code != 0 {
		t.Fatalf("exit code %d: %s", got.code, got.stderr)
	}
	f, err := result.Read(strings.NewReader(got.stdout))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range f.Cells {
		// Not at most 2 sessions: the server takes a moment to end one that has been closed. Of null's it may see none when it is asked.
		if c.Median.Ops == 0 || c.Median.PeakOpen > 2 || c.Pool == "queue" && c.Median.Sessions < 1 || !strings.HasPrefix(c.Backend, "postgres://") {
			t.Errorf("%s with %s on %s: %d ops, %d open at most, %d sessions on the server, want some, 2, and some", c.Workload, c.Pool, c.Backend, c.Median.Ops, c.Median.PeakOpen, c.Median.Sessions)
		}
	}
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	if password, _ := u.User.Password(); password != "" && strings.Contains(got.stdout+got.stderr, password) {
		t.Errorf("the password is shown:\n%s%s", got.stderr, got.stdout)
	}
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	left := 0
	if err := db.QueryRow("SELECT count(*) FROM pg_tables WHERE tablename LIKE 'lidobench%'").Scan(&left); err != nil || left > 0 {
		t.Errorf("%d tables are left, %v", left, err)
	}
}
