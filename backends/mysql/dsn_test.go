package mysql_test

import (
	"strings"
	"testing"

	gomysql "github.com/go-sql-driver/mysql"

	"github.com/lidopool/lido/backends/mysql"
	"github.com/lidopool/lido/backends/sqldriver"
)

func canonical(t *testing.T, dsn string) string {
	t.Helper()
	got, err := mysql.Backend{}.Canonical(dsn)
	if err != nil {
		t.Fatalf("Canonical(%q): %v", dsn, err)
	}
	return got
}

func TestDSNsOfOneMeaningHaveOneCanonicalForm(t *testing.T) {
	for want, dsns := range map[string][]string{
		"u:p@tcp(127.0.0.1:3306)/db":                                      {"u:p@/db", "u:p@tcp/db", "u:p@tcp()/db", "u:p@tcp(127.0.0.1)/db", "u:p@/db?tls=false", "u:p@/db?tls=0&charset", "u:p@/d%62?allowFallbackToPlaintext=true"},
		"u:p@tcp(h:3306)/?parseTime=true&readTimeout=1m0s":                {"u:p@tcp(h)/?readTimeout=60s&parseTime=1", "u:p@tcp(h:3306)/?parseTime=True&readTimeout=1m&loc=UTC"},
		"u@unix(/tmp/mysql.sock)/db":                                      {"u@unix/db", "u:@unix(/tmp/mysql.sock)/db?collation="},
		"u:p@tcp([::1]:3306)/db":                                          {"u:p@tcp(::1)/db", "u:p@tcp([::1]:3306)/db"},
		":p@tcp(127.0.0.1:3306)/":                                         {":p@/"},
		"tcp(127.0.0.1:3306)/":                                            {"", "/", "@/", ":@/"},
		"u:a:b@c/d?e@tcp(h:1)/db":                                         {"u:a:b@c/d?e@tcp(h:1)/db"},
		"u:p@tcp(h:3306)/?sql_mode=%27ANSI%27&time_zone=%27%2B00%3A00%27": {"u:p@tcp(h)/?time_zone='%2b00:00'&sql_mode=%27ANSI%27"},
		"u:p@tcp(h:3306)/?loc=Europe%2FRome":                              {"u:p@tcp(h)/?loc=Europe%2fRome"},
		"u:p@tcp(h:3306)/?allowFallbackToPlaintext=true&tls=preferred":    {"u:p@tcp(h)/?tls=PREFERRED", "u:p@tcp(h)/?tls=preferred&allowFallbackToPlaintext=false"},
	} {
		for _, dsn := range append(dsns, want) {
			if got := canonical(t, dsn); got != want {
				t.Errorf("Canonical(%q) = %q, want %q", dsn, got, want)
			}
		}
	}
}

func TestDSNsOfDifferentMeaningDiffer(t *testing.T) {
	seen := map[string]string{}
	for _, dsn := range []string{
		"u:p@/db", "u:q@/db", "v:p@/db", "u:p@/eb", "u:p@tcp(localhost)/db", "u:p@unix/db", "u@/db", ":p@/db", "u:p@/db?parseTime=1",
		"u:p@/db?tls=true", "u:p@/db?tls=skip-verify", "u:p@/db?autocommit=0", "u:p@/db?charset=latin1", "u:p@/db?collation=utf8mb4_bin", "u:p@/db?compress=1",
		"u:p@/DB", "u:p@/db%26compress=true",
	} {
		got := canonical(t, dsn)
		if other, ok := seen[got]; ok {
			t.Errorf("%q and %q have the same canonical form %q", dsn, other, got)
		}
		seen[got] = dsn
	}
}

