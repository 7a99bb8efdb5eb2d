package target

import (
	"context"

	"github.com/lidopool/lido/bench/internal/load"
	"github.com/lidopool/lido/strategies"
)

// A Backend is where resources come from.
type Backend interface {
	// Name is what it is called in a result, without secrets: "synthetic?use=1ms", "sqlite",
	// "postgres://app@db/shop".
	Name() string
	// Target makes a pool of Lido's over it, with the strategy of c.
	Target(c strategies.Config) (load.Target, error)
	// Dial opens a resource for a pool that is not Lido's, and close closes it. Both are metered by m.
	Dial(ctx context.Context, m *Meter) (c load.Conn, close func() error, err error)
	// Faults is how it is put into trouble: all that is opened over it.
	Faults() *Faults
	// Sessions is how many connections of this program the server counts; known is false if there is
	// no server to be asked.
	Sessions(ctx context.Context) (n int, known bool, err error)
	// Close ends what it needs for itself, its files included.
	Close() error
}

// TODO(issue 6): Open, Faults and Meter.

// Open reads what --backend takes, and makes sure that it can be reached: "synthetic?open=exp:5ms&use=1ms&fail=0.01",
// "sqlite" (a file of its own, deleted at Close), "sqlite:file.db", "postgres://…", "mysql:user:password@tcp(host)/db".
// No error shows a secret.
func Open(ctx context.Context, text string) (Backend, error) { panic("target: not built yet") }

// Kinds are the kinds of backends, with an example and a sentence about each, for lists and completion.
func Kinds() []Kind { panic("target: not built yet") }

// A Kind is a kind of backend.
type Kind struct{ Name, Example, About string }

// A Meter counts resources: from before each is opened until after it is closed. Its methods may be called from any goroutine.
type Meter struct{}

// Faults are the troubles of a backend. They hold for all resources opened over it, also those that are open.
type Faults struct{}

// Down says whether opening fails and what is open is broken.
func (f *Faults) Down(bool) { panic("target: not built yet") }

// Slow multiplies what a use takes; 1 is healthy. A real database is made slow by sleeping.
func (f *Faults) Slow(factor float64) { panic("target: not built yet") }

// Kill breaks a share of the open resources, 0 to 1, the oldest first.
func (f *Faults) Kill(share float64) { panic("target: not built yet") }
