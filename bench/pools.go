package main

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/lidopool/lido/bench/internal/load"
	"github.com/lidopool/lido/bench/internal/target"
	"github.com/lidopool/lido/bench/internal/trial"
	"github.com/lidopool/lido/strategies"
)

// defaultStrategies are all, what most use first: it is the baseline.
const defaultStrategies = "queue,singleton,null,static,assertion"

// abouts are the strategies in a sentence each.
var abouts = map[string]string{
	"queue":     "keeps resources and lends them in turn; who finds none stands in line",
	"singleton": "one resource for each goroutine, which nested acquires share",
	"null":      "keeps nothing: opens at acquire and closes at release",
	"static":    "one resource, which all share",
	"assertion": "one resource; who acquires while it is out is refused at once",
}

func strategyWords() []string {
	var all []string
	for _, kind := range strings.Split(defaultStrategies, ",") {
		all = append(all, kind+"\t"+abouts[kind])
	}
	return all
}

// A strategy is one that takes part, as the command line names it.
type strategy struct {
	name   string // as it was given
	config strategies.Config
	given  url.Values // the settings that were named
}

func parseStrategies(lists []string) ([]strategy, error) {
	texts, err := splitList("strategy", lists)
	if err != nil {
		return nil, err
	}
	var all []strategy
	for _, text := range texts {
		c, err := strategies.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("--strategy: %w", err)
		}
		_, query, _ := strings.Cut(text, "?")
		given, err := url.ParseQuery(query)
		if err != nil {
			return nil, fmt.Errorf("--strategy: %w", err)
		}
		if slices.ContainsFunc(all, func(s strategy) bool { return s.name == text }) {
			return nil, fmt.Errorf("--strategy: %q is given twice", text)
		}
		all = append(all, strategy{text, c, given})
	}
	return all, nil
}

// sized says whether --size decides how many resources it has: it can have more or fewer, and does
// not say itself how many.
func (s strategy) sized() bool {
	switch s.config.Kind {
	case "queue", "singleton":
		return !s.given.Has("size")
	case "null":
		return !s.given.Has("max")
	}
	return false
}

// with is the config for so many resources. A queue has no overflow unless it asks for one, and null, which has no
// bound of its own, is bounded: only pools that may open the same number can be compared.
func (s strategy) with(size int) strategies.Config {
	c := s.config
	if !s.sized() {
		return c
	}
	switch c.Kind {
	case "null":
		c.Max = size
	case "queue":
		c.Size = size
		if !s.given.Has("max_overflow") {
			c.MaxOverflow = 0
		}
	default:
		c.Size = size
	}
	return c
}

// seats is how many resources it may have if it is not sized. 0: there is no bound.
func (s strategy) seats() int {
	n := 0
	switch c := s.config; c.Kind {
	case "queue":
		if c.MaxOverflow >= 0 {
			n = c.Size + c.MaxOverflow
		}
	case "singleton":
		n = c.Size
	case "null":
		n = c.Max
	}
	return max(n, 0)
}

// subject makes s one of a trial over b.
func (s strategy) subject(b target.Backend) trial.Subject {
	return trial.Subject{
		Name:   s.name,
		Config: func(size int) string { return s.with(size).String() },
		Sized:  s.sized(),
		Size:   s.seats(),
		Open:   func(_ context.Context, size int) (load.Target, error) { return b.Target(s.with(size)) },
		Shared: s.config.Kind == "static",
		Unfit:  s.unfit,
	}
}

// unfit says why s cannot do w: it would refuse most of it, and its figures would be those of refusing.
func (s strategy) unfit(w load.Workload, goroutines, _ int) string {
	switch {
	case s.config.Kind != "assertion":
		return ""
	case goroutines > 1:
		return "it lends to one at a time, and refuses all others"
	case w.Nested > 0:
		return "it refuses whoever holds its resource already"
	}
	return ""
}
