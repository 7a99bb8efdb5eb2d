package manage_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/manage"
	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/strategies"
)

// poolerBackend is a backend that knows which DSNs are safe behind a pooler.
type poolerBackend struct{ driver *fakeDriver }

func (b poolerBackend) Name() string { return "pooled" }

func (b poolerBackend) Canonical(dsn string) (string, error) { return dsn, nil }

func (b poolerBackend) Redact(dsn string) string { return dsn }

func (b poolerBackend) Open(dsn string, reset sqldriver.ResetMode) (pool.Backend[*sqldriver.Conn], error) {
	c, err := sqldriver.ConnectorOf(b.driver, dsn)
	if err != nil {
		return nil, err
	}
	return sqldriver.New(c, sqldriver.Options{Reset: reset})
}

func (b poolerBackend) CheckPooler(dsn string) error {
	if !strings.Contains(dsn, "safe") {
		return errors.New("the DSN is not safe: add safe")
	}
	return nil
}

func poolerManager(t *testing.T, o manage.Options) (*manage.Manager, *fakeDriver) {
	t.Helper()
	d := &fakeDriver{t: t}
	m := newManager(t, o)
	if err := m.Register(poolerBackend{d}); err != nil {
		t.Fatal(err)
	}
	return m, d
}

func TestThePoolerPresetKeepsNoConnectionAndPreparesNothing(t *testing.T) {
	// What lies under it was meant for another place.
	under := manage.Settings{
		Strategy: strategies.Config{Kind: "queue", Size: 4, Timeout: time.Second}, MinIdle: 1, Ping: true, PingAfter: time.Minute,
		KeepAlive: time.Minute, Reset: sqldriver.Commit, Statements: 7,
	}
	for name, o := range map[string]manage.Options{"alone": {}, "over others": {Settings: under}} {
		m, d := poolerManager(t, o)
		const dsn = "safe?pool_preset=transaction-pooler"
		db, err := m.OpenDB("pooled", dsn)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for range 3 {
			if err := prepareAndExecText(db, "ok"); err != nil {
				t.Error(err)
			}
		}
		if err := begins(t.Context(), db); err != nil {
			t.Error(err)
		}
		k, err := m.Key("pooled", dsn)
		if err != nil {
			t.Fatal(err)
		}
		if s, _ := m.Stats(k); s.Strategy != "null" || s.Idle != 0 || s.Statements != (manage.Statements{}) {
			t.Errorf("%s: strategy %s, %d idle, statements %+v; want null, and none", name, s.Strategy, s.Idle, s.Statements)
		}
		if n := countOf(d, "Prepare") + countOf(d, "Ping"); n != 0 {
			t.Errorf("%s: the driver was asked to prepare or ping %d times: %v", name, n, d.log())
		}
		// Left open, a transaction is rolled back and not, as what lies under says, committed.
		c, err := m.Driver("pooled").Open(dsn)
		if err != nil {
			t.Fatal(err)
		}
		//lint:ignore SA1019 the shortest way to leave one open
		if _, err := c.Begin(); err != nil {
			t.Fatal(err)
		}
		before := countOf(d, "Rollback")
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if n := countOf(d, "Rollback") - before; n != 1 {
			t.Errorf("%s: a transaction that was left open was rolled back %d times, want once", name, n)
		}
		_ = db.Close()
	}
}

func TestThePoolerPresetGoesWithASmallQueue(t *testing.T) {
	m, _ := poolerManager(t, manage.Options{})
	const dsn = "safe?pool_preset=transaction-pooler&pool_strategy=queue&pool_size=2"
	db, err := m.OpenDB("pooled", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(context.Background(), "ok"); err != nil {
		t.Error(err)
	}
	k, err := m.Key("pooled", dsn)
	if err != nil {
		t.Fatal(err)
	}
	if s, _ := m.Stats(k); s.Strategy != "queue" || s.Idle != 1 {
		t.Errorf("strategy %s with %d idle, want the queue that was asked for, with 1", s.Strategy, s.Idle)
	}
}

func TestThePoolerPresetRefusesWhatContradictsIt(t *testing.T) {
	const slot = "not with pool_preset=transaction-pooler: each ping would take a connection of the server, and wait for one under load: leave it out"
	for dsn, want := range map[string]string{
		"safe?pool_preset=transaction-pooler&pool_ping=true":       "pool_ping: " + slot,
		"safe?pool_preset=transaction-pooler&pool_keep_alive=1m":   "pool_keep_alive: " + slot,
		"safe?pool_preset=transaction-pooler&pool_statements=10":   "pool_statements: not with pool_preset=transaction-pooler: the next transaction may be on a connection of the server that does not know the statement: leave it out",
		"safe?pool_preset=transaction-pooler&pool_statements=none": "pool_statements: not with pool_preset=transaction-pooler: the next transaction may be on a connection of the server that does not know the statement: leave it out",
		"safe?pool_preset=transaction-pooler&pool_reset=full":      "pool_reset: not with pool_preset=transaction-pooler: it would be of whatever connection of the server comes next: leave it out",
		"safe?pool_preset=transaction-pooler&pool_reset=none":      "pool_reset: not with",
		"safe?pool_preset=pooler":                                  `pool_preset is "pooler": give transaction-pooler or none`,
		"risky?pool_preset=transaction-pooler":                     "pool_preset=transaction-pooler: the DSN is not safe: add safe",
	} {
		m, _ := poolerManager(t, manage.Options{})
		db, err := m.OpenDB("pooled", dsn)
		if err == nil {
			_ = db.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v\nwant %s", dsn, err, want)
		}
	}
	for _, dsn := range []string{
		"risky", "risky?pool_preset=none", "safe?pool_preset=transaction-pooler&pool_reset=rollback&pool_statements=text&pool_ping=false",
	} {
		m, _ := poolerManager(t, manage.Options{})
		db, err := m.OpenDB("pooled", dsn)
		if err != nil {
			t.Errorf("%s: %v", dsn, err)
			continue
		}
		_ = db.Close()
	}
	// As a literal too, which no text was read into.
	m, _ := poolerManager(t, manage.Options{Settings: manage.Settings{Preset: manage.TransactionPooler, Ping: true}})
	if db, err := m.OpenDB("pooled", "safe"); err == nil || !strings.Contains(err.Error(), "pool_ping: not with") {
		t.Errorf("a literal that contradicts itself: %v", err)
		if db != nil {
			_ = db.Close()
		}
	}
}
