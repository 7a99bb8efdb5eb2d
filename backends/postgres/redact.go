package postgres

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/lib/pq"

	"github.com/lidopool/lido/backends/sqldriver"
)

const mask = "xxxxx"

// redact returns a DSN, also one that cannot be read, without its secrets.
func redact(dsn string) string {
	c, err := parse(dsn)
	switch {
	case err == nil:
		return format(c, shown)
	case isURL(dsn):
		return "postgres://" + mask // any part of the rest may be of the password
	}
	return mask
}

// shown returns a parameter as anybody may see it. A value is masked not only where a secret
// belongs: where a quote is missing, the password ends up in another parameter.
func shown(p param) (name, value string) {
	switch {
	case p.value == "":
	case p.name == "password", p.name == "sslkey", p.name == "options", p.runtime && !harmless(p.name), !plain(p.value) && !address(p.value):
		p.value = mask
	}
	if p.runtime && !harmless(p.name) && !lower(p.name) {
		p.name = mask
	}
	return p.name, p.value
}

// harmless reports whether a run-time parameter of the server is known to hold no secret.
func harmless(name string) bool {
	return slices.Contains([]string{
		"default_transaction_deferrable", "default_transaction_isolation", "default_transaction_read_only", "extra_float_digits",
		"idle_in_transaction_session_timeout", "idle_session_timeout", "intervalstyle", "lock_timeout", "role",
		"search_path", "statement_timeout", "synchronous_commit", "timezone", "work_mem",
	}, strings.ToLower(name))
}

// lower reports whether a name is written as those of PostgreSQL are.
func lower(name string) bool { return name == strings.ToLower(name) }

// plain reports whether a value has only characters of which names, paths and numbers are made.
func plain(value string) bool {
	return !strings.ContainsFunc(value, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("_.,/-+~ ", r)
	})
}

// address reports whether a value is a list of IP addresses and plain names, or an abstract socket.
func address(value string) bool {
	if rest, ok := strings.CutPrefix(value, "@"); ok {
		return plain(rest)
	}
	for item := range strings.SplitSeq(value, ",") {
		if _, err := netip.ParseAddr(item); err != nil && !plain(item) {
			return false
		}
	}
	return true
}

// redactor returns a function that takes out of a text what redact would not show of a DSN.
func redactor(c pq.Config) func(text string) string {
	var secrets []string
	for _, p := range params(c) {
		name, value := shown(p)
		if name != p.name {
			secrets = append(secrets, p.name)
		}
		if value == p.value {
			continue
		}
		secrets = append(secrets, p.value)
		if p.name == "host" {
			secrets = append(secrets, strings.Split(p.value, ",")...)
		}
	}
	return sqldriver.Redactor(secrets...)
}
