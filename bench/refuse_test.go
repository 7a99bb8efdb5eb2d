package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A call is what the program did.
type call struct {
	code           int
	stdout, stderr string
}

func lidobench(ctx context.Context, args ...string) call {
	var stdout, stderr bytes.Buffer
	code := run(ctx, args, strings.NewReader(""), &stdout, &stderr)
	return call{code, stdout.String(), stderr.String()}
}

func TestWhatCannotBeDoneIsRefusedBeforeAnythingIsMeasured(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	t.Setenv("LIDOBENCH_EMPTY", "")
	t.Setenv("LIDOBENCH_SECRET", "postgres://app:s3cret@127.0.0.1:1/x?sslmode=disable&connect_timeout=1")

	out := filepath.Join(dir, "out.json")
	for _, c := range []struct {
		args string
		says []string
	}{
		{"rum", []string{`lidobench "rum"`, `did you mean "run"?`}},
		{"help rum", []string{`"rum"`, `did you mean "run"?`}},
		{"scenario outge", []string{`"outge"`, `did you mean "outage"?`}},
		{"scenario outage outage", []string{`"outage" is given twice`}},
		{"scenario --size -1", []string{"--size is -1"}},
		{"run --windw 1s", []string{"--windw", "did you mean --window?", "lidobench run --help"}},
		{"--rounds 3", []string{"unknown flag: --rounds; lidobench run has it"}},
		{"run cycle", []string{`"cycle"`, "flags only"}},
		{"run --strategy nul", []string{`"nul"`, `did you mean "null"?`}},
		{"run --strategy queue,sngleton", []string{`"sngleton"`, `did you mean "singleton"?`}},
		{"run --strategy queue?sze=5", []string{"sze", `did you mean "size"?`}},
		{"run --strategy queue?size=-5", []string{"size", "-5"}},
		{"run --strategy queue,queue", []string{`"queue" is given twice`}},
		{"run --strategy queue,,null", []string{"before and after each comma"}},
		{"run --strategy=", []string{"--strategy"}},
		{"run --workload cylce", []string{`"cylce"`, `did you mean "cycle"?`}},
		{"run --workload cycle,cycle", []string{`"cycle" is given twice`}},
		{"run --workload think?think=1ms&rate=10", []string{"think", "rate"}},
		{"run --workload query?hold=spni", []string{"hold", "spni"}},
		{"run --goroutines 0", []string{"--goroutines", "from 1 to"}},
		{"run --goroutines 1,x", []string{`--goroutines is "1,x": give whole numbers from 1 to`}},
		{"run --goroutines 8,8", []string{"8 is given twice"}},
		{"run --size 99999999", []string{"--size", "from 1 to"}},
		{"run --size 1,2 --strategy static,queue?size=3", []string{"--size 1,2", "its own affair"}},
		{"run --rounds 0", []string{"--rounds is 0: give 1 to"}},
		{"run --window 0s", []string{"--window is 0s"}},
		{"run --window 3", []string{`--window is "3": give a time with its unit`}},
		{"run --rounds x", []string{`--rounds is "x": give a whole number`}},
		{"run --json=", []string{"--json is empty: give it a value, or leave it out"}},
		{"run --serve=", []string{"--serve is empty"}},
		{"scenario --backend=", []string{"--backend is empty"}},
		{"run --warm -1s", []string{"--warm is -1s"}},
		{"run --seed -1", []string{`--seed is "-1": give a whole number, 0 or more`}},
		{"run --baseline queu", []string{`"queu"`, `did you mean "queue"?`}},
		{"run --strategy null --baseline queue", []string{`--baseline "queue"`, "known: null"}},
		{"run --backend sqlit", []string{`"sqlit"`}},
		{"run --backend synthetic?opn=1ms", []string{"opn", `did you mean "open"?`}},
		{"run --backend env:", []string{"env: names no variable", "env:DATABASE_URL"}},
		{"run --backend env:LIDOBENCH_EMPTY", []string{"LIDOBENCH_EMPTY is empty or not set"}},
		{"run --backend env:LIDOBENCH_SECRET", []string{"--backend"}},
		{"run --backend env:postgres://app:s3cret@db/x", []string{"the name of an environment variable"}},
		{"run postgres://app:s3cret@db/x", []string{"xxxxx", "flags only"}},
		{"scenario mysql:app:s3cret@tcp(db)/x", []string{"xxxxx", "known: "}},
		{"scenario --strategy mysql:app:s3cret@tcp(db)/x", []string{"--strategy"}},
		{"postgres://db/x?password=s3cret", []string{"xxxxx", "known: "}},
		{"run --backend mysql://app:s3cret@db/x", []string{"--backend"}},
		{"run --backend app:s3cret@tcp(db)/x", []string{"mysql:"}},
		{"run --backend synthetic --json " + filepath.Join(dir, "no", "out"), []string{"--json", "no such file"}},
		{"run --backend synthetic --json " + dir, []string{"--json", "is a directory"}},
		{"run --backend synthetic --csv " + filepath.Join(file, "out"), []string{"--csv", "not a directory"}},
		{"run --backend synthetic --html -", []string{"--html: name a file"}},
		{"run --json - --csv -", []string{"--json and --csv both name -"}},
		{"run --json " + out + " --html " + dir + "/./out.json", []string{"--json and --html both name"}},
		{"run --serve 8080", []string{`--serve is "8080"`, "a host and a port"}},
		{"run --serve :8080", []string{"other machines", "--serve-anywhere"}},
		{"run --serve 192.0.2.1:8080", []string{"other machines"}},
		{"run --serve-anywhere", []string{"--serve-anywhere without --serve"}},
		{"run --backend synthetic --serve " + taken.Addr().String(), []string{"--serve", "address already in use"}},
		{"scenario --scale 0", []string{"--scale is 0"}},
		{"scenario --scale NaN", []string{"--scale is NaN"}},
		{"compare a b --fail-if-slower NaN", []string{"--fail-if-slower is NaN"}},
		{"scenario --scale x", []string{`--scale is "x": give a number`}},
		{"scenario --tick 0s", []string{"--tick is 0s"}},
		{"scenario --bench x", []string{"--bench"}},
		{"compare " + file, []string{"2 arguments, OLD and NEW"}},
		{"compare " + file + " " + file, []string{file, `"format" is missing`}},
		{"compare " + file + " nowhere.json", []string{"format"}},
		{"compare a b --fail-if-slower -3", []string{"--fail-if-slower is -3"}},
		{"compare a b --fail-if-slower nan", []string{"--fail-if-slower is NaN"}},
		{"report", []string{"takes 1 argument, FILE, but there are 0"}},
		{"report nowhere.json", []string{"nowhere.json"}},
		{"report -", []string{"standard input"}},
		{"list workload", []string{`did you mean "workloads"?`}},
		{"completion bosh", []string{"bosh"}},
	} {
		got := lidobench(t.Context(), strings.Fields(c.args)...)
		if got.code != 2 || got.stdout != "" {
			t.Errorf("%s: exit code %d and %q on the standard output, want 2 and nothing", c.args, got.code, got.stdout)
		}
		if !strings.HasPrefix(got.stderr, "lidobench: ") || strings.Contains(got.stderr, "Usage:") {
			t.Errorf("%s: want one error that begins with the program's name:\n%s", c.args, got.stderr)
		}
		for _, part := range c.says {
			if !strings.Contains(got.stderr, part) {
				t.Errorf("%s: does not say %q:\n%s", c.args, part, got.stderr)
			}
		}
		if strings.Contains(got.stderr, "s3cret") {
			t.Errorf("%s: shows a password:\n%s", c.args, got.stderr)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left in the directory: %v", left)
	}
}
