package postgres_test

import (
	"database/sql"
	"sync"
	"testing"

	"github.com/lidopool/lido/backends/postgres"
	"github.com/lidopool/lido/backends/servertest"
	"github.com/lidopool/lido/manage"
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
