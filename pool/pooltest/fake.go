package pooltest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/lidopool/lido/pool"
)

// Method is a method of a backend, by name.
type Method string

// The methods that a Fake can be told how to do.
const (
	Open  Method = "open"
	Ping  Method = "ping"
	Reset Method = "reset"
	Close Method = "close"
)

// Errors that Fake.Classify knows. All others are Sound.
var (
	ErrDead    = errors.New("pooltest: resource is dead")       // pool.Dead
	ErrAllDead = errors.New("pooltest: all resources are dead") // pool.AllDead
	ErrFull    = errors.New("pooltest: backend is full")        // pool.Full
)

// Fake is a backend for tests. It opens Resources, does what a script says, remembers what it was
// asked for, and notices what a pool must never do: close a resource twice or not at all,
// call two methods of one resource at a time, or use it after its close.
//
// All its methods may be called from any goroutine at any time, and it works in
// synctest bubbles as well as outside.
type Fake struct {
	mu         sync.Mutex
	next       map[Method][]Act // for the next calls
	always     map[Method]Act   // for those after them
	log        []Call
	calls      map[Method]int
	opened     []*Resource
	closed     int
	now, most  int
	forced     bool
	violations []string
}

// NewFake returns a Fake whose methods all succeed at once.
func NewFake() *Fake {
	return &Fake{next: make(map[Method][]Act), always: make(map[Method]Act), calls: make(map[Method]int)}
}

// Next says what the next calls of m do, one act each, after those already given.
func (f *Fake) Next(m Method, acts ...Act) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next[m] = append(f.next[m], acts...)
}

// Always says what calls of m do from now on, once those given to Next are done.
func (f *Fake) Always(m Method, act Act) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.always[m] = act
}

// AllowForcedClose says that resources may be closed under their holders from now on, as
// pool.Close does and holders of a shared resource do to each other.
func (f *Fake) AllowForcedClose() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forced = true
}

// Call is one entry of a Fake's log.
type Call struct {
	Method Method // or a note of the test's own
	ID     int    // of the resource; 0 for a failed open and for a note
}

func (c Call) String() string {
	switch {
	case c.ID > 0:
		return fmt.Sprintf("%s %d", c.Method, c.ID)
	case c.Method == Open:
		return "open failed"
	}
	return string(c.Method)
}

// Note adds an entry of the test's own to the log, say from a hook.
func (f *Fake) Note(what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.log = append(f.log, Call{Method: Method(what)})
}

// Log returns what has been called so far: opens when they were done, the others when they began.
func (f *Fake) Log() []Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Call(nil), f.log...)
}

// Story is the log in one line: "open 1, reset 1, close 1".
func (f *Fake) Story() string {
	var b strings.Builder
	for i, c := range f.Log() {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(c.String())
	}
	return b.String()
}

// ForgetLog empties the log.
func (f *Fake) ForgetLog() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.log = nil
}

// Calls is how many calls of m have begun.
func (f *Fake) Calls(m Method) int { return f.count(func() int { return f.calls[m] }) }

// Opened is how many opens have succeeded.
func (f *Fake) Opened() int { return f.count(func() int { return len(f.opened) }) }

// Closed is how many closes have returned, whatever they answered.
func (f *Fake) Closed() int { return f.count(func() int { return f.closed }) }

// OpenNow is how many resources there are, counted as a server would: from the beginning of
// the open until its failure or the end of the close.
func (f *Fake) OpenNow() int { return f.count(func() int { return f.now }) }

// MaxOpen is the most that OpenNow has been.
func (f *Fake) MaxOpen() int { return f.count(func() int { return f.most }) }

func (f *Fake) count(n func() int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return n()
}

// Open implements pool.Backend.
func (f *Fake) Open(ctx context.Context) (*Resource, error) {
	act := f.begin(Open, nil)
	var r *Resource
	defer func() { f.openDone(r) }() // also when the act panics or exits
	if err := act(ctx); err != nil {
		return nil, err
	}
	r = &Resource{fake: f}
	return r, nil
}

func (f *Fake) openDone(r *Resource) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r == nil {
		f.now--
		f.log = append(f.log, Call{Method: Open})
		return
	}
	f.opened = append(f.opened, r)
	r.ID = len(f.opened)
	f.log = append(f.log, Call{Open, r.ID})
}

// Ping implements pool.Backend.
func (f *Fake) Ping(ctx context.Context, r *Resource) error { return f.run(ctx, Ping, r) }

// Reset implements pool.Backend.
func (f *Fake) Reset(ctx context.Context, r *Resource) error { return f.run(ctx, Reset, r) }

// Close implements pool.Backend. Whatever it does, the resource is closed afterwards.
func (f *Fake) Close(ctx context.Context, r *Resource) error { return f.run(ctx, Close, r) }

// Classify implements pool.Backend: see ErrDead, ErrAllDead and ErrFull.
func (f *Fake) Classify(err error) pool.Fault {
	switch {
	case errors.Is(err, ErrDead):
		return pool.Dead
	case errors.Is(err, ErrAllDead):
		return pool.AllDead
	case errors.Is(err, ErrFull):
		return pool.Full
	}
	return pool.Sound
}

func (f *Fake) run(ctx context.Context, m Method, r *Resource) error {
	act := f.begin(m, r)
	defer f.end(m, r)
	return act(ctx)
}

// begin notes a call and says what it shall do.
func (f *Fake) begin(m Method, r *Resource) Act {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[m]++
	if r == nil {
		f.now++
		f.most = max(f.most, f.now)
	} else {
		f.log = append(f.log, Call{m, r.ID})
		f.check(m, r)
		r.busy = m
	}
	if acts := f.next[m]; len(acts) > 0 {
		f.next[m] = acts[1:]
		return acts[0]
	}
	if act := f.always[m]; act != nil {
		return act
	}
	return OK
}

// check looks for what must never be when m is called. The caller holds mu.
func (f *Fake) check(m Method, r *Resource) {
	switch {
	case r.closed && m == Close:
		f.violate("resource %d was closed twice", r.ID)
	case r.closed:
		f.violate("%s of resource %d after its close", m, r.ID)
	case r.busy != "":
		f.violate("%s of resource %d while %s of it ran", m, r.ID, r.busy)
	case r.taken.Load() && !(f.forced && m == Close):
		f.violate("%s of resource %d while somebody had taken it", m, r.ID)
	}
	r.closed = r.closed || m == Close
}

func (f *Fake) end(m Method, r *Resource) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r.busy = ""
	if m == Close {
		f.closed++
		f.now--
	}
}

// violate notes a broken promise. The caller holds mu.
func (f *Fake) violate(format string, args ...any) {
	f.violations = append(f.violations, fmt.Sprintf(format, args...))
}

// Violations lists what a pool must never do and did, so far.
func (f *Fake) Violations() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.violations...)
}

// Verify asserts, at the end of a test, that every resource was closed exactly once and that
// nothing else went wrong.
func (f *Fake) Verify(t testing.TB) {
	t.Helper()
	for _, v := range f.Violations() {
		t.Error(v)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.opened {
		if !r.closed {
			t.Errorf("resource %d was never closed; every opened resource is closed exactly once", r.ID)
		}
	}
	if f.now != 0 {
		t.Errorf("%d resources are still being opened or closed, want none", f.now)
	}
}
