package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"sync"
	"testing"
	"time"

	"github.com/jackc/puddle/v2"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/strategies"
)

// A spike: 50 callers come at once. The figures are in docs/performance.md.
const (
	spikeCallers = 50
	spikeDial    = 150 * time.Millisecond
	spikeUse     = 2 * time.Millisecond
	spikeKeep    = 5
	spikeMost    = 50
)

// spikeServer is what all connect to. It counts.
type spikeServer struct {
	mu                  sync.Mutex
	dials               int
	dialing, mostDialed int
	open, mostOpen      int // from the beginning of the dial
}

func (s *spikeServer) count(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// connect takes its time, really: how pools fare when opening does is what is measured.
func (s *spikeServer) connect() *spikeConn {
	s.count(func() {
		s.dials++
		s.dialing++
		s.open++
		s.mostDialed, s.mostOpen = max(s.mostDialed, s.dialing), max(s.mostOpen, s.open)
	})
	time.Sleep(spikeDial) // real time, as the peers have it: puddle is compared, not proven
	s.count(func() { s.dialing-- })
	return &spikeConn{server: s}
}

// spikeConn is a connection, also for database/sql.
type spikeConn struct {
	server *spikeServer
	sqlConn
}

func (c *spikeConn) Close() error {
	c.server.count(func() { c.server.open-- })
	return nil
}

// spikeConnector is the server as database/sql wants to see it.
type spikeConnector struct{ *spikeServer }

func (c spikeConnector) Connect(context.Context) (driver.Conn, error) { return c.connect(), nil }
func (c spikeConnector) Driver() driver.Driver                        { return nil }

// spikePeers are pools before a server. get acquires, and tells how to give back.
var spikePeers = []struct {
	name string
	make func(*spikeServer) (get func(context.Context) (back func(), err error), end func(), err error)
}{
	{"lido", func(s *spikeServer) (func(context.Context) (func(), error), func(), error) {
		p, err := pool.New(pool.Funcs[*spikeConn]{
			OpenFunc:  func(context.Context) (*spikeConn, error) { return s.connect(), nil },
			CloseFunc: (*spikeConn).Close,
		}, strategies.Queue{Size: spikeKeep, MaxOverflow: spikeMost - spikeKeep}, pool.Options{})
		return func(ctx context.Context) (func(), error) {
			l, err := p.Acquire(ctx)
			return func() { _ = l.Release() }, err
		}, func() { _ = p.Close() }, err
	}},
	{"puddle", func(s *spikeServer) (func(context.Context) (func(), error), func(), error) {
		p, err := puddle.NewPool(&puddle.Config[*spikeConn]{ // it has no limit of what stays open
			Constructor: func(context.Context) (*spikeConn, error) { return s.connect(), nil },
			Destructor:  func(c *spikeConn) { _ = c.Close() },
			MaxSize:     spikeMost,
		})
		return func(ctx context.Context) (func(), error) {
			r, err := p.Acquire(ctx)
			if err != nil {
				return nil, err
			}
			return r.Release, nil
		}, func() { p.Close() }, err
	}},
	{"database-sql", func(s *spikeServer) (func(context.Context) (func(), error), func(), error) {
		db := sql.OpenDB(spikeConnector{s})
		db.SetMaxOpenConns(spikeMost)
		db.SetMaxIdleConns(spikeKeep)
		return func(ctx context.Context) (func(), error) {
			c, err := db.Conn(ctx)
			return func() { _ = c.Close() }, err
		}, func() { _ = db.Close() }, nil
	}},
}

// TestSpike prints what each pool makes of a spike. It fails only if Lido breaks its word, and no
// time is part of that: the machine may be busy.
func TestSpike(t *testing.T) {
	ms := func(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
	t.Logf("%-7s %-14s %12s %9s %7s %14s %15s", "", "pool", "longest wait", "all done", "opened", "open at once", "open at the end")
	for _, idle := range []int{0, spikeKeep} {
		for _, peer := range spikePeers {
			s := new(spikeServer)
			get, end, err := peer.make(s)
			if err != nil {
				t.Fatal(err)
			}
			var warm []func()
			for range idle {
				back, err := get(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				warm = append(warm, back)
			}
			for _, back := range warm {
				back()
			}
			var mu sync.Mutex
			var longest time.Duration
			var group sync.WaitGroup
			begin := time.Now()
			for range spikeCallers {
				group.Go(func() {
					back, err := get(t.Context())
					if err != nil {
						t.Errorf("%s: %v", peer.name, err)
						return
					}
					mu.Lock()
					longest = max(longest, time.Since(begin))
					mu.Unlock()
					time.Sleep(spikeUse) // what a user does with it
					back()
				})
			}
			group.Wait()
			total := time.Since(begin)
			time.Sleep(2 * spikeDial) // for opens under way that nobody waits for
			s.count(func() {
				t.Logf("%d idle  %-14s %12v %9v %7d %14d %15d", idle, peer.name, ms(longest), ms(total), s.dials, s.mostOpen, s.open)
				if peer.name == "lido" && (s.open > 6 || s.mostDialed > 4) {
					t.Errorf("%d are open at the end, and %d were opened at once, want at most 6, and 4", s.open, s.mostDialed)
				}
			})
			end()
		}
	}
}
