package mysql_test

import (
	"context"
	"crypto/tls"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	gomysql "github.com/go-sql-driver/mysql"

	"github.com/lidopool/lido/backends/backendtest"
	"github.com/lidopool/lido/backends/mysql"
	"github.com/lidopool/lido/backends/servertest"
	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/internal/loopback"
	"github.com/lidopool/lido/pool"
)

// Tests here wait in real time: that a call ends when a server does not answer can only be seen
// with a server that does not answer.

var errLate = errors.New("test: too late")

// short is a ctx that ends soon, by errLate.
func short(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(context.Background(), 50*time.Millisecond, errLate)
	t.Cleanup(cancel)
	return ctx
}

// ends fails unless a call with a short ctx returns, and returns its error.
func ends(t *testing.T, what string, call func(ctx context.Context) error) error {
	t.Helper()
	done := make(chan error, 1)
	ctx := short(t)
	go func() { done <- call(ctx) }()
	select {
	case err := <-done:
		if ctx.Err() == nil && err != nil {
			t.Errorf("%s failed before its ctx ended: %v", what, err)
		}
		return err
	case <-time.After(patience):
		t.Fatalf("%s goes on %v after its ctx has ended", what, patience)
		return nil
	}
}

// silences are the ways of a server not to answer.
func silences(t *testing.T) map[string]func(t *testing.T) (dsn string, silence func()) {
	return map[string]func(*testing.T) (string, func()){
		"frozen": func(t *testing.T) (string, func()) {
			s := servertest.OwnMySQL(t)
			return s.DSN(), s.Freeze
		},
		"black hole": func(t *testing.T) (string, func()) {
			s := servertest.MySQL(t)
			p := backendtest.NewProxy(t, s.Addr())
			return s.Through(p.Addr()), p.BlackHole
		},
		"half open": func(t *testing.T) (string, func()) {
			s := servertest.MySQL(t)
			p := backendtest.NewProxy(t, s.Addr())
			return s.Through(p.Addr()), p.HalfOpen
		},
		"frozen, TLS": func(t *testing.T) (string, func()) {
			s := servertest.OwnMySQL(t)
			return s.DSN() + "?tls=skip-verify", s.Freeze
		},
		"black hole, readTimeout and compression": func(t *testing.T) (string, func()) {
			s := servertest.MySQL(t)
			p := backendtest.NewProxy(t, s.Addr())
			return s.Through(p.Addr()) + "?compress=1&readTimeout=1h", p.BlackHole
		},
	}
}

func TestEverythingEndsWithItsContextWhenTheServerDoesNotAnswer(t *testing.T) {
	for name, setUp := range silences(t) {
		t.Run(name, func(t *testing.T) {
			dsn, silence := setUp(t)
			b := backend(t, mysql.Backend{}, dsn)
			check := b.(pool.Checker[*sqldriver.Conn])
			ping, tx, text, idle := connect(t, b), connect(t, b), connect(t, b), connect(t, b)
			begins["by BeginTx"](t, tx)
			exec(t, text, "BEGIN")
			silence()

			err := ends(t, "Open", func(ctx context.Context) error {
				c, err := b.Open(ctx)
				if err == nil {
					_ = b.Close(ctx, c)
				}
				return err
			})
			if !errors.Is(err, errLate) {
				t.Errorf("Open: %v, want the cause of the end of its ctx", err)
			}
			for what, err := range map[string]error{
				"Ping":                    ends(t, "Ping", func(ctx context.Context) error { return b.Ping(ctx, ping) }),
				"Reset of a transaction":  ends(t, "Reset", func(ctx context.Context) error { return b.Reset(ctx, tx) }),
				"Reset of a text":         ends(t, "Reset", func(ctx context.Context) error { return b.Reset(ctx, text) }),
				"a second Ping":           b.Ping(t.Context(), ping),
				"the Reset after a Ping":  b.Reset(t.Context(), ping),
				"the Check after a Reset": check.Check(t.Context(), tx),
			} {
				if err == nil {
					t.Errorf("%s: nil, want an error", what)
				}
			}
			_ = ends(t, "Check", func(ctx context.Context) error { return check.Check(ctx, idle) })
			for what, c := range map[string]*sqldriver.Conn{"idle": idle, "given up": ping} {
				_ = ends(t, "Close of one "+what, func(ctx context.Context) error { return b.Close(ctx, c) })
			}
		})
	}
}

