package manage_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lidopool/lido/backends/postgres"
	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/backends/sqlite"
	"github.com/lidopool/lido/manage"
	"github.com/lidopool/lido/pool"
)

func asError[E error](err error, target *E) bool { return errors.As(err, target) }

// registrations numbers the names given to sql.Register, which takes each only once.
var registrations atomic.Int64

func register(d driver.Driver) (name string) {
	name = fmt.Sprint("lido-test-", registrations.Add(1))
	sql.Register(name, d)
	return name
}

// keyOf is Manager.Key for a DSN that is known to be right.
func keyOf(t *testing.T, m *manage.Manager, name, dsn string) manage.Key {
	t.Helper()
	k, err := m.Key(name, dsn)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// statsOf are those of the pool for a DSN.
func statsOf(t *testing.T, m *manage.Manager, name, dsn string) pool.Stats {
	t.Helper()
	p, ok := m.Pool(keyOf(t, m, name, dsn))
	if !ok {
		t.Fatalf("there is no pool for %s", dsn)
	}
	return p.Stats()
}

func TestRegisteringTheSameBackendTwiceIsFineAndAnotherIsNot(t *testing.T) {
	m := newManager(t, manage.Options{})
	for range 2 {
		if err := m.Register(sqlite.Backend{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Register(sqlite.Backend{PrivateMemory: true}); err == nil || !strings.Contains(err.Error(), `"sqlite3" is registered already`) {
		t.Errorf("another backend under the same name: %v", err)
	}
	d := &fakeDriver{t: t}
	for range 2 {
		if _, err := m.Wrap("fake", d); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := m.Wrap("fake", &fakeDriver{t: t}); err == nil ||
		!strings.Contains(err.Error(), "with another driver value: keep the driver that the first Wrap returned") {
		t.Errorf("another driver under the same name: %v", err)
	}
	if _, err := m.Wrap("sqlite3", d); err == nil || !strings.Contains(err.Error(), `backend "sqlite3" is registered already`) {
		t.Errorf("a driver under the name of a backend: %v", err)
	}
	if _, err := m.Wrap("none", nil); err == nil {
		t.Error("a nil driver was taken")
	}
	if err := m.Register(nil); err == nil {
		t.Error("a nil backend was taken")
	}
	if _, err := m.Wrap("", d); err == nil {
		t.Error("an empty name was taken")
	}
	if got, want := m.Backends(), []string{"fake", "sqlite3"}; !slices.Equal(got, want) {
		t.Errorf("backends are %v, want %v", got, want)
	}
}

func TestAnUnknownBackendIsAnErrorThatNamesTheNearest(t *testing.T) {
	m := newManager(t, manage.Options{})
	if _, err := m.OpenDB("sqlite3", "x"); err == nil || !strings.Contains(err.Error(), "none is registered") {
		t.Errorf("without backends: %v", err)
	}
	if err := m.Register(sqlite.Backend{}); err != nil {
		t.Fatal(err)
	}
	if _, err := m.OpenDB("sqlite", "x"); err == nil || !strings.Contains(err.Error(), `did you mean "sqlite3"?`) {
		t.Errorf("nearly right: %v", err)
	}
	if _, err := sql.Open(register(m.Driver("postgres")), "x"); err == nil {
		t.Error("sql.Open of an unknown backend gave no error")
	}
}

// countingBackend counts the pools that are made of it.
type countingBackend struct {
	sqlite.Backend
	made *atomic.Int64
}

func (b countingBackend) Open(dsn string, reset sqldriver.ResetMode) (pool.Backend[*sqldriver.Conn], error) {
	b.made.Add(1)
	time.Sleep(time.Millisecond) // so that the others come meanwhile
	return b.Backend.Open(dsn, reset)
}

func TestManyGoroutinesThatOpenTheSameDSNGetOnePool(t *testing.T) {
	m := newManager(t, manage.Options{})
	var made atomic.Int64
	if err := m.Register(countingBackend{made: &made}); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	start := make(chan struct{})
	for i := range 64 {
		all.Go(func() {
			<-start
			for j := range 10 {
				// The same database said in two ways.
				dsn := fmt.Sprintf("file:/many%d?vfs=memdb", (i+j)%10)
				if i%2 == 0 {
					dsn = fmt.Sprintf("file:/many%d?_busy_timeout=5000&vfs=memdb&pool_size=5", (i+j)%10)
				}
				db, err := m.OpenDB("sqlite3", dsn)
				if err != nil {
					t.Error(err)
					return
				}
				if j == 0 {
					if err := db.Ping(); err != nil {
						t.Error(err)
					}
				}
				t.Cleanup(func() { _ = db.Close() })
			}
		})
	}
	close(start)
	all.Wait()
	var keys []string
	for k, s := range m.All() {
		keys = append(keys, k.String())
		if s.Pool != k.String() || s.Limits.Seats != 15 {
			t.Errorf("stats of %v are %+v", k, s)
		}
	}
	if len(keys) != 10 || made.Load() != 10 || !slices.IsSorted(keys) {
		t.Errorf("%d pools were made, %d are there, want 10 in order:\n%s", made.Load(), len(keys), strings.Join(keys, "\n"))
	}
	for range m.All() {
		break // leaving the loop early is fine
	}
}

func TestAKeyShowsNoSecretHoweverItIsPrinted(t *testing.T) {
	m := newManager(t, manage.Options{})
	if err := m.Register(sqlite.Backend{}); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Wrap("fake", &fakeDriver{t: t}); err != nil {
		t.Fatal(err)
	}
	for name, dsn := range map[string]string{
		"sqlite3": "file:/x.db?_auth&_auth_user=me&_auth_pass=hunter2",
		"fake":    "me:hunter2@host/db",
	} {
		k := keyOf(t, m, name, dsn)
		if name == "sqlite3" { // whose DSN has a query
			if again := keyOf(t, m, name, dsn+"&pool_size=3"); again != k {
				t.Errorf("%v and %v are two keys, though only settings differ", k, again)
			}
		}
		if k.Backend() != name || !strings.HasPrefix(k.String(), name+" ") {
			t.Errorf("key %v has backend %q, want %q", k, k.Backend(), name)
		}
		text, _ := k.MarshalText()
		data, _ := json.Marshal(map[manage.Key]manage.Key{k: k})
		var log strings.Builder
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "key", k, "in", struct{ K manage.Key }{k})
		type hides struct{ key manage.Key }
		shown := []string{k.String(), k.GoString(), string(text), string(data), log.String(), k.LogValue().String()}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%20s"} {
			shown = append(shown, fmt.Sprintf(verb, k), fmt.Sprintf(verb, &k), fmt.Sprintf(verb, hides{k}), fmt.Sprintf(verb, []manage.Key{k}))
		}
		for _, s := range shown {
			if strings.Contains(s, "hunter2") || strings.Contains(s, fmt.Sprintf("%x", "hunter2")) {
				t.Errorf("a key shows its secret: %s", s)
			}
		}
		if fmt.Sprintf("%v", k) != k.String() || fmt.Sprintf("%q", k) != fmt.Sprintf("%q", k.String()) {
			t.Errorf("%%v is %v, %%q is %q", k, k)
		}
		if err := json.Unmarshal([]byte(`"x"`), &k); err == nil {
			t.Error("a key was read from text")
		}
	}
	if a, b := keyOf(t, m, "fake", "a"), keyOf(t, m, "fake", "b"); a == b || a.String() == b.String() {
		t.Errorf("two DSNs have keys %v and %v", a, b)
	}
}

func TestAnErrorNamesItsPoolOnce(t *testing.T) {
	for query, want := range map[string]string{
		"":                   "manage: pool fake (DSN hidden, ",
		"?pool_name=my-pool": "manage: pool my-pool: ",
	} {
		m := newManager(t, manage.Options{})
		if _, err := m.Wrap("fake", &fakeDriver{t: t}); err != nil {
			t.Fatal(err)
		}
		db, err := m.OpenDB("fake", "x"+query)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		p, _ := m.Pool(keyOf(t, m, "fake", "x"))
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		_, err = db.Exec("ok")
		if !errors.Is(err, pool.ErrClosed) || !strings.HasPrefix(err.Error(), want) || strings.Count(err.Error(), p.Name()) != 1 {
			t.Errorf("error is\n%v\nwant one that begins with\n%s\nand has the name once", err, want)
		}
	}
}

func TestAnErrorNamesItsBackendOnce(t *testing.T) {
	m := manage.New(manage.Options{})
	defer m.Close()
	if err := m.Register(postgres.Backend{}); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Key("postgres", "port=x"); err == nil || !strings.HasPrefix(err.Error(), "manage: postgres: DSN ") {
		t.Errorf("a DSN that cannot be read: %v, want manage: postgres: once", err)
	}
}

func TestAPasswordIsInNoErrorLogOrStats(t *testing.T) {
	const secret = "hunter2"
	var log strings.Builder
	m := newManager(t, manage.Options{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	fail := false
	d := &fakeDriver{t: t, openErr: func(dsn string) error {
		if fail {
			return fmt.Errorf("fake: cannot open %q: user me, password %s, refused by db.example.org:5432 (%w)", dsn, secret, errWrong)
		}
		return nil
	}}
	if _, err := m.Wrap("fake", d); err != nil {
		t.Fatal(err)
	}
	var shown []string
	dsn := "me:" + secret + "@db.example.org:5432/x?pool_ping=true"
	for _, wrong := range []string{dsn + "&pool_size=x", dsn + "&pool_sise=1", dsn + "&pool_strategy=static"} {
		db, err := m.OpenDB("fake", wrong)
		if err == nil {
			_ = db.Close()
			continue
		}
		shown = append(shown, err.Error())
	}
	db, err := m.OpenDB("fake", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("ok"); err != nil {
		t.Error(err)
	}
	fail = true
	d.restart()
	_, err = db.Exec("ok")
	if err == nil || !strings.Contains(err.Error(), "refused by") || !errors.Is(err, errWrong) {
		t.Errorf("error of a failed open is %v, want the driver's, masked", err)
	}
	_, conflict := m.OpenDB("fake", dsn+"&pool_size=9")
	shown = append(shown, fmt.Sprint(err), fmt.Sprint(conflict), fmt.Sprintf("%+v %#v", db, db))
	for k, s := range m.All() {
		p, _ := m.Pool(k)
		shown = append(shown, fmt.Sprintf("%v %+v %#v %v", s, s, s, p))
	}
	if err := db.Ping(); err != nil {
		shown = append(shown, err.Error())
	}
	c, err := m.Driver("fake").(interface {
		OpenConnector(string) (driver.Connector, error)
	}).OpenConnector(dsn)
	if err != nil {
		t.Fatal(err)
	}
	shown = append(shown, fmt.Sprintf("%v %+v %#v %v %+v", c, c, c, c.Driver(), m), log.String())
	fail = false
	leased, err := m.Connect(t.Context(), "fake", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer leased.Close()
	err = leased.Conn.Raw(func(proxy any) error {
		for _, v := range []any{c, leased, *leased, proxy} {
			shown = append(shown, fmt.Sprintf("%v %+v %#v %d %q", v, v, v, v, v))
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	for _, s := range shown {
		if strings.Contains(s, secret) {
			t.Errorf("a secret is shown: %s", s)
		}
	}
	if log.Len() == 0 || len(shown) < 7 {
		t.Errorf("this test saw too little: %d texts, %d bytes of log", len(shown), log.Len())
	}
}

func TestDisposeClosesThePoolAndWhatWasOpenedGoesOnWithANewOne(t *testing.T) {
	d := &fakeDriver{}
	m := withFake(t, d)
	db, err := m.OpenDB("fake", "x?pool_size=2")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	k := keyOf(t, m, "fake", "x")
	held, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("ok"); err != nil {
		t.Fatal(err)
	}
	old, _ := m.Pool(k)
	if !m.Dispose(k) {
		t.Error("Dispose did not find the pool")
	}
	if m.Dispose(k) {
		t.Error("Dispose found the pool again")
	}
	if d.live() != 1 {
		t.Errorf("after Dispose %d connections are open, want the one that is held", d.live())
	}
	if _, ok := m.Pool(k); ok {
		t.Error("the pool is still there")
	}
	// The old pool's holder goes on with what it has, newcomers get the new pool, also
	// one with other settings.
	if _, err := held.ExecContext(t.Context(), "ok"); err != nil {
		t.Error(err)
	}
	other, err := m.OpenDB("fake", "x?pool_size=9")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := db.Exec("ok"); err != nil {
		t.Errorf("an old DB after Dispose: %v", err)
	}
	if s := statsOf(t, m, "fake", "x"); s.Opened != 1 || s.Limits.Keep != 9 {
		t.Errorf("the new pool is %+v, want the settings of the DSN that made it", s)
	}
	if err := held.Close(); err != nil {
		t.Error(err)
	}
	if d.live() != 1 {
		t.Errorf("%d connections are open, want the new pool's only", d.live())
	}
	if err := m.Close(); err != nil { // which waits for the end of the old pool
		t.Error(err)
	}
	if _, err := old.Acquire(t.Context()); !errors.Is(err, pool.ErrClosed) {
		t.Errorf("the old pool answers %v, want ErrClosed", err)
	}
}

func TestAWaiterOfADisposedPoolIsServedByTheNewOne(t *testing.T) {
	m := withFake(t, &fakeDriver{})
	db, err := m.OpenDB("fake", "x?pool_size=1&pool_max_overflow=0")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	held, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	done := make(chan error)
	go func() {
		_, err := db.Exec("ok")
		done <- err
	}()
	for statsOf(t, m, "fake", "x").Waiting == 0 {
		time.Sleep(time.Millisecond) // waits for another goroutine to stand in line
	}
	m.Dispose(keyOf(t, m, "fake", "x"))
	if err := <-done; err != nil {
		t.Errorf("the waiter got %v", err)
	}
}

func TestTheLastDBToCloseEndsThePool(t *testing.T) {
	d := &fakeDriver{}
	m := withFake(t, d)
	a, err := m.OpenDB("fake", "x")
	if err != nil {
		t.Fatal(err)
	}
	b, err := m.OpenDB("fake", "x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.OpenDB("fake", "x?pool_size=99"); err == nil {
		t.Fatal("other settings were taken")
	}
	if _, err := a.Exec("ok"); err != nil {
		t.Fatal(err)
	}
	_ = a.Close()
	_ = a.Close()
	if d.live() != 1 {
		t.Errorf("after the first Close %d connections are open, want 1", d.live())
	}
	_ = b.Close()
	if _, ok := m.Pool(keyOf(t, m, "fake", "x")); ok || d.live() != 0 {
		t.Errorf("after the last Close the pool is there: %v, with %d connections", ok, d.live())
	}
}

func TestAClosedManagerSaysSo(t *testing.T) {
	for name, end := range map[string]func(*manage.Manager) error{
		"Close":    (*manage.Manager).Close,
		"Shutdown": func(m *manage.Manager) error { return m.Shutdown(context.Background()) },
	} {
		d := &fakeDriver{t: t}
		m := manage.New(manage.Options{})
		if _, err := m.Wrap("fake", d); err != nil {
			t.Fatal(err)
		}
		db, err := m.OpenDB("fake", "x")
		if err != nil {
			t.Fatal(err)
		}
		k := keyOf(t, m, "fake", "x")
		c, err := m.Connect(t.Context(), "fake", "x")
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := end(m); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		_, open := m.OpenDB("fake", "x")
		_, connect := m.Connect(t.Context(), "fake", "x")
		_, exec := db.Exec("ok")
		for what, err := range map[string]error{"OpenDB": open, "Connect": connect, "Exec": exec, "Register": m.Register(sqlite.Backend{})} {
			if !errors.Is(err, pool.ErrClosed) || !strings.HasPrefix(err.Error(), "manage: ") {
				t.Errorf("%s after %s: %v, want pool.ErrClosed", what, name, err)
			}
		}
		if d.live() != 0 || m.Dispose(k) {
			t.Errorf("after %s %d connections are open", name, d.live())
		}
		_ = db.Close()
	}
}

func TestShutdownWaitsForHoldersAndCloseDoesNot(t *testing.T) {
	d := &fakeDriver{t: t}
	m := manage.New(manage.Options{})
	if _, err := m.Wrap("fake", d); err != nil {
		t.Fatal(err)
	}
	db, err := m.OpenDB("fake", "x")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	// A pool that was disposed of is waited for as well.
	old, err := m.Connect(t.Context(), "fake", "y")
	if err != nil {
		t.Fatal(err)
	}
	m.Dispose(keyOf(t, m, "fake", "y"))
	ended := make(chan error)
	go func() { ended <- m.Shutdown(context.Background()) }()
	for {
		if _, err := m.OpenDB("fake", "z"); errors.Is(err, pool.ErrClosed) {
			break
		}
		time.Sleep(time.Millisecond) // waits for the other goroutine
	}
	if _, err := tx.Exec("ok"); err != nil {
		t.Errorf("a holder during Shutdown: %v", err)
	}
	if err := tx.Commit(); err != nil {
		t.Error(err)
	}
	if err := old.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if d.live() != 0 {
		t.Errorf("%d connections are open", d.live())
	}
}

func TestCloseTakesConnectionsAwayFromTheirHolders(t *testing.T) {
	d := &fakeDriver{t: t}
	m := manage.New(manage.Options{})
	if _, err := m.Wrap("fake", d); err != nil {
		t.Fatal(err)
	}
	db, err := m.OpenDB("fake", "x")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	old, err := m.Connect(t.Context(), "fake", "y")
	if err != nil {
		t.Fatal(err)
	}
	m.Dispose(keyOf(t, m, "fake", "y"))
	err = m.Close()
	if d.live() != 0 {
		t.Errorf("after Close %d connections are open", d.live())
	}
	var held *pool.ShutdownError
	if !asError(err, &held) {
		t.Errorf("Close: %v, want an error that tells of the held connection", err)
	}
	if _, err := tx.Exec("ok"); err == nil || !strings.Contains(err.Error(), "closed under its holder") {
		t.Errorf("the holder's next statement: %v", err)
	}
	if err := tx.Rollback(); err == nil {
		t.Error("the holder's rollback succeeded on nothing")
	}
	if _, err := old.ExecContext(t.Context(), "ok"); err == nil {
		t.Error("the other holder's next statement succeeded on nothing")
	}
	_ = old.Close()
}

func TestHooksOfTheManagerSeeEveryPool(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]int{}
	m := newManager(t, manage.Options{Hooks: []pool.Hooks[*sqldriver.Conn]{{
		Connect: func(_ context.Context, e pool.Event[*sqldriver.Conn]) error {
			mu.Lock()
			defer mu.Unlock()
			seen[e.Pool]++
			return nil
		},
	}}})
	if _, err := m.Wrap("fake", &fakeDriver{t: t}); err != nil {
		t.Fatal(err)
	}
	for _, dsn := range []string{"a?pool_name=one", "b?pool_name=two"} {
		db, err := m.OpenDB("fake", dsn)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := db.Ping(); err != nil {
			t.Fatal(err)
		}
	}
	if seen["one"] != 1 || seen["two"] != 1 {
		t.Errorf("hooks saw %v", seen)
	}
}
