//go:build cgo

package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// outcome is what a run left behind.
type outcome struct {
	code           int
	stdout, stderr string
}

func ledger(t *testing.T, ctx context.Context, args ...string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(ctx, args, &stdout, &stderr)
	return outcome{code, stdout.String(), stderr.String()}
}

func (o outcome) want(t *testing.T, code int, inStderr ...string) {
	t.Helper()
	if o.code != code {
		t.Errorf("exit code is %d, want %d; stderr:\n%s", o.code, code, o.stderr)
	}
	for _, s := range inStderr {
		if !strings.Contains(o.stderr, s) {
			t.Errorf("stderr is %q, want it to contain %q", o.stderr, s)
		}
	}
}

// small makes a run of 100 accounts, too short for good figures and long enough for all else.
func small(more ...string) []string {
	return append([]string{"-accounts", "100", "-duration", "50ms"}, more...)
}

// tempDir makes the program's temporary files visible.
func tempDir(t *testing.T) string {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	return dir
}

func TestRunComparesTheFiveStrategiesAndLeavesNothingBehind(t *testing.T) {
	dir := tempDir(t)
	o := ledger(t, t.Context(), small()...)
	o.want(t, 0)
	for _, kind := range []string{"queue", "singleton", "null", "static", "assertion"} {
		// operations per second, …, and no errors
		row := regexp.MustCompile(`(?m)^ *` + kind + ` +[1-9][0-9,]* .* 0$`)
		if !row.MatchString(o.stdout) {
			t.Errorf("no row without errors for %s in:\n%s", kind, o.stdout)
		}
		if !strings.Contains(o.stderr, kind+" ") {
			t.Errorf("progress does not mention %s:\n%s", kind, o.stderr)
		}
	}
	if want := "15 of 15 others that tried were refused"; !strings.Contains(strings.Join(strings.Fields(o.stdout), " "), want) {
		t.Errorf("assertion did not refuse all rivals, want %q in:\n%s", want, o.stdout)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left in the temporary directory: %v", left)
	}
}

func TestRunKeepsTheTemporaryBooksOnRequest(t *testing.T) {
	dir := tempDir(t)
	o := ledger(t, t.Context(), small("-keep", "-strategies", "static")...)
	o.want(t, 0)
	kept, _ := filepath.Glob(filepath.Join(dir, "*", "ledger.db"))
	if len(kept) != 1 || !strings.Contains(o.stdout, kept[0]) {
		t.Errorf("kept %v, want one file, named in:\n%s", kept, o.stdout)
	}
}

func TestRunGoesOnWithBooksThatAreThere(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a book?&#%41.db") // all that means something in a DSN
	ledger(t, t.Context(), small("-db", path, "-strategies", "queue")...).want(t, 0)
	before := entries(t, path)
	ledger(t, t.Context(), "-duration", "50ms", "-db", path, "-strategies", "null").want(t, 0, "100 accounts")
	if after := entries(t, path); after <= before {
		t.Errorf("%d entries after the second run, want more than the %d before", after, before)
	}
	if all, err := os.ReadDir(dir); len(all) != 1 || all[0].Name() != filepath.Base(path) {
		t.Errorf("the directory holds %v (%v), want only %s", all, err, path)
	}
	ledger(t, t.Context(), "-accounts", "50", "-db", path).want(t, 2, "-accounts is 50, but", "has 100")
}

func entries(t *testing.T, path string) int {
	t.Helper()
	b, err := inspect(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return b.entries
}

func TestRunFailsOnTamperedBooks(t *testing.T) {
	for _, tamper := range []struct{ name, with, says string }{
		{"a balance", `UPDATE accounts SET balance = balance + 1 WHERE id = 7`, "account 7 has a balance of"},
		{"a lost entry", `DELETE FROM entries WHERE transfer = 3 AND amount > 0;
			UPDATE accounts SET balance = (SELECT sum(amount) FROM entries WHERE account = accounts.id)`,
			"transfer 3 has 1 entries"},
		{"a doubled entry", `DROP INDEX entries_by_transfer;
			INSERT INTO entries (account, transfer, amount, booked) SELECT account, transfer, 0, 0 FROM entries WHERE transfer = 3`,
			"transfer 3 has 4 entries"},
		{"a branch that is gone", `DELETE FROM branches WHERE id = 5`, "a row of accounts refers to one of branches"},
	} {
		t.Run(tamper.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "ledger.db")
			ledger(t, t.Context(), small("-db", path, "-strategies", "static")...).want(t, 0)
			execute(t, path, tamper.with)
			ledger(t, t.Context(), "-duration", "50ms", "-db", path).want(t, 1, errUnbalanced.Error(), tamper.says)
		})
	}
}

// execute changes books behind the program's back.
func execute(t *testing.T, path, text string) {
	t.Helper()
	db, err := sql.Open("sqlite3", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(text); err != nil {
		t.Fatal(err)
	}
}

func TestBankEnforcesForeignKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	ledger(t, t.Context(), small("-db", path, "-strategies", "static")...).want(t, 0)
	b, err := openBank(path, auditor())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.db.Exec(`INSERT INTO entries (account, amount, booked) VALUES (999, 1, 1)`); err == nil {
		t.Error("an entry was booked for an account that is not there")
	}
	if err := b.close(); err != nil {
		t.Error(err)
	}
}

