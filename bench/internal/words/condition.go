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
	Goroutines              int
	Size                    int // of the pools that can have it, the greatest of theirs. 0: they say none
	Cells                   []result.Cell
}

// Conditions are the conditions of cells: by workloads and backends in the order of the cells, then
// by goroutines and size. A pool that has one size where others have several, or none of its own,
// stands beside each of theirs: it is the same with all. If no pool has several, all stand together.
func Conditions(cells []result.Cell) []Condition {
	var all []Condition
	for _, block := range blocks(cells) {
		sizes := map[string][]int{}
		for _, c := range block {
			if !slices.Contains(sizes[c.Pool], c.Size) {
				sizes[c.Pool] = append(sizes[c.Pool], c.Size)
			}
		}
		var swept []int
		for _, of := range sizes {
			if len(of) > 1 {
				swept = append(swept, of...)
			}
		}
		if len(swept) == 0 {
			all = append(all, conditionOf(block, greatest(block)))
			continue
		}
		slices.Sort(swept)
		for _, size := range slices.Compact(swept) {
			var under []result.Cell
			for _, c := range block {
				if c.Size == size || len(sizes[c.Pool]) == 1 {
					under = append(under, c)
				}
			}
			all = append(all, conditionOf(under, size))
		}
	}
	place := map[[2]string]int{}
	for _, c := range cells {
		if _, seen := place[[2]string{c.Workload, c.Backend}]; !seen {
			place[[2]string{c.Workload, c.Backend}] = len(place)
		}
	}
	slices.SortStableFunc(all, func(a, b Condition) int {
		return cmp.Or(place[[2]string{a.Workload, a.Backend}]-place[[2]string{b.Workload, b.Backend}],
			cmp.Compare(a.Rate, b.Rate), a.Goroutines-b.Goroutines, a.Size-b.Size)
	})
	return all
}

func conditionOf(cells []result.Cell, size int) Condition {
	c := cells[0]
	return Condition{c.Workload, c.Spec, c.Backend, c.Rate, c.Goroutines, size, cells}
}

// blocks are the cells that differ in nothing but the pool and its size.
func blocks(cells []result.Cell) [][]result.Cell {
	type key struct {
		workload, spec, backend string
		rate                    float64
		goroutines              int
	}
	place := map[key]int{}
	var all [][]result.Cell
	for _, c := range cells {
		k := key{c.Workload, c.Spec, c.Backend, c.Rate, c.Goroutines}
		i, seen := place[k]
		if !seen {
			i, all = len(all), append(all, nil)
			place[k] = i
		}
		all[i] = append(all[i], c)
	}
	return all
}

// greatest is the size of the cell that has the greatest.
func greatest(cells []result.Cell) (size int) {
	for _, c := range cells {
		size = max(size, c.Size)
	}
	return size
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
