package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// numbers are the values of a flag such as 1,8,64, for a sweep.
type numbers struct {
	all  []int
	most int
}

// Set implements pflag.Value.
func (n *numbers) Set(text string) error {
	var all []int
	for s := range strings.SplitSeq(text, ",") {
		i, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil || i < 1 || i > n.most {
			return fmt.Errorf("give whole numbers from 1 to %d, with commas between them", n.most)
		}
		if slices.Contains(all, i) {
			return fmt.Errorf("%d is given twice", i)
		}
		all = append(all, i)
	}
	n.all = all
	return nil
}

func (n *numbers) String() string {
	texts := make([]string, len(n.all))
	for i, v := range n.all {
		texts[i] = strconv.Itoa(v)
	}
	return strings.Join(texts, ",")
}

// Type is what help calls a value.
func (n *numbers) Type() string { return "numbers" }
