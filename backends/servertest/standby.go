package servertest

import (
	"fmt"
	"net"
	"net/url"
	"testing"
)

// standby is a PostgreSQL that follows another one, until it is promoted.
type standby struct {
	postgres
	primary string // its DSN
}

// Standby starts a hot standby of a server of OwnPostgres, for one test: it streams what the primary
// writes, takes reads, and refuses writes until Promote. A setting is one of postgresql.conf; it has
// none of those that the primary was given, and needs a max_connections that is as high. It counts for
// synchronous_standby_names of the primary, by the name standby. It ends with the test.
//
// That it streams does not mean that it has caught up: unless commits wait for it, by
// synchronous_commit=remote_apply, a test waits until it sees what it wants to see.
func Standby(t testing.TB, primary *Server, settings ...string) *Server {
	t.Helper()
	primary.mine()
	return own(t, standby{primary: primary.dsn}, settings)
}

// Promote makes a primary of a standby, whether its own is there or not, and returns when it takes writes.
func (s *Server) Promote() {
	s.mine().Helper()
	s.must("promote", execute(s.dsn, "DO $$ BEGIN IF NOT pg_promote() THEN RAISE 'it is a standby still'; END IF; END $$"))
}

func (standby) name() string { return "standby" }

// prepare copies the files of the running primary, by one process, so that nothing but it is to be ended.
func (s standby) prepare(r *root, dir string) error {
	b, err := find("postgres")
	if err != nil {
		return err
	}
	if err := certificate(r, dir); err != nil {
		return err
	}
	u, err := url.Parse(s.primary)
	if err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(u.Host)
	if err != nil {
		return err
	}
	// What it says here stands in the settings of the standby then.
	from := fmt.Sprintf("host=%s port=%s user=%s password=%s sslmode=disable application_name=standby", host, port, User, Password)
	return r.do(dir, b.sibling("pg_basebackup"), "", "-d", from, "-D", dir+"/data",
		"--write-recovery-conf", "--wal-method=fetch", "--checkpoint=fast", "--no-sync", "--no-manifest")
}
