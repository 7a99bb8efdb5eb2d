package main

import (
	"cmp"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/lidopool/lido/bench/internal/trial"
)

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Tell which lidobench this is",
		Example: "  lidobench version",
		Args:    none,
		RunE:    func(c *cobra.Command, _ []string) error { return tellVersion(c) },
	}
}

func tellVersion(c *cobra.Command) error {
	e := trial.Environment(c.Context())
	_, err := fmt.Fprintf(c.OutOrStdout(), "lidobench %s, commit %s, %s %s/%s\n",
		cmp.Or(e.Version, "without a version"), cmp.Or(e.Commit, "unknown"), e.Go, e.OS, e.Arch)
	if err != nil {
		return failed("%w", err)
	}
	return nil
}