func TestADSNThatCannotWorkIsRefusedWithItsFaultAndRemedy(t *testing.T) {
	for dsn, want := range map[string]string{
		"u:hunter2":                                                            "no slash",
		"u:hunter2/db":                                                         "tcp(host:3306)",
		"mysql://u:hunter2@h:3306/db":                                          "tcp(host:3306)",
		"u:hunter2@tcp(h/db":                                                   "tcp(host:3306)",
		"u:hunter2@tcp(h)/db?loc=Europe/Rome":                                  "a slash in a parameter is %2F",
		"u:hunter2@tcp([::1])/db":                                              "[::1]:3306",
		"u:hunter2@/d%zz":                                                      "write %25",
		"u:hunter2@/db?parseTime=hunter2":                                      "parseTime is neither true nor false",
		"u:hunter2@/db?timeout=hunter2":                                        "timeout is no duration",
		"u:hunter2@/db?timeTruncate=hunter2":                                   "timeTruncate is no duration",
		"u:hunter2@/db?maxAllowedPacket=hunter2":                               "maxAllowedPacket is no number",
		"u:hunter2@/db?loc=hunter2":                                            "loc is no time zone",
		"u:hunter2@/db?tls=hunter2":                                            "RegisterTLSConfig",
		"u:hunter2@/db?serverPubKey=hunter2":                                   "RegisterServerPubKey",
		"u:hunter2@/db?strict=hunter2":                                         "strict is no longer known",
		"u:hunter2@/db?hunter2=%zz":                                            "not well encoded",
		"u:hunter2@/db?connectionAttributes=hunter2%zz":                        "connectionAttributes is not well encoded",
		"u:hunter2@/db?interpolateParams=true&collation=gbk_bin":               "interpolateParams",
		"u:hunter2@/db?parseTime=true&multiStatements=hunter2&allowAllFiles=x": "multiStatements is neither",
	} {
		b := mysql.Backend{}
		_, err := b.Canonical(dsn)
		if err == nil || !strings.HasPrefix(err.Error(), "mysql: DSN ") || !strings.Contains(err.Error(), want) {
			t.Errorf("Canonical(%q): %v, want an error of the DSN with %q", dsn, err, want)
			continue
		}
		_, opening := b.Open(dsn, "")
		for _, e := range []error{err, opening, b.CheckPooler(dsn)} {
			if e == nil || e.Error() != err.Error() {
				t.Errorf("%q is refused with %v, and elsewhere with %v", dsn, err, e)
			}
			if strings.Contains(e.Error(), "hunter2") {
				t.Errorf("the error for %q shows the secret: %v", dsn, e)
			}
		}
		if got := b.Redact(dsn); got != "xxxxx" {
			t.Errorf("Redact(%q) = %q, want nothing shown", dsn, got)
		}
	}
}

func TestRedactMasksWhatMayBeSecret(t *testing.T) {
	for dsn, want := range map[string]string{
		"u:hunter2@tcp(h)/db":           "u:xxxxx@tcp(h:3306)/db",
		":hunter2@/":                    ":xxxxx@tcp(127.0.0.1:3306)/",
		"u@/db":                         "u@tcp(127.0.0.1:3306)/db",
		"u:a@b:hunter2@/db?parseTime=1": "u:xxxxx@tcp(127.0.0.1:3306)/db?parseTime=true",
		"u:a/hunter2@/db":               "u:xxxxx@tcp(127.0.0.1:3306)/db",
		"u:@/db?connectionAttributes=token:hunter2": "u@tcp(127.0.0.1:3306)/db?connectionAttributes=xxxxx",
		"u:p@/db?@key='hunter2'&sql_mode=hunter2":   "xxxxx", // the at sign may be one of a password with a slash
		"u:p@/db?password=hunter2&tls=skip-verify":  "u:xxxxx@tcp(127.0.0.1:3306)/db?tls=skip-verify&password=xxxxx",
		"mysql://u:hunter2@tcp(h)/db":               "mysql:xxxxx@tcp(h:3306)/db",
		"u:x@tcp/hunter2@tcp(h)":                    "xxxxx",
		"u:x@tcp/?hunter2&b=hunter2@tcp(h)":         "xxxxx",
		"u:hunter2(x)/db":                           "xxxxx",
		"u:a(hunter2)/db":                           "xxxxx",
		"cloudsql(project:region:instance)/db":      "cloudsql(project:region:instance)/db",
		"":                                          "tcp(127.0.0.1:3306)/",
		strings.Repeat("/", 100) + ":hunter2@":      "xxxxx",
	} {
		if got := (mysql.Backend{}).Redact(dsn); got != want {
			t.Errorf("Redact(%q) = %q, want %q", dsn, got, want)
		}
	}
}

