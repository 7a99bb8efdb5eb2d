package servertest

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	_ "github.com/lib/pq" // the driver "postgres"
)

// Redirect returns a DSN, as of Server.Database, with another host:port.
func Redirect(dsn, addr string) string {
	if isPostgres(dsn) {
		return changeURL(dsn, func(u *url.URL) { u.Host = addr })
	}
	return changeMySQL(dsn, func(c *mysql.Config) { c.Net, c.Addr = "tcp", addr })
}

func inDatabase(dsn, name string) string {
	if isPostgres(dsn) {
		return changeURL(dsn, func(u *url.URL) { u.Path = "/" + name })
	}
	return changeMySQL(dsn, func(c *mysql.Config) { c.DBName = name })
}

func isPostgres(dsn string) bool {
	return strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://")
}

// addrOf returns the host:port of a DSN that somebody wrote. No error of it
// shows the DSN, which holds a password.
func addrOf(dsn string) (string, error) {
	if isPostgres(dsn) {
		u, err := url.Parse(dsn)
		if err != nil || u.Hostname() == "" {
			return "", errors.New("not a URL such as postgres://user:password@host:5432/database")
		}
		if u.Port() == "" {
			return u.Host + ":5432", nil
		}
		return u.Host, nil
	}
	c, err := mysql.ParseDSN(dsn)
	if err != nil || c.Net != "tcp" {
		return "", errors.New("neither a URL such as postgres://user:password@host:5432/database" +
			" nor a DSN such as user:password@tcp(host:3306)/database")
	}
	return c.Addr, nil
}

// The DSNs below have been through addrOf or were made here: they parse.

func changeURL(dsn string, change func(*url.URL)) string {
	u, err := url.Parse(dsn)
	if err != nil {
		panic("servertest: not a DSN of a Server")
	}
	change(u)
	return u.String()
}

func changeMySQL(dsn string, change func(*mysql.Config)) string {
	c, err := mysql.ParseDSN(dsn)
	if err != nil {
		panic("servertest: not a DSN of a Server")
	}
	change(c)
	return c.FormatDSN()
}

func ping(dsn string) error {
	return within(dsn, func(ctx context.Context, db *sql.DB) error { return db.PingContext(ctx) })
}

func create(dsn, name string) error {
	statement := "CREATE DATABASE " + name
	if isPostgres(dsn) {
		// Nobody can be connected to template0; to template1 somebody may be,
		// and then it cannot be copied.
		statement += " TEMPLATE template0"
	}
	return execute(dsn, statement)
}

func drop(dsn, name string) error {
	statement := "DROP DATABASE " + name
	if isPostgres(dsn) {
		statement += " WITH (FORCE)"
	}
	return execute(dsn, statement)
}

func execute(dsn, statement string) error {
	return within(dsn, func(ctx context.Context, db *sql.DB) error {
		_, err := db.ExecContext(ctx, statement)
		return err
	})
}

func within(dsn string, do func(context.Context, *sql.DB) error) error {
	driver := "mysql"
	if isPostgres(dsn) {
		driver = "postgres"
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return do(ctx, db)
}
