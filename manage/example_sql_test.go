package manage_test

// The snippets of docs/guide-sql.md: TestTheGuideShowsCompiledCode looks for each of them here.

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/lidopool/lido/backends/backendtest"
	"github.com/lidopool/lido/backends/mysql"
	"github.com/lidopool/lido/backends/postgres"
	"github.com/lidopool/lido/backends/sqlite"
	"github.com/lidopool/lido/manage"
	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/strategies"
)

// From sql.Open to Lido: the line with sql.Open changes, and main gets a Manager.
func ExampleManager_OpenDB() {
	const dsn = "postgres://app:secret@db.example.com/shop?sslmode=verify-full"
	{
		db, err := sql.Open("postgres", dsn)
		if err != nil {
			log.Fatal(err)
		}
		defer db.Close()
	}

	m := manage.New(manage.Options{Logger: slog.Default()})
	defer m.Close()
	if err := m.Register(postgres.Backend{}); err != nil {
		log.Fatal(err)
	}

	db, err := m.OpenDB("postgres", dsn)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
}

// Code that calls sql.Open itself gets Lido by the name of the driver.
func ExampleManager_Driver_postgres() {
	m := manage.New(manage.Options{})
	defer m.Close()
	if err := m.Register(postgres.Backend{}); err != nil {
		log.Fatal(err)
	}

	sql.Register("lido-postgres", m.Driver("postgres"))
	db, err := sql.Open("lido-postgres", "postgres://app:secret@db.example.com/shop")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
}

// Settings for all pools of a program, where the DSN is somebody else's.
func ExampleSettings() {
	m := manage.New(manage.Options{Settings: manage.Settings{
		Strategy: strategies.Config{Kind: "queue", Size: 10, Timeout: 5 * time.Second, MaxWaiters: 200},
		MaxAge:   time.Hour,
		MaxIdle:  10 * time.Minute,
	}})
	defer m.Close()
}

// A start that fails if the database cannot be reached, and an end that waits for what is going on.
func ExampleManager_Shutdown() {
	const dsn = "postgres://app:secret@db.example.com/shop"
	m := manage.New(manage.Options{})
	if err := m.Register(postgres.Backend{}); err != nil {
		log.Fatal(err)
	}
	db, err := m.OpenDB("postgres", dsn)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	ctx := context.Background()

	starting, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := db.PingContext(starting); err != nil {
		log.Fatal(err)
	}

	ending, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := m.Shutdown(ending); err != nil {
		log.Print(err) // says who still held a connection, if pool_stacks is on
	}
}

// A pool that has nothing to give is load, and no fault of the database.
func ExampleManager_OpenDB_overload() {
	var db *sql.DB
	handle := func(w http.ResponseWriter, r *http.Request) {
		_, err := db.ExecContext(r.Context(), "UPDATE items SET stock = stock - 1 WHERE id = 7")
		switch {
		case errors.Is(err, pool.ErrTimeout), errors.Is(err, pool.ErrOverloaded):
			http.Error(w, "busy, try again", http.StatusServiceUnavailable)
		case err != nil:
			http.Error(w, "sorry", http.StatusInternalServerError)
			log.Print(err)
		}
	}
	http.HandleFunc("POST /orders", handle)
}

// Behind PgBouncer with pool_mode=transaction.
func ExampleTransactionPooler() {
	m := manage.New(manage.Options{})
	defer m.Close()
	if err := m.Register(postgres.Backend{}); err != nil {
		log.Fatal(err)
	}

	db, err := m.OpenDB("postgres", "postgres://app:secret@pgbouncer:6432/shop?binary_parameters=yes"+
		"&pool_preset=transaction-pooler&pool_strategy=queue&pool_size=20&pool_max_overflow=0")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
}

// A pool that opens no connection to a standby, and leaves the old primary when it is told to.
func ExampleManager_Pool() {
	const dsn = "postgres://app:secret@db.example.com/shop"
	m := manage.New(manage.Options{})
	defer m.Close()

	if err := m.Register(postgres.Backend{Validate: postgres.Primary}); err != nil {
		log.Fatal(err)
	}

	failedOver := func(ctx context.Context) error {
		key, err := m.Key("postgres", dsn)
		if err != nil {
			return err
		}
		p, ok := m.Pool(key)
		if !ok {
			return nil // nobody has opened it yet
		}
		return p.InvalidateAndWait(ctx, errors.New("fail-over to db-2"))
	}
	if err := failedOver(context.Background()); err != nil {
		log.Fatal(err)
	}
}