// The marker stands somewhere in the password, and never comes out.
func FuzzRedact(f *testing.F) {
	f.Add("u", "", "", "tcp(h:1)/db")
	f.Add("u", "x@tcp/", "=1", "tcp(h)")
	f.Add("", "/?a=", "&b", "/db?parseTime=x")
	f.Add("mysql://u", "%zz", "'", "tcp(h)/d%b?@x=1")
	f.Add("u", "(", ")", "unix(/s@x)/")
	f.Fuzz(func(t *testing.T, user, before, after, rest string) {
		const marker = "hUnTeR2"
		if strings.Contains(strings.ToLower(user+rest), "hunter") {
			t.Skip("the marker stands in what may be shown: no case of this test")
		}
		dsn := user + ":" + before + marker + after + "@" + rest
		b := mysql.Backend{}
		leaks := func(what, text string) {
			if strings.Contains(text, marker) {
				t.Errorf("%s of %q shows the secret: %q", what, dsn, text)
			}
		}
		leaks("Redact", b.Redact(dsn))
		form, err := b.Canonical(dsn)
		for _, reset := range []sqldriver.ResetMode{"", sqldriver.Full} {
			if _, err := b.Open(dsn, reset); err != nil {
				leaks("Open's error", err.Error())
			}
		}
		if err := b.CheckPooler(dsn); err != nil {
			leaks("CheckPooler's error", err.Error())
		}
		if err != nil {
			leaks("Canonical's error", err.Error())
			return
		}
		again, err := b.Canonical(form)
		if again != form || err != nil {
			t.Errorf("Canonical(%q) = %q, and of that %q, %v: want the same", dsn, form, again, err)
		}
		was, _ := gomysql.ParseDSN(dsn)
		is, err := gomysql.ParseDSN(form)
		if err != nil || was.User != is.User || was.Passwd != is.Passwd || was.Addr != is.Addr || was.Net != is.Net || was.DBName != is.DBName {
			t.Errorf("%q and its canonical form %q do not mean the same", dsn, form)
		}
	})
}

func TestCheckPoolerSaysWhatToChange(t *testing.T) {
	const ok = "u:p@tcp(h)/db?interpolateParams=true"
	for dsn, want := range map[string]string{
		ok:                               "",
		ok + "&sql_mode='ANSI'":          "",
		ok + "&autocommit=1":             "",
		ok + "&AUTOCOMMIT=ON":            "",
		ok + "&autocommit=0":             "autocommit is off",
		ok + "&@@session.autocommit=OFF": "autocommit is off",
		ok + "&@tenant=7":                `"@tenant" is a user variable`,
		"u:p@tcp(h)/db":                  "add interpolateParams=true",
	} {
		err := mysql.Backend{}.CheckPooler(dsn)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("CheckPooler(%q) = %v, want %q", dsn, err, want)
		}
	}
}

func TestOpenRefusesAFullResetThatCannotReachTheServer(t *testing.T) {
	for dsn, want := range map[string]string{
		"u:p@/db?tls=skip-verify":     "tls=false",
		"u:p@/db?tls=preferred":       "tls=false",
		"u:p@/db?compress=1":          "leave compress out",
		"u:p@cloudsql(a:b:c)/db":      "name tcp or unix",
		"u:p@/db%26compress=true?a=b": "",
		"u:p@unix/db":                 "",
	} {
		_, err := mysql.Backend{Reset: sqldriver.Full}.Open(dsn, "")
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("Open(%q) with a full reset: %v, want %q", dsn, err, want)
		}
		if _, err := mysql.Open(dsn); err != nil {
			t.Errorf("Open(%q): %v, want nil", dsn, err)
		}
	}
	if _, err := (mysql.Backend{}).Open("u:p@/db", "undo"); err == nil || !strings.Contains(err.Error(), `reset mode is "undo"`) {
		t.Errorf("got %v, want an error that names the mode", err)
	}
}
