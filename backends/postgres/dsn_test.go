package postgres_test

import (
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lib/pq"

	"github.com/lidopool/lido/backends/postgres"
	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/pool"
)

// registrable is what package manage asks of a backend.
type registrable interface {
	Name() string
	Canonical(dsn string) (string, error)
	Redact(dsn string) string
	Open(dsn string, reset sqldriver.ResetMode) (pool.Backend[*sqldriver.Conn], error)
	CheckPooler(dsn string) error
}

var _ registrable = postgres.Backend{}

func TestCanonicalIsOneFormForOneMeaning(t *testing.T) {
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		want string
		dsns []string
	}{
		{"host='h' port='5432' dbname='d' user='u' password='p' sslmode='require'", []string{
			"postgres://u:p@h/d", "postgresql://u:p@h/d", "postgres://u:p@h:5432/d", "postgres://u:%70@h/d?sslmode=require",
			"host=h user=u password=p dbname=d", "dbname=d password=p user=u host=h", "  host = h\tuser='u' password=p\ndbname=d port=5432 ",
			"postgres://h/d?user=u&password=p", "postgres:///d?host=h&user=u&password=p", "postgres://u:p@h/?dbname=d", "host=h user=u password=p database=d",
			"postgres://u:p@h/d?connect_timeout=0", "postgres://u:p@h/d?connect_timeout=-1", "postgres://u:p@h/d?binary_parameters=no&sslsni=1&sslinline=false",
			"postgres://u:p@h/d?target_session_attrs=any&load_balance_hosts=disable&sslnegotiation=postgres&min_protocol_version=3.0",
			"postgres://u:p@h/d?client_encoding=utf-8&datestyle=ISO,%20MDY", "postgres://u:p@h/d?application_name=", "host=x user=u password=p dbname=d host=h",
		}},
		{"host='h' port='5432' dbname='u' user='u' sslmode='disable'", []string{
			"postgres://u@h?sslmode=disable", "postgres://u@h/?sslmode=disable", "host=h user=u sslmode=disable", "host=h user=u dbname=u sslmode=disable", "host=h user=u dbname='' sslmode=disable",
		}},
		{"host='localhost' port='5432' dbname='" + me.Username + "' user='" + me.Username + "' sslmode='require'", []string{"", " ", "postgres://", "postgres:///"}},
		{`host='h' port='5432' dbname='d' user='u' password='a b\'c\\d' sslmode='require'`, []string{
			`postgres://u:a%20b'c%5Cd@h/d`, `host=h user=u dbname=d password='a b\'c\\d'`, `host=h user=u dbname=d password=a\ b\'c\\d`,
		}},
		{"host='h' port='5432' dbname='d' user='u' application_name='x' sslmode='require'", []string{
			"postgres://u@h/d?application_name=x", "postgres://u@h/d?fallback_application_name=x", "postgres://u@h/d?fallback_application_name=y&application_name=x",
		}},
		{"host='a,b' port='5432' dbname='d' user='u' sslmode='require'", []string{
			"postgres://u@a,b/d", "host=a,b user=u dbname=d", "host=a,b port=5432,5432 user=u dbname=d", "postgres://u@a,b/d?port=5432",
		}},
		{"host='a,localhost' port='1,2' dbname='d' user='u' sslmode='require'", []string{"host=a, port=1,2 user=u dbname=d", "postgres://u@a,localhost/d?port=1,2"}},
		{"host='a,b' hostaddr='10.0.0.1,' port='5432' dbname='d' user='u' sslmode='require'", []string{"host=a,b hostaddr=10.0.0.1, user=u dbname=d"}},
		{"host='localhost,localhost' hostaddr='10.0.0.1,::1' port='5432' dbname='d' user='u' sslmode='require'", []string{"hostaddr=10.0.0.1,::1 user=u dbname=d"}},
		{"host='::1' port='5432' dbname='d' user='u' sslmode='require'", []string{"postgres://u@[::1]/d", "postgres://u@[::1]:5432/d", "host=::1 user=u dbname=d"}},
		{"host='fe80::1%eth0,::1' port='1,2' dbname='d' user='u' sslmode='require'", []string{"host=fe80::1%eth0,::1 port=1,2 user=u dbname=d"}},
		{"host='/run/a:b' port='5432' dbname='d' user='u' sslmode='disable'", []string{"host=/run/a:b user=u dbname=d"}},
		{"host='/run/pg' port='5432' dbname='d' user='u' sslmode='disable'", []string{
			"host=/run/pg user=u dbname=d", "host=/run/pg user=u dbname=d sslmode=require", "postgres:///d?host=/run/pg&user=u",
		}},
		{"host='h' port='5432' dbname='d' user='u' sslmode='verify-full' sslrootcert='system'", []string{
			"postgres://u@h/d?sslrootcert=system", "postgres://u@h/d?sslrootcert=system&sslmode=verify-full",
		}},
		{"host='h' port='5432' dbname='d' user='u' sslmode='require' connect_timeout='5' binary_parameters='yes' search_path='a, b' work_mem='1MB'", []string{
			"postgres://u@h/d?work_mem=1MB&search_path=a,%20b&connect_timeout=5&binary_parameters=on", "host=h search_path='a, b' binary_parameters=1 user=u connect_timeout=05 dbname=d work_mem=1MB",
		}},
		{"host='h' port='5432' dbname='d' user='u' sslmode='require' sslsni='no' target_session_attrs='primary' max_protocol_version='3.2'", []string{
			"postgres://u@h/d?sslsni=0&target_session_attrs=primary&max_protocol_version=3.2",
		}},
		{"host='h' port='5432' dbname='d' user='' sslmode='require'", []string{"host=h user='' dbname=d"}},
	} {
		for _, in := range tt.dsns {
			got, err := postgres.Backend{}.Canonical(in)
			if err != nil || got != tt.want {
				t.Errorf("Canonical(%q)\n got %s, %v\nwant %s", in, got, err, tt.want)
			}
			if again, err := (postgres.Backend{}).Canonical(got); err != nil || again != got {
				t.Errorf("Canonical(%q) is not its own canonical form:\n got %s, %v", got, again, err)
			}
		}
	}
}

