package manage_test

import (
	"database/sql"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lidopool/lido/manage"
)

// collected runs the garbage collector until done reports true.
func collected(t *testing.T, done func() bool) {
	t.Helper()
	for range 500 {
		runtime.GC()
		if done() {
			return
		}
		time.Sleep(2 * time.Millisecond) // clean-ups run on a goroutine of the runtime's
	}
	t.Error("nothing came back")
}

// lockedText is a log that can be read while it is written.
type lockedText struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func droppedStats(m *manage.Manager) (dropped uint64, inUse int) {
	for _, s := range m.All() {
		dropped, inUse = dropped+s.Dropped, inUse+s.InUse
	}
	return dropped, inUse
}

func TestAConnDroppedWithoutCloseComesBack(t *testing.T) {
	for policy, live := range map[string]int{"discard": 0, "keep": 1} {
		var log lockedText
		d := &fakeDriver{t: t}
		m := newManager(t, manage.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if _, err := m.Wrap("fake", d); err != nil {
			t.Fatal(err)
		}
		drop := func() {
			if _, err := m.Connect(t.Context(), "fake", "x?pool_stacks=true&pool_dropped="+policy); err != nil {
				t.Fatal(err)
			}
		}
		drop()
		collected(t, func() bool { n, inUse := droppedStats(m); return n == 1 && inUse == 0 })
		if d.live() != live {
			t.Errorf("%s: %d connections are open, want %d", policy, d.live(), live)
		}
		for !strings.Contains(log.String(), "dropped without Close") {
			time.Sleep(time.Millisecond) // it is logged after it has come back
		}
		if !strings.Contains(log.String(), "TestAConnDropped") {
			t.Errorf("%s: the log does not tell where it was acquired: %s", policy, log.String())
		}
	}
}

func TestADroppedConnIsNotTakenFromItsRows(t *testing.T) {
	d := &fakeDriver{}
	m := withFake(t, d)
	query := func() *sql.Rows {
		c, err := m.Connect(t.Context(), "fake", "x")
		if err != nil {
			t.Fatal(err)
		}
		rows, err := c.QueryContext(t.Context(), "rows 3")
		if err != nil {
			t.Fatal(err)
		}
		return rows
	}
	rows := query()
	for range 20 {
		runtime.GC()
		time.Sleep(time.Millisecond) // gives a wrong return the time to happen
	}
	if n, inUse := droppedStats(m); n != 0 || inUse != 1 {
		t.Errorf("while rows are open %d came back, %d are in use", n, inUse)
	}
	n := 0
	for rows.Next() {
		n++
	}
	if err := rows.Err(); err != nil || n != 3 {
		t.Errorf("%d rows, %v", n, err)
	}
	collected(t, func() bool { n, inUse := droppedStats(m); return n == 1 && inUse == 0 })
}

func TestAConnThatWasClosedIsNotCountedAsDropped(t *testing.T) {
	m := withFake(t, &fakeDriver{})
	for i := range 3 {
		c, err := m.Connect(t.Context(), "fake", "x?pool_strategy=queue")
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			err = c.Conn.Close() // past the Conn
		} else {
			err = c.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 10 {
		runtime.GC()
		time.Sleep(time.Millisecond) // gives a wrong return the time to happen: clean-ups run outside any bubble
	}
	if n, _ := droppedStats(m); n != 0 {
		t.Errorf("%d were counted as dropped", n)
	}
}

func TestIgnoredDropsStayOut(t *testing.T) {
	m := withFake(t, &fakeDriver{})
	if _, err := m.Connect(t.Context(), "fake", "x?pool_dropped=ignore"); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		runtime.GC()
		time.Sleep(time.Millisecond) // gives a wrong return the time to happen: clean-ups run outside any bubble
	}
	if n, inUse := droppedStats(m); n != 0 || inUse != 1 {
		t.Errorf("%d came back, %d are in use", n, inUse)
	}
}

func TestConnectFailsAsItsPoolDoes(t *testing.T) {
	d := &fakeDriver{}
	m := withFake(t, d)
	if _, err := m.Connect(t.Context(), "none", "x"); err == nil {
		t.Error("an unknown backend was taken")
	}
	if _, err := m.Connect(t.Context(), "fake", "x?pool_size=x"); err == nil {
		t.Error("a wrong setting was taken")
	}
	d.openErr = func(string) error { return errWrong }
	if _, err := m.Connect(t.Context(), "fake", "x"); err == nil {
		t.Error("a failed open gave no error")
	}
}
