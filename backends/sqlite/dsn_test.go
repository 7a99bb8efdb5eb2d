package sqlite_test

import (
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/backends/sqlite"
	"github.com/lidopool/lido/pool"
)

// registrable is what package manage asks of a backend.
type registrable interface {
	Name() string
	Canonical(dsn string) (string, error)
	Redact(dsn string) string
	Open(dsn string, reset sqldriver.ResetMode) (pool.Backend[*sqldriver.Conn], error)
}

var _ registrable = sqlite.Backend{}

const (
	fileDefaults   = "_busy_timeout=5000&_journal_mode=WAL&_synchronous=NORMAL&_txlock=immediate"
	memoryDefaults = "_busy_timeout=5000&_txlock=immediate"
)

// escaped writes the path of a clone or a temporary directory as a DSN does.
func escaped(path string) string { return strings.NewReplacer("%", "%25", " ", "%20").Replace(path) }

func TestCanonicalIsOneFormForOneMeaning(t *testing.T) {
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	here = escaped(filepath.ToSlash(here))
	for _, tt := range []struct {
		want string
		dsns []string
	}{
		{"file:/d/x.db?" + fileDefaults, []string{
			"/d/x.db", "/d/../d//x.db", "/d/x.db?", "file:/d/x.db", "file:///d/x.db", "file://localhost/d/x.db",
			"file:/d/x.db#part", "file:/d/x.db?#part", "file:/d/x%2edb", "/d/x.db?&&",
			"/d/x.db?_timeout=5000", "/d/x.db?_busy_timeout=05000&_timeout=5000", "/d/x.db?_journal=wal&_sync=1&_txlock=IMMEDIATE",
			"/d/x.db?_synchronous=normal", "/d/x.db?_mutex=full&_locking=normal&_stmt_cache_size=0&mode=rwc&immutable=0&nolock=off&_query_only=no",
			"/d/x.db?_busy_timeout=", "/d/x.db?%5Ftimeout=5000",
		}},
		{"file:" + here + "/x.db?" + fileDefaults, []string{"x.db", "./x.db", "file:x.db", "file:./a/../x.db"}},
		{"file:/d/x.db?_busy_timeout=0&_foreign_keys=1&_journal_mode=DELETE&_synchronous=FULL&_txlock=deferred", []string{
			"/d/x.db?_txlock=deferred&_fk=on&_timeout=0&_journal=DELETE",
			"/d/x.db?_journal_mode=delete&_foreign_keys=true&_foreign_keys=1&_busy_timeout=0&_sync=2&_txlock=Deferred",
		}},
		{"file:/d/x.db?_busy_timeout=5000&_synchronous=FULL&_txlock=immediate&mode=ro", []string{"/d/x.db?mode=ro", "file:/d/x.db?mode=RO"}},
		{"file:/d/x.db?_busy_timeout=5000&_synchronous=FULL&_txlock=immediate&immutable=1", []string{"/d/x.db?immutable=true"}},
		{"file:/d/x.db?_busy_timeout=5000&_synchronous=FULL&_txlock=immediate&nolock=1", []string{"/d/x.db?nolock=on"}},
		{"file:/d/x.db?_busy_timeout=5000&_journal_mode=WAL&_query_only=1&_synchronous=NORMAL&_txlock=deferred", []string{"/d/x.db?_query_only=1"}},
		{"file:/d/%3F%2B.db?" + fileDefaults, []string{"file:/d/%3f+.db"}},
		{"file:/d/100%25%20%23.db?" + fileDefaults, []string{"/d/100% #.db", "file:/d/100%25 %23.db"}},
		{"file:/m?" + memoryDefaults + "&vfs=memdb", []string{
			"memdb:m", "memdb:/m", "memdb://m", "memdb:m?vfs=memdb", "file:/m?vfs=memdb", "file:///m?vfs=memdb", sqlite.Memory("m"),
		}},
		{"file:/a%20b?" + memoryDefaults + "&vfs=memdb", []string{"memdb:a%20b", "memdb:a b", sqlite.Memory("a b")}},
		{"file::memory:?" + memoryDefaults, []string{
			":memory:", "file::memory:", "file:x?mode=memory", "file:/x?vfs=memdb&mode=memory", "file:x?vfs=memdb", "file:/?vfs=memdb",
		}},
		{"file:?" + memoryDefaults, []string{"", "file:", "file:?vfs=memdb"}},
		{"file::memory:?" + memoryDefaults + "&private_memory=1", []string{":memory:?private_memory=true"}},
		{"file:rel?_busy_timeout=5000&_synchronous=FULL&_txlock=immediate&own=a%2Bb&vfs=custom", []string{"file:rel?vfs=custom&own=a+b"}},
		{"file:/d/x.db?_auth=&_auth_pass=a%20b&_auth_user=u&" + fileDefaults, []string{"/d/x.db?_auth&_auth_user=u&_auth_pass=a+b"}},
	} {
		for _, in := range tt.dsns {
			got, err := sqlite.Backend{}.Canonical(in)
			if err != nil || got != tt.want {
				t.Errorf("Canonical(%q)\n got %s, %v\nwant %s", in, got, err, tt.want)
			}
			if again, err := (sqlite.Backend{}).Canonical(got); err != nil || again != got {
				t.Errorf("Canonical(%q) is not its own canonical form:\n got %s, %v", got, again, err)
			}
		}
	}
}

