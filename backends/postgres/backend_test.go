package postgres_test

import (
	"testing"

	"github.com/lidopool/lido/backends/postgres"
	"github.com/lidopool/lido/backends/servertest"
	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/pool/pooltest"
)

func TestBackendKeepsThePromisesOfABackend(t *testing.T) {
	s := servertest.Postgres(t)
	dsn := s.Database(t)
	for name, dsn := range map[string]string{"plain": dsn, "TLS": withTLS(dsn), "binary": dsn + "&binary_parameters=yes"} {
		t.Run(name, func(t *testing.T) {
			b := backend(t, postgres.Backend{}, dsn)
			admin := connect(t, b)
			pooltest.TestBackend(t, b, pooltest.BackendOptions[*sqldriver.Conn]{
				Break: func(t *testing.T, c *sqldriver.Conn) {
					pid := query(t, c, "SELECT pg_backend_pid()")
					exec(t, admin, "SELECT pg_terminate_backend("+pid+")")
				},
				Dirty: func(t *testing.T, c *sqldriver.Conn) { exec(t, c, "BEGIN") },
				Clean: func(t *testing.T, c *sqldriver.Conn) bool {
					return try(c, "SAVEPOINT s") != nil // which needs a transaction
				},
			})
		})
	}
}