func TestAFullResetEndsWithItsContext(t *testing.T) {
	s := servertest.MySQL(t)
	p := backendtest.NewProxy(t, s.Addr())
	b := backend(t, mysql.Backend{Reset: sqldriver.Full}, s.Through(p.Addr()))
	c := connect(t, b)
	exec(t, c, "DO 1")
	p.BlackHole()
	err := ends(t, "Reset", func(ctx context.Context) error { return b.Reset(ctx, c) })
	wantClass(t, b, err, pool.Dead)
}

func TestAFullResetIsNotHinderedByTheDriversOwnDeadlines(t *testing.T) {
	b := backend(t, mysql.Backend{Reset: sqldriver.Full}, servertest.MySQL(t).Database(t)+"?readTimeout=100ms&writeTimeout=100ms")
	c := connect(t, b)
	exec(t, c, "DO 1")
	time.Sleep(120 * time.Millisecond) // real: until the deadlines that the driver left on its socket have passed
	if err := b.Reset(t.Context(), c); err != nil {
		t.Errorf("reset: %v", err)
	}
	exec(t, c, "DO 1")
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	s := servertest.MySQL(t)
	dsn := s.Database(t)
	config, err := gomysql.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	with := func(change func(*gomysql.Config)) string {
		c := config.Clone()
		change(c)
		return c.FormatDSN()
	}
	for dsn, want := range map[string]string{
		with(func(c *gomysql.Config) { c.Passwd = "hunter2" }):                                          "the user or the password is wrong",
		with(func(c *gomysql.Config) { c.DBName = "nosuch" }):                                           "create the database",
		dsn + "?nosuch=hunter2":                                                                         "Unknown system variable 'nosuch'",
		dsn + "?sql_mode=hunter2,":                                                                      "You have an error in your SQL syntax",
		dsn + "?sql_mode=%27hunter2%27":                                                                 "Variable 'sql_mode' can't be set to the value of 'xxxxx'",
		dsn + "?time_zone=%27" + strings.Repeat("hunter2", 20):                                          "syntax",
		with(func(c *gomysql.Config) { c.Addr = "nosuch.invalid:1" }):                                   "nosuch.invalid",
		with(func(c *gomysql.Config) { c.TLSConfig = "true" }):                                          "certificate",
		with(func(c *gomysql.Config) { c.Passwd = "hunter2"; c.Net = "unix"; c.Addr = "/nosuch/sock" }): "/nosuch/sock",
	} {
		b := backend(t, mysql.Backend{}, dsn)
		_, err := b.Open(t.Context())
		if err == nil || !strings.HasPrefix(err.Error(), "mysql: open "+config.User+":xxxxx@") || !strings.Contains(err.Error(), want) {
			t.Errorf("Open(%q): %v, want the DSN and %q", mysql.Backend{}.Redact(dsn), err, want)
		}
		for _, secret := range []string{"hunter2", servertest.Password} {
			if text := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(text, secret) {
				t.Errorf("the error shows a secret: %s", text)
			}
		}
	}
}

func TestOpenSaysWhatIsWrongWithAnAccount(t *testing.T) {
	dsn := servertest.MySQL(t).Database(t)
	root := connect(t, backend(t, mysql.Backend{}, dsn))
	name, as := account(t, root, dsn)
	b := backend(t, mysql.Backend{}, as)
	for _, tt := range []struct{ do, want, undo string }{
		{"ACCOUNT LOCK", "unlock the user", "ACCOUNT UNLOCK"},
		{"PASSWORD EXPIRE", "the password has expired: set another", "IDENTIFIED BY 'pw'"},
		{"REQUIRE SSL", "not without TLS", "REQUIRE NONE"},
	} {
		exec(t, root, "ALTER USER "+name+" "+tt.do)
		if _, err := b.Open(t.Context()); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Open after ALTER USER %s: %v, want %q", tt.do, err, tt.want)
		}
		exec(t, root, "ALTER USER "+name+" "+tt.undo)
	}
	exec(t, connect(t, b), "DO 1")
}

