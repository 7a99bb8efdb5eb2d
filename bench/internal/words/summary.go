package words

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lidopool/lido/bench/internal/result"
)

// most is how many things a sentence lists.
const most = 4

// Summarize says what came out of a run, a sentence each: who did best where, by throughput and by
// the 99th percentile of the waits, who tied, who did not take part and why, and how scenarios ended.
// Differences within the spread of the rounds are called ties.
func Summarize(f result.File) []string {
	conditions := Conditions(f.Cells)
	var all []string
	all = append(all, contests(conditions)...)
	all = append(all, arrivals(conditions)...)
	all = append(all, absences(f.Cells)...)
	all = append(all, failures(conditions)...)
	all = append(all, sharing(f.Cells)...)
	all = append(all, scenarios(f.Timelines)...)
	if b := f.Method.Baseline; b != "" && slices.ContainsFunc(f.Cells, func(c result.Cell) bool { return c.Pool != b && c.Ratio > 0 }) {
		all = append(all, fmt.Sprintf("Ratios are multiples of the throughput of %s in the same rounds.", b))
	}
	if len(all) == 0 {
		return []string{unsaid(f)}
	}
	return all
}

// sharing says whose waits are no waits.
func sharing(cells []result.Cell) []string {
	var pools []string
	for _, c := range cells {
		if c.Shared && Measured(c) && !slices.Contains(pools, c.Pool) {
			pools = append(pools, c.Pool)
		}
	}
	if len(pools) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%s: whoever acquires at once may wait for others within the use of what all share. Such waits do not compare.", List(pools, most))}
}

// unsaid is what there is to say of a result of which nothing else can be said.
func unsaid(f result.File) string {
	var pools []string
	for _, t := range f.Timelines {
		if t.Verdict.Ops > 0 && !slices.Contains(pools, t.Pool) {
			pools = append(pools, t.Pool)
		}
	}
	for _, c := range f.Cells {
		if Measured(c) && !slices.Contains(pools, c.Pool) {
			pools = append(pools, c.Pool)
		}
	}
	switch len(pools) {
	case 0:
		return "Nothing has been measured yet."
	case 1:
		return fmt.Sprintf("Only %s has been measured: there is nothing to compare it with.", pools[0])
	}
	return fmt.Sprintf("%s have been measured, but nothing that can be compared.", List(pools, most))
}

// A score is where somebody leads.
type score struct {
	who   string // a pool, or several that tie
	alone bool
	where map[string][]string // workload: conditions
	order []string
	lead  float64 // the greatest
	at    string  // where that was
}

func (s *score) add(n Condition, l Leaders, at string) {
	if len(s.where[n.Workload]) == 0 {
		s.order = append(s.order, n.Workload)
	}
	s.where[n.Workload] = append(s.where[n.Workload], at)
	if l.Lead > s.lead {
		s.lead, s.at = l.Lead, at
	}
}

// places lists the workloads; of says how many conditions each has. One of several is named.
func (s *score) places(of map[string]int) string {
	var items []string
	for _, w := range s.order {
		switch where := s.where[w]; {
		case of[w] == 1:
		case len(where) == of[w]:
			w = fmt.Sprintf("%s (all %d conditions)", w, of[w])
		case len(where) == 1:
			w = where[0]
		default:
			w = fmt.Sprintf("%s (%d of %d conditions)", w, len(where), of[w])
		}
		items = append(items, w)
	}
	return List(items, most)
}

func (s *score) count() (n int) {
	for _, where := range s.where {
		n += len(where)
	}
	return n
}

// contests says who leads where, under the conditions where there are two to compare.
func contests(conditions []Condition) []string {
	of := map[string]int{}
	for _, n := range conditions {
		of[n.Workload]++
	}
	scores := func(leaders func(Condition) Leaders, counts func(Condition) bool) []*score {
		var all []*score
		for _, n := range conditions {
			if l := leaders(n); counts(n) && len(l.Pools) > 0 && contested(n) {
				var names []string
				for _, i := range l.Pools {
					names = append(names, n.Cells[i].Pool)
				}
				slices.Sort(names) // a tie has no order
				who := List(names, most)
				i := slices.IndexFunc(all, func(s *score) bool { return s.who == who })
				if i < 0 {
					i, all = len(all), append(all, &score{who: who, alone: len(names) == 1, where: map[string][]string{}})
				}
				all[i].add(n, l, where(n, conditions))
			}
		}
		slices.SortStableFunc(all, func(a, b *score) int {
			if a.alone != b.alone {
				if a.alone {
					return -1
				}
				return 1
			}
			return b.count() - a.count()
		})
		return all
	}
	var lines []string
	closed := func(n Condition) bool { return n.Rate <= 0 }
	lines = append(lines, verdicts("throughput", "the highest throughput", "%s the next", scores(Condition.Fastest, closed), of)...)
	lines = append(lines, verdicts("p99 wait", "the lowest p99 wait", "where the next waits %s as long", scores(Condition.Calmest, func(Condition) bool { return true }), of)...)
	return lines
}

