package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/lidopool/lido/backends/servertest"
)

// kept are the runs in results, of which docs/choosing.md speaks.
var kept = []struct {
	name     string
	database func(testing.TB) string // its DSN, as --backend takes it. nil: none
	args     []string
}{
	{"sqlite", nil, []string{"run"}},
	{"postgres", func(t testing.TB) string { return servertest.Postgres(t).Database(t) }, []string{"run"}},
	{"mariadb", func(t testing.TB) string { return "mysql:" + servertest.MySQL(t).Database(t) }, []string{"run"}},
	{"queues", nil, []string{"run", "--backend", "synthetic",
		"--strategy", "queue,queue?fairness=bounded,queue?order=lifo,queue?order=fifo",
		"--workload", "cycle,contention,hold-spin,hold-sleep", "--goroutines", "1,8,64", "--size", "10"}},
	{"sizes", nil, []string{"run", "--backend", "synthetic?open=5ms&use=1ms&capacity=8",
		"--strategy", "queue,null", "--workload", "query", "--goroutines", "1,2,8,64", "--size", "1,2,4,8,16,64", "--rounds", "3"}},
	{"arrivals", nil, []string{"run", "--backend", "synthetic?open=20ms&use=exp:2ms",
		"--strategy", "queue,queue?max_overflow=10,null,singleton", "--size", "10", "--goroutines", "200", "--window", "1s",
		"--workload", "burst?rate=1000&burst=1,burst?rate=2500&burst=1,burst?rate=4000&burst=1,burst?rate=2500&burst=50"}},
	{"scenarios", nil, []string{"scenario", "--strategy", "queue,queue?shed=true,null"}},
}

// TestResults measures bench/results again, or those that LIDO_BENCH_RESULTS names. It takes minutes, and measures nothing that could fail.
func TestResults(t *testing.T) {
	wanted := os.Getenv("LIDO_BENCH_RESULTS")
	if wanted == "" {
		t.Skip("results for people: LIDO_BENCH_RESULTS=all, or make bench-results")
	}
	dir := t.TempDir() // until the end, or the results themselves would make the commit that stands in them a dirty one
	var measured []string
	for _, k := range kept {
		if wanted != "all" && !slices.Contains(filepath.SplitList(wanted), k.name) {
			continue
		}
		args := append(slices.Clone(k.args), "--json", filepath.Join(dir, k.name+".json"))
		if k.database != nil {
			t.Setenv("LIDOBENCH_DATABASE", k.database(t))
			args = append(args, "--backend", "env:LIDOBENCH_DATABASE")
		}
		if code := run(t.Context(), args, nil, os.Stdout, os.Stderr); code != 0 {
			t.Errorf("%s: exit code %d", k.name, code)
			continue
		}
		measured = append(measured, k.name+".json")
	}
	for _, name := range measured {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil {
			err = os.WriteFile(filepath.Join("results", name), text, 0o666)
		}
		if err != nil {
			t.Error(err)
		}
	}
}
