package scenario

import (
	"fmt"
	"time"
)

// All are the scenarios, in the order in which they are shown. Their figures are arbitrary, but for the
// spike's, which are those of HikariCP's test, and chosen so that on a healthy backend a pool of that size is half to
// four fifths busy.
func All() []Scenario {
	return []Scenario{spike(), outage(), slow(), saturation(), rollingRestart(), leak()}
}

// scaled are the times of a scenario at a scale, from seconds.
func scaled(scale float64) func(seconds float64) time.Duration {
	return func(seconds float64) time.Duration { return time.Duration(scale * seconds * float64(time.Second)) }
}

const callers = 50

func spike() Scenario {
	return Scenario{
		Name:    "spike",
		About:   fmt.Sprintf("%d callers come at once to a pool of 5 that may grow to 50, where opening takes 150 ms and a use 2 ms.", callers),
		Backend: "synthetic?open=150ms&use=2ms",
		Size:    5, Overflow: 45,
		Length: 6 * time.Second,
		plan: func(scale float64) plan {
			x := scaled(scale)
			p := plan{length: x(6), rate: 100, keep: 2 * time.Millisecond, wait: 2 * time.Second, warm: x(1.5)}
			for range 5 { // so that the pool is warm: it has opened what it keeps
				p.extra = append(p.extra, request{hold: x(1.5)})
			}
			for range callers {
				p.extra = append(p.extra, request{due: x(2), caller: true})
			}
			p.acts = []act{{x(2), fmt.Sprint(callers, " callers at once"), (*run).note}}
			return p
		},
		tell: func(r *run) string {
			opened, open := r.verdict.Opens-r.noted.Opened, r.points[len(r.points)-1].Open
			return fmt.Sprintf("Of %d callers at once %s, the last after %v. %s opened since, and %s open at the end.",
				callers, served(r.crowd.served, callers), brief(r.crowd.longest), were(int(opened)), are(open))
		},
	}
}

func outage() Scenario {
	return Scenario{
		Name:    "outage",
		About:   "The backend is down for two seconds: what is open breaks, and opening is refused.",
		Backend: "synthetic?open=10ms&use=10ms&dial=1ms",
		Size:    10,
		Length:  8 * time.Second,
		plan: func(scale float64) plan {
			x := scaled(scale)
			return plan{
				length: x(8), rate: 500, keep: 10 * time.Millisecond, wait: 250 * time.Millisecond,
				acts: []act{
					{x(2), "backend down", func(r *run) { r.b.Faults().Down(true) }},
					{x(4), "backend back", func(r *run) { r.b.Faults().Down(false) }},
				},
				warm: x(0.5), calm: span{x(0.5), x(2)}, began: x(2), over: x(4),
			}
		},
		tell: func(r *run) string {
			return fmt.Sprintf("While the backend was down %s failed, half of them within %v; after it was back %d more did. %s",
				requests(r.trouble.failed), brief(quantile(r.trouble.failures, 0.5)), r.after.failed, r.recovered())
		},
	}
}

func slow() Scenario {
	return Scenario{
		Name:    "slow",
		About:   "The backend becomes ten times slower for three seconds, and so can serve a quarter of what is asked for.",
		Backend: "synthetic?open=10ms&use=4ms&capacity=10",
		Size:    10,
		Length:  8 * time.Second,
		plan: func(scale float64) plan {
			x := scaled(scale)
			return plan{
				length: x(8), rate: 1000, keep: 4 * time.Millisecond, wait: 250 * time.Millisecond,
				acts: []act{
					{x(2), "backend slow", func(r *run) { r.slow(10) }},
					{x(5), "backend quick again", func(r *run) { r.slow(1) }},
				},
				warm: x(0.5), calm: span{x(0.5), x(2)}, began: x(2), over: x(5),
			}
		},
		tell: func(r *run) string {
			return fmt.Sprintf("While the backend was slow %s served and %d failed. %s",
				wereRequests(r.trouble.served), r.trouble.failed, r.recovered())
		},
	}
}

func saturation() Scenario {
	return Scenario{
		Name:    "saturation",
		About:   "Twice as many requests come as can be served, and nobody waits for longer than 100 ms, or for the answer for longer than 200 ms.",
		Backend: "synthetic?open=10ms&use=5ms&capacity=10",
		Size:    10,
		Length:  6 * time.Second,
		plan: func(scale float64) plan {
			x := scaled(scale)
			return plan{length: x(6), rate: 4000, keep: 5 * time.Millisecond, wait: 100 * time.Millisecond,
				warm: x(1), calm: span{x(1), x(6)}}
		},
		tell: func(r *run) string {
			return fmt.Sprintf("Of %.0f requests a second %.0f were served in time, where ten resources can serve 2000 at best.",
				r.plan.rate, r.calm())
		},
	}
}

func rollingRestart() Scenario {
	const share = 0.25
	return Scenario{
		Name:    "rolling-restart",
		About:   "Each second for four seconds a quarter of the open resources is killed, the oldest first.",
		Backend: "synthetic?open=20ms&use=8ms",
		Size:    10,
		Length:  8 * time.Second,
		plan: func(scale float64) plan {
			x := scaled(scale)
			p := plan{length: x(8), rate: 1000, keep: 8 * time.Millisecond, wait: 250 * time.Millisecond,
				warm: x(0.5), calm: span{x(0.5), x(2)}, began: x(2), over: x(5)}
			for n := range 4 {
				p.acts = append(p.acts, act{x(float64(2 + n)), fmt.Sprint("kill ", n+1), func(r *run) { r.killed += r.b.Faults().Kill(share) }})
			}
			return p
		},
		tell: func(r *run) string {
			return fmt.Sprintf("%s killed, and %s failed of %d. %s", were(r.killed), requests(r.failed()), r.failed()+int(r.verdict.Ops), r.recovered())
		},
	}
}

func leak() Scenario {
	return Scenario{
		Name:    "leak",
		About:   "For four seconds one request in forty forgets to release, and one in a hundred keeps its resource for a second; the garbage collector runs twice a second.",
		Backend: "synthetic?open=10ms&use=10ms",
		Size:    10,
		Length:  8 * time.Second,
		plan: func(scale float64) plan {
			x := scaled(scale)
			trouble := span{x(1), x(5)}
			return plan{
				length: x(8), rate: 200, keep: 10 * time.Millisecond, wait: 250 * time.Millisecond,
				alter: func(n int, r request) request {
					switch {
					case !trouble.has(r.due):
					case n%40 == 20:
						r.forget = true
					case n%100 == 75:
						r.hold = time.Second
					}
					return r
				},
				acts: []act{
					{x(1), "leaks begin", (*run).note},
					{x(5), "leaks end", (*run).note},
				},
				warm: x(0.25), calm: span{x(0.25), x(1)}, began: trouble.from, over: trouble.to,
				collect: 500 * time.Millisecond,
			}
		},
		tell: func(r *run) string {
			return fmt.Sprintf("%s not released, and %s still lent at the end. While it leaked %s served and %d failed. %s",
				were(int(r.forgotten.Load())), are(r.verdict.Leaked), wereRequests(r.trouble.served), r.trouble.failed, r.recovered())
		},
	}
}
