// Package servertest gives tests real servers: PostgreSQL, also with a standby, MariaDB and PgBouncer, private to the
// test binary, on loopback, gone with it.
//
//	func TestSomething(t *testing.T) {
//		s := servertest.Postgres(t)           // shared by the tests of this binary
//		db, err := sql.Open("postgres", s.Database(t)) // a fresh database for this test
//		…
//	}
//
//	func TestRestart(t *testing.T) {
//		s := servertest.OwnPostgres(t, "max_connections=10") // for this test alone
//		proxy := backendtest.NewProxy(t, s.Addr())
//		dsn := s.Through(proxy.Addr())
//		s.Kill()
//		s.Start()
//		…
//	}
//
// # Which server
//
// [Postgres] and [MySQL] are the server of LIDO_TEST_POSTGRES_DSN or LIDO_TEST_MYSQL_DSN, if that
// is set, and else one that the first test which asks starts. [OwnPostgres], [OwnMySQL],
// [PgBouncer] and [Standby] are always started, as PostgreSQL and MariaDB, since a test may kill them. A start takes a second for
// the first of a kind and a tenth of that for every other; of a standby half a second.
//
// A server is run from the binaries found in PATH, in the places where distributions put them, and
// where `make setup` puts them if it may not install (see internal/setup/servers.sh). Without them
// a test is skipped, with the command that helps, or fails if LIDO_STRICT is 1.
//
// # What a server is like
//
// The user is [User] with [Password], may do everything, and has to show the password:
// scram-sha-256 with PostgreSQL and PgBouncer, mysql_native_password with MariaDB. PostgreSQL and
// MariaDB take connections with and without TLS, with a certificate that nobody signed:
// sslmode=require, tls=skip-verify. What was committed survives [Server.Kill], but not a crash of
// the machine: nothing is synced to disk.
//
// As root, servers run as nobody, because they refuse root.
//
// # What is left behind
//
// Nothing, also if the test binary is killed: a shell waits for the end of a pipe that the kernel
// closes when the binary ends, however it ends. Then it ends the servers and removes their
// directories, within a fraction of a second.
//
// The package is for tests of Lido. It promises nothing to others.
package servertest
