package main

import (
	"fmt"
	"time"

	"github.com/lidopool/lido/pool"
)

// lesson says in words what the figures of r show. Each sentence is made of figures, or chosen
// by comparing them, so that it holds for whatever was measured.
func lesson(r result, all []result) string {
	if r.operations == 0 && r.partial {
		return "Interrupted before its first operation."
	}
	if r.operations == 0 {
		return fmt.Sprintf("No operation succeeded. The first error: %v", r.firstError)
	}
	var text string
	switch r.config.Kind {
	case "null":
		text = priceOfOpening(r)
	case "static":
		text = turnsOnOne(r, all)
	case "assertion":
		text = refusals(r)
	default:
		text = leasesPerOpen(r) + " " + seatsForAll(r)
	}
	text += " " + rank(r, all)
	if r.errors > 0 {
		text += fmt.Sprintf(" %s failed. The first error: %v", plural(r.errors, "operation"), r.firstError)
	}
	return text
}

func leasesPerOpen(r result) string {
	return fmt.Sprintf("%s from %s, or %s each.", plural(len(r.acquire), "lease"), plural(r.opens, "open"),
		count(len(r.acquire)/max(1, r.opens)))
}

func seatsForAll(r result) string {
	waiting := percent(r.acquire.total(), r.busy())
	switch goroutines := plural(r.goroutines, "goroutine"); {
	case r.limits.Seats == pool.Unlimited || r.limits.Seats >= r.goroutines:
		return fmt.Sprintf("There was a seat for each of %s; %s of their time was waiting for a lease.", goroutines, waiting)
	default:
		return fmt.Sprintf("%s shared %s; %s of their time was waiting for a lease.", goroutines, plural(r.limits.Seats, "seat"), waiting)
	}
}

func priceOfOpening(r result) string {
	return fmt.Sprintf("%s for %s, %s each at the median: %s of the time of an operation was waiting for its connection.",
		plural(r.opens, "open"), plural(len(r.acquire), "lease"), short(r.open.at(0.5)), percent(r.acquire.total(), r.busy()))
}

// turnsOnOne compares where the time goes: a lease that all may have at once moves the waiting
// to its use.
func turnsOnOne(r result, all []result) string {
	text := fmt.Sprintf("One connection for %s: a lease took %s at the median, and a read under it %s.",
		plural(r.goroutines, "goroutine"), short(r.acquire.at(0.5)), short(r.read.at(0.5)))
	if r.goroutines > 1 && r.read.at(0.5) > r.acquire.at(0.5) {
		text += " Holders wait there for each other, not in a line for the lease."
	}
	for _, other := range all {
		if other.config.Kind == "queue" && other.peak > 1 && other.write.at(0.99) > r.write.at(0.99) {
			text += fmt.Sprintf(" The slowest writes are better off than under %s (p99 %s, not %s): its connections fight"+
				" over SQLite's only write lock, on which SQLite sleeps and tries again.",
				other.name, short(r.write.at(0.99)), short(other.write.at(0.99)))
			break
		}
	}
	return text
}

func refusals(r result) string {
	text := fmt.Sprintf("Run with %s, as it allows one holder.", plural(r.goroutines, "goroutine"))
	if r.rivals > 0 {
		text += fmt.Sprintf(" While one held the connection, %d of %d others that tried were refused at once,"+
			" which is its purpose: it finds code that needs two.", r.refused, r.rivals)
	}
	return text
}

// rank compares r with the fastest.
func rank(r result, all []result) string {
	best := r
	for _, other := range all {
		if other.perSecond() > best.perSecond() {
			best = other
		}
	}
	if best.perSecond() == r.perSecond() {
		if len(all) == 1 {
			return ""
		}
		return "The fastest here."
	}
	return fmt.Sprintf("It did %s of the operations of %s.", percent(r.perSecond(), best.perSecond()), best.name)
}

// busy is the time of all goroutines together, from the wait for a lease to its return.
func (r result) busy() time.Duration { return r.acquire.total() + r.read.total() + r.write.total() }

func (t times) total() (sum time.Duration) {
	for _, d := range t {
		sum += d
	}
	return sum
}

// percent writes a part of a whole.
func percent[N time.Duration | float64](part, whole N) string {
	if whole == 0 {
		return "0 %"
	}
	p := 100 * float64(part) / float64(whole)
	if p > 0 && p < 1 {
		return "under 1 %"
	}
	return fmt.Sprintf("%.0f %%", p)
}

// plural writes a number of things.
func plural(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return count(n) + " " + thing
}
