package mysql_test

import (
	"strings"
	"testing"

	"github.com/lidopool/lido/backends/backendtest"
	"github.com/lidopool/lido/backends/mysql"
	"github.com/lidopool/lido/backends/servertest"
	"github.com/lidopool/lido/backends/sqldriver"
)

func TestMySQLKeepsThePromisesOfADatabaseBackend(t *testing.T) {
	s := servertest.MySQL(t)
	dsn := s.Database(t)
	observer := connect(t, backend(t, mysql.Backend{}, dsn))
	backendtest.TestBackend(t, mysql.Backend{}, backendtest.Options{
		DSN:    dsn,
		Same:   []string{dsn + "?parseTime=false", dsn + "?allowNativePasswords=true&checkConnLiveness=true"},
		Wrong:  []string{dsn + "?parseTime=" + servertest.Password, "user:" + servertest.Password + "@tcp(h", "user:" + servertest.Password + "@h/"},
		Secret: servertest.Password,
		Addr:   s.Addr(),
		At:     func(addr string) string { return servertest.Redirect(dsn, addr) },
		Kill: func(t *testing.T, c *sqldriver.Conn) {
			number := id(t, c)
			exec(t, observer, "KILL "+number)
			until(t, "the session is gone", func() bool {
				return query(t, observer, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID="+number) == "0"
			})
		},
		Slow:      "SELECT SLEEP(60)",
		ReadOnly:  true,
		Isolation: true,
		Traces: []backendtest.Trace{
			{Leave: "SET @x=1", Look: "SELECT @x IS NULL", Clean: "1"},
			{Leave: "SET time_zone='+05:00'", Look: "SELECT @@time_zone", Clean: query(t, observer, "SELECT @@time_zone")},
			{Leave: "CREATE TEMPORARY TABLE lido_work(x INT)", Look: "SHOW COLUMNS FROM lido_work", Clean: "n"},
			{Leave: "USE information_schema", Look: "SELECT DATABASE()", Clean: strings.TrimPrefix(dsn[strings.LastIndex(dsn, "/"):], "/")},
		},
	})
}
