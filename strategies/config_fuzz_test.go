package strategies_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lidopool/lido/strategies"
)

// checkRead holds for every Config that was read from any text: it is valid, and
// comes back equal through every form of text.
func checkRead(t *testing.T, c config) {
	t.Helper()
	if _, err := strategies.New(c); err != nil {
		t.Fatalf("a config that was read, %#v, is not valid: %v", c, err)
	}
	for form, through := range forms {
		text, back, err := through(c)
		if err != nil {
			t.Fatalf("%s of %#v: %v", form, c, err)
		}
		if diff := cmp.Diff(c, back); diff != "" {
			t.Fatalf("%s by way of %v (-want +got):\n%s", form, text, diff)
		}
	}
}

func checkError(t *testing.T, err error) {
	t.Helper()
	for line := range strings.Lines(err.Error()) {
		if !strings.HasPrefix(line, "strategies: ") && !strings.HasPrefix(line, "pool: ") {
			t.Fatalf("a line of the error does not begin with a package: %q", err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, c := range valid() {
		f.Add(c.String())
	}
	for _, text := range []string{"", "?", "queue?", "qeue?size=1", "queue?size=-1", "queue?size=1&size=2", "null?max=%zz",
		"static?timeout=0", "static?timeout=1h0m0.5s", "queue?a;b", "queue?=", "queue?kind=null", "\x00?\xff=\n"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := strategies.Parse(text)
		if err != nil {
			checkError(t, err)
			return
		}
		checkRead(t, c)
	})
}

func FuzzJSON(f *testing.F) {
	for _, c := range valid() {
		data, err := json.Marshal(c)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, text := range []string{"", "null", `""`, `"null?max=2"`, `{}`, `{"size":1e1}`, `{"size":1,"size":2}`, `{"order":null}`,
		`{"timeout":0}`, `{"a":{}}`, `[]`, `{"kind":"nope"}`, `{"kind":"assertion","no_stack":true}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var c config
		if err := json.Unmarshal(data, &c); err != nil {
			if json.Valid(data) {
				checkError(t, err)
			}
			return
		}
		if c != (config{}) { // null says nothing
			checkRead(t, c)
		}
		// Called directly, without the checks that json.Unmarshal makes before.
		_ = c.UnmarshalJSON(data)
	})
}

func FuzzQuery(f *testing.F) {
	for _, c := range valid() {
		q, err := c.Query()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(q.Encode())
	}
	for _, text := range []string{"", "cache=shared&pool_size=3", "pool_size=1&pool_size=1", "pool_max_age=1h", "pool_strategy=",
		"pool_size", "pool_=1", "POOL_SIZE=1"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		q, err := url.ParseQuery(text)
		if err != nil {
			return
		}
		rest := url.Values{}
		for key, values := range q {
			rest[key] = values
		}
		for _, key := range strategies.QueryKeys() {
			delete(rest, key)
		}
		ours := len(q) > len(rest)
		c, found, err := strategies.FromQuery(q)
		if found != ours {
			t.Fatalf("found is %v with keys of ours %v", found, ours)
		}
		if diff := cmp.Diff(rest, q); diff != "" {
			t.Fatalf("left in the query (-want +got):\n%s", diff)
		}
		switch {
		case err != nil:
			checkError(t, err)
		case found:
			checkRead(t, c)
		case c != (config{}):
			t.Fatalf("nothing found, yet the config is %v", c)
		}
	})
}
