package sqldriver_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/strategies"
)

// dsnDriver remembers the DSN of each open.
type dsnDriver struct{ opened []string }

func (d *dsnDriver) Open(dsn string) (driver.Conn, error) {
	d.opened = append(d.opened, dsn)
	_, c := newBare()
	return c, nil
}

func TestFreshConnectorAsksForTheDSNAtEachOpen(t *testing.T) {
	var d dsnDriver
	n := 0
	c, err := sqldriver.FreshConnector(&d, func(context.Context) (string, error) {
		if n++; n == 2 {
			return "", errTest
		}
		return fmt.Sprint("password=", n), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []error{nil, errTest, nil} {
		if _, err := c.Connect(t.Context()); !errors.Is(err, want) || (err == nil) != (want == nil) {
			t.Errorf("open %d: %v, want %v", i+1, err, want)
		}
	}
	if got := strings.Join(d.opened, " "); got != "password=1 password=3" {
		t.Errorf("the driver was given %q, want a fresh DSN each time", got)
	}
	if text := fmt.Sprintf("%v %+v %#v", c, c, c); strings.Contains(text, "password") {
		t.Errorf("the connector prints as %q, want no DSN", text)
	}
	if _, err := sqldriver.FreshConnector(nil, nil); err == nil {
		t.Error("FreshConnector without a driver: nil, want an error")
	}
	if _, err := sqldriver.FreshConnector(&d, nil); err == nil {
		t.Error("FreshConnector without a function: nil, want an error")
	}
}

var errTest = errors.New("test: something is wrong")

type tokenKey struct{}

// A password that lasts for minutes is asked for before each open.
func ExampleFreshConnector() {
	var d dsnDriver
	tokens := 0
	hooks := pool.Hooks[*sqldriver.Conn]{
		BeforeOpen: func(ctx context.Context, _ pool.Event[*sqldriver.Conn]) (context.Context, error) {
			tokens++ // in earnest a call of the cloud's API; ctx bounds it as it does the open
			return context.WithValue(ctx, tokenKey{}, fmt.Sprint("token", tokens)), nil
		},
	}
	connector, err := sqldriver.FreshConnector(&d, func(ctx context.Context) (string, error) {
		return fmt.Sprintf("host=db user=app password=%v", ctx.Value(tokenKey{})), nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	backend, err := sqldriver.New(connector, sqldriver.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	p, err := pool.New(backend, strategies.Null{Max: 5}, pool.Options{}, hooks)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	for range 2 {
		_ = p.Do(context.Background(), func(context.Context, *sqldriver.Conn) error { return nil })
	}
	fmt.Println(strings.Join(d.opened, "\n"))
	// Output:
	// host=db user=app password=token1
	// host=db user=app password=token2
}
