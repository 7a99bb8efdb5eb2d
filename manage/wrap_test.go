package manage_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// leakyDriver puts its DSN into its errors, as some do.
type leakyDriver struct{ driver.Driver }

func (leakyDriver) OpenConnector(dsn string) (driver.Connector, error) {
	return nil, fmt.Errorf("parse %q: invalid port", dsn)
}

func TestAnErrorOfAWrappedDriverShowsNothingOfTheDSN(t *testing.T) {
	m := withFake(t, &fakeDriver{})
	if _, err := m.Wrap("leaky", leakyDriver{}); err != nil {
		t.Fatal(err)
	}
	_, err := m.OpenDB("leaky", "leaky://me:s3cr%40et@db.internal:bad/x")
	if err == nil || !strings.HasSuffix(err.Error(), "invalid port") {
		t.Fatalf("error is %v, want the driver's, masked", err)
	}
	for _, part := range []string{"s3cr", "et@", "db.internal"} {
		if strings.Contains(err.Error(), part) {
			t.Errorf("error shows %q: %v", part, err)
		}
	}

	for text, want := range map[string]string{
		"dial tcp DB.internal:5432: refused":    "dial tcp xxxxx.xxxxx:xxxxx: refused",
		"user me has no password":               "user xxxxx has no password",
		"some name with me in it; mysecretword": "some name with xxxxx in it; xxxxx",
		"bad secret%21 or secret!":              "bad xxxxx%xxxxx or xxxxx!",
		"":                                      "fake: failed",
		"me:secret%21@db.internal:5432/x is not right": "xxxxx is not right",
	} {
		d := &fakeDriver{openErr: func(string) error {
			if text == "" {
				return errors.New("fake: failed")
			}
			return errors.New(text)
		}}
		m := withFake(t, d)
		db, err := m.OpenDB("fake", "me:secret%21@db.internal:5432/x")
		if err != nil {
			t.Fatal(err)
		}
		if err := db.PingContext(context.Background()); err == nil || !strings.HasSuffix(err.Error(), ": "+want) {
			t.Errorf("%q is shown as\n%v\nwant\n%s", text, err, want)
		}
		_ = db.Close()
	}
}
