package words

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/lidopool/lido/bench/internal/result"
)

// A Condition is what pools were measured under, and those that were: their figures can be compared.
type Condition struct {
	Workload, Spec, Backend string
	Rate                    float64
	Goroutines, Size        int
	Cells                   []result.Cell
}

// Conditions are the conditions of cells: by workloads and backends in the order of the cells, then
// by goroutines and size. A pool of no size of its own stands under all sizes.
func Conditions(cells []result.Cell) []Condition {
	var all []Condition
	add := func(c result.Cell, size int) {
		for i := range all {
			if all[i].holds(c) && all[i].Size == size {
				all[i].Cells = append(all[i].Cells, c)
				return
			}
		}
		all = append(all, Condition{c.Workload, c.Spec, c.Backend, c.Rate, c.Goroutines, size, []result.Cell{c}})
	}
	place := map[string]int{}
	sizes := map[string][]int{}
	for _, c := range cells {
		key := c.Workload + "\x00" + c.Backend
		if _, seen := place[key]; !seen {
			place[key] = len(place)
		}
		if c.Size != 0 && !slices.Contains(sizes[key], c.Size) {
			sizes[key] = append(sizes[key], c.Size)
		}
	}
	for _, c := range cells {
		if of := sizes[c.Workload+"\x00"+c.Backend]; c.Size == 0 && len(of) > 0 {
			for _, size := range of {
				add(c, size)
			}
			continue
		}
		add(c, c.Size)
	}
	slices.SortStableFunc(all, func(a, b Condition) int {
		return cmp.Or(place[a.Workload+"\x00"+a.Backend]-place[b.Workload+"\x00"+b.Backend], cmp.Compare(a.Rate, b.Rate),
			a.Goroutines-b.Goroutines, a.Size-b.Size)
	})
	return all
}

func (n Condition) holds(c result.Cell) bool {
	return n.Workload == c.Workload && n.Spec == c.Spec && n.Backend == c.Backend && n.Rate == c.Rate && n.Goroutines == c.Goroutines
}

// Setting is the goroutines and the size in words, without the workload.
func (n Condition) Setting() string {
	var parts []string
	if n.Rate > 0 {
		parts = append(parts, Count(n.Rate)+" arrivals/s", "at most "+plural(n.Goroutines, "goroutine"))
	} else {
		parts = append(parts, plural(n.Goroutines, "goroutine"))
	}
	if n.Size > 0 {
		parts = append(parts, fmt.Sprintf("size %d", n.Size))
	}
	return strings.Join(parts, ", ")
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
