package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/lidopool/lido/bench/internal/page"
	"github.com/lidopool/lido/bench/internal/replace"
	"github.com/lidopool/lido/bench/internal/result"
	"github.com/lidopool/lido/bench/internal/text"
)

// An output is a form in which a result is written, to where a flag says.
type output struct {
	flag, about string
	piped       bool // "-" is the standard output
	write       func(io.Writer, result.File) error
	name        string // the file. "": it is not wanted
}

// outputs are those that a command can write, what is most precious first.
type outputs []*output

// newOutputs are the flags of c for those of the forms that are named.
func newOutputs(c *cobra.Command, forms ...string) outputs {
	var all outputs
	for _, form := range forms {
		o := &output{flag: form}
		switch form {
		case "json":
			o.about, o.piped, o.write = "write the result as JSON to this `file`; - is the standard output", true, result.Write
		case "csv":
			o.about, o.piped, o.write = "write all rounds as CSV to this `file`; - is the standard output", true, text.CSV
		case "bench":
			o.about, o.piped, o.write = "write all rounds as Go's benchmarks do, for benchstat, to this `file`; - is the standard output", true, text.Bench
		case "html":
			o.about, o.write = "draw the result as a page of its own, which needs no network, to this `file`", page.Write
		}
		c.Flags().StringVar(&o.name, o.flag, "", o.about)
		all = append(all, o)
	}
	return all
}

// check says before anything is measured what could not be written.
func (all outputs) check() error {
	taken := map[string]string{}
	for _, o := range all {
		if o.name == "" {
			continue
		}
		if o.name == "/dev/stdout" {
			o.name = "-" // else it would be truncated where it is a file
		}
		same := o.name
		if o.name != "-" {
			if abs, err := filepath.Abs(o.name); err == nil {
				same = abs
			}
		}
		switch other, twice := taken[same]; {
		case twice && same == os.DevNull:
		case twice:
			return fmt.Errorf("--%s and --%s both name %s: give each its own", other, o.flag, o.name)
		case o.name == "-" && !o.piped:
			return fmt.Errorf("--%s: name a file; only text goes to the standard output", o.flag)
		case o.name != "-":
			if err := replace.Check(o.name); err != nil {
				return fmt.Errorf("--%s: %w", o.flag, err)
			}
		}
		taken[same] = o.flag
	}
	return nil
}

// toStdout says whether one of them takes the standard output, which then has nothing else.
func (all outputs) toStdout() bool {
	for _, o := range all {
		if o.name == "-" {
			return true
		}
	}
	return false
}

// save writes all that are wanted; what fails does not keep it from the others.
func (all outputs) save(f result.File, stdout io.Writer) error {
	var errs []error
	for _, o := range all {
		var err error
		switch o.name {
		case "":
		case "-":
			err = o.write(stdout, f)
		default:
			err = replace.File(o.name, func(w io.Writer) error { return o.write(w, f) })
		}
		if err != nil {
			errs = append(errs, failed("--%s: %w", o.flag, err))
		}
	}
	return errors.Join(errs...)
}
