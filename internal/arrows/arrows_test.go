// Package arrows keeps the layers of the project true: an arrow is an import,
// and there is no arrow that the table below does not draw. The picture is in
// docs/architecture.md.
//
// It reads the source of every file that is not a test, whatever its build
// tags, so a forbidden import cannot hide behind another platform. Tests may
// import what they like: they are nobody's dependency.
package arrows

import (
	"bytes"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/lidopool/lido"

// A rule says what the packages of a directory may import besides the standard
// library. "x/..." is x and everything below it; "..." is everything.
type rule struct {
	dir    string
	ours   []string // directories of this module
	theirs []string // import paths of other modules; "C" is cgo
	why    string
}

// The arrows. The first row that matches a directory is its rule; a directory
// without a row is an error, so that a new one gets its place on purpose. An
// exception is a row of its own, above the row it departs from.
var rules = []rule{{
	dir: "pool", ours: nil, theirs: nil,
	why: "the life of a resource needs the standard library only: whoever imports pool gets nothing else",
}, {
	dir: "pool/...", ours: list("pool"), theirs: nil,
	why: "what lies below pool extends pool and nothing else",
}, {
	dir: "strategies/...", ours: list("pool", "strategies/...", "internal/..."), theirs: nil,
	why: "a strategy lends seats; it knows no resource, no backend and no other library",
}, {
	dir: "backends/backendtest", ours: list("pool", "pool/pooltest", "backends/...", "internal/..."), theirs: nil,
	why: "the test kit of database backends begins with that of all backends",
}, {
	dir: "backends/...", ours: list("pool", "backends/...", "internal/..."), theirs: list("..."),
	why: "a backend knows its driver and the pool; who waits for which seat is not its business",
}, {
	dir:  "manage/...",
	ours: list("pool", "strategies/...", "backends/...", "manage/...", "internal/..."), theirs: list("golang.org/x/sync/..."),
	why: "manage is the only place where names meet types; drivers come to it through backends",
}, {
	dir: "internal/...", ours: list("internal/..."), theirs: nil,
	why: "internal packages lie below all layers, so that every layer but pool may use them",
}, {
	dir: "examples/...", ours: list("..."), theirs: list("..."),
	why: "an example shows what a user would write",
}, {
	dir: "bench/internal/result/...", ours: list("bench/internal/result", "bench/internal/replace"), theirs: nil,
	why: "a result is what all others write and read, and knows none of them",
}, {
	dir: "bench/internal/load", ours: list("bench/internal/result", "internal/settings"), theirs: list("github.com/HdrHistogram/hdrhistogram-go"),
	why: "what measures must not know what it measures: no pool, no strategy, no database",
}, {
	dir: "bench/internal/trial", ours: list("bench/internal/load", "bench/internal/result", "bench/internal/words"), theirs: nil,
	why: "who compares knows pools as subjects only, so that peers are compared by the same rules",
}, {
	dir: "bench/internal/words", ours: list("bench/internal/result"), theirs: nil,
	why: "what shows a result needs nothing but the result",
}, {
	dir: "bench/internal/text", ours: list("bench/internal/compare", "bench/internal/result", "bench/internal/words"), theirs: nil,
	why: "what shows a result needs nothing but the result",
}, {
	dir: "bench/internal/page", ours: list("bench/internal/trial", "bench/internal/result", "bench/internal/words"), theirs: nil,
	why: "what shows a result needs nothing but the result, and the progress of a run",
}, {
	dir: "bench/...", ours: list("..."), theirs: list("..."),
	why: "a benchmark may measure everything",
}}

func list(dirs ...string) []string { return dirs }

func TestEveryImportIsAnArrowOfTheDesign(t *testing.T) {
	seen := 0
	eachImport(t, func(file, dir, imported string) {
		seen++
		r, ok := ruleOf(dir)
		if !ok {
			t.Errorf("%s: directory %s has no rule: say in internal/arrows which layer it belongs to", file, dir)
			return
		}
		if to, allowed := r.allows(imported); !allowed {
			t.Errorf("%s: forbidden arrow %s -> %s\n\trule:  %s may import %s\n\tbecause %s",
				file, dir, to, r.dir, r, r.why)
		}
	})
	if seen == 0 {
		t.Fatal("no import was found: this test looks in the wrong place")
	}
}

// A package that imports testing registers its flags in every program that
// uses it.
func TestOnlyTestKitsImportTesting(t *testing.T) {
	eachImport(t, func(file, dir, imported string) {
		first, _, _ := strings.Cut(imported, "/")
		if first == "testing" && !strings.HasSuffix(dir, "test") {
			t.Errorf("%s: forbidden arrow %s -> %s\n\trule:  only a package whose name ends in test may import testing\n\tbecause programs that use the package would get the testing flags",
				file, dir, imported)
		}
	})
}

// The promise of pool, kept the hard way: a program outside this module that
// imports pool is built from an empty module cache and without a network.
func TestWhoeverImportsPoolDownloadsNothing(t *testing.T) {
	root := rootOf(t)
	dir := t.TempDir()
	write(t, dir, "go.mod", "module example.com/user\n\ngo 1.26\n\nrequire "+module+
		" v0.0.0\n\nreplace "+module+" => "+strconv.Quote(root)+"\n")
	write(t, dir, "main.go", "package main\n\nimport _ "+strconv.Quote(module+"/pool")+"\n\nfunc main() {}\n")

	cmd := exec.Command("go", "list", "-mod=mod", "-deps",
		"-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=", "GOPROXY=off", "GOSUMDB=off", "GOMODCACHE="+t.TempDir())
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("a program that imports only pool cannot be built without downloading: %v\n%s", err, stderr.Bytes())
	}
	got := strings.Fields(string(out))
	want := []string{module + "/pool", "example.com/user"}
	if !slices.Equal(got, want) {
		t.Errorf("packages outside the standard library in a program that imports only pool:\n\tgot  %v\n\twant %v", got, want)
	}
}

