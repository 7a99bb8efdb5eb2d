// Ledger shows what a pool's strategy does to a program: it builds the books of a bank in an
// SQLite file and runs the same mix of reads and transfers through each strategy in turn. What
// changes from one run to the next is a config string and nothing else. After each run it
// audits the books, so a strategy that lost or doubled a write would be found out.
//
//	go run ./examples/ledger -h
//
// Read on in this order: bank.go, how a program gets a pool; load.go, how it uses one;
// ledger.go, the books and their audit; lesson.go, what the figures say.
//
// It exits with 0 if all books balance, 1 if they do not or something broke, 2 if it was asked
// for something impossible, 130 if it was interrupted.
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
	"strings"
	"syscall"
	"time"

	"github.com/lidopool/lido/strategies"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the first signal ends the run, a second one the process
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program. It writes the table to stdout, progress and errors to stderr.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (exitCode int) {
	s, err := parseFlags(args, stdout)
	if err == nil {
		err = s.demo(ctx, stdout, newProgress(stderr))
	}
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		fmt.Fprintln(stderr, "ledger: interrupted")
		return 130
	}
	fmt.Fprintln(stderr, err)
	if _, ok := errors.AsType[*requestError](err); ok {
		return 2
	}
	return 1
}

// requestError is an error that another command line would avoid.
type requestError struct{ err error }

func (e *requestError) Error() string { return "ledger: " + e.err.Error() }
func (e *requestError) Unwrap() error { return e.err }

func badRequest(format string, args ...any) error {
	return &requestError{fmt.Errorf(format, args...)}
}

// settings are what the flags say.
type settings struct {
	db         string // empty: a temporary one
	keep       bool
	accounts   int // 0: as many as there are in db, or defaultAccounts
	goroutines int
	duration   time.Duration
	strategies []strategies.Config
}

const (
	defaultAccounts = 20_000
	// mostAccounts is arbitrary: the file has about 5 GB then.
	mostAccounts = 10_000_000
	// defaultStrategies give queue and null 15 seats each, for their figures to be comparable, and
	// singleton one for each of the 16 goroutines.
	defaultStrategies = "queue?size=5&max_overflow=10,singleton?size=16,null?max=15,static,assertion"
)

func parseFlags(args []string, stdout io.Writer) (s settings, err error) {
	f := flag.NewFlagSet("ledger", flag.ContinueOnError)
	f.SetOutput(io.Discard) // run reports the error, once
	f.StringVar(&s.db, "db", "", "build the books in this `file`, or go on with those in it; default a temporary file")
	f.BoolVar(&s.keep, "keep", false, "keep the temporary file")
	f.IntVar(&s.accounts, "accounts", 0, fmt.Sprintf("`number` of accounts, with 10 entries each (default %d)", defaultAccounts))
	f.IntVar(&s.goroutines, "goroutines", 16, "`number` of goroutines that use the pool at once")
	f.DurationVar(&s.duration, "duration", 3*time.Second, "`time` for each strategy")
	list := f.String("strategies", defaultStrategies, "config `strings`, separated by commas")
	switch err := f.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintln(stdout, "ledger runs the same load on a bank's books through several pool strategies. Flags:")
		f.SetOutput(stdout)
		f.PrintDefaults()
		return s, err
	case err != nil:
		return s, badRequest("%w; -h lists the flags", err)
	case f.NArg() > 0:
		return s, badRequest("argument %q is not known: give flags only; -h lists them", f.Arg(0))
	}
	given := map[string]bool{}
	f.Visit(func(f *flag.Flag) { given[f.Name] = true })
	switch {
	case given["accounts"] && (s.accounts < 2 || s.accounts > mostAccounts):
		return s, badRequest("-accounts is %d: give 2 to %d", s.accounts, mostAccounts)
	case s.goroutines < 1:
		return s, badRequest("-goroutines is %d: give 1 or more", s.goroutines)
	case s.duration <= 0:
		return s, badRequest("-duration is %v: give more than 0, such as 3s", s.duration)
	}
	for text := range strings.SplitSeq(*list, ",") {
		text = strings.TrimSpace(text)
		if text == "" { // which Parse would take for the default strategy
			return s, badRequest("-strategies is %q, with nothing between two commas: give strings such as %s", *list, defaultStrategies)
		}
		c, err := strategies.Parse(text)
		if err != nil {
			return s, badRequest("-strategies: %w", err)
		}
		s.strategies = append(s.strategies, c)
	}
	return s, nil
}

// demo is the main job: prepare the books, run every strategy, compare.
func (s settings) demo(ctx context.Context, stdout io.Writer, p *progress) (err error) {
	defer p.clear()
	path := s.db
	if path == "" {
		dir, err := os.MkdirTemp("", "lido-ledger-")
		if err != nil {
			return badRequest("no place for a temporary file: %w: set TMPDIR, or give -db", err)
		}
		if path = filepath.Join(dir, "ledger.db"); !s.keep {
			defer os.RemoveAll(dir)
		}
	}
	now, err := prepare(ctx, path, s.accounts, p)
	if err != nil {
		return err
	}
	var results []result
	for _, c := range s.strategies {
		if ctx.Err() != nil {
			break
		}
		r, err := s.try(ctx, c, path, &now, p)
		if err != nil {
			return fmt.Errorf("ledger: %s: %w", c, err)
		}
		results = append(results, r)
	}
	p.clear()
	fmt.Fprint(stdout, report(results, len(s.strategies)))
	if s.db != "" || s.keep {
		fmt.Fprintf(stdout, "The books are in %s.\n", path)
	}
	for _, r := range results {
		if r.operations == 0 && ctx.Err() == nil {
			return fmt.Errorf("ledger: %s: no operation succeeded: %w", r.config, r.firstError)
		}
	}
	return ctx.Err()
}