func TestCanonicalSaysWhatComesFromElsewhere(t *testing.T) {
	const base = "host='h' port='5432' dbname='d' user='u' "
	for _, tt := range []struct{ variable, value, dsn, want string }{
		{"PGHOST", "other", "user=u dbname=d", "host='other' port='5432' dbname='d' user='u' sslmode='require'"},
		{"PGPASSWORD", "secret", "postgres://u@h/d", base + "password='secret' sslmode='require'"},
		{"PGPASSWORD", "secret", "host=h user=u dbname=d password=own", base + "password='own' sslmode='require'"},
		{"PGPASSWORD", "secret", "host=h user=u dbname=d password=", base + "password='' sslmode='require'"},
		{"PGSSLMODE", "disable", "postgres://u@h/d", base + "sslmode='disable'"},
		{"PGOPTIONS", "-c x=y", "host=h user=u dbname=d options=''", base + "options='' sslmode='require'"},
		{"PGAPPNAME", "env", "host=h user=u dbname=d application_name='' fallback_application_name=f", base + "application_name='' sslmode='require'"},
		{"PGTARGETSESSIONATTRS", "primary", "postgres://u@h/d?target_session_attrs=any", base + "sslmode='require' target_session_attrs='any'"},
		{"PGSSLSNI", "0", "postgres://u@h/d?sslsni=1", base + "sslmode='require' sslsni='yes'"},
		{"PGDATESTYLE", "German", "postgres://u@h/d?datestyle=ISO,+MDY", base + "sslmode='require' datestyle='ISO, MDY'"},
		{"PGCONNECT_TIMEOUT", "7", "postgres://u@h/d?connect_timeout=0", base + "sslmode='require' connect_timeout='0'"},
		{"PGSERVICE", "nowhere", "host=h user=u dbname=d service=''", base + "sslmode='require' service=''"},
	} {
		t.Run(tt.variable, func(t *testing.T) {
			t.Setenv(tt.variable, tt.value)
			got, err := postgres.Backend{}.Canonical(tt.dsn)
			if err != nil || got != tt.want {
				t.Errorf("Canonical(%q) with %s=%s\n got %s, %v\nwant %s", tt.dsn, tt.variable, tt.value, got, err, tt.want)
			}
			if again, err := (postgres.Backend{}).Canonical(got); err != nil || again != got {
				t.Errorf("Canonical(%q) is not its own canonical form:\n got %s, %v", got, again, err)
			}
		})
	}
	t.Run("service file", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "services")
		if err := os.WriteFile(file, []byte("[shop]\nhost=db\nport=99\nuser=u\ndbname=shop\npassword=p\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv("PGSERVICEFILE", file)
		got, err := postgres.Backend{}.Canonical("service=shop")
		if want := "host='db' port='99' dbname='shop' user='u' password='p' sslmode='require'"; err != nil || got != want {
			t.Errorf("got %s, %v\nwant %s", got, err, want)
		}
	})
}

