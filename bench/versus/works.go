package main

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/lidopool/lido/bench/internal/load"
)

// A crowd is who asks for how many seats, and what they do with them.
type crowd struct {
	name       string
	goroutines int
	seats      int
	procs      int    // GOMAXPROCS. 0: what the machine has
	during     func() // what a holder does
	after      func() // what a goroutine does before it comes again
	measure    func(context.Context, *crowd, subject, pace) (sample, error)
	slower     time.Duration // how many times as long its windows are as those of others
	about      string        // what one op is
}

// hold is during, as a subject wants it.
func (c *crowd) hold(context.Context, load.Conn) error {
	c.during()
	return nil
}

// A work is a crowd under a fairness. Peers that know but one fairness are measured once for
// the works of a crowd.
type work struct {
	name    string
	crowd   *crowd
	bounded bool
}

// works are all that are measured, in the order of the report.
var works = func() (all []work) {
	for _, c := range crowds {
		if !strings.HasPrefix(c.name, "contended") {
			all = append(all, work{c.name, c, false})
			continue
		}
		all = append(all, work{c.name + "-strict", c, false}, work{c.name + "-bounded", c, true})
	}
	return all
}()

var crowds = []*crowd{{
	name: "single", goroutines: 1, seats: 10, measure: cycles,
	about: "1 goroutine, 10 seats; an op is to acquire, use and release",
}, {
	name: "parallel", goroutines: 2, seats: 64, procs: 2, measure: cycles,
	about: "2 goroutines on 2 processors, 64 seats; an op is to acquire, use and release",
}, {
	name: "parallel-8", goroutines: 8, seats: 64, procs: 8, measure: cycles,
	about: "8 goroutines, GOMAXPROCS 8, 64 seats; an op is to acquire, use and release",
},
	contended("contended", 64, 10),
	contended("contended-1024x2", 1024, 2),
	contended("contended-1024x10", 1024, 10),
	contended("contended-1024x64", 1024, 64),
	{
		name: "hold-1ms", goroutines: 50, seats: 2, measure: visits, slower: 3,
		during: func() { time.Sleep(time.Millisecond) }, after: func() { spin(time.Millisecond) },
		about: "50 goroutines on 2 seats; a holder sleeps 1 ms, and computes 1 ms after it released",
	}, {
		name: "cancel", goroutines: 10_000, seats: 2, measure: cancelled,
		about: "10,000 wait for 2 seats that are held and are cancelled at once; an op is one of them, ns/op a share of the time until the last returned",
	}}

func contended(name string, goroutines, seats int) *crowd {
	return &crowd{
		name: name, goroutines: goroutines, seats: seats, measure: visits, slower: 1,
		during: runtime.Gosched, after: func() {},
		about: fmt.Sprintf("%d goroutines on %d seats; a holder yields the processor once", goroutines, seats),
	}
}

// spin computes for d.
func spin(d time.Duration) {
	for start := time.Now(); time.Since(start) < d; {
	}
}

// about is what one op is, and how Lido serves those who wait, where that makes a difference.
func (w work) about() string {
	switch {
	case w.name == w.crowd.name:
		return w.crowd.about
	case w.bounded:
		return w.crowd.about + "; Lido's fairness is bounded"
	}
	return w.crowd.about + "; Lido's fairness is strict"
}

func workNames() []string {
	names := make([]string, len(works))
	for i, w := range works {
		names[i] = w.name
	}
	return names
}
