package sqlite_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mattn/go-sqlite3"

	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/backends/sqlite"
)

const hunter = "hunter2secret"

func TestNoVerbShowsASecret(t *testing.T) {
	c, err := sqlite.Open("file:x.db?_auth&_auth_user=u&_auth_pass=" + hunter)
	if err != nil {
		t.Fatal(err)
	}
	k, _ := sqldriver.ConnectorOf(&plainDriver{}, hunter)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%T", "%t"} {
		for what, x := range map[string]any{"pointer": c, "value": *c, "connector": k} {
			if text := fmt.Sprintf(verb, x); strings.Contains(text, hunter) || strings.Contains(text, fmt.Sprintf("%x", hunter)) {
				t.Errorf("%s of a %s: %.200s", verb, what, text)
			}
		}
	}
}

type plainDriver struct{ sqlite3.SQLiteDriver }

func TestATornPasswordIsNotShown(t *testing.T) {
	dsn := "file:x.db?_auth&_auth_user=u&_auth_pass=abc&" + hunter
	_, err := sqlite.Backend{}.Canonical(dsn)
	if strings.Contains(fmt.Sprint(err), hunter) {
		t.Errorf("Canonical: %.200s", err)
	}
	if got := (sqlite.Backend{}).Redact(dsn); strings.Contains(got, hunter) {
		t.Errorf("Redact: %s", got)
	}
}
