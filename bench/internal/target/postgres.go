package target

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/lib/pq"

	"github.com/lidopool/lido/backends/postgres"
)

// openPostgres opens a database of PostgreSQL's. Its connections call themselves lidobench and a number,
// unless the DSN says otherwise: by that name the server's sessions are counted.
func openPostgres(ctx context.Context, dsn string) (*database, error) {
	dsn, err := postgres.Backend{}.Canonical(dsn)
	if err != nil {
		return nil, fmt.Errorf("target: %w", err)
	}
	config, err := pq.NewConfig(dsn)
	if err != nil { // what is canonical can be read
		return nil, fmt.Errorf("target: postgres: %s", postgres.Backend{}.Redact(dsn))
	}
	application := config.ApplicationName
	if application == "" {
		application = "lidobench-" + suffix()
		dsn += " application_name='" + application + "'"
	}
	b, err := postgres.Backend{}.Open(dsn, "")
	if err != nil {
		return nil, fmt.Errorf("target: %w", err)
	}
	d := &database{name: postgresName(dsn), backend: b, table: tableName(),
		counting: "SELECT count(*) FROM pg_stat_activity WHERE application_name = '" + strings.ReplaceAll(application, "'", "''") +
			"' AND usename = current_user AND datname = current_database() AND pid <> pg_backend_pid()"}
	if err := d.start(ctx); err != nil {
		return nil, err
	}
	return d, nil
}

// postgresName is postgres://user@host:port/database. What may be a piece of a password is masked, as Redact
// masks it.
func postgresName(dsn string) string {
	c, err := pq.NewConfig(postgres.Backend{}.Redact(dsn))
	if err != nil {
		return "postgres"
	}
	port := ""
	if c.Port != 0 && c.Port != 5432 {
		port = fmt.Sprint(":", c.Port)
	}
	return fmt.Sprintf("postgres://%s@%s%s/%s", c.User, cmp.Or(c.Host, "localhost"), port, c.Database)
}
