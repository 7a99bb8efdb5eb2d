package main

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/lidopool/lido/pool"
)

const ms = time.Millisecond

// scenario is a bad moment for a pool.
type scenario struct {
	name    string
	about   string
	setting string

	dial       time.Duration // what a connection takes to set up
	keep, most int           // connections that stay open while idle, and in all
	options    pool.Options  // Lido's

	columns []string
	// run makes the moment happen and fills in the columns. The error says which promise of Lido's is broken;
	// no time is among them, since machines may be busy.
	run    func(ctx context.Context, c contender) (cells []string, broken error)
	lesson string
}

var scenarios = []scenario{
	{
		name:    "spike",
		about:   "50 callers come at once",
		setting: "Connecting takes 150 ms, each uses its connection for 2 ms, 5 may stay open, 50 in all.",
		dial:    150 * ms, keep: 5, most: 50,
		columns: []string{"longest wait", "connections made", "open at once", "open at the end"},
		run:     spike,
		lesson: "With Lido a caller takes what comes first, a new connection or one that is given back, and\n" +
			"four are made at a time. With database/sql each of the 50 makes its own.",
	},
	{
		name:    "down",
		about:   "the server is down for a second, and 500 callers do not give up",
		setting: "It refuses after 5 ms. Each caller waits for 100 ms, then tries again, until it is served once.",
		dial:    5 * ms, keep: 5, most: 50,
		options: pool.Options{OpensAtOnce: 2, OpenInterval: 20 * ms, BackoffMax: 250 * ms},
		columns: []string{"connects tried", "at once", "served after it was back"},
		run:     down,
		lesson: "Lido looks whether the server is back with one connect at a time, and waits longer from one to\n" +
			"the next, 250 ms at most. The others in line are told, and cost the server nothing.",
	},
	{
		name:    "cancelled",
		about:   "callers without patience",
		setting: "Connecting takes 100 ms. A caller comes every 30 ms, 20 in all, and each gives up after 20 ms.",
		dial:    100 * ms, keep: 5, most: 5,
		columns: []string{"callers served", "connections tried"},
		run:     cancelled,
		lesson: "With Lido connecting belongs to the pool: it goes on when the caller gives up, and serves the\n" +
			"next one. With database/sql it is the caller's, and ends with it, each time.",
	},
	{
		name:    "saturation",
		about:   "10,000 callers wait in vain, and give up at the same moment",
		setting: "All 10 connections are held. After 300 ms all waiters are out of time; then one is given back.",
		dial:    ms, keep: 10, most: 10,
		columns: []string{"timed out", "served too late", "the last one left after", "the next caller waited"},
		run:     saturation,
		lesson: "Nobody gets a connection after its time, none is lost, and whoever comes next is served. Each of\n" +
			"Lido's errors says how long the caller waited, and how busy the pool was.",
	},
}

// crowd starts n callers at once and waits for them.
func crowd(n int, caller func()) {
	var all sync.WaitGroup
	for range n {
		all.Go(caller)
	}
	all.Wait()
}

// longest is the longest of some times.
type longest struct {
	mu sync.Mutex
	d  time.Duration
}

func (l *longest) saw(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.d = max(l.d, d)
}

func spike(ctx context.Context, c contender) ([]string, error) {
	var wait longest
	begin := time.Now()
	crowd(50, func() {
		back, err := c.get(ctx)
		if err != nil {
			return
		}
		wait.saw(time.Since(begin))
		_ = sleep(ctx, 2*ms)
		back()
	})
	_ = sleep(ctx, 300*ms) // for connections under way that nobody waits for any more
	var dials int
	var open high
	c.server.count(func() { dials, open = c.server.dials, c.server.open })
	cells := []string{short(wait.d), strconv.Itoa(dials), strconv.Itoa(open.most), strconv.Itoa(open.now)}
	if open.now > 6 {
		return cells, fmt.Errorf("%d connections are open at the end, want at most 6", open.now)
	}
	return cells, nil
}

func down(ctx context.Context, c contender) ([]string, error) {
	c.server.down = true
	var mu sync.Mutex
	var back, served time.Time // when the server was, and when somebody was first
	over := time.AfterFunc(time.Second, func() {
		mu.Lock()
		defer mu.Unlock()
		c.server.count(func() { c.server.down = false })
		back = time.Now()
	})
	defer over.Stop()
	crowd(500, func() {
		for ctx.Err() == nil {
			patience, cancel := context.WithTimeout(ctx, 100*ms)
			done, err := c.get(patience)
			cancel()
			if err != nil {
				continue
			}
			mu.Lock()
			if served.IsZero() {
				served = time.Now()
			}
			mu.Unlock()
			done()
			return
		}
	})
	mu.Lock()
	defer mu.Unlock()
	var dials int
	var dialing high
	c.server.count(func() { dials, dialing = c.server.dials, c.server.dialing })
	cells := []string{strconv.Itoa(dials), strconv.Itoa(dialing.most), short(served.Sub(back))}
	if dialing.most > 2 {
		return cells, fmt.Errorf("%d connects were tried at once, want at most 2", dialing.most)
	}
	return cells, nil
}

func cancelled(ctx context.Context, c contender) ([]string, error) {
	served := 0
	next := time.NewTicker(30 * ms)
	defer next.Stop()
	for range 20 {
		patience, cancel := context.WithTimeout(ctx, 20*ms)
		back, err := c.get(patience)
		cancel()
		if err == nil {
			served++
			back()
		}
		<-next.C
	}
	var dials int
	c.server.count(func() { dials = c.server.dials })
	cells := []string{fmt.Sprintf("%d of 20", served), strconv.Itoa(dials)}
	if served == 0 {
		return cells, fmt.Errorf("no caller was served, want the pool to become warm")
	}
	return cells, nil
}

func saturation(ctx context.Context, c contender) ([]string, error) {
	const callers = 10_000
	var held []func()
	for range 10 {
		back, err := c.get(ctx)
		if err != nil {
			return nil, err
		}
		held = append(held, back)
	}
	patience, cancel := context.WithTimeout(ctx, 300*ms)
	defer cancel()
	deadline, _ := patience.Deadline()
	var left longest
	var mu sync.Mutex
	late := 0
	crowd(callers, func() {
		back, err := c.get(patience)
		left.saw(time.Since(deadline))
		if err == nil {
			mu.Lock()
			late++
			mu.Unlock()
			back()
		}
	})
	held[0]()
	begin := time.Now()
	back, err := c.get(ctx)
	waited := time.Since(begin)
	cells := []string{fmt.Sprintf("%d of %d", callers-late, callers), strconv.Itoa(late), short(left.d), short(waited)}
	if err != nil {
		return cells, err
	}
	back()
	for _, back := range held[1:] {
		back()
	}
	if late > 0 {
		return cells, fmt.Errorf("%d callers were served although every connection was held", late)
	}
	return cells, nil
}

// short writes a time in the unit that is easy to read.
func short(d time.Duration) string {
	if d < ms {
		return d.Round(time.Microsecond).String()
	}
	return d.Round(ms).String()
}
