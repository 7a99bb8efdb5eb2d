//go:build cgo

package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/mattn/go-sqlite3"

	"github.com/lidopool/lido/backends/sqlite"
)

func TestOpenLaysDefaultsUnderTheDSN(t *testing.T) {
	c := connect(t, conns(t, file(t)))
	wantQuery(t, c, "PRAGMA journal_mode", "wal")
	wantQuery(t, c, "PRAGMA busy_timeout", "5000")
	wantQuery(t, c, "PRAGMA synchronous", "1")
	wantQuery(t, c, "PRAGMA foreign_keys", "0")
}

func TestOpenLetsTheDSNOverrideTheDefaults(t *testing.T) {
	c := connect(t, conns(t, file(t)+"?_journal=DELETE&_timeout=123&_fk=1"))
	wantQuery(t, c, "PRAGMA journal_mode", "delete")
	wantQuery(t, c, "PRAGMA busy_timeout", "123")
	wantQuery(t, c, "PRAGMA synchronous", "2") // FULL, without WAL
	wantQuery(t, c, "PRAGMA foreign_keys", "1")
}

func TestBeginTakesTheWriteLockUnlessTheDSNSaysOtherwise(t *testing.T) {
	for txlock, want := range map[string]sqlite3.ErrNo{"immediate": sqlite3.ErrBusy, "deferred": 0} {
		b := conns(t, file(t)+"?_timeout=0&_txlock="+txlock)
		first, second := connect(t, b), connect(t, b)
		exec(t, first, "CREATE TABLE t(x)")
		if _, err := first.Begin(); err != nil {
			t.Fatal(err)
		}
		_, err := second.Begin()
		var got sqlite3.Error
		if errors.As(err, &got); got.Code != want {
			t.Errorf("%s: a second BEGIN answered %v, want code %d", txlock, err, want)
		}
	}
}

func TestOpenReadsAPathLiterallyAndAURIDecoded(t *testing.T) {
	dir := t.TempDir()
	for dsn, name := range map[string]string{
		"/100% #x.db":                 "100% #x.db",
		"/%61.db":                     "%61.db",
		"file:" + "/b%20%3Fc%2523.db": "b ?c%23.db",
		"/d+e.db":                     "d+e.db",
	} {
		full := filepath.Join(dir, dsn)
		if rest, ok := strings.CutPrefix(dsn, "file:"); ok {
			full = "file:" + dir + rest
		}
		exec(t, connect(t, conns(t, full)), "CREATE TABLE t(x)")
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Errorf("DSN %q did not create %q: %v", dsn, name, err)
		}
	}
}

func TestOpenReadsADatabaseThatMayNotBeWritten(t *testing.T) {
	path := file(t)
	w := conns(t, path+"?_journal=DELETE")
	exec(t, connect(t, w), "CREATE TABLE t(x); INSERT INTO t VALUES (1)")
	for _, p := range []string{"mode=ro", "immutable=1", "nolock=1", "_query_only=1"} {
		b := conns(t, path+"?"+p)
		c := connect(t, b)
		if _, err := c.Begin(); err != nil {
			t.Errorf("%s: begin: %v", p, err)
		}
		wantQuery(t, c, "SELECT count(*) FROM t", "1")
		if err := b.Reset(t.Context(), c); err != nil {
			t.Errorf("%s: reset: %v", p, err)
		}
	}
}