// The canonical form must say all that the driver knows: two DSNs that differ in anything must not
// share a pool.
func TestCanonicalTellsAnyTwoMeaningsApart(t *testing.T) {
	seen := map[string]string{}
	for _, dsn := range []string{
		"", "host=h", "host=h,i", "hostaddr=10.0.0.1", "port=1", "host=a,b port=1,2", "dbname=d", "user=u", "password=p", "passfile=f", "options=o", "application_name=a",
		"sslmode=disable", "sslmode=verify-ca", "sslnegotiation=direct", "sslcert=f", "sslkey=f", "sslrootcert=f", "sslsni=0", "ssl_min_protocol_version=TLSv1.2",
		"ssl_max_protocol_version=TLSv1.2", "sslinline=1", "krbsrvname=k", "krbspn=k", "connect_timeout=1", "binary_parameters=1",
		"disable_prepared_binary_result=1", "tz=UTC", "geqo=off", "target_session_attrs=standby", "load_balance_hosts=random",
		"max_protocol_version=3.2", "min_protocol_version=3.2 max_protocol_version=3.2", "search_path=x", "search_path=y",
	} {
		got, err := postgres.Backend{}.Canonical(dsn)
		if err != nil {
			t.Errorf("Canonical(%q): %v", dsn, err)
		}
		if other, ok := seen[got]; ok {
			t.Errorf("%q and %q have one canonical form: %s", dsn, other, got)
		}
		seen[got] = dsn
		if again, err := (postgres.Backend{}).Canonical(got); err != nil || again != got {
			t.Errorf("Canonical(%q) is not its own canonical form:\n got %s, %v", got, again, err)
		}
	}
}

