package main

import (
	"context"
	"database/sql/driver"
	"path/filepath"
	"testing"

	"github.com/lib/pq"
	"github.com/mattn/go-sqlite3"

	"github.com/lidopool/lido/backends/servertest"
	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/strategies"
)

// BenchmarkNull: one op is an open, a use and a close: "bare" by itself, "null" by a pool that
// keeps nothing, "inline" by one whose opens and closes are said not to hang.
func BenchmarkNull(b *testing.B) {
	b.Run("nothing", func(b *testing.B) {
		benchNull(b, pool.Funcs[*resource]{
			OpenFunc:  func(context.Context) (*resource, error) { return new(resource), nil },
			CloseFunc: func(*resource) error { return nil },
		}, func(r *resource) { r.uses++ })
	})
	for _, db := range []struct {
		name   string
		driver driver.Driver
		dsn    func(testing.TB) string
	}{
		{"SQLite in memory", &sqlite3.SQLiteDriver{}, func(testing.TB) string { return ":memory:" }},
		{"SQLite file", &sqlite3.SQLiteDriver{}, func(b testing.TB) string { return "file:" + filepath.Join(b.TempDir(), "null.db") }},
		{"PostgreSQL", pq.Driver{}, func(b testing.TB) string { return servertest.Postgres(b).Database(b) }},
	} {
		b.Run(db.name, func(b *testing.B) {
			dsn := db.dsn(b)
			benchNull(b, pool.Funcs[driver.Conn]{
				OpenFunc:  func(context.Context) (driver.Conn, error) { return db.driver.Open(dsn) },
				CloseFunc: func(c driver.Conn) error { return c.Close() },
			}, func(driver.Conn) {})
		})
	}
}

func benchNull[T any](b *testing.B, f pool.Funcs[T], use func(T)) {
	ctx := context.Background()
	b.Run("bare", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r, err := f.OpenFunc(ctx)
			if err != nil {
				b.Fatal(err)
			}
			use(r)
			if err := f.CloseFunc(r); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, o := range []struct {
		name    string
		options pool.Options
	}{
		{"null", pool.Options{}},
		{"inline", pool.Options{OpenTimeout: pool.Inline, CloseTimeout: pool.Inline}},
	} {
		b.Run(o.name, func(b *testing.B) {
			p, err := pool.New(f, strategies.Null{Max: 10}, o.options)
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = p.Close() }()
			b.ReportAllocs()
			for b.Loop() {
				l, err := p.Acquire(ctx)
				if err != nil {
					b.Fatal(err)
				}
				use(l.Value())
				if err := l.Release(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
