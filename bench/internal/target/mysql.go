package target

import (
	"context"
	"fmt"
	"strings"

	gomysql "github.com/go-sql-driver/mysql"

	"github.com/lidopool/lido/backends/mysql"
)

// openMySQL opens a database of MySQL's or MariaDB's. The server's sessions are counted by user and
// database: what else is connected in the same way is counted too.
func openMySQL(ctx context.Context, dsn string) (*database, error) {
	b, err := mysql.Backend{}.Open(dsn, "")
	if err != nil {
		return nil, fmt.Errorf("target: %w", err)
	}
	d := &database{name: mysqlName(dsn), backend: b, table: tableName(),
		counting: "SELECT count(*) FROM information_schema.processlist p, information_schema.processlist me" +
			" WHERE me.id = connection_id() AND p.id <> me.id AND p.user = me.user AND p.db = me.db"}
	if err := d.start(ctx); err != nil {
		return nil, err
	}
	return d, nil
}

// mysqlName is mysql:user@host/database.
func mysqlName(dsn string) string {
	c, err := gomysql.ParseDSN(mysql.Backend{}.Redact(dsn))
	if err != nil {
		return "mysql"
	}
	return fmt.Sprintf("mysql:%s@%s/%s", c.User, strings.TrimSuffix(c.Addr, ":3306"), c.DBName)
}
