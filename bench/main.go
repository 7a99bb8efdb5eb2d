package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the first signal ends the run, a second one the process
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the program. It returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	c := newCommand(stdin, stdout, stderr)
	c.SetArgs(args)
	err := c.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintf(stderr, "lidobench: %s\n", strings.ReplaceAll(err.Error(), "\n", "\n  "))
	var failed *failure
	switch {
	case errors.Is(err, errInterrupted):
		return 130
	case errors.As(err, &failed):
		return 1
	}
	return 2
}

// errInterrupted says that ctx ended before the work was done.
var errInterrupted = errors.New("interrupted")

// A failure is an error that no other command line would avoid. All others are of what was asked for.
type failure struct{ error }

func (f *failure) Unwrap() error { return f.error }

func failed(format string, args ...any) error { return &failure{fmt.Errorf(format, args...)} }
