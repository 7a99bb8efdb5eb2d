package postgres_test

import (
	"database/sql"
	"errors"
	"io"
	"sync"
	"testing"

	"github.com/lidopool/lido/backends/backendtest"
	"github.com/lidopool/lido/backends/postgres"
	"github.com/lidopool/lido/backends/servertest"
	"github.com/lidopool/lido/manage"
	"github.com/lidopool/lido/pool"
)

func TestNoStatementFailsAfterARestartThatLeftEveryIdleConnectionStale(t *testing.T) {
	s := servertest.OwnPostgres(t)
	m := manage.New(manage.Options{})
	defer m.Close()
	if err := m.Register(postgres.Backend{}); err != nil {
		t.Fatal(err)
	}
	db, err := m.OpenDB("postgres", s.DSN()+"&pool_size=10&pool_max_overflow=0")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	work := func(db *sql.DB) {
		t.Helper()
		var wg sync.WaitGroup
		for worker := range 20 {
			wg.Go(func() {
				for i := range 20 {
					var got int
					if err := db.QueryRow("SELECT $1::int + $2::int", worker, i).Scan(&got); err != nil || got != worker+i {
						t.Errorf("%d + %d: got %d, %v", worker, i, got, err)
						return
					}
				}
			})
		}
		wg.Wait()
	}
	work(db)
	s.Kill()
	s.Start()
	work(db)
}

// database/sql tries again what meets driver.ErrBadConn, which lib/pq says of a connection that ends in the
// middle of an answer.
func TestAStatementWhoseAnswerIsLostIsNotRunTwice(t *testing.T) {
	for name, change := range map[string]func(dsn string) string{
		"plain": func(dsn string) string { return dsn },
		"TLS":   withTLS,
	} {
		t.Run(name, func(t *testing.T) {
			s := servertest.Postgres(t)
			dsn := s.Database(t)
			proxy := backendtest.NewProxy(t, s.Addr())
			m := manage.New(manage.Options{})
			defer m.Close()
			if err := m.Register(postgres.Backend{}); err != nil {
				t.Fatal(err)
			}
			past, err := m.OpenDB("postgres", dsn)
			if err != nil {
				t.Fatal(err)
			}
			defer past.Close()
			if _, err := past.Exec("CREATE TABLE entry (id int)"); err != nil {
				t.Fatal(err)
			}
			through, err := m.OpenDB("postgres", change(servertest.Redirect(dsn, proxy.Addr())))
			if err != nil {
				t.Fatal(err)
			}
			defer through.Close()
			if err := through.Ping(); err != nil {
				t.Fatal(err)
			}

			proxy.CutAfter(1) // one byte of the answer; and so a second try would show by the error of its open
			_, err = through.Exec("INSERT INTO entry VALUES (1)")
			if _, again := errors.AsType[*pool.OpenError](err); again || !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("the statement: %v, want the end of its connection", err)
			}
			proxy.Heal()
			until(t, "the row is there", func() bool {
				var n int
				if err := past.QueryRow("SELECT count(*) FROM entry").Scan(&n); err != nil {
					t.Fatal(err)
				}
				return n == 1
			})
			if err := through.Ping(); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}
