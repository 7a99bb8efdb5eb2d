package sqldriver_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/strategies"
)

// gate lets in whoever has its password.
type gate struct {
	password string
	raw      driver.Conn
	dialled  []string
}

func (g *gate) Connect(ctx context.Context) (driver.Conn, error) {
	c, _, err := g.Dial(ctx)
	return c, err
}

func (g *gate) Driver() driver.Driver { return nil }

func (g *gate) Dial(ctx context.Context) (driver.Conn, net.Conn, error) {
	return g.DialWith(ctx, "of the DSN")
}

func (g *gate) DialWith(_ context.Context, password string) (driver.Conn, net.Conn, error) {
	g.dialled = append(g.dialled, password)
	if password != g.password {
		return nil, nil, fmt.Errorf("test: u:%s@h is refused", password)
	}
	return g.raw, nil, nil
}

func TestPasswordIsAskedForAtEachOpen(t *testing.T) {
	_, raw := newBare()
	g := &gate{password: "token-2", raw: raw}
	next := []string{"token-1", "token-2", ""}
	n := 0
	b, err := sqldriver.New(g, sqldriver.Options{Password: func(context.Context) (string, error) { n++; return next[n-1], nil }})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"test: u:xxxxx@h is refused", "<nil>", "test: u:of the DSN@h is refused"} {
		if _, err := b.Open(t.Context()); fmt.Sprint(err) != want {
			t.Errorf("open %d: got %v, want %s", i+1, err, want)
		}
	}
	if got := strings.Join(g.dialled, ", "); got != "token-1, token-2, of the DSN" {
		t.Errorf("dialled with %s, want each password, and the connector's own for an empty one", got)
	}
}

// errVault is AllDead to whoever looks at it as an error of the database.
var errVault = fmt.Errorf("the vault is away: %w", driver.ErrBadConn)

func TestOpenNamesThePasswordThatItDidNotGet(t *testing.T) {
	type credentials struct{ key string }
	for name, tc := range map[string]struct {
		ask  func(ctx context.Context) (string, error)
		want string
		is   error
	}{
		"error":            {func(context.Context) (string, error) { return "", errVault }, "db: sqldriver: asking for the password: the vault is away: driver: bad connection", errVault},
		"error and secret": {func(context.Context) (string, error) { return "s3cret", errors.New("s3cret is stale") }, "db: sqldriver: asking for the password: xxxxx is stale", nil},
		"secret of DSN":    {func(context.Context) (string, error) { return "", errors.New("hunter2secret is stale") }, "db: sqldriver: asking for the password: xxxxx is stale", nil},
		"panic":            {func(context.Context) (string, error) { panic("no key") }, "db: sqldriver: asking for the password: pool: Password panicked: no key", nil},
		"panic with error": {func(context.Context) (string, error) { panic(errVault) }, "db: sqldriver: asking for the password: pool: Password panicked: the vault is away: driver: bad connection", errVault},
		"panic with a secret": {func(context.Context) (string, error) { panic(credentials{"s3cret"}) },
			"db: sqldriver: asking for the password: pool: Password panicked: a sqldriver_test.credentials", nil},
		"end of ctx": {func(ctx context.Context) (string, error) { <-ctx.Done(); return "", ctx.Err() },
			"db: sqldriver: asking for the password: context deadline exceeded", context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			defer cancel()
			g := &gate{}
			b, err := sqldriver.New(g, sqldriver.Options{
				Name: "db", Password: tc.ask, Redact: sqldriver.Redactor("hunter2secret"),
				Classify: func(error) pool.Fault { return pool.AllDead },
			})
			if err != nil {
				t.Fatal(err)
			}
			_, err = b.Open(ctx)
			if fmt.Sprint(err) != tc.want || tc.is != nil && !errors.Is(err, tc.is) {
				t.Errorf("got %v, want %s", err, tc.want)
			}
			for e := err; e != nil; e = errors.Unwrap(e) {
				if text := fmt.Sprintf("%v %+v %#v", e, e, e); strings.Contains(text, "s3cret") || strings.Contains(text, "hunter2") {
					t.Errorf("a link of the chain shows a secret: %s", text)
				}
			}
			if got := b.Classify(err); got != pool.Sound {
				t.Errorf("Classify = %v, want Sound: it says nothing of the database", got)
			}
			if g.dialled != nil {
				t.Error("dialled without a password")
			}
			var p *pool.PanicError
			if strings.Contains(name, "panic") && (!errors.As(err, &p) || !strings.Contains(string(p.Stack), "password_test")) {
				t.Errorf("got %#v, want the stack of the panic", err)
			}
		})
	}
}

func TestNoErrorOfAConnectionShowsItsPassword(t *testing.T) {
	leak := errors.New("test: with s3cret-token")
	j, raw := newFull()
	g := &gate{password: "s3cret-token", raw: raw}
	refuse := false
	b, err := sqldriver.New(g, sqldriver.Options{
		Password: func(context.Context) (string, error) { return "s3cret-token", nil },
		Validate: func(context.Context, driver.Conn) error {
			if refuse {
				return leak
			}
			return nil
		},
		Check: func(context.Context, driver.Conn, net.Conn) error { return leak },
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := b.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprintf("%v %+v %#v %v", *c, *c, *c, struct{ hidden any }{c}); strings.Contains(text, "s3cret") {
		t.Errorf("the connection prints as %s", text)
	}
	j.fail["ping"], j.fail["close"], j.fail["rollback"] = leak, leak, leak
	if _, err := c.BeginTx(t.Context(), driver.TxOptions{}); err != nil {
		t.Fatal(err)
	}
	refuse = true
	_, refused := b.Open(t.Context())
	for what, err := range map[string]error{
		"Validate": refused, "Ping": b.Ping(t.Context(), c), "Check": b.Check(t.Context(), c),
		"Reset": b.Reset(t.Context(), c), "Close": b.Close(t.Context(), c),
	} {
		if err == nil || strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), "xxxxx") {
			t.Errorf("%s: got %v, want the error with a mask", what, err)
		}
	}
}

func TestPasswordNeedsAConnectorThatTakesOne(t *testing.T) {
	_, raw := newBare()
	_, err := sqldriver.New(connector{conn: raw}, sqldriver.Options{Password: func(context.Context) (string, error) { return "", nil }})
	if err == nil || !strings.HasPrefix(err.Error(), "sqldriver: Password is given: connector sqldriver_test.connector takes none") {
		t.Errorf("got %v, want an error that says so", err)
	}
}

// A Password that heeds no ctx holds its seat, and nobody who has a deadline.
func TestAPasswordThatNeverComesHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, raw := newBare()
		hang := make(chan struct{})
		var asked atomic.Bool
		b, err := sqldriver.New(&gate{password: "token", raw: raw}, sqldriver.Options{Password: func(context.Context) (string, error) {
			if !asked.Swap(true) {
				<-hang
			}
			return "token", nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		p, err := pool.New(b, strategies.Queue{Size: 2}, pool.Options{OpenTimeout: 20 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		defer close(hang)
		if _, err := p.Acquire(t.Context()); err == nil || err.Error() != "pool: open: did not return in time" {
			t.Errorf("while the password does not come: %v, want that the open is given up after its OpenTimeout", err)
		}
		lease, err := p.Acquire(t.Context())
		if err != nil {
			t.Fatalf("the next: %v, want a connection in the other seat", err)
		}
		lease.Release()
	})
}
