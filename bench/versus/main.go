package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program as if this were not here
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// An order is what the command line asks for.
type order struct {
	pace
	quick                 bool
	commit                string
	draw                  string // a file with results, instead of measuring
	out, markdown, figure string
	peers                 []peer
	works                 []work
}

// newOrder reads the command line. What is wrong with it has been written to stderr.
func newOrder(args []string, stderr io.Writer) (order, error) {
	o := order{pace: full, peers: peers, works: works}
	var pools, named string
	rounds := 0
	f := flag.NewFlagSet("versus", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.BoolVar(&o.quick, "quick", false, "short windows: under a minute instead of a few")
	f.StringVar(&o.out, "out", "", "write the results as JSON to this `file`")
	f.StringVar(&o.markdown, "markdown", "", "write tables of the results to this `file`")
	f.StringVar(&o.figure, "figure", "", "draw the ratios, as SVG, to this `file`")
	f.StringVar(&o.draw, "draw", "", "measure nothing: take the results from this `file`, which -out wrote")
	f.StringVar(&pools, "pools", "", "measure only these: "+strings.Join(peerNames(), ","))
	f.StringVar(&named, "works", "", "measure only these: "+strings.Join(workNames(), ","))
	f.IntVar(&rounds, "rounds", 0, fmt.Sprintf("how often each is measured; 0 is %d, or %d if quick", full.rounds, quick.rounds))
	f.StringVar(&o.commit, "commit", "", "the commit of Lido, if the binary does not know it")
	if err := f.Parse(args); err != nil {
		return order{}, err
	}
	if o.quick {
		o.pace = quick
	}
	if rounds > 0 {
		o.rounds = rounds
	}

	err := func() error {
		if f.NArg() > 0 {
			return fmt.Errorf("versus: unexpected argument %q", f.Arg(0))
		}
		if rounds < 0 {
			return fmt.Errorf("versus: -rounds %d: want 0 or more", rounds)
		}
		if name := measuring(f); o.draw != "" && name != "" {
			return fmt.Errorf("versus: -%s is about measuring, and with -draw nothing is measured", name)
		}
		for _, name := range []string{o.out, o.markdown, o.figure} {
			if _, err := os.Stat(filepath.Dir(name)); err != nil {
				return fmt.Errorf("versus: %w", err) // not after minutes
			}
		}
		var err error
		if o.peers, err = choose("pool", pools, peers, peerNames()); err != nil {
			return err
		}
		o.works, err = choose("work", named, works, workNames())
		return err
	}()
	if err != nil {
		fmt.Fprintln(stderr, err)
	}
	return o, err
}

// measuring is a flag that was given and says what to measure, or how.
func measuring(f *flag.FlagSet) (name string) {
	f.Visit(func(given *flag.Flag) {
		if !slices.Contains([]string{"draw", "out", "markdown", "figure"}, given.Name) {
			name = given.Name
		}
	})
	return name
}

// choose picks those of all that a list names, in the order of all. An empty list names all.
func choose[T any](kind, list string, all []T, names []string) ([]T, error) {
	if list == "" {
		return all, nil
	}
	wanted := strings.Split(list, ",")
	for _, name := range wanted {
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("versus: unknown %s %q: want one of %s", kind, name, strings.Join(names, ", "))
		}
	}
	var chosen []T
	for i, name := range names {
		if slices.Contains(wanted, name) {
			chosen = append(chosen, all[i])
		}
	}
	return chosen, nil
}

// run is the program. It returns the exit code: 0, 1 if Lido or a file failed, 2 if the
// command line is wrong, 130 if ctx ended first, in which case nothing is written. That a peer
// failed is a finding, and stands in its row.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := newOrder(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		return 2
	}
	r, code := o.results(ctx, stderr)
	if code != 0 {
		return code
	}
	printTables(stdout, r)
	if slices.ContainsFunc(r.Rows, func(x row) bool { return x.Pool == "lido" && x.Error != "" }) {
		code = 1
	}
	for _, f := range []struct {
		name string
		text func() ([]byte, error)
	}{{o.out, r.json}, {o.markdown, r.markdown}, {o.figure, r.figure}} {
		if f.name == "" {
			continue
		}
		text, err := f.text()
		if err == nil {
			err = writeFile(f.name, text)
		}
		if err != nil {
			fmt.Fprintln(stderr, "versus:", err)
			code = 1
		}
	}
	return code
}

// results are measured or read, as o says. The code is that of run, and not 0 if there are none.
func (o order) results(ctx context.Context, stderr io.Writer) (report, int) {
	if o.draw != "" {
		r, err := readReport(o.draw)
		if err != nil {
			fmt.Fprintln(stderr, "versus:", err)
			return report{}, 1
		}
		return r, 0
	}
	jobs := plan(o.peers, o.works)
	found, err := measureAll(ctx, jobs, o.pace, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "versus: interrupted, nothing is written")
		return report{}, 130
	}
	return report{newEnvironment(o.commit, o.quick), found.rows(jobs)}, 0
}
