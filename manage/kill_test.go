package manage_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lidopool/lido/backends/backendtest"
	"github.com/lidopool/lido/backends/servertest"
	"github.com/lidopool/lido/pool"
)

// What the kill tests run on.
const (
	workers  = 64
	most     = 10                     // connections
	giveUp   = 500 * time.Millisecond // what a transaction of a worker may take where a server says nothing
	silence  = time.Second            // for how long: longer than that
	recovery = 5 * time.Second        // until ten transactions in a row go well again; generous: no pause of a pool's is longer than 1 s
)

// fate is what a worker was told of its transaction.
type fate int

const (
	failed    fate = iota // before its commit: nothing of it may be there
	doubtful              // by its commit: it may be there, or not
	committed             // it must be there
)

// Books hold what workers were told of each transaction.
type books struct {
	insert string
	alone  string       // both parts by one statement, which commits by itself: what every second transaction is, unless empty
	giveUp atomic.Int64 // what a transaction may take, in nanoseconds
	next   atomic.Int64

	mu    sync.Mutex
	fates map[int64]fate
	told  []telling
	errs  map[string]int
}

type telling struct {
	at   time.Time
	good bool
}

// work makes transactions, each with a number of its own, until stop is closed.
func (b *books) work(db *sql.DB, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		id := b.next.Add(1)
		do := b.transaction
		if b.alone != "" && id%2 == 0 {
			do = b.statement
		}
		f, err := do(db, id)
		b.mu.Lock()
		b.fates[id] = f
		b.told = append(b.told, telling{time.Now(), f == committed})
		if err != nil {
			b.errs[err.Error()]++
		}
		b.mu.Unlock()
	}
}

func (b *books) transaction(db *sql.DB, id int64) (fate, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(b.giveUp.Load()))
	defer cancel()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return failed, err
	}
	for part := range 2 {
		if _, err := tx.ExecContext(ctx, b.insert, id, part); err != nil {
			_ = tx.Rollback() // the connection may be gone
			return failed, err
		}
	}
	if err := tx.Commit(); err != nil {
		return doubtful, err
	}
	return committed, nil
}

// statement is a transaction of one statement, which commits by itself.
func (b *books) statement(db *sql.DB, id int64) (fate, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(b.giveUp.Load()))
	defer cancel()
	_, err := db.ExecContext(ctx, b.alone, id)
	switch _, unopened := errors.AsType[*pool.OpenError](err); {
	case err == nil:
		return committed, nil
	case unopened:
		return failed, err
	}
	return doubtful, err
}

func (b *books) count(f fate) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, got := range b.fates {
		if got == f {
			n++
		}
	}
	return n
}

// recovered returns how long after back the first transaction went well, and how long until ten in a row had.
func (b *books) recovered(back time.Time) (first, ten time.Duration) {
	b.mu.Lock()
	told := slices.Clone(b.told)
	b.mu.Unlock()
	row := 0
	for _, t := range told {
		switch {
		case t.at.Before(back):
		case !t.good:
			row = 0
		default:
			if row++; first == 0 {
				first = t.at.Sub(back)
			}
			if row == 10 {
				return first, t.at.Sub(back)
			}
		}
	}
	return first, 0
}

