package main

import (
	"github.com/spf13/cobra"

	"github.com/lidopool/lido/bench/internal/text"
)

func reportCommand() *cobra.Command {
	var out outputs
	c := &cobra.Command{
		Use:   "report FILE",
		Short: "Show an older result",
		Long: `Report shows a result that lidobench run or scenario wrote with --json, as the table that was shown then or in any other
form. It measures nothing. "-" is the standard input.`,
		Example: `  lidobench report result.json
  lidobench report result.json --html report.html
  lidobench report result.json --csv - | head`,
		Args:              exactly("FILE"),
		ValidArgsFunction: completeResult,
		RunE: func(c *cobra.Command, names []string) error {
			if err := out.check(); err != nil {
				return err
			}
			f, err := readResult(names[0], c.InOrStdin())
			if err != nil {
				return err
			}
			if !out.toStdout() {
				show := text.Table
				if len(f.Timelines) > 0 {
					show = text.Timelines
				}
				width, _ := terminal(c.OutOrStdout())
				if err := show(c.OutOrStdout(), f, width); err != nil {
					return failed("%w", err)
				}
			}
			return out.save(f, c.OutOrStdout())
		},
	}
	c.Flags().SortFlags = false
	out = newOutputs(c, "csv", "bench", "html")
	return c
}
