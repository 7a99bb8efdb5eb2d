package mysql_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/lidopool/lido/backends/mysql"
	"github.com/lidopool/lido/backends/servertest"
	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/strategies"
)

func TestNoVerbShowsASecret(t *testing.T) {
	dsn := servertest.MySQL(t).Database(t)
	secrets := []string{servertest.Password, "token-of-lido"}
	var logged strings.Builder
	b := backend(t, mysql.Backend{}, dsn+"?connectionAttributes=a:token-of-lido")
	c := connect(t, b)
	p, err := pool.New(b, strategies.Queue{Size: 1}, pool.Options{
		Name: "secrets", Logger: slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	_, refused := backend(t, mysql.Backend{}, "nobody"+dsn[strings.Index(dsn, ":"):]).Open(t.Context())
	wrong, _ := mysql.Backend{}.Open(strings.Replace(dsn, "/t_", "/nosuch_", 1), "")
	broken, err := pool.New(wrong, strategies.Queue{Size: 1}, pool.Options{Logger: slog.New(slog.NewTextHandler(&logged, nil))})
	if err != nil {
		t.Fatal(err)
	}
	_, failed := broken.Acquire(t.Context())
	lease := acquire(t, p)
	for what, x := range map[string]any{
		"backend": b, "the backend's value": struct{ hidden any }{b}, "connection": c, "the connection's value": *c, "lease": lease,
		"Stats": p.Stats(), "Backend": mysql.Backend{Validate: mysql.Primary}, "error of open": refused, "error of Acquire": failed,
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%T", "%t"} {
			wantNoSecret(t, verb+" of "+what, fmt.Sprintf(verb, x), secrets)
		}
	}
	lease.Release()
	for _, p := range []interface{ Close() error }{p, broken} {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
	wantNoSecret(t, "the log", logged.String(), secrets)
	if err := b.Ping(t.Context(), c); err != nil {
		wantNoSecret(t, "the error of Ping", fmt.Sprintf("%v %#v", err, err), secrets)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = b.Open(canceled)
	wantNoSecret(t, "the error of a canceled Open", fmt.Sprintf("%v %#v", err, err), secrets)
}

// A short password is a part of many words. They are left to be read, and the password is not shown.
func TestErrorsAreReadableAlsoWithAShortPassword(t *testing.T) {
	dsn := servertest.MySQL(t).Database(t)
	database := dsn[strings.LastIndex(dsn, "@"):]
	for _, password := range []string{"a", "1", "pass", "deni"} {
		_, err := backend(t, mysql.Backend{}, "nobody:"+password+database).Open(t.Context())
		if err == nil || !strings.Contains(err.Error(), "Access denied for user 'nobody'@'") {
			t.Errorf("with the password %q: %v, want what the server said", password, err)
		}
		if strings.Contains(fmt.Sprint(err), ":"+password+"@") {
			t.Errorf("with the password %q: %v shows it", password, err)
		}
	}
}

func wantNoSecret(t *testing.T, what, text string, secrets []string) {
	t.Helper()
	for _, secret := range secrets {
		if strings.Contains(text, secret) || strings.Contains(text, fmt.Sprintf("%x", secret)) {
			t.Errorf("%s shows a secret: %.300s", what, text)
		}
	}
}
