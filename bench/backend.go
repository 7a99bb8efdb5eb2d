package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/lidopool/lido/bench/internal/target"
)

const backendHelp = "where resources come from, a `backend`: synthetic?…, sqlite, sqlite:FILE, postgres://…, mysql:…, or env:NAME\n" +
	"for one that stands in the environment variable NAME, so that no list of processes shows its password"

// Standing is locked for reading from before the open of a backend until after its close: while what that has made, a
// table perhaps, may be there. The ctx of a command has it.
type standingKey struct{}

func withStanding(ctx context.Context, standing *sync.RWMutex) context.Context {
	return context.WithValue(ctx, standingKey{}, standing)
}

// settled waits until no backend is open, but no longer than so long. Afterwards none can be opened any more.
func settled(standing *sync.RWMutex, patience time.Duration) bool {
	none := make(chan struct{})
	go func() { standing.Lock(); close(none) }()
	select {
	case <-none:
		return true
	case <-time.After(patience):
		return false
	}
}

// A standingBackend says when it is gone.
type standingBackend struct {
	target.Backend
	gone func()
}

func (b *standingBackend) Close() error {
	defer b.gone()
	return b.Backend.Close()
}

// openBackend opens what --backend says, which is to be closed once. Any error is of what was asked for.
func openBackend(ctx context.Context, text string) (target.Backend, error) {
	standing, ok := ctx.Value(standingKey{}).(*sync.RWMutex)
	if !ok {
		return openNamed(ctx, text)
	}
	standing.RLock()
	b, err := openNamed(ctx, text)
	if err != nil {
		standing.RUnlock()
		return nil, err
	}
	return &standingBackend{b, standing.RUnlock}, nil
}

// openNamed opens a backend by its text, or by that of an environment variable.
func openNamed(ctx context.Context, text string) (target.Backend, error) {
	if name, of := strings.CutPrefix(text, "env:"); of {
		if shown(name) != name {
			return nil, errors.New("--backend env: wants the name of an environment variable, as in env:DATABASE_URL; give what may hold a password in that variable")
		}
		if name == "" {
			return nil, fmt.Errorf("--backend env: names no variable: give one, as in env:DATABASE_URL")
		}
		text = os.Getenv(name)
		if text == "" {
			return nil, fmt.Errorf("--backend env:%s: the environment variable %s is empty or not set", name, name)
		}
	}
	// What a backend has made, a table perhaps, is to be taken away also if whoever reads our output has gone: a write
	// then fails, instead of ending the process.
	signal.Ignore(syscall.SIGPIPE)
	b, err := target.Open(ctx, text)
	if ctx.Err() != nil {
		interrupted := errInterrupted
		switch {
		case err == nil: // it came at the last moment
			closeBackend(b, &interrupted)
		case errors.Is(err, target.ErrLeft):
			interrupted = errors.Join(interrupted, failed("--backend: %w", err))
		}
		return nil, interrupted
	}
	if err != nil {
		return nil, fmt.Errorf("--backend: %w", err)
	}
	return b, nil
}

// shown is an argument as an error may show it. What looks like a DSN, whose --backend was forgotten, may hold a password.
func shown(arg string) string {
	for _, part := range []string{"@", "://", "password", "pwd"} {
		if strings.Contains(strings.ToLower(arg), part) {
			return "xxxxx"
		}
	}
	return arg
}

func backendWords() []string {
	var all []string
	for _, k := range target.Kinds() {
		all = append(all, k.Example+"\t"+k.About)
	}
	return append(all, "env:\tone that stands in an environment variable")
}

func completeBackend(c *cobra.Command) {
	completeFlag(c, "backend", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return backendWords(), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	})
}
