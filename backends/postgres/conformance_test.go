package postgres_test

import (
	"strings"
	"testing"

	"github.com/lidopool/lido/backends/backendtest"
	"github.com/lidopool/lido/backends/postgres"
	"github.com/lidopool/lido/backends/servertest"
	"github.com/lidopool/lido/backends/sqldriver"
)

func TestPostgresKeepsThePromisesOfADatabaseBackend(t *testing.T) {
	s := servertest.Postgres(t)
	for name, change := range map[string]func(string) string{
		"plain":  func(dsn string) string { return dsn },
		"TLS":    withTLS,
		"binary": func(dsn string) string { return dsn + "&binary_parameters=yes" },
	} {
		t.Run(name, func(t *testing.T) {
			backendtest.TestBackend(t, postgres.Backend{Grace: brief}, conformance(t, s, s.Database(t), change))
		})
	}
}

func TestPostgresBehindPgBouncerKeepsThePromisesOfADatabaseBackend(t *testing.T) {
	pg := servertest.Postgres(t)
	t.Run("session", func(t *testing.T) {
		s := servertest.PgBouncer(t, pg)
		o := conformance(t, s, s.Database(t), func(dsn string) string { return dsn })
		backendtest.TestBackend(t, postgres.Backend{Grace: brief}, o)
	})
	t.Run("transaction", func(t *testing.T) {
		s := servertest.PgBouncer(t, pg, "pool_mode=transaction")
		o := conformance(t, s, s.Database(t), func(dsn string) string { return dsn + "&binary_parameters=yes" })
		// A session is whichever the next transaction gets: it can be neither killed nor reset.
		o.Kill, o.Traces = nil, nil
		backendtest.TestBackend(t, postgres.Backend{Grace: brief}, o)
	})
}

// conformance is what is known of PostgreSQL, for backendtest. dsn is the server's, for a database of the test's own.
func conformance(t *testing.T, s *servertest.Server, dsn string, change func(dsn string) string) backendtest.Options {
	admin := connect(t, backend(t, postgres.Backend{}, servertest.Postgres(t).DSN()))
	changed := change(dsn)
	name, options, _ := strings.Cut(changed[strings.LastIndex(changed, "/")+1:], "?")
	return backendtest.Options{
		DSN: changed,
		Same: []string{
			strings.Replace(changed, "postgres://", "postgresql://", 1),
			"user=" + servertest.User + " password=" + servertest.Password + " dbname=" + name + " port=" + portIn(s.Addr()) + " host=127.0.0.1 " + strings.ReplaceAll(options, "&", " "),
		},
		Wrong: []string{
			"postgres://u:" + servertest.Password + "@h:bad/d", "host=h sslmode=" + servertest.Password,
			"host=h password='" + servertest.Password, "postgres://u:" + servertest.Password + "#x@h/d",
		},
		Secret: servertest.Password,
		Addr:   s.Addr(),
		At:     func(addr string) string { return servertest.Redirect(changed, addr) },
		Kill: func(t *testing.T, c *sqldriver.Conn) {
			pid := query(t, c, "SELECT pg_backend_pid()")
			exec(t, admin, "SELECT pg_terminate_backend("+pid+")")
			until(t, "the session is gone", func() bool {
				return query(t, admin, "SELECT count(*) FROM pg_stat_activity WHERE pid = "+pid) == "0"
			})
		},
		Slow:      "SELECT pg_sleep(60)",
		ReadOnly:  true,
		Isolation: true,
		Traces: []backendtest.Trace{
			{Leave: "SET work_mem = '7MB'", Look: "SHOW work_mem", Clean: query(t, admin, "SHOW work_mem")},
			{Leave: "CREATE TEMP TABLE tt(x int)", Look: "SELECT count(*) FROM pg_class WHERE relname = 'tt'", Clean: "0"},
			{Leave: "SELECT pg_advisory_lock(1)", Look: "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()", Clean: "0"},
		},
	}
}

func portIn(addr string) string { return addr[strings.LastIndex(addr, ":")+1:] }