func TestWhatIsNoMySQLIsAnErrorOfOpenAndLeavesNothingOpen(t *testing.T) {
	l, err := loopback.Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b := backend(t, mysql.Backend{}, "u:hunter2@tcp("+l.Addr().String()+")/db")
	for _, greeting := range []string{"\x02\x00\x00\x00\x0a5", "\x01\x00\x00\x00\x0a", "HTTP/1.1 400 Bad Request\r\n\r\n", "\x04\x00\x00\x00\xff\x10\x04!", ""} {
		gone := make(chan error, 1)
		go func() {
			c, err := l.Accept()
			if err == nil {
				_, err = c.Write([]byte(greeting))
			}
			if err == nil && greeting != "" {
				c.SetReadDeadline(time.Now().Add(patience))
				_, err = c.Read(make([]byte, 1)) // until the client closes
			}
			if c != nil {
				c.Close()
			}
			gone <- err
		}()
		if _, err := b.Open(short(t)); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Open of what says %q: %v, want an error without the password", greeting, err)
		}
		if err, ok := (<-gone).(net.Error); ok && err.Timeout() {
			t.Errorf("the connection to what says %q stays open", greeting)
		}
	}
}

func tlsVersion(t *testing.T, c *sqldriver.Conn) string {
	t.Helper()
	return column(t, c, "SHOW SESSION STATUS LIKE 'Ssl_version'", 1)
}

func TestConnectionsWithTLSAndCompressionWork(t *testing.T) {
	dsn := servertest.MySQL(t).Database(t)
	for _, params := range []string{"?tls=skip-verify", "?tls=preferred", "?compress=true", "?compress=true&tls=skip-verify", "?parseTime=true&loc=Local&clientFoundRows=true"} {
		b := backend(t, mysql.Backend{}, dsn+params)
		c := connect(t, b)
		if err := b.Ping(t.Context(), c); err != nil {
			t.Errorf("%s: ping: %v", params, err)
		}
		exec(t, c, "BEGIN")
		if err := b.Reset(t.Context(), c); err != nil {
			t.Errorf("%s: reset: %v", params, err)
		}
		if strings.Contains(params, "tls") {
			if got := tlsVersion(t, c); !strings.HasPrefix(got, "TLS") {
				t.Errorf("%s: the server sees TLS version %q", params, got)
			}
		}
	}
}

// With tls=preferred the driver notes in its config, which all connects share, that a server has no
// TLS: that is a race, and then it asks for no TLS any more.
func TestAServerWithoutTLSDoesNotTurnPreferredTLSOffForTheNext(t *testing.T) {
	without, with := servertest.OwnMySQL(t, "skip-ssl"), servertest.OwnMySQL(t)
	const network = "lidofailover"
	var addr string
	gomysql.RegisterDialContext(network, func(ctx context.Context, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	})
	defer gomysql.DeregisterDialContext(network)
	b := backend(t, mysql.Backend{}, strings.Replace(with.DSN(), "tcp(", network+"(", 1)+"?tls=preferred")
	addr = without.Addr()
	if got := tlsVersion(t, connect(t, b)); got != "" {
		t.Errorf("TLS version is %q at a server that has none, want \"\"", got)
	}
	addr = with.Addr()
	if got := tlsVersion(t, connect(t, b)); !strings.HasPrefix(got, "TLS") {
		t.Errorf("TLS version is %q at a server that has TLS, want it used", got)
	}
}

