package manage

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/internal/goid"
	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/strategies"
)

// entry is a pool and what the manager knows of it.
type entry struct {
	// What each use looks at is in one cache line.

	pool    *pool.Pool[*sqldriver.Conn]
	cleaner cleaner // nil if the backend is none
	sharing pool.Sharing
	gone    atomic.Bool // no longer the manager's
	bubble  bool        // of testing/synctest

	backend  *guarded
	key      Key
	settings Settings               // effective
	patience time.Duration          // the strategy's Timeout, for waits that are not its own
	pins     atomic.Pointer[sql.DB] // see DB; nil before the first use
	dropped  atomic.Uint64          // Conns that came back because nobody could close them any more

	mu sync.Mutex
	db *sql.DB // of Manager.Connect; guarded by mu
}

// request is what a name and a DSN ask for.
type request struct {
	key      Key
	backend  Backend
	dsn      string     // without the settings
	query    url.Values // the settings in the DSN
	settings Settings   // these, laid over the manager's
}

func (m *Manager) request(name, dsn string) (*request, error) {
	b, err := m.backend(name)
	if err != nil {
		return nil, err
	}
	r := &request{backend: b}
	if r.dsn, r.query, err = splitDSN(dsn); err != nil {
		return nil, fmt.Errorf("manage: %s: DSN: %w", name, err)
	}
	if r.settings, err = m.options.Settings.withQuery(r.query); err != nil {
		return nil, fmt.Errorf("manage: %s: DSN: %w", name, err)
	}
	r.key, err = newKey(b, r.dsn)
	return r, err
}

// Key is the key of the pool for a DSN, whether or not there is one yet. Settings in the
// DSN are no part of it.
func (m *Manager) Key(name, dsn string) (Key, error) {
	r, err := m.request(name, dsn)
	if err != nil {
		return Key{}, err
	}
	return r.key, nil
}

// Pool returns the pool with a key, if there is one. It is the manager's to close.
func (m *Manager) Pool(k Key) (*pool.Pool[*sqldriver.Conn], bool) {
	if e := m.lookup(k); e != nil {
		return e.pool, true
	}
	return nil, false
}

// Stats are the counters of a pool of database connections. Dropped counts also each Conn that was
// dropped without Close.
type Stats struct {
	pool.Stats
	Statements Statements
}

func (e *entry) stats() Stats {
	s := Stats{e.pool.Stats(), e.backend.counts.read()}
	s.Dropped += e.dropped.Load()
	return s
}

// Stats returns the counters of the pool with a key, if there is one.
func (m *Manager) Stats(k Key) (Stats, bool) {
	if e := m.lookup(k); e != nil {
		return e.stats(), true
	}
	return Stats{}, false
}

// All goes through the pools there are when the loop begins, in order of their names.
func (m *Manager) All() iter.Seq2[Key, Stats] {
	return func(yield func(Key, Stats) bool) {
		m.mu.Lock()
		entries := slices.Collect(maps.Values(m.entries))
		m.mu.Unlock()
		slices.SortFunc(entries, func(a, b *entry) int { return cmp.Compare(a.key.shown, b.key.shown) })
		for _, e := range entries {
			if !yield(e.key, e.stats()) {
				return
			}
		}
	}
}

// Dispose ends the pool with a key and forgets it. It reports whether there was
// one. Idle connections are closed before it returns; those that are held, when
// they are returned. What was made of the same key before goes on: an *sql.DB
// or a waiter that needs a connection next makes a new pool, with the settings asked for
// then. Until the last holder of the old pool has finished there may be
// connections of both.
func (m *Manager) Dispose(k Key) bool {
	m.mu.Lock()
	e := m.entries[k]
	if e == nil || m.closed {
		m.mu.Unlock()
		return false
	}
	m.forgetLocked(e)
	m.mu.Unlock()
	m.retire(e)
	return true
}

// forgetLocked takes an entry off the books. Whoever calls it calls retire next.
func (m *Manager) forgetLocked(e *entry) {
	delete(m.entries, e.key)
	e.gone.Store(true)
	m.leaving.Add(1)
	m.closing.Add(1)
}

// retire ends a forgotten pool: what is idle now, the rest as it comes back.
func (m *Manager) retire(e *entry) {
	e.pool.Dispose()
	e.closeDB()
	go func() {
		defer m.closing.Done()
		err := e.pool.Shutdown(m.life)
		m.failed(e, err)
		m.leaving.Done()
		var cut *pool.ShutdownError
		if errors.As(err, &cut) {
			// The manager ended. Close waits for what Shutdown has only begun; if nothing
			// was taken from anybody, all is well.
			if late := e.pool.Close(); late != nil || len(cut.Held) == 0 {
				m.failed(e, late)
			}
		}
	}()
}

