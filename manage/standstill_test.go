package manage_test

import (
	"errors"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/pool"
)

// untilIn waits, in real time, for a goroutine to be in a function: who has a lock of database/sql tells it in no other way.
func untilIn(t *testing.T, function string) {
	t.Helper()
	buf := make([]byte, 1<<20)
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if strings.Contains(string(buf[:runtime.Stack(buf, true)]), function) {
			return
		}
	}
	t.Fatalf("nobody is in %s", function)
}

// When a statement is closed database/sql takes the lock of its proxies once more, to forget it there, after it has closed it.
func TestWithAProxyThatHadAStatementNobodyWaitsForLong(t *testing.T) {
	const query = "pool_size=1&pool_max_overflow=0&pool_timeout=5s"
	db, m := openFake(t, &fakeDriver{}, query)
	if err := prepare(t, db).Close(); err != nil {
		t.Fatal(err)
	}
	other, err := m.OpenDB("fake", "x?"+query) // of the same pool
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	served := make(chan error, 1)
	onConns(t, other, 1, func() {
		go func() { _, err := db.Exec("ok"); served <- err }() // with the proxy that had it
		untilIn(t, "manage.(*connector).Connect")              // which has no lock
	})
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// Where database/sql's opener makes the next proxy, what was waited before is counted at its first use, and then over.
func TestWhatWasWaitedInOneCallIsNotTakenFromTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const query = "pool_size=1&pool_max_overflow=0&pool_timeout=1s"
		db, m := openFake(t, &fakeDriver{}, query)
		m.LikeOutsideABubble()
		db.SetMaxOpenConns(1)
		other, err := m.OpenDB("fake", "x?"+query) // of the same pool
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		s := prepare(t, db)
		var all sync.WaitGroup
		for range 160 { // the line moves for 0.8 s
			all.Go(func() {
				c, err := other.Conn(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				time.Sleep(5 * time.Millisecond)
				_ = c.Close()
			})
		}
		synctest.Wait()
		stays := make(chan struct{})
		all.Go(func() { // and then it stands still
			c, err := other.Conn(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			<-stays
			_ = c.Close()
		})
		synctest.Wait()
		calls, results := make(chan struct{}), make(chan error)
		go func() {
			for range calls {
				_, err := s.Exec()
				results <- err
			}
		}()
		calls <- struct{}{} // by the proxy of the statement, the only one
		synctest.Wait()
		all.Go(func() { // waits for a proxy, gets the next, and gives that up
			c, err := db.Conn(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = c.ExecContext(t.Context(), "bad")
			_ = c.Close()
		})
		time.Sleep(850 * time.Millisecond)
		close(stays)
		if err := <-results; err != nil {
			t.Fatalf("the first call: %v", err)
		}
		all.Wait()
		hold, err := other.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		calls <- struct{}{}
		err = <-results
		if took := time.Since(began); !errors.Is(err, pool.ErrTimeout) || took != time.Second {
			t.Errorf("the next call: %v after %v, want a time-out after 1s", err, took)
		}
		close(calls)
		_ = hold.Close()
	})
}

// Who waits has a seat for an open of its own, which fails: what it waits for is the closer's connection.
func TestClosingAStatementDoesNotWaitForAnOpenThatFails(t *testing.T) {
	down := atomic.Bool{}
	d := &fakeDriver{openErr: func(string) error {
		if down.Load() {
			return errors.New("no room")
		}
		return nil
	}}
	const query = "pool_size=3&pool_max_overflow=0&pool_timeout=5s&pool_on_open_failure=wait"
	db, m := openFake(t, d, query)
	other, err := m.OpenDB("fake", "x?"+query)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	waited := make(chan error, 1)
	onConns(t, db, 1, func() {
		closing, used := prepare(t, db), prepare(t, db) // by another proxy
		onConns(t, other, 1, func() {                   // now both connections are held, and a third cannot be opened
			down.Store(true)
			go func() { _, err := used.Exec(); waited <- err }()
			untilIn(t, "strategies.(*line).wait")
			finishes(t, 2*time.Second, "Stmt.Close by a holder, while an open fails again and again", func() {
				if err := closing.Close(); err != nil {
					t.Error(err)
				}
			})
		})
		if err := <-waited; err != nil {
			t.Errorf("who waited: %v", err)
		}
		_ = used.Close()
	})
}

// What it waited before, for another proxy, counts for pool_timeout and in the error also where it waits for an open.
func TestWhatWasWaitedCountsWhereAnOpenIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := false
		d := &fakeDriver{openErr: func(string) error {
			if slow {
				time.Sleep(5 * time.Second)
			}
			return nil
		}}
		const query = "pool_size=8&pool_max_overflow=0&pool_timeout=1s&pool_opens_at_once=1"
		db, m := openFake(t, d, query)
		m.LikeOutsideABubble()
		s, err := db.Prepare("nap")
		if err != nil {
			t.Fatal(err)
		}
		other, err := m.OpenDB("fake", "x?"+query)
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		var all sync.WaitGroup
		for range 3 { // three proxies, all with the statement
			all.Go(func() { _, _ = s.Exec() })
		}
		all.Wait()
		onConns(t, other, d.opens(), func() {
			slow = true
			all.Go(func() { _, _ = other.Exec("ok") }) // has the one open that there may be at once
			synctest.Wait()
			began := time.Now()
			_, err := s.Exec()
			took := time.Since(began)
			var a *pool.AcquireError
			if !errors.As(err, &a) || took != time.Second || a.Waited != took {
				t.Errorf("%v after %v, want a time-out that says it waited 1s, after as long", err, took)
			}
		})
		all.Wait()
	})
}
