package sqlite

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lidopool/lido/internal/settings"
)

// param is a parameter of a DSN.
type param struct {
	name   string
	alias  string
	std    string // what leaving it out means, where that is always the same
	secret bool   // its value is never shown
	// read brings a value into its canonical form. The error says
	// which values there are.
	read func(value string) (string, error)
}

// params returns all parameters that go-sqlite3 and SQLite's own URIs know, and
// private_memory.
func params() []param {
	return []param{
		{name: "_auth", secret: true, read: text},
		{name: "_auth_user", secret: true, read: text},
		{name: "_auth_pass", secret: true, read: text},
		{name: "_auth_salt", secret: true, read: text},
		{name: "_auth_crypt", secret: true, read: oneOf("sha1", "ssha1", "sha256", "ssha256", "sha384", "ssha384", "sha512", "ssha512")},
		{name: "_auto_vacuum", alias: "_vacuum", read: oneOf("none=0", "full=1", "incremental=2")},
		{name: "_busy_timeout", alias: "_timeout", read: number(0, math.MaxInt32, "milliseconds, 0 for no waiting")},
		{name: "_cache_size", read: number(math.MinInt32, math.MaxInt32, "pages, or KiB if negative")},
		{name: "_case_sensitive_like", alias: "_cslike", read: boolean},
		{name: "_defer_foreign_keys", alias: "_defer_fk", read: boolean},
		{name: "_foreign_keys", alias: "_fk", read: boolean},
		{name: "_ignore_check_constraints", read: boolean},
		{name: "_journal_mode", alias: "_journal", read: oneOf("DELETE", "TRUNCATE", "PERSIST", "MEMORY", "WAL", "OFF")},
		{name: "_loc", read: location},
		{name: "_locking_mode", alias: "_locking", std: "NORMAL", read: oneOf("NORMAL", "EXCLUSIVE")},
		{name: "_mutex", std: "full", read: oneOf("no", "full")},
		{name: "_query_only", std: "0", read: boolean},
		{name: "_recursive_triggers", alias: "_rt", read: boolean},
		{name: "_secure_delete", read: oneOf("off=0", "off=no", "off=false", "on=1", "on=yes", "on=true", "fast")},
		{name: "_stmt_cache_size", std: "0", read: number(0, math.MaxInt32, "statements, 0 for no cache")},
		{name: "_synchronous", alias: "_sync", read: oneOf("OFF=0", "NORMAL=1", "FULL=2", "EXTRA=3")},
		{name: "_txlock", read: oneOf("deferred", "immediate", "exclusive")},
		{name: "_writable_schema", read: boolean},

		{name: "cache", read: oneOf("shared", "private")},
		{name: "hexkey", secret: true, read: text}, // hexkey, key, textkey: of SQLite's encryption extension
		{name: "immutable", std: "0", read: boolean},
		{name: "key", secret: true, read: text},
		{name: "mode", std: "rwc", read: oneOf("ro", "rw", "rwc", "memory")},
		{name: "modeof", read: text},
		{name: "nolock", std: "0", read: boolean},
		{name: "psow", read: boolean},
		{name: "textkey", secret: true, read: text},
		{name: "vfs", read: text},

		{name: "private_memory", read: boolean},
	}
}

// find returns the parameter of that name or alias.
func find(name string) (param, bool) {
	all := params()
	i := slices.IndexFunc(all, func(p param) bool {
		return name != "" && (p.name == name || p.alias == name)
	})
	if i < 0 {
		return param{}, false
	}
	return all[i], true
}

// unknown is the error for a parameter that nobody knows.
func unknown(name string) error {
	if name == "_pragma" {
		return fmt.Errorf("sqlite: DSN parameter _pragma is of another driver: " +
			"write _busy_timeout=5000 for _pragma=busy_timeout(5000), and so on")
	}
	var names []string
	whole := map[string]string{} // by the name without its underscore, which makes unlike ones look near
	for _, p := range params() {
		for _, known := range []string{p.name, p.alias} {
			if known != "" {
				names = append(names, strings.TrimPrefix(known, "_"))
				whole[strings.TrimPrefix(known, "_")] = known
			}
		}
	}
	if near := settings.Nearest(strings.TrimPrefix(name, "_"), names); near != "" {
		return fmt.Errorf("sqlite: DSN parameter %.40q is unknown: did you mean %s?", name, whole[near])
	}
	return fmt.Errorf("sqlite: DSN parameter %.40q is unknown: known are %s",
		name, strings.Join(slices.Sorted(maps.Values(whole)), ", "))
}

// text takes any value.
func text(value string) (string, error) { return value, nil }

func boolean(value string) (string, error) {
	switch strings.ToLower(value) {
	case "0", "no", "false", "off":
		return "0", nil
	case "1", "yes", "true", "on":
		return "1", nil
	}
	return "", fmt.Errorf("give 1 or 0")
}

func number(least, most int64, unit string) func(string) (string, error) {
	return func(value string) (string, error) {
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n < least || n > most {
			return "", fmt.Errorf("give a whole number of %s, from %d to %d", unit, least, most)
		}
		return strconv.FormatInt(n, 10), nil
	}
}

// oneOf reads one of several words in any case. "word=other" lets other stand
// for word.
func oneOf(words ...string) func(string) (string, error) {
	return func(value string) (string, error) {
		var known []string
		for _, w := range words {
			word, other, _ := strings.Cut(w, "=")
			if strings.EqualFold(value, word) || other != "" && strings.EqualFold(value, other) {
				return word, nil
			}
			if !slices.Contains(known, word) {
				known = append(known, word)
			}
		}
		return "", fmt.Errorf("give one of %s", strings.Join(known, ", "))
	}
}

func location(value string) (string, error) {
	if strings.EqualFold(value, "auto") {
		return "auto", nil
	}
	if _, err := time.LoadLocation(value); err != nil {
		return "", fmt.Errorf("give auto or a name of the time zone database, such as Europe/Rome")
	}
	return value, nil
}