// failed notes how the end of a disposed pool went.
func (m *Manager) failed(e *entry, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err == nil {
		delete(m.failures, e)
		return
	}
	m.failures[e] = err
}

// closeDB closes the DB of Connect, and the one of pinned connections. Those that are out stay usable.
func (e *entry) closeDB() {
	if pins := e.pins.Load(); pins != nil {
		_ = pins.Close()
	}
	e.mu.Lock()
	db := e.db
	e.db = nil
	e.mu.Unlock()
	if db != nil {
		_ = db.Close() // holds no connection whose close could fail
	}
}

// resetContext bounds a reset as the pool's own are bounded.
func (e *entry) resetContext() (context.Context, context.CancelFunc) {
	if e.settings.ResetTimeout == pool.Inline {
		return context.Background(), func() {}
	}
	return context.WithTimeout(context.Background(), e.settings.ResetTimeout)
}

func (m *Manager) lookup(k Key) *entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.entries[k]
}

// entry returns the pool that was asked for, and makes it if there is none. A flight of its
// own for each key keeps a backend that is slow, or panics, from stopping the others.
func (m *Manager) entry(r *request) (*entry, error) {
	v, err, _ := m.making.Do(r.key.id(), func() (any, error) {
		if e := m.lookup(r.key); e != nil {
			return e, nil
		}
		return m.create(r)
	})
	if err != nil {
		return nil, err
	}
	return v.(*entry), nil
}

func (m *Manager) create(r *request) (*entry, error) {
	e, err := m.newEntry(r)
	if err != nil {
		return nil, fmt.Errorf("manage: %v: %w", r.key, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		_ = e.pool.Close() // it is empty
		return nil, errClosed
	}
	m.entries[r.key] = e
	return e, nil
}

func (m *Manager) newEntry(r *request) (*entry, error) {
	s := r.settings.effective()
	strategy, err := strategies.New(s.Strategy)
	if err != nil {
		return nil, err
	}
	if b, ok := r.backend.(poolerChecker); ok && s.Preset == TransactionPooler {
		if err := b.CheckPooler(r.dsn); err != nil {
			return nil, fmt.Errorf("%s=%s: %w", inQuery("preset"), s.Preset, err)
		}
	}
	inner, err := r.backend.Open(r.dsn, s.Reset)
	if err != nil {
		return nil, err
	}
	o := s.poolOptions()
	o.Logger = m.options.Logger
	if o.Name == "" {
		o.Name = r.key.String()
	}
	clean, _ := inner.(cleaner)
	e := &entry{cleaner: clean, key: r.key, settings: s, backend: newGuarded(inner, s), patience: s.Strategy.Timeout, bubble: goid.InBubble()}
	if e.pool, err = pool.New[*sqldriver.Conn](e.backend, strategy, o, m.options.Hooks...); err != nil {
		if option, ok := err.(*pool.OptionError); ok && s.Name == "" {
			option.Pool = "" // the key, which the caller says
		}
		return nil, err
	}
	e.sharing = e.pool.Limits().Sharing
	return e, nil
}

// poolerChecker is a Backend that can tell whether a DSN is safe behind a pooler that gives
// each transaction another connection of the server. The error says what to change.
type poolerChecker interface{ CheckPooler(dsn string) error }

// check compares the settings that a DSN gives with those of a pool that exists already:
// they come too late to change it, and must not be ignored.
func (r *request) check(e *entry) error {
	if len(r.query) == 0 {
		return nil
	}
	have, want := e.settings.texts(), r.settings.effective().texts()
	var diffs []string
	for _, key := range slices.Sorted(maps.Keys(r.query)) {
		if have[key] != want[key] {
			diffs = append(diffs, fmt.Sprintf("%s is %q there and %q here", key, have[key], want[key]))
		}
	}
	if diffs == nil {
		return nil
	}
	return &ConflictError{Key: e.key, Settings: diffs}
}

// ConflictError says that a DSN asks for a pool that exists with other settings.
type ConflictError struct {
	Key      Key
	Settings []string // each that differs: how it is there and here
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("manage: %v: its pool exists with other settings: %s: give the same ones, or none, or Dispose of that pool first",
		e.Key, strings.Join(e.Settings, "; "))
}
