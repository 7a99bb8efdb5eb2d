//go:build cgo

package main

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3"
)

// Real time is needed, as SQLite's locks know no other; it is waited for a table, and for the end of the program.
func TestAScenarioThatIsEndedTellsWhatItLeavesBehind(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	db, err := sql.Open("sqlite3", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	client, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	exec := func(text string) {
		t.Helper()
		if _, err := client.ExecContext(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	exec("PRAGMA user_version = 1") // so that there is a file, which is not deleted
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan call, 1)
	go func() {
		ended <- lidobench(ctx, "scenario", "outage", "--strategy", "queue", "--backend", "sqlite:"+path+"?_busy_timeout=1")
	}()
	full := func() bool {
		var rows int
		err := client.QueryRowContext(t.Context(), "SELECT count(*) FROM lidobench").Scan(&rows)
		return err == nil && rows > 0
	}
	for until := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		if full() {
			// The backend is opened twice: at first only to see whether it can be, and its table may be gone again by now.
			if _, err := client.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err == nil {
				if full() {
					break
				}
				exec("ROLLBACK")
			}
		}
		if time.Now().After(until) {
			t.Fatal("there is no table")
		}
	}
	cancel()
	got := <-ended
	exec("ROLLBACK")
	if got.code == 0 || got.code == 130 || !strings.Contains(got.stderr, "left behind: table lidobench") || !strings.Contains(got.stderr, "locked") {
		t.Errorf("a table that cannot be dropped: exit code %d, %q; want another than 130, and a word about it", got.code, got.stderr)
	}
}

// A lateEnd is a ctx that ends when it has been asked for its error so often: that is, in an open, in its last moment.
type lateEnd struct {
	context.Context
	end   func()
	asked atomic.Int64
	most  int64
}

func (c *lateEnd) Err() error {
	if c.asked.Add(1) > c.most {
		c.end()
	}
	return c.Context.Err()
}

func TestAnOpenThatIsInterruptedLeavesNothingBehindWheneverThatIs(t *testing.T) {
	for most := range int64(200) {
		temporary := t.TempDir()
		t.Setenv("TMPDIR", temporary)
		ctx, cancel := context.WithCancel(t.Context())
		late := &lateEnd{Context: ctx, end: cancel, most: most}
		b, err := openBackend(late, "sqlite")
		cancel()
		if err == nil {
			if err := b.Close(); err != nil {
				t.Error(err)
			}
			if most == 0 {
				t.Error("it was not interrupted")
			}
			break
		}
		if !errors.Is(err, errInterrupted) {
			t.Errorf("interrupted at the %d. look: %v", most+1, err)
		}
		if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
			t.Errorf("interrupted at the %d. look: left behind: %v, %v", most+1, left, err)
		}
	}
}
