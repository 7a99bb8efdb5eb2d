package postgres_test

import (
	"context"
	"database/sql/driver"
	"fmt"
	"log"
	"time"

	"github.com/lidopool/lido/backends/postgres"
	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/manage"
	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/strategies"
)

// A pool of lib/pq's own connections, without database/sql.
func ExampleOpen() {
	backend, err := postgres.Open("postgres://app:secret@db.example.com/shop?sslmode=verify-full")
	if err != nil {
		log.Fatal(err)
	}
	p, err := pool.New(backend, strategies.Queue{Size: 5, MaxOverflow: 10}, pool.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	const query = "UPDATE items SET stock = stock - 1 WHERE id = 7"
	err = p.Do(context.Background(), func(ctx context.Context, c *sqldriver.Conn) error {
		_, err := c.For(query).(driver.ExecerContext).ExecContext(ctx, query, nil)
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
}

// A plain *sql.DB whose pooling is Lido's.
func ExampleBackend() {
	m := manage.New(manage.Options{})
	defer m.Close()
	if err := m.Register(postgres.Backend{Grace: 2 * time.Second}); err != nil {
		log.Fatal(err)
	}
	db, err := m.OpenDB("postgres", "postgres://app:secret@db.example.com/shop?sslmode=verify-full&pool_size=10")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	var stock int
	if err := db.QueryRow("SELECT stock FROM items WHERE id = $1", 7).Scan(&stock); err != nil {
		log.Fatal(err)
	}
	fmt.Println(stock)
}

// After a fail-over the name db.example.com leads to the new primary. No connection is opened to
// the old one, which is a standby now; those that are open are given up at the first write that it
// refuses.
func ExamplePrimary() {
	m := manage.New(manage.Options{})
	defer m.Close()
	if err := m.Register(postgres.Backend{Validate: postgres.Primary}); err != nil {
		log.Fatal(err)
	}
}

func ExampleBackend_Canonical() {
	b := postgres.Backend{}
	url, err := b.Canonical("postgres://app:secret@db/shop?sslmode=disable")
	if err != nil {
		log.Fatal(err)
	}
	pairs, err := b.Canonical("dbname=shop host=db password=secret port=5432 sslmode=disable user=app")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(url == pairs)
	fmt.Println(b.Redact(url))
	// Output:
	// true
	// host='db' port='5432' dbname='shop' user='app' password='xxxxx' sslmode='disable'
}

func ExampleBackend_CheckPooler() {
	fmt.Println(postgres.Backend{}.CheckPooler("postgres://app:secret@pgbouncer:6432/shop"))
	// Output:
	// postgres: DSN parameter binary_parameters is no: say binary_parameters=yes behind a transaction pooler, or a query with arguments may be prepared on one connection to the server and executed on another
}
