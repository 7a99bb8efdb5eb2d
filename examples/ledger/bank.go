package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"sync"

	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/backends/sqlite"
	"github.com/lidopool/lido/manage"
	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/strategies"
)

// bank is the books behind one pool.
type bank struct {
	db      *sql.DB // plain to look at, pooled by Lido
	pool    *pool.Pool[*sqldriver.Conn]
	manager *manage.Manager
	meter   *meter
}

// openBank makes a pool for the books at path, with the strategy that the config says. It opens no
// connection yet.
//
// A program usually has one manager for all its databases. Here there is one for each
// pool: a manager holds one pool per database, and this database gets five, in turn.
func openBank(path string, c strategies.Config) (*bank, error) {
	dsn, err := dataSourceName(path, c)
	if err != nil {
		return nil, err
	}
	m := manage.New(manage.Options{})
	b := &bank{manager: m, meter: &meter{Backend: sqlite.Backend{}}}
	if err := m.Register(b.meter); err != nil { // most would register sqlite.Backend{} itself
		return nil, err
	}
	if b.db, err = m.OpenDB("sqlite3", dsn); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	key, err := m.Key("sqlite3", dsn)
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	b.pool, _ = m.Pool(key)
	return b, nil
}

// dataSourceName is where the strategy is chosen: the same file each time, another query.
func dataSourceName(path string, c strategies.Config) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	query, err := c.Query() // pool_strategy=queue&pool_size=5 and so on
	if err != nil {
		return "", err
	}
	query.Set("_foreign_keys", "1")
	file := url.URL{Path: filepath.ToSlash(path)}
	return "file:" + file.EscapedPath() + "?" + query.Encode(), nil
}

// close ends the pool and holds it to what it promised: no more connections than allowed, and every
// one closed.
func (b *bank) close() error {
	err := errors.Join(b.db.Close(), b.manager.Close())
	m, seats := b.meter.read(), b.pool.Limits().Seats
	if seats != pool.Unlimited && m.peak > seats {
		err = errors.Join(err, fmt.Errorf("%d connections were open at once, but %d are allowed", m.peak, seats))
	}
	if m.opens != m.closes {
		err = errors.Join(err, fmt.Errorf("%d connections were opened, but %d closed", m.opens, m.closes))
	}
	return err
}

// rivals lets so many goroutines acquire a connection while one is held, and counts those refused.
func (b *bank) rivals(ctx context.Context, goroutines int) (refused int, err error) {
	held, err := b.db.Conn(ctx)
	if err != nil {
		return 0, err
	}
	errs := make([]error, goroutines)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			var c *sql.Conn
			if c, errs[i] = b.db.Conn(ctx); errs[i] == nil {
				c.Close()
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if errors.Is(err, strategies.ErrAlreadyAcquired) {
			refused++
		}
	}
	return refused, held.Close()
}
