//go:build !cgo

package sqlite_test

import (
	"os"
	"strings"
	"testing"

	"github.com/lidopool/lido/backends/sqlite"
)

func TestSQLiteItself(t *testing.T) {
	_, err := sqlite.Open("x.db")
	if os.Getenv("LIDO_STRICT") == "1" {
		t.Fatalf("the tests against SQLite were not built, and LIDO_STRICT=1 wants them: %v", err)
	}
	t.Skipf("the tests against SQLite were not built: %v", err)
}

func TestOpenWithoutCgoSaysWhatToDo(t *testing.T) {
	_, err := sqlite.Open("x.db")
	_, managed := sqlite.Backend{}.Open("x.db", "")
	for _, err := range []error{err, managed} {
		if err == nil || !strings.Contains(err.Error(), "CGO_ENABLED=1") {
			t.Errorf("got %v, want an error that says what to install and set", err)
		}
	}
}