// compare compares what workers were told with what is in the database.
func (b *books) compare(t *testing.T, admin *sql.DB) {
	t.Helper()
	rows, err := admin.Query("SELECT id, COUNT(*), COUNT(DISTINCT part) FROM ledger GROUP BY id")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	there := map[int64]bool{}
	for rows.Next() {
		var id, n, parts int64
		if err := rows.Scan(&id, &n, &parts); err != nil {
			t.Fatal(err)
		}
		there[id] = true
		if n != 2 || parts != 2 {
			t.Errorf("transaction %d: %d rows of %d kinds, want 2 of 2", id, n, parts)
		}
		if f, known := b.fates[id]; !known || f == failed {
			t.Errorf("transaction %d is there, of which its worker was told that it failed before the commit", id)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	for id, f := range b.fates {
		if f == committed && !there[id] {
			t.Errorf("transaction %d is lost, of which its worker was told that it was committed", id)
		}
	}
}

// A census counts sessions, as the server does.
type census struct {
	max, peak int
	over      time.Duration // for how long there were more than max at most, without a break
}

// take counts until stop is closed. While the server does not answer there is nothing to count.
func (c *census) take(k database, admin *sql.DB, dsn string, stop <-chan struct{}) {
	query := "SELECT COUNT(*) FROM (" + fmt.Sprintf(k.sessions, nameIn(dsn)) + ") s"
	var since time.Time
	for tick := time.NewTicker(5 * time.Millisecond); ; {
		select {
		case <-stop:
			tick.Stop()
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(context.Background(), silence)
		var n int
		err := admin.QueryRowContext(ctx, query).Scan(&n)
		cancel()
		switch {
		case err != nil || n <= c.max:
			since = time.Time{}
		case since.IsZero():
			since = time.Now()
		default:
			c.over = max(c.over, time.Since(since))
		}
		if err == nil {
			c.peak = max(c.peak, n)
		}
	}
}

// A scene is what an accident happens to.
type scene struct {
	k     database
	s     *servertest.Server
	proxy *backendtest.Proxy // between the pool and s
	admin *sql.DB            // in another database
	dsn   string
}

// accidents are what may happen to a server, or on the way to it. Each returns when it is over, with
// how many sessions were ended at most; negative: all, again and again.
var accidents = []struct {
	name   string
	silent bool // nobody hears of it
	happen func(t *testing.T, x scene) (ended int)
}{
	{"OneSessionIsTerminated", false, func(t *testing.T, x scene) int {
		mustExec(t, x.admin, fmt.Sprintf(x.k.kill, x.k.sessionsOf(t, x.admin, x.dsn)[0]))
		return 1
	}},
	{"AllSessionsAreTerminated", false, func(t *testing.T, x scene) int { return x.k.killAll(t, x.admin, x.dsn) }},
	{"KilledAndRestarted", false, func(t *testing.T, x scene) int { x.s.Kill(); x.s.Start(); return -1 }},
	{"Restarted", false, func(t *testing.T, x scene) int { x.s.Stop(); x.s.Start(); return -1 }},
	{"Frozen", true, func(t *testing.T, x scene) int { x.s.Freeze(); time.Sleep(silence); x.s.Thaw(); return -1 }},
	{"HalfOpen", true, func(t *testing.T, x scene) int { x.proxy.HalfOpen(); time.Sleep(silence); x.proxy.Heal(); return -1 }},
	{"BlackHole", true, func(t *testing.T, x scene) int { x.proxy.BlackHole(); time.Sleep(silence); x.proxy.Heal(); return -1 }},
	{"Reset", false, func(t *testing.T, x scene) int { x.proxy.Reset(); return most }},
}

// 64 goroutines on 10 connections write while it happens. Nothing that was committed is lost or told to have failed,
// nothing that failed is there, nothing is there twice, the server never sees more than 10 sessions, and soon all is well.
func TestNoAccidentOfAServerLosesOrDoublesARow(t *testing.T) {
	eachDatabase(t, func(t *testing.T, k database) {
		s := k.own(t)
		for _, a := range accidents {
			t.Run(a.name, func(t *testing.T) {
				dsn := s.Database(t)
				admin, owner := k.plain(t, s.DSN()), k.plain(t, dsn)
				mustExec(t, owner, "CREATE TABLE ledger (id BIGINT, part INT)") // without a key, so that a row can be there twice
				if err := owner.Close(); err != nil {
					t.Fatal(err)
				}
				proxy := backendtest.NewProxy(t, s.Addr())
				through := servertest.Redirect(dsn, proxy.Addr())
				m, db := k.open(t, through, fmt.Sprintf("pool_size=%d&pool_max_overflow=0", most))

				b := &books{insert: k.insert, fates: map[int64]fate{}, errs: map[string]int{}}
				b.giveUp.Store(int64(patience))
				c := &census{max: most}
				stop := make(chan struct{})
				end := sync.OnceFunc(func() { close(stop) })
				defer end() // also if the test gives up: nobody must go on into the next one
				var busy, counting sync.WaitGroup
				for range workers {
					busy.Go(func() { b.work(db, stop) })
				}
				counting.Go(func() { c.take(k, k.plain(t, s.DSN()), dsn, stop) })
				until(t, "work is going on", func() bool { return b.count(committed) > 200 })
				if n := b.count(failed) + b.count(doubtful); n != 0 && !a.silent {
					t.Errorf("%d transactions failed before anything happened", n)
				}

				if a.silent { // from now on only, lest a machine that is busy makes as much trouble as the accident
					b.giveUp.Store(int64(giveUp))
					begun := b.next.Load()
					until(t, "all have begun another transaction", func() bool { return b.next.Load() >= begun+2*workers })
				}
				start := time.Now()
				ended := a.happen(t, scene{k, s, proxy, admin, dsn})
				back := time.Now()
				b.giveUp.Store(int64(patience))
				if ended >= 0 { // nobody was away
					back = start
				}
				var first, ten time.Duration
				until(t, "ten transactions in a row go well", func() bool {
					first, ten = b.recovered(back)
					return ten > 0
				})
				if ten > recovery {
					t.Errorf("ten transactions in a row went well %v after the server was back, want %v at most", ten, recovery)
				}
				after := b.count(committed)
				until(t, "work goes on", func() bool { return b.count(committed) > after+200 })
				end()
				busy.Wait()
				counting.Wait()

				k.atRest(t, m, through, most)
				if err := m.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
				until(t, "the server has ended all sessions", func() bool { return len(k.sessionsOf(t, admin, dsn)) == 0 })
				b.compare(t, k.plain(t, dsn))
				t.Logf("the first transaction after %v, ten in a row after %v; committed %d, doubtful %d, failed %d; at most %d sessions, more than %d for %v",
					first.Round(time.Millisecond), ten.Round(time.Millisecond), b.count(committed), b.count(doubtful), b.count(failed), c.peak, most, c.over)
				if bad := b.count(failed) + b.count(doubtful); ended >= 0 && bad > ended {
					t.Errorf("%d transactions failed, want no more than the %d sessions that ended", bad, ended)
				}
				// A server notices after an instant that a connection was closed.
				if c.over > time.Second {
					t.Errorf("the server counted more than %d sessions for %v", most, c.over)
				}
				if t.Failed() {
					for text, n := range b.errs {
						t.Logf("%5d × %s", n, text)
					}
				}
			})
		}
	})
}