func TestCanonicalRefusesWhatCannotWorkAndSaysWhatToDo(t *testing.T) {
	for _, tt := range []struct{ dsn, want string }{
		{"x?_jurnal_mode=WAL", "did you mean _journal_mode?"},
		{"x?_timeuot=1", "did you mean _timeout?"},
		{"x?busy_timeout=1", "did you mean _busy_timeout?"},
		{"x?_pragma=busy_timeout(5000)", "of another driver"},
		{"x?_foo=1", `"_foo" is unknown: known are _auth, `}, // _fk is not near
		{"x?_jurnal_mode=WAL", `"_jurnal_mode" is unknown: did you mean _journal_mode?`},
		{"x?_own=1&vfs=custom", `"_own" is unknown`},
		{"x?pool_size=5", `"pool_size" is unknown`},
		{"x?_txlock=now", `_txlock is "now": give one of deferred, immediate, exclusive`},
		{"x?_timeout=5s", `_timeout is "5s": give a whole number of milliseconds`},
		{"x?_busy_timeout=-1", `_busy_timeout is "-1": give a whole number`},
		{"x?_fk=maybe", `_fk is "maybe": give 1 or 0`},
		{"x?_loc=Mars/Base", `_loc is "Mars/Base": give auto or`},
		{"x?_secure_delete=2", "give one of off, on, fast"},
		{"x?_auth_crypt=s3cret", "_auth_crypt is xxxxx: give one of sha1"},
		{"x?_timeout=1&_busy_timeout=2", `given twice, as "1" and "2"`},
		{"x?_auth_pass=s3cret&_auth_pass=other", "given twice, as xxxxx and xxxxx"},
		{"x?_auth_pass=s3cret%zz", "not well encoded"},
		{"x?_auth_pass=s3;cret", "not well encoded"},
		{"x?_auth_pass=s3cret%00", "not well encoded"},
		{"file:x%zz", "write %25"},
		{"file:x%00", "write %25"},
		{"x\x00y", "zero byte"},
		{"file://host/x", "names a host"},
		{"postgres://u:s3cret@h/db", `begins with "postgres://"`},
		{"memdb:", "write memdb:name"},
		{"memdb:x?vfs=unix", `vfs is "unix"`},
		{":memory:?cache=shared", "write file:/name?vfs=memdb"},
		{"file:x?mode=memory&cache=shared", "write file:/name?vfs=memdb"},
		{"memdb:x?cache=shared", "write file:/name?vfs=memdb"},
		{"x.db?private_memory=1", "leave it out"},
	} {
		got, err := sqlite.Backend{}.Canonical(tt.dsn)
		if err == nil || got != "" || !strings.HasPrefix(err.Error(), "sqlite: DSN ") || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Canonical(%q)\n got %q, %v\nwant an error with %q", tt.dsn, got, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "s3") {
			t.Errorf("the error for %q shows the secret: %v", tt.dsn, err)
		}
	}
}