func TestNetworksAndTLSConfigsRegisteredWithTheDriverWork(t *testing.T) {
	s := servertest.MySQL(t)
	const network = "lidotest"
	gomysql.RegisterDialContext(network, func(ctx context.Context, addr string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", s.Addr())
	})
	defer gomysql.DeregisterDialContext(network)
	if err := gomysql.RegisterTLSConfig(network, &tls.Config{InsecureSkipVerify: true}); err != nil {
		t.Fatal(err)
	}
	defer gomysql.DeregisterTLSConfig(network)
	dsn := strings.Replace(s.Database(t), "tcp("+s.Addr()+")", network+"(somewhere)", 1)
	for _, dsn := range []string{dsn, dsn + "?tls=" + network} {
		b := backend(t, mysql.Backend{}, dsn)
		c := connect(t, b)
		if err := b.Ping(t.Context(), c); err != nil {
			t.Errorf("ping: %v", err)
		}
		exec(t, c, "BEGIN")
		if err := b.Reset(t.Context(), c); err != nil {
			t.Errorf("reset: %v", err)
		}
	}
}

func TestPrimaryRefusesAServerThatIsReadOnly(t *testing.T) {
	s := servertest.OwnMySQL(t)
	root := connect(t, backend(t, mysql.Backend{}, s.DSN()))
	b := backend(t, mysql.Backend{Validate: mysql.Primary}, s.DSN())
	c := connect(t, b)
	if err := b.Ping(t.Context(), c); err != nil {
		t.Errorf("ping of a primary: %v", err)
	}
	exec(t, root, "SET GLOBAL read_only=1")
	wantClass(t, b, b.Ping(t.Context(), c), pool.Dead)
	_, err := b.Open(t.Context())
	if err == nil || !strings.Contains(err.Error(), "read_only=1") {
		t.Errorf("Open of a standby: %v, want a refusal that says why", err)
	}
	until(t, "the connection that was refused is gone", func() bool {
		return query(t, root, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER='"+servertest.User+"'") == "2"
	})
	exec(t, root, "SET GLOBAL read_only=0")
	if err := b.Ping(t.Context(), c); err != nil {
		t.Errorf("ping of what is a primary again: %v", err)
	}
	if err := mysql.Primary(t.Context(), strangeConn{}); err == nil || !strings.Contains(err.Error(), "go-sql-driver/mysql") {
		t.Errorf("Primary of a foreign connection: %v, want an error that says whose it must be", err)
	}
}

func TestPrimaryRefusesAnEngineThatIsReadOnly(t *testing.T) {
	b := backend(t, mysql.Backend{Validate: mysql.Primary}, servertest.OwnMySQL(t, "innodb-read-only").DSN())
	_, err := b.Open(t.Context())
	if err == nil || !strings.Contains(err.Error(), "innodb_read_only=1") {
		t.Errorf("got %v, want a refusal that says why", err)
	}
}

type strangeConn struct{ driver.Conn }

// log remembers what it is told.
type log struct {
	mu    sync.Mutex
	lines []string
}

func (l *log) Print(v ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, fmt.Sprint(v...))
}

func TestTheDriversLogIsDroppedUnlessItIsAskedFor(t *testing.T) {
	var asked, standard log
	if err := gomysql.SetLogger(&standard); err != nil {
		t.Fatal(err)
	}
	defer gomysql.SetLogger(&gomysql.NopLogger{})
	s := servertest.MySQL(t)
	dsn := s.Database(t)
	standard.lines = nil // of other users of the driver
	for _, b := range []mysql.Backend{{}, {Logger: &asked}} {
		p := backendtest.NewProxy(t, s.Addr())
		b := backend(t, b, servertest.Redirect(dsn, p.Addr()))
		c := connect(t, b)
		p.Reset()
		check := b.(pool.Checker[*sqldriver.Conn])
		until(t, "the check sees the reset", func() bool { return check.Check(t.Context(), c) != nil })
	}
	if len(standard.lines) != 0 {
		t.Errorf("the driver's standard log got %q, want nothing", standard.lines)
	}
	if len(asked.lines) == 0 {
		t.Error("Backend.Logger got nothing")
	}
}
