package postgres_test

import (
	"database/sql/driver"
	"strings"
	"testing"

	"github.com/lidopool/lido/backends/postgres"
	"github.com/lidopool/lido/backends/servertest"
	"github.com/lidopool/lido/pool"
)

func TestCheckPoolerSaysWhatToChange(t *testing.T) {
	for _, tt := range []struct{ dsn, want string }{
		{"postgres://u:p@h/d?binary_parameters=yes", ""},
		{"host=h binary_parameters=on application_name=x client_encoding=utf8 TimeZone=UTC standard_conforming_strings=on connect_timeout=5", ""},
		{"postgres://u:p@h/d", "say binary_parameters=yes"},
		{"postgres://u:p@h/d?binary_parameters=no", "say binary_parameters=yes"},
		{"postgres://u:p@h/d?binary_parameters=yes&search_path=x", "search_path is given: leave it out"},
		{"postgres://u:p@h/d?binary_parameters=yes&extra_float_digits=1", "extra_float_digits is given"},
		{"postgres://u:p@h/d?binary_parameters=yes&options=-cx%3Ds3", "options is given"},
		{"postgres://u:p@h/d?binary_parameters=yes&S3=x", "parameter xxxxx is given"},
		{"postgres://u:p@h:s3/d", "percent-encoded"},
	} {
		err := postgres.Backend{}.CheckPooler(tt.dsn)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("CheckPooler(%q): %v, want %q", tt.dsn, err, tt.want)
		}
		if err != nil && strings.Contains(strings.ToLower(err.Error()), "s3") {
			t.Errorf("CheckPooler(%q) shows a value: %v", tt.dsn, err)
		}
	}
}

// What CheckPooler lets pass, PgBouncer takes; what it refuses, PgBouncer refuses.
func TestPgBouncerTakesWhatCheckPoolerLetsPass(t *testing.T) {
	pg := servertest.Postgres(t)
	s := servertest.PgBouncer(t, pg, "pool_mode=transaction")
	dsn := s.DSN() + "&binary_parameters=yes"
	for _, more := range []string{
		"", "&application_name=x", "&TimeZone=UTC", "&standard_conforming_strings=on", "&connect_timeout=5", "&client_encoding=utf8", "&datestyle=ISO,%20MDY",
		"&search_path=public", "&extra_float_digits=1", "&options=-cwork_mem%3D1MB", "&work_mem=1MB", "&statement_timeout=1000",
	} {
		checked := postgres.Backend{}.CheckPooler(dsn + more)
		b := backend(t, postgres.Backend{}, dsn+more)
		c, err := b.Open(t.Context())
		if (checked == nil) != (err == nil) {
			t.Errorf("%s: CheckPooler: %v; PgBouncer: %v", more, checked, err)
		}
		if err != nil {
			continue
		}
		rows, err := c.For("SELECT").(driver.QueryerContext).QueryContext(t.Context(), "SELECT $1::int + 1", []driver.NamedValue{{Ordinal: 1, Value: int64(1)}})
		if err != nil {
			t.Errorf("%s: %v", more, err)
		} else if err := rows.Close(); err != nil {
			t.Errorf("%s: %v", more, err)
		}
		if err := b.Close(t.Context(), c); err != nil {
			t.Error(err)
		}
	}
}

func TestPrimaryRefusesAServerThatTakesNoWrites(t *testing.T) {
	s := servertest.OwnPostgres(t)
	b := backend(t, postgres.Backend{Validate: postgres.Primary}, s.DSN())
	c := connect(t, b)
	if err := b.Ping(t.Context(), c); err != nil {
		t.Errorf("ping of the primary: %v", err)
	}
	exec(t, c, "ALTER SYSTEM SET default_transaction_read_only = on")
	exec(t, c, "SELECT pg_reload_conf()")
	until(t, "the server takes no writes", func() bool { return query(t, c, "SHOW default_transaction_read_only") == "on" })
	err := b.Ping(t.Context(), c)
	if err == nil || !strings.Contains(err.Error(), "takes no writes") {
		t.Errorf("ping: %v, want a refusal", err)
	}
	if f := b.Classify(err); f != pool.Dead {
		t.Errorf("Classify(%v) = %v, want Dead", err, f)
	}
	if _, err := b.Open(t.Context()); err == nil || !strings.Contains(err.Error(), "takes no writes") {
		t.Errorf("open: %v, want a refusal", err)
	}
}
