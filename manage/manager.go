package manage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"sync"

	"golang.org/x/sync/singleflight"

	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/internal/settings"
	"github.com/lidopool/lido/pool"
)

// Backend is one kind of database, as a Manager knows it. backends/sqlite has one;
// Manager.Wrap makes one of any driver.Driver. Its methods may be called from any
// goroutine.
//
// None of its errors may show a secret of the DSN.
type Backend interface {
	// Name is the name under which it is registered.
	Name() string
	// Canonical returns the form that all DSNs of the same meaning have in
	// common. Two DSNs share a pool if their canonical forms are equal.
	Canonical(dsn string) (string, error)
	// Redact returns a DSN fit to be shown to anybody. It must not fail for a
	// DSN that Canonical refuses.
	Redact(dsn string) string
	// Open returns the backend of the connections to dsn, in which reset says what
	// becomes of a transaction left open. It opens no connection.
	Open(dsn string, reset sqldriver.ResetMode) (pool.Backend[*sqldriver.Conn], error)
}

// Options are the settings of a Manager. The zero value is ready to use.
type Options struct {
	// Logger receives the log of the manager and of all its pools. Nil, the
	// default, logs nothing.
	Logger *slog.Logger
	// Settings are laid under what a DSN says: the DSN counts for more, setting by
	// setting, except that a DSN that names another strategy starts from that
	// strategy's defaults.
	Settings Settings
	// Hooks are those of every pool.
	Hooks []pool.Hooks[*sqldriver.Conn]
}

// Manager holds the pools of a program: one for each database that it uses, found
// by the name of a backend and a DSN. All its methods may be called from any
// goroutine. It must be ended with Shutdown or Close.
type Manager struct {
	options Options
	making  singleflight.Group // of pools, by Key.id
	life    context.Context    // ends with the manager
	end     context.CancelFunc
	leaving sync.WaitGroup // pools that were disposed of and still have holders
	closing sync.WaitGroup // and of these, those whose last connections are being closed

	mu sync.Mutex
	// The fields below are guarded by mu.
	backends map[string]Backend
	entries  map[Key]*entry
	users    map[Key]int      // connectors that were not closed
	failures map[*entry]error // of the ends of pools that were disposed of
	closed   bool
}

// New returns a manager without backends.
func New(o Options) *Manager {
	o.Hooks = slices.Clone(o.Hooks)
	m := &Manager{
		options:  o,
		backends: map[string]Backend{},
		entries:  map[Key]*entry{},
		users:    map[Key]int{},
		failures: map[*entry]error{},
	}
	m.life, m.end = context.WithCancel(context.Background())
	return m
}

// Register makes a backend known under its name. Registering an equal one again does
// nothing; another one under the same name is an error, since pools of the first may
// exist.
func (m *Manager) Register(b Backend) error {
	if b == nil {
		return errors.New("manage: backend is nil: give one, such as sqlite.Backend{}")
	}
	name := b.Name()
	if name == "" {
		return fmt.Errorf("manage: the name of backend %T is empty: give it one", b)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return errClosed
	}
	if old, ok := m.backends[name]; ok {
		return again(name, old, b)
	}
	m.backends[name] = b
	return nil
}

// again is what is wrong with b under the name of another backend; nil if they are equal.
func again(name string, old, b Backend) error {
	x, wasWrapped := old.(*wrapped)
	y, isWrapped := b.(*wrapped)
	switch {
	case wasWrapped && isWrapped && same(x.driver, y.driver), same(old, b):
		return nil
	case wasWrapped && isWrapped:
		return fmt.Errorf("manage: driver %q is registered already, with another driver value: keep the driver that the first Wrap returned, or give another name", name)
	}
	return fmt.Errorf("manage: backend %q is registered already, with other settings: register it once, or give one of them another name", name)
}

// same is a == b without a panic over what cannot be compared.
func same(a, b any) bool {
	x, y := reflect.ValueOf(a), reflect.ValueOf(b)
	return x.Comparable() && y.Comparable() && a == b
}

// Backends lists the names that are registered, sorted.
func (m *Manager) Backends() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.backends))
}

// backend finds a backend by its name.
func (m *Manager) backend(name string) (Backend, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, errClosed
	}
	if b, ok := m.backends[name]; ok {
		return b, nil
	}
	if len(m.backends) == 0 {
		return nil, fmt.Errorf("manage: backend %.64q: unknown; none is registered, call Register first", name)
	}
	return nil, fmt.Errorf("manage: backend %.64q: %s", name, settings.Unknown(name, slices.Sorted(maps.Keys(m.backends))))
}

// errClosed satisfies errors.Is for pool.ErrClosed.
var errClosed error = closedError{}

type closedError struct{}

func (closedError) Error() string { return "manage: the manager is closed" }

func (closedError) Unwrap() error { return pool.ErrClosed }

// Shutdown ends the manager with care: nothing is lent any more, and it waits until every
// connection has been returned. If ctx ends before, the rest is discarded under its holders,
// and the error tells what was held. Afterwards every call that needs a
// connection fails with an error that satisfies errors.Is for pool.ErrClosed, also
// on an *sql.DB made before. Those stay the caller's to close.
//
// Shutdown and Close may be called any number of times.
func (m *Manager) Shutdown(ctx context.Context) error {
	return m.finish(ctx, &m.leaving, func(p *pool.Pool[*sqldriver.Conn]) error { return p.Shutdown(ctx) })
}

// Close is Shutdown without waiting for what is lent: it is closed under its holders. A
// statement that runs just then is waited for, up to the pool's CloseTimeout;
// the reading of rows is not, and what a driver makes of that is its affair: prefer
// Shutdown.
func (m *Manager) Close() error {
	m.end() // of the pools disposed of
	return m.finish(m.life, &m.closing, (*pool.Pool[*sqldriver.Conn]).Close)
}

// finish ends every pool, all at once, and waits for those that were disposed of before.
func (m *Manager) finish(ctx context.Context, others *sync.WaitGroup, end func(*pool.Pool[*sqldriver.Conn]) error) error {
	m.mu.Lock()
	m.closed = true
	entries := slices.Collect(maps.Values(m.entries))
	m.mu.Unlock()

	errs := make([]error, len(entries))
	var ends sync.WaitGroup
	for i, e := range entries {
		ends.Go(func() {
			errs[i] = end(e.pool)
			e.closeDB()
		})
	}
	stop := context.AfterFunc(ctx, m.end)
	defer stop()
	ends.Wait()
	others.Wait()
	m.end()
	m.mu.Lock()
	defer m.mu.Unlock()
	return errors.Join(slices.AppendSeq(errs, maps.Values(m.failures))...)
}
