package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/lidopool/lido/bench/internal/compare"
	"github.com/lidopool/lido/bench/internal/result"
	"github.com/lidopool/lido/bench/internal/text"
)

func compareCommand() *cobra.Command {
	slower := -1.0
	c := &cobra.Command{
		Use:   "compare OLD NEW",
		Short: "Compare two results",
		Long: fmt.Sprintf(`Compare says what differs between two results that lidobench run --json wrote, for each pool under the same
workload, goroutines and size. A difference that chance alone would make in more than one of twenty comparisons
is shown as ~; for any to be told from chance each run needs %d rounds, and 10 are better.`, compare.Rounds),
		Example: `  lidobench compare old.json new.json
  lidobench compare --fail-if-slower 10 old.json new.json
        exit with 1 if anything is clearly slower by more than 10 %`,
		Args:              exactly("OLD", "NEW"),
		ValidArgsFunction: completeResult,
		RunE: func(c *cobra.Command, names []string) error {
			if c.Flags().Changed("fail-if-slower") && !(slower >= 0) { // NaN is not
				return fmt.Errorf("--fail-if-slower is %v: give a percentage of 0 or more", slower)
			}
			return compareFiles(c, names[0], names[1], slower)
		},
	}
	c.Flags().Float64Var(&slower, "fail-if-slower", -1, "exit with 1 if a time per op, or at a fixed rate a wait p99, is clearly greater by more than so many per cent, or what did its work fails")
	c.Flags().Lookup("fail-if-slower").DefValue = "never"
	return c
}

func compareFiles(c *cobra.Command, oldName, newName string, slower float64) error {
	old, err := readResult(oldName, c.InOrStdin())
	if err != nil {
		return err
	}
	new, err := readResult(newName, c.InOrStdin())
	if err != nil {
		return err
	}
	found, err := compare.Files(old, new)
	if err != nil {
		return err
	}
	width, _ := terminal(c.OutOrStdout())
	if err := text.Comparison(c.OutOrStdout(), found, width); err != nil {
		return failed("%w", err)
	}
	if slower < 0 {
		return nil
	}
	if n := len(found.Broken); n > 0 {
		return failed("%d of those compared do not do their work any more, such as %s", n, found.Broken[0])
	}
	if worse := found.Slower(slower / 100); len(worse) > 0 {
		l := worse[0]
		return failed("%d of those compared are slower by more than %v %%, such as %s under %s", len(worse), slower, l.Pool, l.Cell)
	}
	return nil
}

// readResult reads a result from a file, or from the standard input if that is "-".
func readResult(name string, stdin io.Reader) (result.File, error) {
	if name == "-" {
		f, err := result.Read(stdin)
		if err != nil {
			return f, fmt.Errorf("standard input: %w", err)
		}
		return f, nil
	}
	return result.ReadFile(name)
}

// completeResult completes names of results.
func completeResult(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"json"}, cobra.ShellCompDirectiveFilterFileExt
}
