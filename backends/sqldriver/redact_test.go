package sqldriver_test

import (
	"strings"
	"testing"

	"github.com/lidopool/lido/backends/sqldriver"
)

func TestRedactorMasksSecretsAndLeavesTheRestToBeRead(t *testing.T) {
	for _, tc := range []struct {
		secret, text, want string
	}{
		{"hunter2secret", "dial u:hunter2secret@h", "dial u:xxxxx@h"},
		{"hunter2secret", "Xhunter2secretY", "XxxxxxY"}, // long: also within a word
		{"postgres", "pq: database postgresql", "pq: database xxxxxql"},

		// Short ones, where a text speaks of them.
		{"a", "dial tcp 127.0.0.1:5432: connect: connection refused", "dial tcp 127.0.0.1:5432: connect: connection refused"},
		{"a", "open u:a@tcp(db)/shop", "open u:xxxxx@tcp(db)/shop"},
		{"a", "password=a host=db", "password=xxxxx host=db"},
		{"a", "lookup a: no such host", "lookup xxxxx: no such host"},
		{"a", `"a" 'a' »a« {u a} [a] a. a, a`, `"xxxxx" 'xxxxx' »xxxxx« {u xxxxx} [xxxxx] xxxxx. xxxxx, xxxxx`},
		{"a", "a", "xxxxx"},
		{"a", "-a. .a-", "-xxxxx. .xxxxx-"},
		{"aa", "u:aaa aa", "u:aaa xxxxx"},
		{"1", "dial tcp 127.0.0.1:5432 on line 1", "dial tcp 127.0.0.1:5432 on line xxxxx"},
		{"pass", "password of a passenger: u:pass@db", "password of a passenger: u:xxxxx@db"},
		{"admin", "terminating connection due to administrator command", "terminating connection due to administrator command"},
		{"b", "dial db-b.internal", "dial db-b.internal"},
		{"a@b", "u:a@b@h, xa@b", "u:xxxxx@h, xa@b"},
		{"@", "u:@@h", "u:xxxxxh"}, // no letters to tell by: rather too much

		// As others write them.
		{`x"y`, `open "u:x\"y@h"`, `open "u:xxxxx@h"`},
		{"p/w+ d", "u:p%2Fw+%20d@h", "u:xxxxx@h"}, // the path's way
		{"p/w+ d", "pw=p%2Fw%2B+d&x", "pw=xxxxx&x"},

		{"p@w, d", "postgres://u:p%40w,%20d@h", "postgres://u:xxxxx@h"},         // the user's
		{"h:1/?A=b&C=d", "mysql://u:h%3A1%2F%3FA=b&C=d@h", "mysql://u:xxxxx@h"}, // a token of IAM

		{"", "nothing to hide", "nothing to hide"},
	} {
		if got := sqldriver.Redactor(tc.secret)(tc.text); got != tc.want {
			t.Errorf("secret %q in %q: got %q, want %q", tc.secret, tc.text, got, tc.want)
		}
	}
}

func TestRedactorLeavesNoPieceOfSecretsThatOverlap(t *testing.T) {
	hide := sqldriver.Redactor("ab:cd", "cd:hunter2secret", "hunter2")
	if got, want := hide("x ab:cd:hunter2secret y"), "x xxxxx y"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := sqldriver.Redactor()("all is well"); got != "all is well" {
		t.Errorf("without secrets: got %q", got)
	}
}

// Whatever stands around a secret that is not of a word, the secret is not shown.
func FuzzRedactorHidesASecretBetweenMarks(f *testing.F) {
	f.Add("a", "user ", " host")
	f.Add("s3cret", "u:", "@h")
	f.Add("hunter2secret", "x", "y")
	f.Add("é", "ê", "z")
	f.Fuzz(func(t *testing.T, secret, before, after string) {
		if secret == "" || strings.Contains("xxxxx", secret) {
			return // nothing to hide, or a part of the mask
		}
		text := before + ":" + secret + "@" + after
		got := sqldriver.Redactor(secret)(text)
		if !strings.Contains(got, "xxxxx") {
			t.Errorf("secret %q in %q: got %q, without a mask", secret, text, got)
		}
		if strings.Contains(got, ":"+secret+"@") && !strings.Contains(before+after, secret) {
			t.Errorf("secret %q in %q: got %q", secret, text, got)
		}
	})
}
