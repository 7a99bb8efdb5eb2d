package replace_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/lidopool/lido/bench/internal/replace"
)

func text(s string) func(io.Writer) error {
	return func(w io.Writer) error { _, err := io.WriteString(w, s); return err }
}

func TestAFileIsWrittenAsAWholeOrNotAtAll(t *testing.T) {
	name := filepath.Join(t.TempDir(), "out")
	if err := os.WriteFile(name, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	err := replace.File(name, func(w io.Writer) error {
		io.WriteString(w, strings.Repeat("half", 1<<14))
		return broken
	})
	if !errors.Is(err, broken) {
		t.Errorf("error = %v, want %v", err, broken)
	}
	is(t, name, "old")
	if err := replace.File(name, text("new")); err != nil {
		t.Fatal(err)
	}
	is(t, name, "new")
}

func TestAFileKeepsItsModeAndItsPlace(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes and links are those of unix: run this there")
	}
	dir := t.TempDir()
	name, link := filepath.Join(dir, "out"), filepath.Join(dir, "link")
	if err := errors.Join(os.WriteFile(name, nil, 0o640), os.Chmod(name, 0o646), os.Symlink("out", link)); err != nil {
		t.Fatal(err)
	}
	if err := replace.File(link, text("new")); err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Lstat(name); info.Mode() != 0o646 {
		t.Errorf("mode = %v, want that of before", info.Mode())
	}
	if info, _ := os.Lstat(link); info.Mode().IsRegular() {
		t.Error("the link was replaced, and not the file")
	}
	if data, _ := os.ReadFile(name); string(data) != "new" {
		t.Errorf("content = %q, want that written through the link", data)
	}
}

func TestAPipeIsWrittenAsItGoes(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("what is open is read in /proc: run this on Linux")
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	name := "/proc/self/fd/" + strconv.Itoa(int(w.Fd()))
	if err := errors.Join(replace.Check(name), replace.File(name, text("through")), w.Close()); err != nil {
		t.Fatal(err)
	}
	if data, _ := io.ReadAll(r); string(data) != "through" {
		t.Errorf("the pipe got %q", data)
	}
}

func TestWhatCannotBeWrittenIsKnownBefore(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, says string }{
		{filepath.Join(dir, "missing", "out"), "missing"},
		{dir, "is a directory"},
		{filepath.Join(file, "out"), "not a directory"},
	} {
		for what, err := range map[string]error{"Check": replace.Check(c.name), "File": replace.File(c.name, text("x"))} {
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s(%s): %v, want an error with %q", what, c.name, err, c.says)
			}
		}
	}
	if err := errors.Join(replace.Check(file), replace.Check(filepath.Join(dir, "new"))); err != nil {
		t.Errorf("Check of what can be written: %v", err)
	}
	is(t, file, "old")
}

func TestWhatIsReadOnlyStaysSo(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may write everything: run this as another user")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("old"), 0o400); err != nil {
		t.Fatal(err)
	}
	if err := replace.Check(file); err == nil {
		t.Error("Check lets a read-only file be replaced")
	}
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	if err := replace.Check(filepath.Join(dir, "new")); err == nil {
		t.Error("Check lets a file be made in a read-only directory")
	}
}

// is checks the content of name, and that nothing lies beside it.
func is(t *testing.T, name, want string) {
	t.Helper()
	if got, err := os.ReadFile(name); err != nil || string(got) != want {
		t.Errorf("content = %.20q, %v, want %q", got, err, want)
	}
	if left, _ := os.ReadDir(filepath.Dir(name)); len(left) != 1 {
		t.Errorf("in the directory: %v, want one file", left)
	}
}
