package sqldriver

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
)

const mask = "xxxxx"

// long is the length in bytes from which a secret is masked also within a word. It is what NIST asks of a password at
// least. Shorter ones are parts of many words: pass of password, admin of administrator, a of nearly all.
const long = 8

// Redactor returns a function that puts xxxxx in the place of each secret in a text, also where it is
// written as Go quotes it, or as in a URL: in its query, its path, or before its host. It may be called by
// several goroutines at once. It is meant for Options.Redact.
//
// A secret of 8 bytes or more is masked wherever it stands. A shorter one is masked where it stands by
// itself, with no letter, digit or underscore beside it: else the password "a" would leave nothing
// to be read of most errors, and show by the gaps what it is. Dots and hyphens within a word are of
// the word: the password "1" is not seen in 127.0.0.1. Empty secrets are none.
func Redactor(secrets ...string) func(text string) string {
	var all []string
	for _, s := range secrets {
		if s != "" {
			quoted := strconv.Quote(s)
			all = append(all, s, quoted[1:len(quoted)-1], url.QueryEscape(s), url.PathEscape(s), url.UserPassword("", s).String()[1:])
		}
	}
	return func(text string) string {
		var secret []bool // for each byte of text; nil: none is
		for _, s := range all {
			end := 0 // of the last
			for at := 0; ; at++ {
				i := strings.Index(text[at:], s)
				if i < 0 {
					break
				}
				at += i
				if len(s) < long && !alone(text, at, at+len(s)) {
					continue
				}
				if secret == nil {
					secret = make([]bool, len(text))
				}
				for end = max(end, at); end < at+len(s); end++ {
					secret[end] = true
				}
			}
		}
		if secret == nil {
			return text
		}
		var b strings.Builder
		for i := range len(text) {
			switch {
			case !secret[i]:
				b.WriteByte(text[i])
			case i == 0 || !secret[i-1]:
				b.WriteString(mask)
			}
		}
		return b.String()
	}
}

// alone reports whether text[from:to] is not a part of a longer word.
func alone(text string, from, to int) bool {
	before := inWord(text[from]) && (wordAt(text, from-1) || joinAt(text, from-1) && wordAt(text, from-2))
	after := inWord(text[to-1]) && (wordAt(text, to) || joinAt(text, to) && wordAt(text, to+1))
	return !before && !after
}

func wordAt(text string, i int) bool { return i >= 0 && i < len(text) && inWord(text[i]) }

// joinAt reports whether there is what joins two words to one, as in 127.0.0.1 or db-1.
func joinAt(text string, i int) bool {
	return i >= 0 && i < len(text) && (text[i] == '.' || text[i] == '-')
}

// inWord knows ASCII only: beside any other letter a secret counts as alone, and is masked.
func inWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
}

// redactedError shows a text without secrets in place of its error's own. It
// has no Unwrap, so that what prints a chain of errors link by link does not
// get at the original's text.
type redactedError struct {
	text string
	err  error
}

func (e *redactedError) Error() string { return e.text }

// GoString keeps %#v from printing the fields.
func (e *redactedError) GoString() string {
	return "sqldriver.redactedError(" + strconv.Quote(e.text) + ")"
}

func (e *redactedError) Is(target error) bool { return errors.Is(e.err, target) }

func (e *redactedError) As(target any) bool { return errors.As(e.err, target) }
