package target

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/lidopool/lido/backends/sqlite"
)

// ours is the table in a file that somebody names. It has one name, so that what a run that was killed has
// left behind is known for what it is.
const ours = "lidobench"

// openOwnSQLite makes a database in a file of its own. params are those of a DSN.
func openOwnSQLite(ctx context.Context, params string) (*database, error) {
	dir, err := os.MkdirTemp("", "lidobench-")
	if err != nil {
		return nil, fmt.Errorf("target: sqlite: %w: make TMPDIR a directory that can be written", err)
	}
	remove := func() error { return os.RemoveAll(dir) }
	dsn := fileDSN(filepath.Join(dir, "bench.db")) + "?" + params
	b, err := sqlite.Backend{}.Open(dsn, "")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("target: %w", err), remove())
	}
	d := &database{name: "sqlite", backend: b, table: ours, remove: remove}
	if err := d.start(ctx); err != nil {
		return nil, err
	}
	return d, nil
}

// openSQLite opens a database that somebody names. A file that is not there is made, and deleted at
// Close; one that is must have no tables but ours.
func openSQLite(ctx context.Context, dsn string) (*database, error) {
	b, err := sqlite.Backend{}.Open(dsn, "")
	if err != nil {
		return nil, fmt.Errorf("target: %w", err)
	}
	path, params, err := locate(dsn)
	if err != nil {
		return nil, fmt.Errorf("target: %w", err)
	}
	d := &database{name: "sqlite:" + filepath.Base(path), backend: b, table: ours}
	switch {
	case path == ":memory:":
		return nil, errors.New("target: sqlite: each connection to :memory: has a database of its own: give sqlite:memdb:name, sqlite:file.db, or sqlite for a file that is deleted at the end")
	case params.Get("vfs") != "": // in memory, or wherever it may be
	default:
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			d.remove = func() error { return removeFile(path) }
		} else if err := vacate(ctx, path); err != nil {
			return nil, err
		}
	}
	if err := d.start(ctx); err != nil {
		return nil, err
	}
	return d, nil
}

// vacate makes sure that a file may be used, and drops what an earlier run has left in it. It
// changes nothing in a file that is somebody else's.
func vacate(ctx context.Context, path string) error {
	name := filepath.Base(path)
	// Read-only at first: a plain open would change the journal mode.
	others, err := inFile(ctx, fileDSN(path)+"?mode=ro", "SELECT count(*) FROM sqlite_master WHERE tbl_name <> '"+ours+"'", "")
	switch {
	case err != nil:
		return fmt.Errorf("target: sqlite:%s: %w", name, err)
	case others > 0:
		return fmt.Errorf("target: sqlite:%s has tables of somebody's: give a file that does not exist yet, or sqlite alone", name)
	}
	if _, err := inFile(ctx, fileDSN(path), "SELECT 1", "DROP TABLE IF EXISTS "+ours); err != nil {
		return fmt.Errorf("target: sqlite:%s: %w", name, err)
	}
	return nil
}

// inFile asks a database for a number, and executes a text if there is one.
func inFile(ctx context.Context, dsn, ask, text string) (n int, err error) {
	b, err := sqlite.Backend{}.Open(dsn, "")
	if err != nil {
		return 0, err
	}
	c, err := b.Open(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, b.Close(ctx, c)) }()
	if n, err = count(ctx, c, ask); err == nil && text != "" {
		err = exec(ctx, c, text)
	}
	return n, err
}

func fileDSN(path string) string {
	file := url.URL{Path: filepath.ToSlash(path)}
	return "file:" + file.EscapedPath()
}

// locate is where the database of a DSN is: its path, and its parameters.
func locate(dsn string) (path string, params url.Values, err error) {
	canonical, err := sqlite.Backend{}.Canonical(dsn)
	if err != nil {
		return "", nil, err
	}
	path, query, _ := strings.Cut(strings.TrimPrefix(canonical, "file:"), "?")
	if path, err = url.PathUnescape(path); err != nil {
		return "", nil, err
	}
	if path == "" { // a temporary file, of its own for each connection too
		path = ":memory:"
	}
	params, err = url.ParseQuery(query)
	return path, params, err
}

func removeFile(path string) error {
	var errs []error
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		if err := os.Remove(path + suffix); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
