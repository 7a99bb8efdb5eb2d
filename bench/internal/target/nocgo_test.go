//go:build !cgo

package target_test

import (
	"os"
	"strings"
	"testing"

	"github.com/lidopool/lido/bench/internal/target"
)

func TestSQLiteWithoutCgoSaysWhatToDo(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	for _, text := range []string{"sqlite", "sqlite:file.db"} {
		if _, err := target.Open(t.Context(), text); err == nil || !strings.Contains(err.Error(), "CGO_ENABLED=1") {
			t.Errorf("%s: %v; want what to install and set", text, err)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("%v are left behind", left)
	}
}

func TestRealDatabases(t *testing.T) {
	const remedy = "the tests on real databases need SQLite, and so cgo: install a C compiler " +
		"(Debian, Ubuntu: apt-get install gcc libc6-dev) and set CGO_ENABLED=1"
	if os.Getenv("LIDO_STRICT") == "1" {
		t.Fatal(remedy)
	}
	t.Skip(remedy)
}
