package manage_test

import (
	"context"
	"database/sql"
	"fmt"
	"log"

	"github.com/lidopool/lido/backends/sqlite"
	"github.com/lidopool/lido/manage"
)

// A plain *sql.DB, pooled by Lido. Open rows hold their connection until they are closed.
func Example() {
	m := manage.New(manage.Options{})
	defer m.Close()
	if err := m.Register(sqlite.Backend{}); err != nil {
		log.Fatal(err)
	}

	db, err := m.OpenDB("sqlite3", sqlite.Memory("fleet")+"&pool_strategy=queue&pool_size=2&pool_max_overflow=0&pool_name=fleet")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("CREATE TABLE boats (name TEXT); INSERT INTO boats VALUES ('Asta'), ('Beke')"); err != nil {
		log.Fatal(err)
	}
	show := func() {
		for _, stats := range m.All() {
			fmt.Println(stats)
		}
	}

	rows, err := db.Query("SELECT name FROM boats ORDER BY name")
	if err != nil {
		log.Fatal(err)
	}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			log.Fatal(err)
		}
		fmt.Println(name)
		if name == "Asta" {
			show()
		}
	}
	if err := rows.Err(); err != nil {
		log.Fatal(err)
	}
	show()
	// Output:
	// Asta
	// pool fleet: queue: 1 of 2 in use (0 overflow), 0 idle, 0 opening, 0 closing, 0 waiting
	// Beke
	// pool fleet: queue: 0 of 2 in use (0 overflow), 1 idle, 0 opening, 0 closing, 0 waiting
}

// Code that knows only sql.Open is pooled by the manager when it uses the driver's other name.
// (Without Output, because a name can be registered only once in a process.)
func ExampleManager_Driver() {
	m := manage.New(manage.Options{})
	defer m.Close()
	if err := m.Register(sqlite.Backend{}); err != nil {
		log.Fatal(err)
	}
	sql.Register("lido-example", m.Driver("sqlite3"))

	db, err := sql.Open("lido-example", sqlite.Memory("example")+"&pool_size=3")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	var answer int
	if err := db.QueryRow("SELECT 6*7").Scan(&answer); err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer)
}

// A leased connection, one pool for each database.
func ExampleManager_Connect() {
	m := manage.New(manage.Options{})
	defer m.Close()
	if err := m.Register(sqlite.Backend{}); err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	for _, dsn := range []string{sqlite.Memory("a"), sqlite.Memory("b"), sqlite.Memory("a")} {
		conn, err := m.Connect(ctx, "sqlite3", dsn)
		if err != nil {
			log.Fatal(err)
		}
		if err := conn.PingContext(ctx); err != nil {
			log.Fatal(err)
		}
		if err := conn.Close(); err != nil {
			log.Fatal(err)
		}
	}
	for key, stats := range m.All() {
		fmt.Println(key, "opened", stats.Opened)
	}
	// Output:
	// sqlite3 file:/a?_busy_timeout=5000&_txlock=immediate&vfs=memdb opened 1
	// sqlite3 file:/b?_busy_timeout=5000&_txlock=immediate&vfs=memdb opened 1
}
