package scenario

import (
	"fmt"
	"time"
)

// brief is a time for people.
func brief(d time.Duration) time.Duration {
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond)
	case d >= 10*time.Millisecond:
		return d.Round(time.Millisecond)
	}
	return d.Round(10 * time.Microsecond)
}

func plural(n int, one, many string) string {
	if n == 1 {
		return fmt.Sprint("1 ", one)
	}
	return fmt.Sprint(n, " ", many)
}

func were(n int) string         { return plural(n, "resource was", "resources were") }
func are(n int) string          { return plural(n, "is", "are") }
func requests(n int) string     { return plural(n, "request", "requests") }
func wereRequests(n int) string { return plural(n, "request was", "requests were") }

func served(n, of int) string {
	if n == of {
		return "all were served"
	}
	return plural(n, "was served", "were served")
}

// recovered tells when the throughput was back.
func (r *run) recovered() string {
	if r.verdict.Recovery < 0 {
		return "The throughput was not back before the end."
	}
	return fmt.Sprintf("The throughput was back %v after that.", brief(time.Duration(r.verdict.Recovery*float64(time.Second))))
}

// tooLate is how late requests may come before the figures are of the machine rather than of the pool. Arbitrary: a
// tenth of the shortest deadline.
const tooLate = 10 * time.Millisecond

// doubts says why not to trust the rest, a sentence for each reason.
func (r *run) doubts() (text string) {
	if calm := r.calm(); r.plan.over > 0 && calm < 0.9*r.plan.rate {
		text += fmt.Sprintf(" Of %.0f requests a second only %.0f were served when all was well.", r.plan.rate, calm)
	}
	if late := quantile(r.late, 0.99); late > tooLate {
		text += fmt.Sprintf(" The machine was too busy: one request in a hundred came %v late or more.", brief(late))
	}
	return text
}
