package replace

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// Check says why File could not write name, as far as that can be known before: the directory is missing or closed
// to us, name is a directory, or a file that we may not write. It changes nothing.
func Check(name string) error {
	place, err := find(name)
	if err != nil || place.direct {
		return err
	}
	if place.exists {
		// To rename over a file takes no right to write it; but who took that right away meant it.
		f, err := os.OpenFile(place.name, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		f.Close()
	}
	f, err := beside(place.name, 0o600)
	if err != nil {
		return err
	}
	f.Close()
	return os.Remove(f.Name())
}

// File writes what write writes to name. A file that is there keeps its mode; if it is reached through a symbolic
// link it is replaced where it lies. If anything fails it stays as it was, and nothing else is left behind.
// What is no file, such as a pipe or a terminal, is written as it goes.
func File(name string, write func(io.Writer) error) error {
	place, err := find(name)
	if err != nil {
		return err
	}
	if place.direct {
		f, err := os.OpenFile(place.name, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return errors.Join(buffered(f, write), f.Close())
	}
	f, err := beside(place.name, place.mode)
	if err != nil {
		return err
	}
	err = buffered(f, write)
	if err == nil && place.exists {
		err = f.Chmod(place.mode) // which the umask has cut
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), place.name)
	}
	if err != nil {
		os.Remove(f.Name())
		return err
	}
	if dir, err := os.Open(filepath.Dir(place.name)); err == nil {
		dir.Sync() // not every file system can; the content is safe, it is the name that may be the old one's
		dir.Close()
	}
	return nil
}

func buffered(w io.Writer, write func(io.Writer) error) error {
	b := bufio.NewWriter(w)
	if err := write(b); err != nil {
		return err
	}
	return b.Flush()
}

// A place is where a file is to be written.
type place struct {
	name   string // links are followed
	exists bool
	direct bool // it is no file that could be replaced
	mode   fs.FileMode
}

func find(name string) (place, error) {
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Stat(filepath.Dir(name)); err != nil {
			return place{}, err
		}
		return place{name: name, mode: 0o666}, nil
	case err != nil:
		return place{}, err
	case info.IsDir():
		return place{}, fmt.Errorf("%s is a directory; name a file", name)
	case !info.Mode().IsRegular():
		return place{name: name, exists: true, direct: true}, nil
	}
	real, err := filepath.EvalSymlinks(name)
	return place{name: real, exists: true, mode: info.Mode().Perm()}, err
}

// beside makes a new file in the directory of name.
func beside(name string, mode fs.FileMode) (*os.File, error) {
	for {
		beside := filepath.Join(filepath.Dir(name), fmt.Sprintf(".%s-%08x", filepath.Base(name), rand.Uint32()))
		f, err := os.OpenFile(beside, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
		if !errors.Is(err, fs.ErrExist) {
			return f, err
		}
	}
}