// A token that expires, such as one of AWS IAM, is asked for at each open.
func ExampleManager_OpenDB_token() {
	token := func(ctx context.Context) (string, error) { return "from the cloud's library", nil }
	m := manage.New(manage.Options{})
	defer m.Close()

	if err := m.Register(postgres.Backend{Password: token}); err != nil {
		log.Fatal(err)
	}
	db, err := m.OpenDB("postgres", "postgres://app@db.example.com/shop?sslmode=verify-full")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
}

// The same for MySQL.
func ExampleManager_OpenDB_tokenMySQL() {
	token := func(ctx context.Context) (string, error) { return "from the cloud's library", nil }
	m := manage.New(manage.Options{})
	defer m.Close()

	if err := m.Register(mysql.Backend{Password: token}); err != nil {
		log.Fatal(err)
	}
	db, err := m.OpenDB("mysql", "app@tcp(db.example.com)/shop?tls=true&allowCleartextPasswords=true")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
}

// DBTX is what sqlc asks for.
type DBTX interface {
	ExecContext(context.Context, string, ...any) (sql.Result, error)
	PrepareContext(context.Context, string) (*sql.Stmt, error)
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
	QueryRowContext(context.Context, string, ...any) *sql.Row
}

// newQueries stands for the New of a package that sqlc has written.
func newQueries(db DBTX) DBTX { return db }

// Code that takes its database by an interface can have a DB instead of an *sql.DB.
func ExampleManager_Open() {
	m := manage.New(manage.Options{})
	defer m.Close()
	if err := m.Register(postgres.Backend{}); err != nil {
		log.Fatal(err)
	}

	db, err := m.Open("postgres", "postgres://app:secret@db.example.com/shop")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	queries := newQueries(db)

	if _, err := queries.ExecContext(context.Background(), "SELECT 1"); err != nil {
		log.Fatal(err)
	}
}

// The counters of all pools, as Prometheus reads them.
func ExampleManager_All() {
	m := manage.New(manage.Options{})
	defer m.Close()
	if err := m.Register(sqlite.Backend{}); err != nil {
		log.Fatal(err)
	}
	db, err := m.OpenDB("sqlite3", sqlite.Memory("metrics")+"&pool_name=shop")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	if err := db.Ping(); err != nil {
		log.Fatal(err)
	}

	metrics := func(w http.ResponseWriter, _ *http.Request) {
		for _, s := range m.All() {
			fmt.Fprintf(w, "db_client_connection_count{pool=%q,state=\"used\"} %d\n", s.Pool, s.InUse)
			fmt.Fprintf(w, "db_client_connection_count{pool=%q,state=\"idle\"} %d\n", s.Pool, s.Idle)
			fmt.Fprintf(w, "db_client_connection_pending_requests{pool=%q} %d\n", s.Pool, s.Waiting)
			fmt.Fprintf(w, "db_client_connection_timeouts{pool=%q} %d\n", s.Pool, s.TimedOut)
		}
	}
	http.HandleFunc("GET /metrics", metrics)

	w := httptest.NewRecorder()
	metrics(w, nil)
	fmt.Print(w.Body)
	// Output:
	// db_client_connection_count{pool="shop",state="used"} 0
	// db_client_connection_count{pool="shop",state="idle"} 1
	// db_client_connection_pending_requests{pool="shop"} 0
	// db_client_connection_timeouts{pool="shop"} 0
}

// A test of what a program does while the network swallows everything, and afterwards.
func Example_blackHole() {
	_ = func(t *testing.T, dsn func(addr string) string) { // a Test function
		proxy := backendtest.NewProxy(t, "127.0.0.1:5432")
		m := manage.New(manage.Options{})
		defer m.Close()
		if err := m.Register(postgres.Backend{Grace: 100 * time.Millisecond}); err != nil {
			t.Fatal(err)
		}
		db, err := m.OpenDB("postgres", dsn(proxy.Addr()))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		ask := func() error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := db.ExecContext(ctx, "SELECT 1")
			return err
		}

		if err := ask(); err != nil {
			t.Fatal(err)
		}
		proxy.BlackHole()
		if err := ask(); err == nil {
			t.Error("a query through a black hole has succeeded")
		}
		proxy.Heal()
		if err := ask(); err != nil {
			t.Errorf("after it: %v", err)
		}
	}
}
