package servertest

import (
	"cmp"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A binary is the program of a server, and where its libraries are if that is not where the
// system looks.
type binary struct {
	file      string
	libraries string
}

// sibling is another program beside b.
func (b binary) sibling(name string) binary {
	b.file = filepath.Join(filepath.Dir(b.file), name)
	return b
}

//go:embed places.txt
var places string

// find looks for a binary in PATH, then at its places, then at its places below the private prefix
// of internal/setup/servers.sh. Of several versions it takes the newest.
func find(name string) (binary, error) {
	if file, err := exec.LookPath(name); err == nil {
		// Where it really is: beside it stand the files that belong to it.
		file, err = filepath.EvalSymlinks(file)
		return binary{file: file}, err
	}
	if file := placed("", name); file != "" {
		return binary{file: file}, nil
	}
	if cache, err := os.UserCacheDir(); err == nil {
		prefix := filepath.Join(cache, "lido", "servers")
		if file := placed(prefix, name); file != "" {
			dirs, err := filepath.Glob(prefix + "/usr/lib/*-linux-*")
			more, _ := filepath.Glob(prefix + "/lib/*-linux-*")
			return binary{file, strings.Join(append(dirs, more...), ":")}, err
		}
	}
	return binary{}, missingError{name}
}

// placed returns the newest binary at the first place below prefix that has one, or nothing.
func placed(prefix, name string) string {
	for line := range strings.Lines(places) {
		pattern, ok := strings.CutPrefix(strings.TrimSpace(line), name+" ")
		if !ok {
			continue
		}
		files, _ := filepath.Glob(prefix + pattern)
		if len(files) > 0 {
			// 9 is before 15 because it is shorter.
			return slices.MaxFunc(files, func(a, b string) int {
				return cmp.Or(len(a)-len(b), strings.Compare(a, b))
			})
		}
	}
	return ""
}

// A missingError says that a server is not installed.
type missingError struct{ name string }

func (e missingError) Error() string {
	return fmt.Sprintf("no %s on this machine: `make setup` installs it or says how to get it", e.name)
}

// missing ends a test that has no server.
func missing(t testing.TB, err error) {
	t.Helper()
	if _, ok := err.(missingError); ok && os.Getenv("LIDO_STRICT") != "1" {
		t.Skip(err)
	}
	t.Fatal(err)
}
