// Command scenarios puts two pools into four bad moments, side by side: Lido, and the one in
// database/sql. Both stand before a server in this process that takes its time to connect, so it needs no
// database, and a few seconds.
//
//	go run ./examples/scenarios            # all four
//	go run ./examples/scenarios spike down # these
//
// Read on in this order: contender.go, the two pools; scenarios.go, the four moments; server.go, what
// they connect to. The same four are tests, with exact figures: pool/scenario_test.go.
//
// It exits with 0 if Lido did what it promises, 1 if it did not or something broke, 2 if it was asked
// for a scenario that there is not, 130 if it was interrupted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the first signal ends the run, a second one the process
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program. It writes the tables to stdout, errors to stderr.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (exitCode int) {
	chosen, err := choose(args, stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(stderr, err)
		return 2
	}
	for i, s := range chosen {
		if i > 0 {
			fmt.Fprintln(stdout)
		}
		err := s.tell(ctx, stdout)
		switch {
		case ctx.Err() != nil:
			fmt.Fprintln(stderr, "scenarios: interrupted")
			return 130
		case err != nil:
			fmt.Fprintf(stderr, "scenarios: %s: %v\n", s.name, err)
			exitCode = 1
		}
	}
	return exitCode
}

// choose picks the scenarios that are named, all if none is.
func choose(args []string, stdout io.Writer) ([]scenario, error) {
	f := flag.NewFlagSet("scenarios", flag.ContinueOnError)
	f.SetOutput(io.Discard) // run reports the error, once
	switch err := f.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintln(stdout, "scenarios puts Lido and database/sql into bad moments. Name some, or none for all:")
		for _, s := range scenarios {
			fmt.Fprintf(stdout, "  %-11s %s\n", s.name, s.about)
		}
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("scenarios: %w; -h lists what there is", err)
	case f.NArg() == 0:
		return scenarios, nil
	}
	var chosen []scenario
	for _, name := range f.Args() {
		i := slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == name })
		if i < 0 {
			var known []string
			for _, s := range scenarios {
				known = append(known, s.name)
			}
			return nil, fmt.Errorf("scenarios: %q is not known: give some of %s, or nothing for all", name, strings.Join(known, ", "))
		}
		chosen = append(chosen, scenarios[i])
	}
	return chosen, nil
}

// tell runs the scenario with each pool and prints what came of it.
func (s scenario) tell(ctx context.Context, stdout io.Writer) (err error) {
	fmt.Fprintf(stdout, "%s: %s\n%s\n\n", s.name, s.about, s.setting)
	w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(first string, cells []string) {
		fmt.Fprintf(w, "%s\t%s\t\n", first, strings.Join(cells, "\t"))
	}
	row("", s.columns)
	for _, start := range contenders {
		c, failed := start(s)
		if failed != nil {
			return failed
		}
		cells, broken := s.run(ctx, c)
		c.close()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		row(c.name, cells)
		if c.promises && broken != nil {
			err = broken
		}
	}
	w.Flush()
	fmt.Fprintf(stdout, "\n%s\n", s.lesson)
	return err
}
