package arrows

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const faults = 70 // there are so many in docs/faults.md

var (
	faultRow  = regexp.MustCompile(`^\| (\d+) \| (.+) \| (.+) \| (.+) \|$`)
	testNamed = regexp.MustCompile("`([a-z/]+)\\.(Test[A-Za-z0-9]+)`")
	testFunc  = regexp.MustCompile(`(?m)^func (Test[A-Za-z0-9_]+)\(`)
	numbered  = regexp.MustCompile(`^TestFault(\d\d)`)
)

// A table of tests that have been renamed since would be worth nothing.
func TestEveryFaultHasItsRowAndEveryTestInItExists(t *testing.T) {
	root := rootOf(t)
	tests := testsOf(t, root)
	text, err := os.ReadFile(filepath.Join(root, "docs/faults.md"))
	if err != nil {
		t.Fatal(err)
	}
	next := 1
	listed := make(map[string]string) // the tests of a row
	for line := range strings.Lines(string(text)) {
		row := faultRow.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if row == nil {
			continue
		}
		if row[1] != strconv.Itoa(next) {
			t.Errorf("docs/faults.md: row %s stands where %d should", row[1], next)
		}
		next++
		named := testNamed.FindAllStringSubmatch(row[4], -1)
		if len(named) == 0 && !strings.Contains(row[4], "does not apply: ") && !strings.Contains(row[4], "pending") {
			t.Errorf("docs/faults.md: fault %s names no test, and no reason why it does not apply", row[1])
		}
		for _, n := range named {
			test := n[1] + "." + n[2]
			listed[test] += row[1] + " "
			if !tests[test] {
				t.Errorf("docs/faults.md: fault %s: there is no test %s", row[1], test)
			}
		}
	}
	if next != faults+1 {
		t.Errorf("docs/faults.md has rows 1 to %d, want 1 to %d", next-1, faults)
	}
	for test := range tests {
		_, name, _ := strings.Cut(test, ".")
		if no := numbered.FindStringSubmatch(name); no != nil && !strings.Contains(" "+listed[test], " "+strings.TrimPrefix(no[1], "0")+" ") {
			t.Errorf("docs/faults.md: the row of fault %s does not name %s", no[1], test)
		}
	}
}

// testsOf are the tests of this module, each as directory.TestName.
func testsOf(t *testing.T, root string) map[string]bool {
	t.Helper()
	tests := make(map[string]bool)
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != root && strings.HasPrefix(d.Name(), "."):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		for _, f := range testFunc.FindAllSubmatch(text, -1) {
			tests[path.Dir(filepath.ToSlash(rel))+"."+string(f[1])] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tests
}
