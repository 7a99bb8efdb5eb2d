package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lidopool/lido/internal/settings"
)

// newCommand is the command line.
func newCommand(stdin io.Reader, stdout, stderr io.Writer) *cobra.Command {
	version, run := false, runCommand()
	root := &cobra.Command{
		Use:   "lidobench",
		Short: "Measure pooling strategies against each other",
		Long: `Lidobench measures Lido's pooling strategies against each other, on your own database or on
resources made up for the purpose: throughput, waits to the 99.9th percentile, fairness, opens, allocations,
processor time. It shows how they fare in bad moments, and compares results with older ones.

Without a command it does what lidobench run does.`,
		Example: `  lidobench                                       all strategies on embedded SQLite, under a minute
  lidobench run --backend env:DATABASE_URL --html report.html
  lidobench scenario outage --strategy queue,null
  lidobench list`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          knownCommand,
		RunE: func(c *cobra.Command, _ []string) error {
			if version {
				return tellVersion(c)
			}
			run.SetContext(c.Context())
			return run.RunE(run, nil)
		},
		PersistentPreRunE: func(c *cobra.Command, _ []string) error { return notEmpty(c) },
	}
	root.Flags().BoolVar(&version, "version", false, "tell which lidobench this is")
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(run, scenarioCommand(), compareCommand(), reportCommand(), listCommand(), versionCommand())
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	for _, c := range root.Commands() {
		switch c.Name() {
		case "completion": // it would answer an unknown shell with its help
			c.Args = knownCommand
			c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
		case "help": // it would answer an unknown command with the help of lidobench
			c.Args = func(_ *cobra.Command, args []string) error { return knownCommands(root, args) }
		}
	}
	return root
}

// knownCommands refuses args that are not the names of commands, each a sub-command of that before it.
func knownCommands(c *cobra.Command, args []string) error {
	for i, name := range args {
		if !c.HasSubCommands() {
			return fmt.Errorf("%s has no sub-commands, such as %.64q", c.CommandPath(), name)
		}
		at := slices.IndexFunc(c.Commands(), func(sub *cobra.Command) bool { return sub.Name() == name })
		if at < 0 {
			return knownCommand(c, args[i:])
		}
		c = c.Commands()[at]
	}
	return nil
}

// knownCommand refuses what is no command, and names the nearest.
func knownCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var known []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			known = append(known, sub.Name())
		}
	}
	return fmt.Errorf("%s %.64q: %s", c.CommandPath(), shown(args[0]), settings.Unknown(args[0], known))
}

// flagError says more about a flag that is wrong than which it is.
func flagError(c *cobra.Command, err error) error {
	var wrong *pflag.InvalidValueError
	if errors.As(err, &wrong) {
		f := wrong.GetFlag()
		return fmt.Errorf("--%s is %.64q: %s; %s --help tells more", f.Name, wrong.GetValue(), remedy(f, wrong.Unwrap()), c.CommandPath())
	}
	var missing *pflag.NotExistError
	if !errors.As(err, &missing) {
		return fmt.Errorf("%w; %s --help lists the flags", err, c.CommandPath())
	}
	var known []string
	c.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	name, hint := missing.GetSpecifiedName(), ""
	if near := settings.Nearest(name, known); near != "" {
		hint = fmt.Sprintf("; did you mean --%s?", near)
	}
	// Without a command it is run that is done, but its flags are its own.
	if sub, _, err := c.Find([]string{"run"}); err == nil && sub != c && sub.Flags().Lookup(name) != nil {
		return fmt.Errorf("%w; %s has it", missing, sub.CommandPath())
	}
	return fmt.Errorf("%w%s; %s --help lists the flags", err, hint, c.CommandPath())
}

// remedy says what a flag takes whose value cannot be read.
func remedy(f *pflag.Flag, err error) string {
	switch f.Value.Type() {
	case "int":
		return "give a whole number"
	case "uint64":
		return "give a whole number, 0 or more"
	case "float64":
		return "give a number"
	case "duration":
		return "give a time with its unit, such as 150ms"
	case "bool":
		return "give true or false, or nothing"
	}
	return err.Error()
}

// notEmpty refuses a flag that is given an empty text, as by a shell variable that is not set: it would do as if it had
// not been given, and a result that somebody waits for would be written nowhere.
func notEmpty(c *cobra.Command) (err error) {
	c.Flags().Visit(func(f *pflag.Flag) {
		if err == nil && f.Value.Type() == "string" && f.Value.String() == "" {
			err = fmt.Errorf("--%s is empty: give it a value, or leave it out", f.Name)
		}
	})
	return err
}

// exactly wants one argument for each of the names.
func exactly(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != len(names) {
			return fmt.Errorf("%s takes %s, %s, but there are %d", c.CommandPath(), plural(len(names), "argument", "arguments"), strings.Join(names, " and "), len(args))
		}
		return nil
	}
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// none wants no arguments.
func none(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("argument %.64q: %s takes flags only; --help lists them", shown(args[0]), c.CommandPath())
	}
	return nil
}

// completeWords completes one of some words, each perhaps with a tab and a sentence about it.
func completeWords(words func() []string) cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return words(), cobra.ShellCompDirectiveNoFileComp
	}
}

// completeList completes the last word of a list with commas.
func completeList(words func() []string) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		before := typed[:strings.LastIndex(typed, ",")+1]
		var all []string
		for _, w := range words() {
			all = append(all, before+w)
		}
		return all, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
}

// completeFlag says how the values of a flag are completed.
func completeFlag(c *cobra.Command, flag string, how cobra.CompletionFunc) {
	if err := c.RegisterFlagCompletionFunc(flag, how); err != nil {
		panic(err) // there is no such flag
	}
}

// splitList takes lists apart at commas. A comma within the settings of an entry, as of
// think=lognormal:1ms,10ms, is before a number and stays.
func splitList(flag string, lists []string) ([]string, error) {
	var all []string
	for _, list := range lists {
		begin := 0
		for i := range len(list) {
			if list[i] == ',' && !strings.ContainsAny(list[i+1:min(i+2, len(list))], "0123456789") {
				all = append(all, strings.TrimSpace(list[begin:i]))
				begin = i + 1
			}
		}
		all = append(all, strings.TrimSpace(list[begin:]))
	}
	for _, s := range all {
		if s == "" {
			return nil, fmt.Errorf("--%s is %.64q: name something before and after each comma", flag, strings.Join(lists, ","))
		}
	}
	return all, nil
}
