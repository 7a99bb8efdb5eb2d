package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

func main() {
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as nohup does
		ends = append(ends, syscall.SIGHUP)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, ends...)
	var standing sync.RWMutex
	ctx, cancel := context.WithCancel(withStanding(context.Background(), &standing))
	go func() {
		<-signals
		cancel() // the first signal ends the run
		<-signals
		if !settled(&standing, lastMoment) {
			fmt.Fprintln(os.Stderr, "lidobench: ended at once; a table, a file or a temporary directory of its own, called lidobench…, may be left behind")
		}
		os.Exit(130) // a second one the process; not by its default, which may be to be ignored, as in the background of a shell
	}()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// lastMoment is how long a second signal waits for what is being taken away. Arbitrary: much longer than that takes
// where nothing hangs, and no longer than somebody in a hurry bears.
const lastMoment = time.Second

// run is the program. It returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	c := newCommand(stdin, stdout, stderr)
	c.SetArgs(append([]string{}, args...)) // cobra takes nil for those of the process
	err := c.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintf(stderr, "lidobench: %s\n", strings.ReplaceAll(err.Error(), "\n", "\n  "))
	var failed *failure
	switch {
	case errors.As(err, &failed): // also if it was interrupted besides: who interrupts knows that
		return 1
	case errors.Is(err, errInterrupted):
		return 130
	}
	return 2
}

// errInterrupted says that ctx ended before the work was done.
var errInterrupted = errors.New("interrupted")

// A failure is an error that no other command line would avoid. All others are of what was asked for.
type failure struct{ error }

func (f *failure) Unwrap() error { return f.error }

func failed(format string, args ...any) error { return &failure{fmt.Errorf(format, args...)} }
