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