func TestExpectFindsWhatTheWorkersDidNotDo(t *testing.T) {
	before := books{accounts: 10, entries: 100, money: 5000}
	for _, c := range []struct {
		name  string
		after books
		says  string // empty: all is well
	}{
		{"all written", books{accounts: 10, entries: 106, money: 5000}, ""},
		{"one transfer lost", books{accounts: 10, entries: 104, money: 5000}, "writes were lost"},
		{"one transfer doubled", books{accounts: 10, entries: 108, money: 5000}, "writes were doubled"},
		{"money gone", books{accounts: 10, entries: 106, money: 4999}, "5000 cents, and now there are 4999"},
		{"account gone", books{accounts: 9, entries: 106, money: 5000}, "10 accounts, and now there are 9"},
	} {
		err := c.after.expect(before, 3)
		if c.says == "" && err != nil {
			t.Errorf("%s: %v, want no error", c.name, err)
		}
		if c.says != "" && (!errors.Is(err, errUnbalanced) || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: error is %v, want errUnbalanced that says %q", c.name, err, c.says)
		}
	}
}

func TestRunRefusesWhatCannotWork(t *testing.T) {
	dir := t.TempDir()
	foreign := filepath.Join(dir, "foreign.db")
	execute(t, foreign, `CREATE TABLE t (x)`)
	text := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(text, []byte(strings.Repeat("no database\n", 100)), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"-strategies", "quue"}, `did you mean "queue"?`},
		{[]string{"-strategies", "queue?siz=5"}, `did you mean "size"?`},
		{[]string{"-strategies", "static,"}, "nothing between two commas"},
		{[]string{"-strategies", ""}, "nothing between two commas"},
		{[]string{"-accounts", "1"}, "-accounts is 1: give 2 to 10000000"},
		{[]string{"-accounts", "0"}, "-accounts is 0"},
		{[]string{"-goroutines", "0"}, "-goroutines is 0"},
		{[]string{"-duration", "-1s"}, "-duration is -1s"},
		{[]string{"-duration", "soon"}, `"soon"`},
		{[]string{"-nonsense"}, "-nonsense"},
		{[]string{"queue"}, `argument "queue"`},
		{[]string{"-db", filepath.Join(dir, "none", "x.db")}, "no such file or directory"},
		{[]string{"-db", filepath.Join(text, "x.db")}, "not a directory"},
		{[]string{"-db", dir}, "is not a file"},
		{[]string{"-db", foreign}, "not a ledger of this program"},
		{[]string{"-db", text}, "not a database"},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			o := ledger(t, t.Context(), c.args...)
			o.want(t, 2, "ledger: ", c.says)
			if o.stdout != "" {
				t.Errorf("stdout is %q, want nothing", o.stdout)
			}
		})
	}
	if n := strangeTables(t, foreign); n != 0 {
		t.Errorf("%d tables and indexes were added to a database of somebody else", n)
	}
}

func strangeTables(t *testing.T, path string) (n int) {
	t.Helper()
	db, err := sql.Open("sqlite3", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow(`SELECT count(*) FROM sqlite_master WHERE name <> 't'`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestRunWithoutTemporaryDirectorySaysWhatToDo(t *testing.T) {
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "none"))
	ledger(t, t.Context(), small()...).want(t, 2, "set TMPDIR, or give -db")
}

// The interrupt comes while the first strategy runs, as its first line of progress shows.
func TestInterruptEndsTheRunWithMarkedPartialResults(t *testing.T) {
	dir := tempDir(t)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	var stdout bytes.Buffer
	stderr := &trigger{on: "queue ", do: interrupt}
	start := time.Now()
	code := run(ctx, []string{"-accounts", "100", "-duration", "1m"}, &stdout, stderr)
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("the interrupt took effect after %v, want soon", took)
	}
	if code != 130 || !strings.Contains(stderr.String(), "ledger: interrupted") {
		t.Errorf("exit code is %d, want 130 and a word about it in:\n%s", code, stderr)
	}
	for _, want := range []string{"queue*", "partial", "4 of 5 strategies did not run"} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("want %q in:\n%s", want, &stdout)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left in the temporary directory: %v", left)
	}
}

func TestInterruptWhileBuildingRemovesHalfBuiltBooks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	stderr := &trigger{on: "build ", do: interrupt}
	if code := run(ctx, []string{"-accounts", "5000", "-db", path}, &bytes.Buffer{}, stderr); code != 130 {
		t.Errorf("exit code is %d, want 130; stderr:\n%s", code, stderr)
	}
	if left, _ := filepath.Glob(path + "*"); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// trigger is a buffer that does something once it has been written a certain text.
type trigger struct {
	bytes.Buffer
	on string
	do func()
}

func (w *trigger) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(w.on)) {
		w.do()
	}
	return w.Buffer.Write(p)
}

func TestOperationsThatFailAreCountedAndShown(t *testing.T) {
	tempDir(t)
	// Whoever finds the only seat taken fails at once, as this config says.
	o := ledger(t, t.Context(), small("-strategies", "queue?size=1&max_overflow=0&timeout=0s")...)
	o.want(t, 0)
	if !regexp.MustCompile(`operations? failed\. +The first error: `).MatchString(strings.Join(strings.Fields(o.stdout), " ")) {
		t.Errorf("the failed acquires are not told of in:\n%s", o.stdout)
	}
}
