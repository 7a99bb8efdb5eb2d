package target

import (
	"context"
	"fmt"
	"strings"

	"github.com/lidopool/lido/bench/internal/load"
	"github.com/lidopool/lido/internal/settings"
	"github.com/lidopool/lido/strategies"
)

// A Backend is where resources come from.
type Backend interface {
	// Name is what it is called in a result, without secrets: "synthetic?use=1ms", "sqlite",
	// "postgres://app@db/shop".
	Name() string
	// Target makes a pool of Lido's over it, with the strategy of c. Nothing is opened yet. The
	// result also has Drop: see Dropper.
	Target(c strategies.Config) (load.Target, error)
	// Dial opens a resource for a pool that is not Lido's, and close closes it. Both are metered by m.
	// What it opens is for one holder at a time.
	Dial(ctx context.Context, m *Meter) (c load.Conn, close func() error, err error)
	// Faults is how it is put into trouble: all that is opened over it.
	Faults() *Faults
	// Sessions is how many connections of this program the server counts; known is false if there is
	// no server to be asked.
	Sessions(ctx context.Context) (n int, known bool, err error)
	// Close ends what it needs for itself, its files and tables included. It is called after the Close of
	// all targets over it.
	Close() error
}

// A Dropper is a load.Target whose pool gets a resource back that its holder forgot. Drop acquires one,
// which ctx bounds, and forgets it.
type Dropper interface {
	Drop(ctx context.Context) error
}

// A Kind is a kind of backend.
type Kind struct{ Name, Example, About string }

// Kinds are the kinds of backends, with an example and a sentence about each, for lists and completion.
func Kinds() []Kind {
	return []Kind{
		{"synthetic", "synthetic?open=exp:5ms&use=1ms&fail=0.01", "Resources that are made up, and cost what the text says: nothing, if it says nothing."},
	}
}

// Open reads what --backend takes, and makes sure that it can be reached, which may take up to 5 s:
// "synthetic?open=exp:5ms&use=1ms&fail=0.01".
// The Backend must be closed. No error shows a secret.
func Open(ctx context.Context, text string) (Backend, error) {
	kind, rest := split(text)
	switch kind {
	case "synthetic":
		return openSynthetic(rest)
	}
	return nil, unknown(text, kind)
}

// split takes a text apart into the kind, and what stands after the colon or question mark.
func split(text string) (kind, rest string) {
	if i := strings.IndexAny(text, ":?"); i >= 0 {
		return text[:i], text[i+1:]
	}
	return text, ""
}

// unknown is the error for a text of no known kind.
func unknown(text, kind string) error {
	known := make([]string, len(Kinds()))
	for i, k := range Kinds() {
		known[i] = k.Name
	}
	return fmt.Errorf("target: backend %.64q: %s", kind, settings.Unknown(kind, known))
}
