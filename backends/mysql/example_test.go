package mysql_test

import (
	"context"
	"database/sql/driver"
	"fmt"

	"github.com/lidopool/lido/backends/mysql"
	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/strategies"
)

// A pool of the driver's connections, without database/sql. Package manage gives *sql.DB.
func ExampleOpen() {
	backend, err := mysql.Open("app:secret@tcp(db.internal)/shop")
	if err != nil {
		fmt.Println(err)
		return
	}
	p, err := pool.New(backend, strategies.Queue{Size: 10}, pool.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	err = p.Do(context.Background(), func(ctx context.Context, c *sqldriver.Conn) error {
		const text = "UPDATE stock SET n = n - 1 WHERE item = 7"
		_, err := c.For(text).(driver.ExecerContext).ExecContext(ctx, text, nil)
		return err // a connection that is dead, or leads to a standby, is replaced
	})
	if err != nil {
		fmt.Println(err)
	}
}

// After a fail-over no connection goes to a server that does not take writes.
func ExamplePrimary() {
	b := mysql.Backend{Validate: mysql.Primary}
	backend, err := b.Open("app:secret@tcp(primary.db.internal)/shop", sqldriver.Rollback)
	if err != nil {
		fmt.Println(err)
		return
	}
	p, err := pool.New(backend, strategies.Queue{Size: 10}, pool.Options{Ping: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
}

func ExampleBackend_Redact() {
	fmt.Println(mysql.Backend{}.Redact("app:secret@/shop?sql_mode='ANSI'&timeout=5s"))
	fmt.Println(mysql.Backend{}.Redact("app:secret@db/shop")) // not well-formed
	// Output:
	// app:xxxxx@tcp(127.0.0.1:3306)/shop?timeout=5s&sql_mode=xxxxx
	// xxxxx
}

func ExampleBackend_Canonical() {
	for _, dsn := range []string{"app:secret@/shop?timeout=60s&parseTime=1", "app:secret@tcp(127.0.0.1)/shop?parseTime=true&timeout=1m"} {
		fmt.Println(mysql.Backend{}.Canonical(dsn))
	}
	_, err := mysql.Backend{}.Canonical("app:secret@/shop?timeout=60")
	fmt.Println(err)
	// Output:
	// app:secret@tcp(127.0.0.1:3306)/shop?parseTime=true&timeout=1m0s <nil>
	// app:secret@tcp(127.0.0.1:3306)/shop?parseTime=true&timeout=1m0s <nil>
	// mysql: DSN parameter timeout is no duration: give one such as 5s or 500ms
}

func ExampleBackend_CheckPooler() {
	fmt.Println(mysql.Backend{}.CheckPooler("app:secret@tcp(proxysql:6033)/shop"))
	// Output:
	// mysql: DSN parameter interpolateParams is not true behind a pooler, which may execute a prepared statement on another server connection than it prepared it on: add interpolateParams=true
}