func TestOpenByManyAtOnceCreatesTheDatabaseOnce(t *testing.T) {
	for range 30 { // the collision is rare: about one open in 200
		b := conns(t, file(t))
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				c, err := b.Open(context.Background())
				if err != nil {
					t.Error(err)
					return
				}
				if err := b.Close(context.Background(), c); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
}

func TestOpenFailsWithTheNameOfTheDatabaseAndARemedy(t *testing.T) {
	dir := t.TempDir()
	garbage := filepath.Join(dir, "garbage.db")
	if err := os.WriteFile(garbage, []byte(strings.Repeat("no database ", 400)), 0o600); err != nil {
		t.Fatal(err)
	}
	closed := filepath.Join(dir, "closed")
	if err := os.Mkdir(closed, 0o500); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		closed = "/proc/self" // permissions do not bind root; this file system does
	}
	locked := filepath.Join(dir, "locked.db")
	exec(t, connect(t, conns(t, locked+"?_journal=DELETE")), "CREATE TABLE t(x); BEGIN EXCLUSIVE")
	rollbackOnly := filepath.Join(dir, "ro.db")
	exec(t, connect(t, conns(t, rollbackOnly+"?_journal=DELETE")), "CREATE TABLE t(x)")

	for _, tt := range []struct {
		name, dsn, remedy string
		code              sqlite3.ErrNo
	}{
		{"missing directory", filepath.Join(dir, "no", "x.db"), "directory must exist", sqlite3.ErrCantOpen},
		{"read-only directory", filepath.Join(closed, "x.db"), "be writable", sqlite3.ErrCantOpen},
		{"a directory", dir, "directory must exist", sqlite3.ErrCantOpen},
		{"must exist", filepath.Join(dir, "new.db") + "?mode=rw", "directory must exist", sqlite3.ErrCantOpen},
		{"garbage", garbage, "another kind of file", sqlite3.ErrNotADB},
		{"locked", locked + "?_timeout=10&_auth_pass=s3cret", "_busy_timeout", sqlite3.ErrBusy},
		{"read-only", rollbackOnly + "?mode=ro&_journal=WAL", "say mode=ro", sqlite3.ErrReadonly},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := conns(t, tt.dsn).Open(t.Context())
			if err == nil {
				c.Close()
				t.Fatal("Open succeeded")
			}
			e, _ := errors.AsType[sqlite3.Error](err)
			path, _, _ := strings.Cut(tt.dsn, "?")
			path = escaped(path)
			text := err.Error()
			if e.Code != tt.code || !strings.HasPrefix(text, "sqlite: open file:"+path+"?") || !strings.Contains(text, tt.remedy) {
				t.Errorf("got code %d and %q, want code %d, the path %s and %q", e.Code, err, tt.code, path, tt.remedy)
			}
			if strings.Contains(text, "s3cret") {
				t.Errorf("the error shows a secret: %v", err)
			}
		})
	}
}

func TestOpenReturnsTheCauseOfAnEndedContext(t *testing.T) {
	cause := errors.New("too late")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if c, err := conns(t, file(t)).Open(ctx); c != nil || !errors.Is(err, cause) {
		t.Errorf("got (%v, %v), want the cause", c, err)
	}
}

func TestOpenCallsTheDriversConnectHook(t *testing.T) {
	calls := 0
	b, err := sqlite.Backend{Driver: &sqlite3.SQLiteDriver{ConnectHook: func(c *sqlite3.SQLiteConn) error {
		calls++
		return c.RegisterFunc("twice", func(x int64) int64 { return 2 * x }, true)
	}}}.Conns(sqlite.Memory(t.Name()))
	if err != nil {
		t.Fatal(err)
	}
	wantQuery(t, connect(t, b), "SELECT twice(21)", "42")
	if calls != 1 {
		t.Errorf("the hook was called %d times, want once", calls)
	}
}

func TestBackendsWithTheSameSettingsAreEqual(t *testing.T) {
	d := &sqlite3.SQLiteDriver{}
	var a, b any = sqlite.Backend{Driver: d}, sqlite.Backend{Driver: d}
	if a != b {
		t.Error("two equal backends compare as different")
	}
}

func TestOpenRefusesAWrongResetMode(t *testing.T) {
	b := sqlite.Backend{Reset: "undo"}
	_, typed := b.Conns(file(t))
	_, plain := sqlite.Backend{}.Open(file(t), "undo")
	for _, err := range []error{typed, plain} {
		if err == nil || !strings.Contains(fmt.Sprint(err), `reset mode is "undo"`) {
			t.Errorf("got %v, want an error that names the mode", err)
		}
	}
}

func TestConnsPrintsNoSecret(t *testing.T) {
	dsn := file(t) + "?_auth_user=u&_auth_pass=s3cret"
	plain, err := sqlite.Backend{}.Open(dsn, "")
	if err != nil {
		t.Fatal(err)
	}
	c := conns(t, dsn)
	for _, b := range []any{c, *c, plain, struct{ hidden sqlite.Conns }{*c}, []sqlite.Conns{*c}, map[string]any{"x": *c}, sqlite.Conns{}} {
		for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
			text := fmt.Sprintf(format, b)
			if strings.Contains(text, "s3cret") || strings.Contains(text, fmt.Sprintf("%x", "s3cret")) {
				t.Errorf("%s of a %T shows the password: %s", format, b, text)
			}
		}
	}
	if got, want := fmt.Sprintf("%v", *c), c.String(); got != want || !strings.Contains(got, "_auth_pass=xxxxx") {
		t.Errorf("a value is shown as %s, want %s", got, want)
	}
	if got, want := fmt.Sprintf("%#v", *c), fmt.Sprintf("%#v", c); got != want {
		t.Errorf("%%#v of a value is %s, want %s", got, want)
	}
}
