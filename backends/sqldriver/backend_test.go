package sqldriver_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/pool"
)

func TestNewRefusesWhatItCannotUse(t *testing.T) {
	_, raw := newBare()
	for name, f := range map[string]func() (*sqldriver.Backend, error){
		"connector": func() (*sqldriver.Backend, error) { return sqldriver.New(nil, sqldriver.Options{}) },
		"reset mode": func() (*sqldriver.Backend, error) {
			return sqldriver.New(connector{conn: raw}, sqldriver.Options{Reset: "rolback"})
		},
	} {
		b, err := f()
		if b != nil || err == nil || !strings.HasPrefix(err.Error(), "sqldriver: "+name+" is ") {
			t.Errorf("New returned (%v, %v), want an error that names the %s", b, err, name)
		}
	}
}

func TestParseResetModeReadsWhatItPrints(t *testing.T) {
	for _, m := range []sqldriver.ResetMode{sqldriver.Rollback, sqldriver.Commit, sqldriver.Full, sqldriver.NoReset} {
		if got, err := sqldriver.ParseResetMode(string(m)); got != m || err != nil {
			t.Errorf("ParseResetMode(%q) = %q, %v", m, got, err)
		}
	}
	if got, err := sqldriver.ParseResetMode(""); got != sqldriver.Rollback || err != nil {
		t.Errorf(`ParseResetMode("") = %q, %v, want rollback`, got, err)
	}
	var config struct{ Reset sqldriver.ResetMode }
	if err := json.Unmarshal([]byte(`{"Reset":"commit"}`), &config); err != nil || config.Reset != sqldriver.Commit {
		t.Errorf("JSON gave %q, %v, want commit", config.Reset, err)
	}
	err := json.Unmarshal([]byte(`{"Reset":"undo"}`), &config)
	if err == nil || !strings.Contains(err.Error(), `"undo": give rollback, commit, full or none`) {
		t.Errorf("JSON with a wrong mode: got %v, want an error with value and remedy", err)
	}
}

func TestPingAsksTheDriverIfItCan(t *testing.T) {
	j, raw := newFull()
	j.fail["ping"] = driver.ErrBadConn
	b, c := open(t, raw, sqldriver.Options{})
	if err := b.Ping(t.Context(), c); !errors.Is(err, driver.ErrBadConn) {
		t.Errorf("got %v, want the driver's answer", err)
	}
	_, plain := newBare()
	b, c = open(t, plain, sqldriver.Options{})
	if err := b.Ping(t.Context(), c); err != nil {
		t.Errorf("a driver without Pinger: got %v, want nil", err)
	}
}

