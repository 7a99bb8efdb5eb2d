package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/strategies"
)

func TestPercentilesAreMeasuredTimes(t *testing.T) {
	var hundred []time.Duration
	for i := range 100 {
		hundred = append(hundred, time.Duration(100-i))
	}
	for _, c := range []struct {
		sample []time.Duration
		part   float64
		want   time.Duration
	}{
		{hundred, 0.5, 50},
		{hundred, 0.99, 99},
		{hundred, 1, 100},
		{hundred, 0, 1},
		{[]time.Duration{7}, 0.99, 7},
		{[]time.Duration{3, 1, 2}, 0.5, 2},
		{nil, 0.5, 0},
	} {
		if got := newTimes(c.sample).at(c.part); got != c.want {
			t.Errorf("at(%v) of %d times is %d, want %d", c.part, len(c.sample), got, c.want)
		}
	}
}

func TestNumbersAreShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 ns", 999: "999 ns", 1000: "1.00 µs", 12_340: "12.3 µs", 999_900: "1000 µs",
		123 * time.Millisecond: "123 ms", 2500 * time.Millisecond: "2.50 s",
	} {
		if got := short(d); got != want {
			t.Errorf("short(%d ns) is %q, want %q", d, got, want)
		}
	}
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := count(n); got != want {
			t.Errorf("count(%d) is %q, want %q", n, got, want)
		}
	}
}

// sample is a result with so many operations in a second, and times of the sizes given.
func sample(kind string, operations int, acquire, read, write time.Duration) result {
	return result{
		config: strategies.Config{Kind: kind}, limits: pool.Limits{Seats: 4}, goroutines: 8,
		elapsed: time.Second, operations: operations, opens: 4, peak: 4,
		acquire: times{acquire}, read: times{read}, write: times{write},
	}
}

func TestLessonsFollowTheFigures(t *testing.T) {
	const ms = time.Millisecond
	queue, static := sample("queue", 1000, 2*ms, ms, 7*ms), sample("static", 500, 0, 3*ms, 4*ms)
	failing := sample("queue", 0, 0, 0, 0)
	failing.firstError = errors.New("no more")
	roomy := sample("singleton", 10, 2*ms, ms, 7*ms)
	roomy.limits.Seats = 8
	wary := sample("static", 500, 0, 3*ms, 9*ms)
	for _, c := range []struct {
		name    string
		of      result
		among   []result
		says    []string
		saysNot []string
	}{
		{"the fastest", queue, []result{queue, static}, []string{"The fastest here", "8 goroutines shared 4 seats; 20 % of"}, []string{"It did"}},
		{"the slower one", static, []result{queue, static}, []string{"50 % of the operations of queue", "p99 4.00 ms, not 7.00 ms"}, []string{"fastest"}},
		{"slow writes on one connection", wary, []result{queue, wary}, nil, []string{"slowest writes"}},
		{"alone", queue, []result{queue}, nil, []string{"fastest", "It did"}},
		{"enough seats", roomy, []result{roomy}, []string{"a seat for each of 8 goroutines"}, []string{"shared"}},
		{"all failed", failing, []result{failing}, []string{"No operation succeeded", "no more"}, nil},
	} {
		text := lesson(named([]result{c.of})[0], named(c.among))
		for _, s := range c.says {
			if !strings.Contains(text, s) {
				t.Errorf("%s: %q, want it to say %q", c.name, text, s)
			}
		}
		for _, s := range c.saysNot {
			if strings.Contains(text, s) {
				t.Errorf("%s: %q, want it not to say %q", c.name, text, s)
			}
		}
	}
}

func TestStrategiesOfOneKindAreNamedInFull(t *testing.T) {
	a, b := sample("queue", 1, 1, 1, 1), sample("queue", 1, 1, 1, 1)
	a.config.Size, b.config.Size = 1, 2
	b.partial = true
	text := report([]result{a, b, sample("static", 1, 1, 1, 1)}, 3)
	for _, want := range []string{" queue?size=1&", " queue?size=2&", "* interrupted", " static "} {
		if !strings.Contains(text, want) {
			t.Errorf("want %q in:\n%s", want, text)
		}
	}
}

func TestProgressInPlainLinesIsNotMoreThanOneASecond(t *testing.T) {
	var out strings.Builder
	p := newProgress(&out)
	for range 100 {
		p.step("build", "rows")
	}
	p.done("build", "done")
	if got := strings.Count(out.String(), "\n"); got != 2 {
		t.Errorf("%d lines, want one for the steps and one for the end:\n%s", got, &out)
	}
	if strings.ContainsAny(out.String(), "\r\x1b") {
		t.Errorf("plain lines hold control characters: %q", &out)
	}
}

func TestProgressOnATerminalWritesOverItsLine(t *testing.T) {
	var out strings.Builder
	p := &progress{w: &out, live: true}
	p.step("build", "1 row")
	p.step("build", "2 rows")
	p.done("build", "done")
	if got := out.String(); strings.Count(got, "\n") != 1 || strings.Count(got, "\r\x1b[K") != 3 {
		t.Errorf("got %q, want two steps and an end, written over each other", got)
	}
}
