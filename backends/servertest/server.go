package servertest

import (
	"crypto/rand"
	"encoding/hex"
	"net"
	"os"
	"strconv"
	"sync"
	"testing"
)

// The account of every server that this package starts.
const (
	User     = "lido"
	Password = "s3cret-of-lido"
)

// A Server is a database server, or a pooler in front of one, that takes connections.
type Server struct {
	t    testing.TB // nil: shared by all tests of the binary
	dsn  string
	addr string
	run  *instance // nil: the server of the environment
}

// Postgres returns the PostgreSQL server that all tests of the binary share: that of
// LIDO_TEST_POSTGRES_DSN, a URL, or one that it starts at first use. Use Database
// to be undisturbed.
func Postgres(t testing.TB) *Server {
	t.Helper()
	return share(t, "LIDO_TEST_POSTGRES_DSN", sharedPostgres)
}

// MySQL returns the MariaDB server that all tests of the binary share: that of LIDO_TEST_MYSQL_DSN,
// which may be MySQL, or one that it starts at first use. Use Database to be undisturbed.
func MySQL(t testing.TB) *Server {
	t.Helper()
	return share(t, "LIDO_TEST_MYSQL_DSN", sharedMariaDB)
}

// OwnPostgres starts a PostgreSQL server for one test, which may kill, freeze and restart it. A
// setting is one of postgresql.conf: "max_connections=10". It ends with the test.
func OwnPostgres(t testing.TB, settings ...string) *Server {
	t.Helper()
	return own(t, postgres{}, settings)
}

// OwnMySQL starts a MariaDB server for one test, which may kill, freeze and restart it. A setting
// is an option of mariadbd without its dashes: "max_connections=10". It ends with the test.
func OwnMySQL(t testing.TB, settings ...string) *Server {
	t.Helper()
	return own(t, mariadb{}, settings)
}

// PgBouncer starts a PgBouncer in front of pg for one test. A setting is one of pgbouncer.ini:
// "pool_mode=transaction", "default_pool_size=5". Without one it is in session mode, and asks again
// after server_login_retry, which is 1 s here, when pg was away. DSN and Database are like those of
// pg, through the pooler. It ends with the test.
func PgBouncer(t testing.TB, pg *Server, settings ...string) *Server {
	t.Helper()
	return own(t, newPgBouncer(pg.dsn), settings)
}

// DSN returns what to open: postgres://user:password@host:port/database?sslmode=disable for lib/pq
// and pgx, user:password@tcp(host:port)/database for go-sql-driver/mysql.
func (s *Server) DSN() string { return s.dsn }

// Addr returns host:port.
func (s *Server) Addr() string { return s.addr }

// Through returns DSN with another host:port, such as that of a proxy in front of the server.
func (s *Server) Through(addr string) string { return Redirect(s.dsn, addr) }

// Database creates an empty database and returns its DSN. It is dropped at the end of the test,
// whoever is still connected.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	var random [6]byte
	rand.Read(random[:])
	name := "t_" + hex.EncodeToString(random[:])
	if err := create(s.admin(), name); err != nil {
		t.Fatalf("create a database at %s: %v", s.addr, err)
	}
	if s.t == nil {
		t.Cleanup(func() {
			if err := drop(s.admin(), name); err != nil {
				t.Errorf("drop database %s at %s: %v", name, s.addr, err)
			}
		})
	} // else it goes with the server, which the test may have killed
	return inDatabase(s.dsn, name)
}

// admin returns the DSN for CREATE DATABASE, which no pooler should see.
func (s *Server) admin() string {
	if s.run != nil {
		if b, ok := s.run.program.(pgbouncer); ok {
			return b.upstream
		}
	}
	return s.dsn
}

// Log returns what the server wrote to its log so far; with the setting "log_statement=all" of
// PostgreSQL these are the statements. It is empty for a server of the environment.
func (s *Server) Log() string {
	if s.run == nil {
		return ""
	}
	text, _ := os.ReadFile(s.run.path("log"))
	return string(text)
}

// Data returns the directory of the data of a server that this package started.
func (s *Server) Data() string {
	if s.run == nil {
		return ""
	}
	return s.run.path("data")
}

// Kill ends the server and its session processes at once, as SIGKILL does, and waits
// until they are gone. Clients see their connections reset; what was committed is on disk.
//
// This and the four below, and Promote, are for a server of the test's own, and are called by the goroutine of
// the test: they fail the test if they cannot do it.
func (s *Server) Kill() {
	s.mine().Helper()
	s.must("kill", s.run.kill())
}

// Stop ends the server in the way of an operator in a hurry: sessions are told, and cut off;
// nobody is waited for. It returns when the server is gone.
func (s *Server) Stop() {
	s.mine().Helper()
	s.must("stop", s.run.stop())
}

// Start starts the server again after Kill or Stop, at the same address and with the same data, and
// returns when it takes connections.
func (s *Server) Start() {
	s.mine().Helper()
	s.must("start", s.run.start())
}

// Freeze stops the server and all its session processes in their tracks, as SIGSTOP does. The
// kernel still accepts connections, and takes what is sent until its buffers are full; nobody
// answers.
func (s *Server) Freeze() {
	s.mine().Helper()
	s.must("freeze", s.run.freeze())
}

// Thaw lets a frozen server go on as if nothing had been.
func (s *Server) Thaw() {
	s.mine().Helper()
	s.must("thaw", s.run.thaw())
}

// mine returns the test that the server belongs to.
func (s *Server) mine() testing.TB {
	if s.t == nil {
		panic("servertest: a shared server must not be disturbed: take OwnPostgres or OwnMySQL")
	}
	return s.t
}

func (s *Server) must(verb string, err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("%s %s at %s: %v", verb, s.run.program.name(), s.addr, err)
	}
}

// What all tests of a binary share has to be the package's: one server of a kind, and no test
// is the last one that needs it.
var (
	sharedPostgres = sync.OnceValues(func() (*Server, error) { return launch(postgres{}, nil) })
	sharedMariaDB  = sync.OnceValues(func() (*Server, error) { return launch(mariadb{}, nil) })
)

func share(t testing.TB, variable string, started func() (*Server, error)) *Server {
	t.Helper()
	if dsn := os.Getenv(variable); dsn != "" {
		addr, err := addrOf(dsn)
		if err == nil {
			err = ping(dsn)
		}
		if err != nil {
			t.Fatalf("the server of %s: %v", variable, err)
		}
		return &Server{dsn: dsn, addr: addr}
	}
	s, err := started()
	if err != nil {
		missing(t, err)
	}
	return s
}

func own(t testing.TB, p program, settings []string) *Server {
	t.Helper()
	s, err := launch(p, settings)
	if err != nil {
		missing(t, err)
	}
	s.t = t
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of the log of %s at %s:\n%s", p.name(), s.addr, tail(s.Log()))
		}
		if err := s.run.end(); err != nil {
			t.Errorf("end %s at %s: %v", p.name(), s.addr, err)
		}
	})
	return s
}

func launch(p program, settings []string) (*Server, error) {
	run, err := newInstance(p, settings)
	if err != nil {
		return nil, err
	}
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(run.port))
	return &Server{dsn: p.dsn(addr), addr: addr, run: run}, nil
}
