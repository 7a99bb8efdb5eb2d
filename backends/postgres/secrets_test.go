package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/lib/pq"

	"github.com/lidopool/lido/backends/postgres"
	"github.com/lidopool/lido/backends/servertest"
	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/strategies"
)

const hunter = "hunter2secret"

// show fails if x shows the secret, whichever way it is printed.
func show(t *testing.T, what string, secret string, x any) {
	t.Helper()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%T", "%t"} {
		text := fmt.Sprintf(verb, x)
		if strings.Contains(text, secret) || strings.Contains(text, fmt.Sprintf("%x", secret)) {
			t.Errorf("%s of %s: %.300s", verb, what, text)
		}
	}
}

func TestNoVerbShowsASecret(t *testing.T) {
	s := servertest.Postgres(t)
	b := backend(t, postgres.Backend{}, s.DSN())
	show(t, "a backend", servertest.Password, b)
	show(t, "what holds a backend", servertest.Password, struct{ b any }{b})
	c := connect(t, b)
	show(t, "a connection", servertest.Password, c)
	show(t, "a connection by value", servertest.Password, *c)
	show(t, "what holds a connection", servertest.Password, struct{ c *sqldriver.Conn }{c})
}

func TestNoErrorOfAnOpenShowsASecret(t *testing.T) {
	s := servertest.Postgres(t)
	refusing, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refusing.Close()
	database := "/postgres?sslmode=disable"
	var log bytes.Buffer
	for name, dsn := range map[string]string{
		"wrong password":         "postgres://" + servertest.User + ":" + hunter + "@" + s.Addr() + database,
		"no such user":           "postgres://nobody:" + hunter + "@" + s.Addr() + database,
		"refused":                "postgres://u:" + hunter + "@" + refusing.Addr().String() + database,
		"no such host":           "postgres://u:" + hunter + "@nowhere.invalid" + database,
		"password as the host":   "user=u dbname=d host= password=" + hunter,
		"password as a setting":  s.DSN() + "&Password=" + hunter,
		"password as a name":     s.DSN() + "&H" + hunter + "=x",
		"password as a database": s.Through(s.Addr()) + "&dbname=x%3D" + hunter,
		"key inline":             strings.Replace(s.DSN(), "disable", "require", 1) + "&sslinline=1&sslcert=x%3D" + hunter + "&sslkey=" + hunter,
		"no such file":           strings.Replace(s.DSN(), "disable", "verify-ca", 1) + "&sslrootcert=/x%3D" + hunter,
		"two hosts":              "host=127.0.0.1,127.0.0.1 port=1,2 user=u password=" + hunter,
	} {
		t.Run(name, func(t *testing.T) {
			b := backend(t, postgres.Backend{}, dsn)
			p, err := pool.New(b, strategies.Queue{Size: 1}, pool.Options{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			_, err = p.Acquire(t.Context())
			if err == nil {
				t.Fatal("it went well")
			}
			for e := err; e != nil; e = errors.Unwrap(e) {
				show(t, "an error", hunter, e)
			}
			show(t, "the statistics", hunter, p.Stats())
			show(t, "the backend", hunter, b)
		})
	}
	if strings.Contains(log.String(), hunter) {
		t.Errorf("the log shows it:\n%s", &log)
	}
}

// Wherever a character of a password ends it, for who reads the DSN, no part is shown.
func TestNoPartOfAPasswordIsShownWithSeveralHosts(t *testing.T) {
	hosts := []string{"127.0.0.1,127.0.0.1", "127.0.0.1:1,127.0.0.1:2", "127.0.0.1:1,127.0.0.1"}
	opened := 0
	for _, between := range []string{"@", "/", ",", "%", ":", "?", "#", "&", "=", "+", ";", " ", "'", `\`, "@,", ",@", "/@", ":1,", "@1:2,", "%2", "%41", "?host=", "@h,i/"} {
		for _, first := range []string{"hunterA", "99", ""} { // a number may be taken for a port
			raw := first + between + "hunterB"
			quoted := strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(raw)
			dsns := []string{"host=127.0.0.1,127.0.0.1 port=1,2 user=u password='" + quoted + "'", "host=127.0.0.1,127.0.0.1 user=u port=1 password=" + raw}
			for _, password := range []string{raw, url.QueryEscape(raw), url.PathEscape(raw)} {
				for _, host := range hosts {
					dsns = append(dsns, "postgres://u:"+password+"@"+host+"/d", "postgres://u:"+password+"@"+host+"?port=1,2",
						"postgres://"+host+"/d?user=u&port=1,2&password="+password, "postgres:///d?password="+password+"&user=u&port=1,2&host="+host)
				}
			}
			for _, dsn := range dsns {
				hide := func(what, text string) {
					t.Helper()
					if strings.Contains(text, "hunter") {
						t.Errorf("%s of %q shows a part of the password: %s", what, dsn, text)
					}
				}
				hide("Redact", postgres.Backend{}.Redact(dsn))
				canonical, err := postgres.Backend{}.Canonical(dsn)
				if err != nil {
					hide("the error of Canonical", err.Error())
					continue
				}
				hide("Redact of Canonical", postgres.Backend{}.Redact(canonical))
				if !strings.HasPrefix(canonical, "host='127.0.0.1,127.0.0.1' port='1") {
					continue // else it would ask for names in a network
				}
				_, err = backend(t, postgres.Backend{}, dsn).Open(t.Context())
				if err == nil || !strings.Contains(err.Error(), "127.0.0.1:1: connect: connection refused") {
					t.Errorf("Open of %q: %v, want that two hosts refuse", dsn, err)
					continue
				}
				hide("the error of Open", err.Error())
				opened++
			}
		}
	}
	if opened < 100 {
		t.Errorf("only %d of the DSNs could be tried, so little was shown", opened)
	}
}

func TestTheErrorOfAnOpenIsStillTheDrivers(t *testing.T) {
	s := servertest.Postgres(t)
	b := backend(t, postgres.Backend{}, "postgres://nobody:"+hunter+"@"+s.Addr()+"/postgres?sslmode=disable")
	_, err := b.Open(context.Background())
	if e, ok := errors.AsType[*pq.Error](err); !ok || e.Code != "28P01" {
		t.Errorf("got %v, want 28P01", err)
	}
	if !strings.Contains(err.Error(), `password authentication failed for user "nobody"`) {
		t.Errorf("got %v, want what the server said", err)
	}
}

// A short password is a part of many words. They are left to be read, and the password is not shown.
func TestErrorsAreReadableAlsoWithAShortPassword(t *testing.T) {
	s := servertest.Postgres(t)
	refusing, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refusing.Close()
	for _, password := range []string{"a", "1", "pass", "fatal"} {
		for addr, want := range map[string]string{
			s.Addr():                 `password authentication failed for user "nobody"`,
			refusing.Addr().String(): "dial tcp " + refusing.Addr().String() + ": connect: connection refused",
		} {
			_, err := backend(t, postgres.Backend{}, "postgres://nobody:"+password+"@"+addr+"/postgres?sslmode=disable").Open(t.Context())
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("with the password %q: %v, want %q", password, err, want)
			}
			if strings.Contains(fmt.Sprint(err), ":"+password+"@") || strings.Contains(fmt.Sprint(err), "'"+password+"'") {
				t.Errorf("with the password %q: %v shows it", password, err)
			}
		}
	}
}