// where names a condition among others of the same workload, by what differs.
func where(n Condition, among []Condition) string {
	several, swept := 0, false
	for _, other := range among {
		if other.Workload == n.Workload {
			several++
			swept = swept || other.Size != n.Size
		}
	}
	if several == 1 {
		return n.Workload
	}
	if !swept {
		n.Size = 0
	}
	return n.Workload + " with " + n.Setting()
}

// contested: are there two that have figures?
func contested(n Condition) bool {
	measured := 0
	for _, c := range n.Cells {
		if Measured(c) && c.Failed == "" {
			measured++
		}
	}
	return measured > 1
}

// verdicts says one contest: who wins it alone, and who ties.
func verdicts(figure, best, lead string, all []*score, of map[string]int) []string {
	var wins, ties []string
	for _, s := range all {
		if !s.alone {
			ties = append(ties, fmt.Sprintf("%s in %s", s.who, s.places(of)))
			continue
		}
		text := fmt.Sprintf("%s in %s", s.who, s.places(of))
		if s.lead > 0 {
			if s.count() == 1 {
				text += ", " + fmt.Sprintf(lead, Ratio(s.lead))
			} else {
				text += ", " + fmt.Sprintf(lead, "up to "+Ratio(s.lead)) + " (" + s.at + ")"
			}
		}
		wins = append(wins, text)
	}
	var lines []string
	if len(wins) > 0 {
		lines = append(lines, fmt.Sprintf("%s: %s.", capital(best), strings.Join(wins, "; ")))
	}
	if len(ties) > 0 {
		lines = append(lines, fmt.Sprintf("Ties in %s, within the spread of the rounds: %s.", figure, strings.Join(ties, "; ")))
	}
	return lines
}

// arrivals says who keeps up with open loops.
func arrivals(conditions []Condition) []string {
	var lines []string
	for _, n := range conditions {
		if n.Rate <= 0 {
			continue
		}
		var late, fine []string
		for _, c := range n.Cells {
			if !Measured(c) {
				continue
			}
			if KeepsUp(c) {
				fine = append(fine, c.Pool)
			} else {
				late = append(late, fmt.Sprintf("%s did %s of it", c.Pool, Percent(Served(c))))
			}
		}
		where := n.Workload
		if n.Size > 0 && slices.ContainsFunc(conditions, func(o Condition) bool { return o.Workload == n.Workload && o.Size != n.Size }) {
			where += fmt.Sprintf(", size %d", n.Size)
		}
		text := fmt.Sprintf("With %s arrivals/s (%s) ", Count(n.Rate), where)
		switch {
		case len(late) == 0 && len(fine) == 0:
		case len(late) == 0:
			lines = append(lines, text+"all keep up.")
		case len(fine) == 0:
			lines = append(lines, text+"none keeps up: "+List(late, most)+".")
		default:
			verb := " keep up; "
			if len(fine) == 1 {
				verb = " keeps up; "
			}
			lines = append(lines, text+List(fine, most)+verb+List(late, most)+".")
		}
	}
	return lines
}

// absences says who was not measured, and why.
func absences(cells []result.Cell) []string {
	type absence struct{ pool, why string }
	var order []absence
	where := map[absence][]string{}
	note := func(c result.Cell, why string) {
		a := absence{c.Pool, why}
		if where[a] == nil {
			order = append(order, a)
		}
		place := c.Workload
		if slices.ContainsFunc(cells, func(o result.Cell) bool { return o.Pool == c.Pool && o.Workload == c.Workload && Measured(o) }) {
			place = strings.Replace(fmt.Sprintf("%s with %d goroutines", c.Workload, c.Goroutines), " 1 goroutines", " 1 goroutine", 1)
		}
		if !slices.Contains(where[a], place) {
			where[a] = append(where[a], place)
		}
	}
	for _, c := range cells {
		switch {
		case c.Unfit != "":
			note(c, "is unfit for %s: "+verbatim(c.Unfit))
		case c.Failed != "":
			note(c, "failed in %s: "+verbatim(c.Failed))
		}
	}
	var lines []string
	for _, a := range order {
		lines = append(lines, a.pool+" "+fmt.Sprintf(a.why, List(where[a], most))+".")
	}
	return lines
}

// verbatim is a text for a format, without the full stop that a sentence brings.
func verbatim(text string) string {
	return strings.ReplaceAll(strings.TrimRight(strings.TrimSpace(text), "."), "%", "%%")
}