func TestRulesMatchAsTheyRead(t *testing.T) {
	for _, c := range []struct {
		dir, imports string
		allowed      bool
	}{
		{"pool", "context", true},
		{"pool", module + "/strategies", false},
		{"pool", module + "/internal/x", false},
		{"pool", "golang.org/x/sync/semaphore", false},
		{"pool", "C", false},
		{"pool/pooltest", module + "/pool", true},
		{"pool/pooltest", module + "/strategies", false},
		{"pooling", "context", false}, // no row: not a directory of the design
		{"strategies", module + "/pool", true},
		{"strategies", module + "/pool/pooltest", false},
		{"strategies", module + "/backends/sqlite", false},
		{"strategies", module + "/internal/x", true},
		{"backends/sqlite", "github.com/mattn/go-sqlite3", true},
		{"backends/sqlite", "C", true},
		{"backends/sqlite", module + "/manage", false},
		{"backends/sqlite", module + "/strategies", false},
		{"manage", "golang.org/x/sync/singleflight", true},
		{"manage", "golang.org/x/syncmap", false},
		{"manage", "github.com/mattn/go-sqlite3", false},
		{"manage", module + "/bench", false},
		{"internal/x", module + "/pool", false},
		{"examples/ledger", module + "/manage", true},
	} {
		r, ok := ruleOf(c.dir)
		if ok {
			_, ok = r.allows(c.imports)
		}
		if ok != c.allowed {
			t.Errorf("%s -> %s: allowed = %v, want %v", c.dir, c.imports, ok, c.allowed)
		}
	}
}

func ruleOf(dir string) (rule, bool) {
	i := slices.IndexFunc(rules, func(r rule) bool { return matches(r.dir, dir) })
	if i < 0 {
		return rule{}, false
	}
	return rules[i], true
}

// allows reports whether the import is an arrow of r, and its short name: the
// directory if it is ours.
func (r rule) allows(imported string) (to string, ok bool) {
	if dir, ours := strings.CutPrefix(imported, module+"/"); ours {
		return dir, matchesAny(r.ours, dir)
	}
	first, _, _ := strings.Cut(imported, "/")
	if imported != "C" && !strings.Contains(first, ".") {
		return imported, true // the standard library: no domain in its paths
	}
	return imported, matchesAny(r.theirs, imported)
}

func (r rule) String() string {
	names := append(list("the standard library"), r.ours...)
	for _, p := range r.theirs {
		if p == "..." {
			p = "any other module"
		}
		names = append(names, p)
	}
	return strings.Join(names, ", ")
}

func matchesAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, name) })
}

func matches(pattern, name string) bool {
	if pattern == "..." {
		return true
	}
	if top, below := strings.CutSuffix(pattern, "/..."); below {
		return name == top || strings.HasPrefix(name, top+"/")
	}
	return name == pattern
}

// eachImport calls f for every import of every Go file that is not a test.
// The directory and the file are slash-separated and relative to the root.
func eachImport(t *testing.T, f func(file, dir, imported string)) {
	t.Helper()
	root := rootOf(t)
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		// The go command does not look into these either.
		if base := d.Name(); d.IsDir() && name != root &&
			(base == "testdata" || base == "vendor" || base[0] == '.' || base[0] == '_') {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		tree, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range tree.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			f(rel, path.Dir(rel), imported)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func rootOf(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Fatalf("the root of the module is not two levels above this test: %v", err)
	}
	return root
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}
