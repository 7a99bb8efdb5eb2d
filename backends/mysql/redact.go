package mysql

import (
	"maps"
	"slices"
	"strings"

	"github.com/lidopool/lido/backends/sqldriver"
)

const mask = "xxxxx"

// redact returns a DSN without its secrets. Of one that cannot be read, or whose parts may
// not be what they seem, nothing is shown: any of it may be a piece of a password.
func redact(s string) string {
	d, err := parse(s)
	// The driver takes for the database what comes after the last slash. An at sign there
	// says that the slash was one of the password, before a DSN without a database.
	if err != nil || strings.Contains(s[strings.LastIndexByte(s, '/')+1:], "@") || !plain(d.config.Net) {
		return mask
	}
	return d.redacted()
}

// redacted is the canonical form with masks. The values of session variables are masked too,
// since anything may stand there.
func (d dsn) redacted() string {
	c := d.config.Clone()
	if c.Passwd != "" {
		c.Passwd = mask
	}
	if c.ConnectionAttributes != "" {
		c.ConnectionAttributes = mask
	}
	for name := range c.Params {
		c.Params[name] = mask
	}
	return format(c)
}

// plain reports whether a network has a name such as networks have. user:pass(word)/ has not.
func plain(network string) bool {
	return !strings.ContainsFunc(network, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("+-_.", r)
	})
}

// secrets takes what is secret in d out of a text about it.
func (d dsn) secrets() func(text string) string {
	secrets := []string{d.config.Passwd}
	for _, value := range append(slices.Collect(maps.Values(d.config.Params)), d.config.ConnectionAttributes) {
		// A shorter one, such as 0, is no secret, and would riddle the text.
		if value = strings.Trim(value, `'"`); len(value) >= 4 {
			secrets = append(secrets, value)
		}
	}
	hide := sqldriver.Redactor(secrets...)
	return func(text string) string {
		text = hide(text)
		// A syntax error in a session variable: the server shows the text from there, cut
		// off somewhere.
		if before, _, ok := strings.Cut(text, "syntax to use near '"); ok {
			text = before + "syntax to use near '" + mask + "'"
		}
		return text
	}
}
