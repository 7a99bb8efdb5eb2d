package manage_test

import (
	"bytes"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lidopool/lido/backends/mysql"
	"github.com/lidopool/lido/backends/postgres"
	"github.com/lidopool/lido/backends/sqlite"
	"github.com/lidopool/lido/internal/loopback"
	"github.com/lidopool/lido/manage"
	"github.com/lidopool/lido/pool"
)

// Whoever reads that something could not be opened must learn what, and need not read it twice.
func TestTheErrorOfAnOpenSaysTheDSNOnce(t *testing.T) {
	l, err := loopback.Listen()
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	l.Close()
	for _, tt := range []struct {
		backend manage.Backend
		dsn     string
	}{
		{mysql.Backend{}, "app:s3cret@tcp(" + nobody + ")/shop"},
		{postgres.Backend{}, "postgres://app:s3cret@" + nobody + "/shop?sslmode=disable"},
		{sqlite.Backend{}, filepath.Join(t.TempDir(), "none", "shop.db") + "?_auth_pass=s3cret"},
	} {
		name := tt.backend.Name()
		t.Run(name, func(t *testing.T) {
			canonical, err := tt.backend.Canonical(tt.dsn)
			if err != nil {
				t.Fatal(err)
			}
			shown := tt.backend.Redact(canonical)
			var log bytes.Buffer
			check := func(where, text, begin string) {
				t.Helper()
				if !strings.HasPrefix(text, begin) || strings.Count(text, shown) != 1 || strings.Contains(text, "s3cret") {
					t.Errorf("%s: %s\nwant %q at its beginning, and %s in it once", where, text, begin, shown)
				}
			}
			for settings, begin := range map[string]string{
				"pool_backoff=none":                "pool " + name + " " + shown + ": open: ",
				"pool_backoff=none&pool_name=shop": "pool shop: open: " + strings.TrimSuffix(name, "3") + ": open " + shown + ": ",
			} {
				log.Reset()
				m := newManager(t, manage.Options{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
				if err := m.Register(tt.backend); err != nil {
					t.Fatal(err)
				}
				dsn := with(tt.dsn, settings)
				plain, err := m.OpenDB(name, dsn)
				if err != nil {
					t.Fatal(err)
				}
				defer plain.Close()
				direct, err := m.Open(name, dsn)
				if err != nil {
					t.Fatal(err)
				}
				defer direct.Close()
				_, connect := m.Connect(t.Context(), name, dsn)
				for where, err := range map[string]error{
					"OpenDB, Ping": plain.Ping(), "Open, Ping": direct.Ping(), "Connect": connect,
				} {
					check(where, err.Error(), begin)
					if _, ok := errors.AsType[*pool.OpenError](err); !ok {
						t.Errorf("%s: %v is no OpenError", where, err)
					}
				}
				line, _, _ := strings.Cut(log.String(), "\n")
				check("the log", strings.ReplaceAll(line, `\"`, `"`), "time=")
			}

			b, err := tt.backend.Open(tt.dsn, "")
			if err != nil {
				t.Fatal(err)
			}
			_, err = b.Open(t.Context())
			check("the backend", err.Error(), strings.TrimSuffix(name, "3")+": open "+shown+": ")
		})
	}
}

// Settings for all pools are looked at when a pool is made, whose error begins with the key.
func TestTheErrorOfASettingSaysTheDSNOnce(t *testing.T) {
	for name, want := range map[string]string{
		"":     ": pool: MinIdle is 50: give 5 at most",
		"shop": ": pool shop: MinIdle is 50: give 5 at most",
	} {
		m := newManager(t, manage.Options{Settings: manage.Settings{Name: name, MinIdle: 50}})
		if err := m.Register(sqlite.Backend{}); err != nil {
			t.Fatal(err)
		}
		db, err := m.OpenDB("sqlite3", "shop.db")
		if err == nil {
			err = db.Ping()
		}
		var option *pool.OptionError
		if !errors.As(err, &option) || !strings.Contains(err.Error(), want) || strings.Count(err.Error(), "shop.db") != 1 {
			t.Errorf("with the name %q: got %v, want %s", name, err, want)
		}
	}
}
