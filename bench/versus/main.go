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

	"golang.org/x/term"

	"github.com/lidopool/lido/bench/internal/page"
	"github.com/lidopool/lido/bench/internal/replace"
	"github.com/lidopool/lido/bench/internal/result"
	"github.com/lidopool/lido/bench/internal/target"
	"github.com/lidopool/lido/bench/internal/text"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program as if this were not here
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// width is that of a terminal, or 0.
func width(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		columns, _, _ := term.GetSize(int(f.Fd())) // 0 if it is none
		return columns
	}
	return 0
}

// An order is what the command line asks for.
type order struct {
	pace
	contest
	quick                             bool
	commit                            string
	draw                              string // a file with results, instead of measuring
	out, markdown, figure, json, html string
	peers                             []peer
	works                             []work
}

// newOrder reads the command line. What is wrong with it has been written to stderr.
func newOrder(args []string, stderr io.Writer) (order, error) {
	o := order{pace: full, contest: newContest()}
	var pools, named, workloads string
	rounds := 0
	f := flag.NewFlagSet("versus", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.BoolVar(&o.quick, "quick", false, "short windows: under a minute instead of a few")
	f.StringVar(&o.out, "out", "", "write the results of works as JSON to this `file`")
	f.StringVar(&o.markdown, "markdown", "", "write tables of the works to this `file`")
	f.StringVar(&o.figure, "figure", "", "draw the ratios of works, as SVG, to this `file`")
	f.StringVar(&o.json, "json", "", "write all results to this `file`, for lidobench report and compare")
	f.StringVar(&o.html, "html", "", "draw all results as a page, to this `file`")
	f.StringVar(&o.draw, "draw", "", "measure nothing: take the works from this `file`, which -out wrote")
	f.StringVar(&pools, "pools", "all", "measure only `these`: "+strings.Join(peerNames(), ","))
	f.StringVar(&named, "works", "all", "measure only `these`, or none: "+strings.Join(workNames(), ","))
	f.StringVar(&workloads, "workloads", "none", "measure `these` of lidobench too, or all: "+strings.Join(workloadNames(), ","))
	f.StringVar(&o.backend, "backend", o.backend, "where workloads have their resources from, as lidobench takes it")
	f.Var(&o.goroutines, "goroutines", "how many `goroutines` do the workloads")
	f.Var(&o.seats, "size", "how many `resources` there are in the workloads")
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
		if name := given(f, measuring); o.draw != "" && name != "" {
			return fmt.Errorf("versus: -%s is about measuring, and with -draw nothing is measured", name)
		}
		for _, out := range o.outputs() {
			if out.name == "" {
				continue
			}
			if err := replace.Check(out.name); err != nil {
				return fmt.Errorf("versus: -%s: %w", out.flag, err) // not after minutes
			}
			if out.ofWorks && named == "none" {
				return fmt.Errorf("versus: -%s is about works, and -works none leaves none", out.flag)
			}
		}
		if err := o.set(workloads); err != nil {
			return fmt.Errorf("versus: -workloads: %w", err)
		}
		if name := given(f, contesting); name != "" && len(o.workloads) == 0 {
			return fmt.Errorf("versus: -%s is about workloads: name -workloads", name)
		}
		if named == "none" && len(o.workloads) == 0 {
			return errors.New("versus: -works none leaves nothing to do: name -workloads")
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

// An output is what a run can write.
type output struct {
	flag, name string // what asks for it, and the file. "": nobody does
	ofWorks    bool
	write      func(io.Writer, findings) error
}

func (o order) outputs() []output {
	ofWorks := func(of func(report) ([]byte, error)) func(io.Writer, findings) error {
		return func(w io.Writer, f findings) error {
			text, err := of(f.report)
			if err == nil {
				_, err = w.Write(text)
			}
			return err
		}
	}
	return []output{
		{"out", o.out, true, ofWorks(report.json)},
		{"markdown", o.markdown, true, ofWorks(report.markdown)},
		{"figure", o.figure, true, ofWorks(report.figure)},
		{"json", o.json, false, func(w io.Writer, f findings) error { return result.Write(w, f.file) }},
		{"html", o.html, false, func(w io.Writer, f findings) error { return page.Write(w, f.file) }},
	}
}

// given is a flag that was given and is about something.
func given(f *flag.FlagSet, about func(name string) bool) (name string) {
	f.Visit(func(given *flag.Flag) {
		if about(given.Name) {
			name = given.Name
		}
	})
	return name
}

// measuring says that a flag tells what to measure, or how, and contesting that it does for workloads alone.
func measuring(flag string) bool {
	return !slices.Contains([]string{"draw", "out", "markdown", "figure", "json", "html"}, flag)
}

func contesting(flag string) bool {
	return slices.Contains([]string{"backend", "goroutines", "size"}, flag)
}

// choose picks those of all that a list names, in the order of all. A list may be "all" or "none".
func choose[T any](kind, list string, all []T, names []string) ([]T, error) {
	switch list {
	case "all", "":
		return all, nil
	case "none":
		return nil, nil
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
// command line is wrong, 130 if ctx ended first. Then nothing is written, but what was complete if the works
// were: workloads may be partial, and say so. That a peer failed is a finding, and stands in its row.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := newOrder(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		return 2
	}
	var b target.Backend
	if len(o.workloads) > 0 {
		if b, err = target.Open(ctx, o.backend); err != nil {
			fmt.Fprintln(stderr, "versus: -backend:", err)
			return 2
		}
		defer b.Close()
	}
	f, code := o.find(ctx, b, stderr)
	if f.empty() {
		return code
	}
	if len(f.report.Rows) > 0 {
		printTables(stdout, f.report)
		fmt.Fprintln(stdout)
	}
	if rest := f.workloads(); len(rest.Cells) > 0 {
		if err := text.Table(stdout, rest, width(stdout)); err != nil {
			fmt.Fprintln(stderr, "versus:", err)
			code = 1
		}
	}
	if code == 0 && f.lidoFailed() {
		code = 1
	}
	for _, out := range o.outputs() {
		if out.name == "" {
			continue
		}
		err := replace.File(out.name, func(w io.Writer) error { return out.write(w, f) })
		if err != nil {
			fmt.Fprintf(stderr, "versus: -%s: %v\n", out.flag, err)
			code = 1
		}
	}
	return code
}
