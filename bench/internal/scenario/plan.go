package scenario

import "time"

// A plan is what happens in a scenario, by the time since its beginning.
type plan struct {
	length time.Duration
	rate   float64       // requests a second, evenly, each in the middle of its share of the second
	keep   time.Duration // what a request keeps its resource for, at least; longer while the backend is slow
	wait   time.Duration // deadline of an acquire, from when it was due; that of the whole request is twice that

	extra []request                      // beside those of the rate, in order
	alter func(n int, r request) request // makes the n-th request something else; nil: all are alike
	acts  []act                          // in order

	warm time.Duration // what is due before, while the pool opens what it keeps, is not among the waits of the verdict
	// calm is when all is well, for comparison. The trouble is from began to over; over is 0 if the scenario has none that ends.
	calm        span
	began, over time.Duration

	collect time.Duration // how often the garbage collector runs, as it does in programs that do more than this; 0: as it likes
}

// An act is something that is done to the backend.
type act struct {
	at   time.Duration
	text string // of the mark
	do   func(*run)
}

// A request is somebody who wants a resource.
type request struct {
	due    time.Duration
	hold   time.Duration // how long it keeps the resource in all, if that is more than a use takes
	caller bool          // one of a crowd, which is counted by itself
	forget bool          // it never releases
}

type span struct{ from, to time.Duration }

func (s span) has(at time.Duration) bool { return s.from <= at && at < s.to }

// requests is the whole schedule, in order.
func (p plan) requests() []request {
	var all []request
	extra := p.extra
	gap := float64(time.Second) / p.rate
	for n := 0; ; n++ {
		due := time.Duration((float64(n) + 0.5) * gap)
		for len(extra) > 0 && (extra[0].due <= due || due >= p.length) {
			all, extra = append(all, extra[0]), extra[1:]
		}
		if due >= p.length {
			return all
		}
		r := request{due: due}
		if p.alter != nil {
			r = p.alter(n, r)
		}
		all = append(all, r)
	}
}