func TestCanonicalRefusesWhatCannotWorkAndSaysWhatToDo(t *testing.T) {
	for _, tt := range []struct{ dsn, want string }{
		{"postgres://u:s3/cret@h/d", "percent-encoded"},
		{"postgres://u:12/s3cret@h/d", "write one that is meant as %40"},
		{"postgres://u:12?s3cret@h/d", "percent-encoded"},
		{"postgres://u:12?x=s3cret@h/d", "%40"},
		{"postgres://u:12#s3cret@h/d", "percent-encoded"},
		{"postgres://u:a@12/s3cret@h/d", "%40"},
		{"postgres://u:s3%zzcret@h/d", "percent-encoded"},
		{"postgres://u:s3cret@h:bad/d", "percent-encoded"},
		{"postgres://u@h/d?password=s3%zz", "not well encoded"},
		{"postgres://u@h/d?s3%20cret=1", "percent-encoded"},
		{"mysql://u:s3cret@h/d", "without an equals sign"},
		{"mysql://u:s3cret@h/d?a=b", "whose name is none"},
		{"=s3cret", "whose name is none"},
		{"password=a s3cret", "without an equals sign"},
		{"password='s3cret", "quote that is not closed"},
		{`password=s3cret\`, "ends with a backslash"},
		{"password=s3cret\x00", "zero byte"},
		{"postgres://u:s3cret%00@h/d", "password contains a zero byte"},
		{"postgres://u@h/d?work_mem=s3cret%00", "work_mem contains a zero byte"},
		{"port= password=s3cret", "DSN parameter port has a wrong value: give a number"},
		{"port=65536", "give a number from 0 to 65535"},
		{"hostaddr=s3cret", "hostaddr has a wrong value: give an IP address"},
		{"sslmode=s3cret", "give disable, allow, prefer, require,"},
		{"sslmode=pqgo-s3cret", "registered tls.Config"},
		{"connect_timeout=5s3", "whole number of seconds"},
		{"binary_parameters=s3cret", "give yes or no"},
		{"target_session_attrs=s3cret", "prefer-standby"},
		{"load_balance_hosts=s3cret", "disable or random"},
		{"min_protocol_version=s3", "3.0, 3.2 or latest"},
		{"ssl_min_protocol_version=s3", "TLSv1.3"},
		{"min_protocol_version=3.2", "min_protocol_version is above"},
		{"client_encoding=s3cret", "client_encoding is not UTF8"},
		{"datestyle=s3cret", "datestyle is not"},
		{"host=a,b port=1,2,3", "lists of different lengths"},
		{"postgres://u:s3cret@a:1,b:2/d", "several hosts as host=db-1,db-2 port=5432,5433"},
		{"postgres://u:s3cret@a:1,b:1/d", "several hosts as host=db-1,db-2 port=5432,5433"},
		{"postgres://u:s3cret@a:1,b/d", "several hosts with their ports as ?host=db-1,db-2&port=5432,5433"},
		{"postgres://u:s3cret@[::1]:1,b:2/d", "several hosts with their ports as ?host=db-1,db-2&port=5432,5433"},
		{"postgres:///d?host=a,b:2&password=s3cret", "DSN parameter host has a colon in it: give the port as port=5432"},
		{"host=h:5432 password=s3cret", "DSN parameter host has a colon in it: give the port as port=5432"},
		{"host=/run/pg,u:s3cret", "has a colon in it"},
		{"sslnegotiation=direct sslmode=prefer", "too weak"},
		{"sslrootcert=system sslmode=require", "too weak"},
		{"service=s3cret", "service file"},
	} {
		got, err := postgres.Backend{}.Canonical(tt.dsn)
		if err == nil || got != "" || !strings.HasPrefix(err.Error(), "postgres: DSN ") || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Canonical(%q)\n got %q, %v\nwant an error with %q", tt.dsn, got, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "s3") {
			t.Errorf("the error for %q shows the secret: %v", tt.dsn, err)
		}
		if _, again := (postgres.Backend{}).Open(tt.dsn, ""); again == nil || err != nil && again.Error() != err.Error() {
			t.Errorf("Open(%q): %v, want the error of Canonical", tt.dsn, again)
		}
		if got := (postgres.Backend{}).Redact(tt.dsn); strings.Contains(got, "s3") || !strings.Contains(got, "xxxxx") {
			t.Errorf("Redact(%q): %s", tt.dsn, got)
		}
	}
	for _, tt := range []struct{ variable, value, want string }{
		{"PGPORT", "s3cret", "environment variable PGPORT has a wrong value: give a number"},
		{"PGREQUIREAUTH", "s3cret", "environment variable PGREQUIREAUTH is set, and lib/pq does not support it: unset it"},
	} {
		t.Run(tt.variable, func(t *testing.T) {
			t.Setenv(tt.variable, tt.value)
			_, err := postgres.Backend{}.Canonical("host=h")
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "s3") {
				t.Errorf("got %v, want an error with %q and without the value", err, tt.want)
			}
		})
	}
}

func TestRedactShowsNoSecret(t *testing.T) {
	const base = "host='h' port='5432' dbname='d' user='u' "
	for _, tt := range []struct{ dsn, want string }{
		{"postgres://u@h/d", base + "sslmode='require'"},
		{"postgres://u:s3cret@h/d?sslmode=disable", base + "password='xxxxx' sslmode='disable'"},
		{"postgres://u@h/d?password=s3cret", base + "password='xxxxx' sslmode='require'"},
		{"host=h user=u dbname=d sslinline=1 sslcert=c sslkey=s3cret", base + "sslmode='require' sslcert='c' sslkey='xxxxx' sslinline='yes'"},
		{"host=h user=u dbname=d options='-c my.s3=s3'", base + "options='xxxxx' sslmode='require'"},
		{"host=h user=u dbname=d search_path=a,b TimeZone=UTC pasword=s3cret", base + "sslmode='require' TimeZone='UTC' pasword='xxxxx' search_path='a,b'"},
		{"host=h user=u dbname=d Password=s3cret", base + "sslmode='require' xxxxx='xxxxx'"},
		{"host=h dbname=d user= password=s3cret", "host='h' port='5432' dbname='d' user='xxxxx' sslmode='require'"},
		{"user=u dbname=d host= password=s3cret", "host='xxxxx' port='5432' dbname='d' user='u' sslmode='require'"},
		{"host=a,10.0.0.1,::1 user=u dbname=d", "host='a,10.0.0.1,::1' port='5432' dbname='d' user='u' sslmode='require'"},
		{"host=@abstract user=u dbname=d", "host='@abstract' port='5432' dbname='d' user='u' sslmode='disable'"},
		{"postgres://u:s3cret@a,b/d?port=1,2", "host='a,b' port='1,2' dbname='d' user='u' password='xxxxx' sslmode='require'"},
		{"postgres:///d?user=u&password=s3cret&host=a,::1&port=1,2", "host='a,::1' port='1,2' dbname='d' user='u' password='xxxxx' sslmode='require'"},
		{"postgres://u:s3cret@a:1,b:2/d", "postgres://xxxxx"},
		{"postgres://u:s3cret@h:bad/d", "postgres://xxxxx"},
		{"mysql://u:s3cret@h/d", "xxxxx"},
	} {
		if got := (postgres.Backend{}).Redact(tt.dsn); got != tt.want {
			t.Errorf("Redact(%q)\n got %s\nwant %s", tt.dsn, got, tt.want)
		}
	}
}

func FuzzRedact(f *testing.F) {
	for _, seed := range []struct{ before, after string }{
		{"", ""}, {"host=h ", " user=u"}, {"host= ", ""}, {"port= ", ""}, {"user='", "'"}, {"password=x' ", " y='"}, {`host=\`, ""}, {"service=", ""}, {"sslmode=", ""},
		{"postgres://", "/d"}, {"postgres://u@h?x=", "&y"}, {"postgresql://a,b/", "?z"}, {"mysql://", ""}, {"options=", " x"}, {"a", "b=c"}, {"host=a,b, port=", ",2"},
		{"12/", "?port=1,2"}, {"p@", ""}, {",p@", ""}, {"p@h,i:", ""}, {"%2F", ":1"}, {"p@h?dbname=", "&host=a,b"}, {":1,", ""},
	} {
		f.Add(seed.before, seed.after)
	}
	const secret = "Zs3cretZ"
	f.Fuzz(func(t *testing.T, before, after string) {
		b := postgres.Backend{}
		for _, dsn := range []string{
			before + "password='" + secret + "'" + after,
			before + " password=" + secret + " " + after,
			before + "u:" + secret + "@h" + after,
			"postgres://u:" + secret + "@" + before + after,
			"postgres://" + before + ":" + secret + "@" + after,
			"postgres://u@h/d?" + before + "&password=" + secret + "&" + after,
			"postgres://u:" + before + secret + "@h,i/d" + after,
			"postgres://u:" + secret + before + "@h,i/d" + after,
		} {
			if strings.Contains(before+after, "Z") {
				continue
			}
			if got := b.Redact(dsn); strings.Contains(got, secret) {
				t.Errorf("Redact(%q) shows the secret: %s", dsn, got)
			}
			if _, err := b.Open(dsn, ""); err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("the error of Open(%q) shows the secret: %v", dsn, err)
			}
			canonical, err := b.Canonical(dsn)
			if err != nil {
				if canonical != "" || strings.Contains(err.Error(), secret) {
					t.Errorf("Canonical(%q) returned %q and %v", dsn, canonical, err)
				}
				continue
			}
			if got := b.Redact(canonical); got != b.Redact(dsn) {
				t.Errorf("Redact of the canonical form of %q is another: %s, not %s", dsn, got, b.Redact(dsn))
			}
			again, err := b.Canonical(canonical)
			if err != nil || again != canonical {
				t.Errorf("Canonical(%q) = %q, whose own canonical form is %q, %v", dsn, canonical, again, err)
			}
			if _, err := pq.NewConfig(canonical); err != nil {
				t.Errorf("the driver cannot read Canonical(%q) = %q: %v", dsn, canonical, err)
			}
		}
	})
}