// failures says whose ops failed more often than those of others.
func failures(conditions []Condition) []string {
	type worst struct {
		share float64
		where string
		kinds map[string]uint64
	}
	var order []string
	of := map[string]worst{}
	for _, n := range conditions {
		least := 1.0
		for _, c := range n.Cells {
			if Measured(c) {
				least = min(least, FailureShare(c))
			}
		}
		for _, c := range n.Cells {
			share := FailureShare(c)
			if !Measured(c) || share <= failing || share <= least+failing && len(n.Cells) > 1 && share < 1 {
				continue
			}
			w, seen := of[c.Pool]
			if !seen {
				order = append(order, c.Pool)
			}
			if share > w.share {
				of[c.Pool] = worst{share, where(n, conditions), Errors(c.Samples)}
			}
		}
	}
	var lines []string
	for _, pool := range order {
		w := of[pool]
		var kinds []string
		for kind := range w.kinds {
			kinds = append(kinds, kind)
		}
		slices.SortFunc(kinds, func(a, b string) int {
			if w.kinds[a] != w.kinds[b] {
				return int(int64(w.kinds[b]) - int64(w.kinds[a]))
			}
			return strings.Compare(a, b)
		})
		lines = append(lines, fmt.Sprintf("%s fails: up to %s of its ops (%s), by %s. Its waits do not compare.",
			pool, Percent(w.share), w.where, List(kinds, most)))
	}
	return lines
}

// Errors adds up the errors of all rounds, by kind.
func Errors(samples []result.Sample) map[string]uint64 {
	sum := map[string]uint64{}
	for _, s := range samples {
		for kind, n := range s.Errors {
			sum[kind] += n
		}
	}
	return sum
}

// scenarios says how each ended.
func scenarios(all []result.Timeline) []string {
	var order []string
	of := map[string][]result.Timeline{}
	for _, t := range all {
		if of[t.Scenario] == nil {
			order = append(order, t.Scenario)
		}
		of[t.Scenario] = append(of[t.Scenario], t)
	}
	var lines []string
	for _, name := range order {
		var back, lost, leaked, failed []string
		timelines := slices.Clone(of[name])
		slices.SortStableFunc(timelines, func(a, b result.Timeline) int {
			switch {
			case a.Verdict.Recovery < b.Verdict.Recovery:
				return -1
			case a.Verdict.Recovery > b.Verdict.Recovery:
				return 1
			}
			return 0
		})
		calm, least := result.Timeline{}, 1.0
		for _, t := range timelines {
			if t.Failed == "" && t.Verdict.Ops > 0 {
				least = min(least, lostShare(t.Verdict))
			}
		}
		for _, t := range timelines {
			switch v := t.Verdict; {
			case t.Failed != "":
				failed = append(failed, fmt.Sprintf("%s failed (%s)", t.Pool, t.Failed))
				continue
			case v.Recovery > 0 && len(back) == 0:
				back = append(back, fmt.Sprintf("%s is back to nine tenths after %s", t.Pool, Time(1e9*v.Recovery)))
			case v.Recovery > 0:
				back = append(back, fmt.Sprintf("%s after %s", t.Pool, Time(1e9*v.Recovery)))
			case v.Recovery < 0:
				lost = append(lost, t.Pool)
			}
			if t.Verdict.Leaked > 0 {
				leaked = append(leaked, fmt.Sprintf("%s still misses %d", t.Pool, t.Verdict.Leaked))
			}
			// Who refuses at once has short waits.
			if v := t.Verdict; v.Ops > 0 && lostShare(v) <= least+failing && (calm.Pool == "" || v.WaitP99 < calm.Verdict.WaitP99) {
				calm = t
			}
		}
		var parts []string
		if len(back) > 0 {
			parts = append(parts, List(back, most))
		}
		if len(lost) > 0 {
			parts = append(parts, List(lost, most)+" did not come back")
		}
		if len(leaked) > 0 {
			parts = append(parts, List(leaked, most)+" of its resources")
		}
		if calm.Pool != "" && len(timelines) > 1 {
			parts = append(parts, fmt.Sprintf("the lowest p99 wait is that of %s, %s", calm.Pool, Time(float64(calm.Verdict.WaitP99))))
		}
		parts = append(parts, failed...)
		if len(parts) > 0 {
			lines = append(lines, fmt.Sprintf("Scenario %s: %s.", name, strings.Join(parts, "; ")))
		}
	}
	return lines
}

// lostShare is the share of a scenario's requests that ended with an error.
func lostShare(v result.Verdict) float64 {
	var errors uint64
	for _, n := range v.Errors {
		errors += n
	}
	if errors == 0 {
		return 0
	}
	return float64(errors) / float64(v.Ops+errors)
}

// capital is text with its first letter, which is ASCII, as a capital.
func capital(text string) string { return strings.ToUpper(text[:1]) + text[1:] }