func TestRedactShowsNoSecret(t *testing.T) {
	for _, tt := range []struct{ dsn, want string }{
		{"x.db", "x.db"},
		{"", ""},
		{":memory:", ":memory:"},
		{"x.db?_fk=1&mode=ro", "x.db?_fk=1&mode=ro"},
		{"x.db?_auth&_auth_user=s3cret&_auth_pass=s3cret&_auth_salt=s3cret&_auth_crypt=s3cret",
			"x.db?_auth=xxxxx&_auth_user=xxxxx&_auth_pass=xxxxx&_auth_salt=xxxxx&_auth_crypt=xxxxx"},
		{"file:x.db?%5fauth_pass=s3cret&_fk=1", "file:x.db?_auth_pass=xxxxx&_fk=1"},
		{"file:x.db?key=s3cret&hexkey=s3cret&textkey=s3cret", "file:x.db?key=xxxxx&hexkey=xxxxx&textkey=xxxxx"},
		{"x.db?_auth_pas=s3cret&password=s3cret", "x.db?_auth_pas=xxxxx&password=xxxxx"},
		{"x.db?_auth_pass=s3cret%zz&_fk=1", "x.db?xxxxx&_fk=1"},
		{"x.db?_fk=s3cret", "x.db?_fk=xxxxx"},
		{"x.db?_auth_pass=a?s3cret", "x.db?_auth_pass=xxxxx"},
		{"x.db#?_auth_pass=s3cret", "x.db#?_auth_pass=xxxxx"},
		{"postgres://u:s3cret@h/db?x=s3cret", "postgres://xxxxx"},
	} {
		if got := (sqlite.Backend{}).Redact(tt.dsn); got != tt.want {
			t.Errorf("Redact(%q)\n got %s\nwant %s", tt.dsn, got, tt.want)
		}
	}
}

func FuzzCanonical(f *testing.F) {
	for _, seed := range []string{
		"x.db", "file:x.db?_fk=1&_timeout=9", ":memory:", "", "file:", "?", "?vfs=own&x=y", ":memory:?vfs=own&x=y", "memdb:a b", "file:/m?vfs=memdb&mode=rw",
		"file:x?vfs=own&a=b%20c", "file://localhost/x#y?z", "x.db?_auth_pass=%61+b", "file:%2f%3f%23%25", "file:///?vfs=memdb", "x?private_memory=1",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, dsn string) {
		b := sqlite.Backend{}
		const secret = "Zs3cretZ"
		separator := "?"
		if strings.Contains(dsn, "?") {
			separator = "&"
		}
		if shown := b.Redact(dsn + separator + "_auth_pass=" + secret); strings.Contains(shown, secret) && !strings.Contains(dsn, secret) {
			t.Errorf("Redact shows the password added to %q: %q", dsn, shown)
		}
		canonical, err := b.Canonical(dsn)
		if err != nil {
			if canonical != "" {
				t.Errorf("Canonical(%q) returned %q and %v", dsn, canonical, err)
			}
			return
		}
		again, err := b.Canonical(canonical)
		if err != nil || again != canonical {
			t.Errorf("Canonical(%q) = %q, whose own canonical form is %q, %v", dsn, canonical, again, err)
		}
		if !strings.HasPrefix(canonical, "file:") {
			t.Errorf("Canonical(%q) = %q is no URI", dsn, canonical)
		}
		_, query, _ := strings.Cut(canonical, "?")
		if _, err := url.ParseQuery(query); err != nil { // as go-sqlite3 reads it
			t.Errorf("the driver cannot read Canonical(%q) = %q: %v", dsn, canonical, err)
		}
	})
}