func TestCloseClosesTheDriversConnection(t *testing.T) {
	j, raw := newBare()
	b, c := open(t, raw, sqldriver.Options{})
	if c.Raw() != driver.Conn(raw) {
		t.Error("Raw is not the driver's connection")
	}
	if err := b.Close(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	wantCalls(t, j, "close")
}

func TestOpenShowsNoSecretAndKeepsTheErrorsMeaning(t *testing.T) {
	cause := &net.OpError{Op: "dial s3cret", Err: syscall.ECONNREFUSED}
	secret := fmt.Errorf("connect to u:s3cret@h: %w", errors.Join(cause, driver.ErrBadConn, context.Canceled))
	b, err := sqldriver.New(connector{err: secret}, sqldriver.Options{
		Name:   "fake: open h",
		Redact: func(s string) string { return strings.ReplaceAll(s, "s3cret", "xxxxx") },
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := b.Open(t.Context())
	if c != nil || err == nil {
		t.Fatalf("Open returned (%v, %v), want an error", c, err)
	}
	for _, format := range []string{"%v", "%s", "%q", "%+v", "%#v"} {
		for _, v := range []any{err, struct{ e error }{err}, fmt.Errorf("pool: %w", err)} {
			if text := fmt.Sprintf(format, v); strings.Contains(text, "s3cret") {
				t.Errorf("%s of %T shows the secret: %s", format, v, text)
			}
		}
	}
	for e := err; e != nil; e = errors.Unwrap(e) {
		if strings.Contains(e.Error(), "s3cret") {
			t.Errorf("a link of the chain shows the secret: %v", e)
		}
	}
	const text = "connect to u:xxxxx@h: "
	if !strings.HasPrefix(err.Error(), "fake: open h: "+text) {
		t.Errorf("got %q, want the name and the redacted text", err)
	}
	if _, err := b.OpenUnnamed(t.Context()); err == nil || !strings.HasPrefix(err.Error(), text) {
		t.Errorf("unnamed: got %v, want the redacted text alone", err)
	}
	for _, target := range []error{driver.ErrBadConn, context.Canceled, syscall.ECONNREFUSED} {
		if !errors.Is(err, target) {
			t.Errorf("errors.Is does not find %v", target)
		}
	}
	if got, ok := errors.AsType[*net.OpError](err); !ok || got != cause {
		t.Error("errors.As does not find the driver's typed error")
	}
}

func TestOpenWithoutRedactReturnsTheConnectorsErrorItself(t *testing.T) {
	boom := errors.New("boom")
	b, err := sqldriver.New(connector{err: boom}, sqldriver.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Open(t.Context()); err != boom {
		t.Errorf("got %v, want the connector's own error", err)
	}
}

func TestOpenFailsIfTheConnectorReturnsNothing(t *testing.T) {
	b, err := sqldriver.New(connector{}, sqldriver.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if c, err := b.Open(t.Context()); c != nil || err == nil {
		t.Errorf("Open returned (%v, %v), want an error", c, err)
	}
}

func TestClassifyKnowsDeadConnections(t *testing.T) {
	_, raw := newBare()
	b, _ := open(t, raw, sqldriver.Options{})
	for _, tt := range []struct {
		err  error
		want pool.Fault
	}{
		{nil, pool.Sound},
		{errors.New("syntax error"), pool.Sound},
		{driver.ErrSkip, pool.Sound},
		{sql.ErrNoRows, pool.Sound},
		{sql.ErrTxDone, pool.Sound},
		{context.Canceled, pool.Sound},
		{context.DeadlineExceeded, pool.Sound},
		{driver.ErrBadConn, pool.Dead},
		{sql.ErrConnDone, pool.Dead},
		{io.EOF, pool.Dead},
		{io.ErrUnexpectedEOF, pool.Dead},
		{net.ErrClosed, pool.Dead},
		{&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, pool.Dead},
		{os.NewSyscallError("write", syscall.EPIPE), pool.Dead},
		{syscall.ECONNRESET, pool.Dead},
		{errors.Join(context.Canceled, driver.ErrBadConn), pool.Dead},
	} {
		if got := b.Classify(tt.err); got != tt.want {
			t.Errorf("Classify(%v) = %v, want %v", tt.err, got, tt.want)
		}
		if tt.err == nil {
			continue
		}
		if got := b.Classify(fmt.Errorf("wrapped: %w", tt.err)); got != tt.want {
			t.Errorf("Classify(wrapped %v) = %v, want %v", tt.err, got, tt.want)
		}
	}
}

func TestClassifyAsksTheOptionFirst(t *testing.T) {
	_, raw := newBare()
	b, _ := open(t, raw, sqldriver.Options{Classify: func(error) pool.Fault { return pool.AllDead }})
	if got := b.Classify(io.EOF); got != pool.AllDead {
		t.Errorf("got %v, want the option's answer", got)
	}
}

// plainDriver has no DriverContext.
type plainDriver struct{ dsn *string }

func (d plainDriver) Open(dsn string) (driver.Conn, error) {
	*d.dsn = dsn
	_, raw := newBare()
	return raw, nil
}

type contextDriver struct{ plainDriver }

func (contextDriver) OpenConnector(dsn string) (driver.Connector, error) {
	return connector{err: errors.New("own connector of " + dsn)}, nil
}

func TestConnectorOfADriverWithoutContextOpensByDSN(t *testing.T) {
	var got string
	c, err := sqldriver.ConnectorOf(plainDriver{&got}, "u:s3cret@h")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Connect(t.Context()); err != nil || got != "u:s3cret@h" {
		t.Errorf("the driver was given %q, error %v", got, err)
	}
	if c.Driver() != driver.Driver(plainDriver{&got}) {
		t.Error("Driver is not the driver")
	}
	for _, format := range []string{"%v", "%+v", "%#v"} {
		if text := fmt.Sprintf(format+format, c, struct{ c driver.Connector }{c}); strings.Contains(text, "s3cret") {
			t.Errorf("%s shows the DSN: %s", format, text)
		}
	}
	cause := errors.New("too late")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if _, err := c.Connect(ctx); !errors.Is(err, cause) {
		t.Errorf("Connect with an ended ctx: got %v, want its cause", err)
	}
}

func TestConnectorOfPrefersTheDriversOwn(t *testing.T) {
	c, err := sqldriver.ConnectorOf(contextDriver{}, "x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Connect(t.Context()); err == nil || err.Error() != "own connector of x" {
		t.Errorf("got %v, want the driver's own connector", err)
	}
	if _, err := sqldriver.ConnectorOf(nil, "x"); err == nil {
		t.Error("a nil driver was accepted")
	}
}

// secretConnector and secretConn are structs with a password in them, as some drivers have.
type secretConnector struct{ password string }

func (c secretConnector) Connect(context.Context) (driver.Conn, error) {
	_, raw := newBare()
	return secretConn{raw, c.password}, nil
}

func (secretConnector) Driver() driver.Driver { return nil }

type secretConn struct {
	driver.Conn
	password string
}

func TestNothingThatIsPrintedShowsASecretOfTheConnector(t *testing.T) {
	const secret = "s3cret"
	b, err := sqldriver.New(secretConnector{secret}, sqldriver.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := b.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dsn := new(string)
	made, err := sqldriver.ConnectorOf(plainDriver{dsn}, "u:"+secret+"@h")
	if err != nil {
		t.Fatal(err)
	}
	of, err := sqldriver.New(made, sqldriver.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{b, *b, c, *c, made, of, *of, struct{ hidden any }{made}, struct{ hidden sqldriver.Backend }{*b}} {
		for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
			text := fmt.Sprintf(format, v)
			if strings.Contains(text, secret) || strings.Contains(text, fmt.Sprintf("%x", secret)) {
				t.Errorf("%s of a %T shows the secret: %s", format, v, text)
			}
		}
	}
	if got, want := fmt.Sprint(c), "sqldriver.Conn(sqldriver_test.secretConn)"; got != want {
		t.Errorf("a Conn is shown as %s, want %s", got, want)
	}
}
