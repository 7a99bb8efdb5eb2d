package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lidopool/lido/bench/internal/text"
	"github.com/lidopool/lido/internal/settings"
)

// A topic is what list can list: words, each with a tab and a sentence about it.
type topic struct {
	name, about string
	words       func() []string
}

var topics = []topic{
	{"strategies", `for --strategy; settings follow as in queue?size=5&order=lifo`, strategyWords},
	{"workloads", `for --workload; settings follow as in burst?rate=500&burst=10`, workloadWords},
	{"backends", "for --backend", backendWords},
	{"scenarios", "for lidobench scenario", scenarioWords},
}

func topicNames() []string {
	var all []string
	for _, t := range topics {
		all = append(all, t.name)
	}
	return all
}

func listCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list [" + strings.Join(topicNames(), "|") + "]",
		Short: "List strategies, workloads, backends and scenarios",
		Example: `  lidobench list
  lidobench list workloads`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeWords(topicNames),
		RunE: func(c *cobra.Command, names []string) error {
			shown := topics
			if len(names) > 0 {
				shown = nil
				for _, t := range topics {
					if t.name == names[0] {
						shown = []topic{t}
					}
				}
				if shown == nil {
					return fmt.Errorf("list %.64q: %s", names[0], settings.Unknown(names[0], topicNames()))
				}
			}
			width, _ := terminal(c.OutOrStdout())
			for i, t := range shown {
				if i > 0 {
					fmt.Fprintln(c.OutOrStdout())
				}
				if err := text.List(c.OutOrStdout(), t.name+", "+t.about, t.words(), width); err != nil {
					return failed("%w", err)
				}
			}
			return nil
		},
	}
}
