package postgres

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lib/pq"
)

// parse reads a DSN as lib/pq does, with what it takes from the environment, and lays under it what
// leaving out a parameter means. Its errors are ours: lib/pq's show parts of passwords.
func parse(dsn string) (pq.Config, error) {
	if strings.ContainsRune(dsn, 0) {
		return pq.Config{}, errors.New("postgres: DSN contains a zero byte: leave it out")
	}
	if err := checkURL(dsn); err != nil {
		return pq.Config{}, err
	}
	c, err := pq.NewConfig(dsn)
	if err != nil {
		return pq.Config{}, explain(err)
	}
	for name, value := range c.Runtime {
		if !isName(name) {
			return pq.Config{}, errors.New("postgres: DSN has a parameter whose name is none: " +
				"give key=value pairs or postgres://…, and write a password with spaces as password='…', a quote or backslash in it as \\' or \\\\")
		}
		if strings.ContainsRune(value, 0) {
			return pq.Config{}, fmt.Errorf("postgres: DSN parameter %s contains a zero byte: leave it out", name)
		}
	}
	layDefaults(&c)
	if err := checkHosts(c); err != nil {
		return pq.Config{}, err
	}
	for _, p := range params(c) {
		if strings.ContainsRune(p.value, 0) {
			return pq.Config{}, fmt.Errorf("postgres: DSN parameter %s contains a zero byte: leave it out", p.name)
		}
	}
	return c, nil
}

// checkURL refuses what lib/pq reads without complaint, and wrongly, when a password in a URL is not
// encoded: postgres://me:12#34@host has the host me and the port 12.
func checkURL(dsn string) error {
	if !isURL(dsn) {
		return nil
	}
	encode := errors.New("postgres: DSN is no URL: write user and password percent-encoded, @ as %40, / as %2F, ? as %3F, # as %23, : as %3A, % as %25; " +
		"several hosts with their ports as ?host=db-1,db-2&port=5432,5433")
	u, err := url.Parse(dsn)
	if err != nil || strings.Contains(dsn, "#") {
		return encode
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return errors.New("postgres: DSN is a URL whose query is not well encoded: write & as %26, % as %25, ; as %3B")
	}
	for name := range query {
		if !isName(name) {
			return encode
		}
	}
	if strings.Contains(u.EscapedPath(), "@") || u.User == nil && strings.Contains(u.RawQuery, "@") {
		return errors.New("postgres: DSN is a URL with an @ behind its host: write one that is meant as %40; " +
			"in a password that has an @, write / as %2F and ? as %3F too")
	}
	return nil
}

// checkHosts refuses db-1:5432, which lib/pq takes for the name of a host. It leaves db-1:5432,db-2:5433 in a URL
// together like that.
func checkHosts(c pq.Config) error {
	for host := range strings.SplitSeq(text(c, "host", c.Host), ",") {
		if strings.Contains(host, ":") && !address(host) && !unixSocket(host) {
			return errors.New("postgres: DSN parameter host has a colon in it: give the port as port=5432, " +
				"several hosts as host=db-1,db-2 port=5432,5433, and in a URL behind a ? and joined by &")
		}
	}
	return nil
}

// unixSocket reports whether a host is the directory of a Unix socket, or the name of an abstract one.
func unixSocket(host string) bool {
	return filepath.IsAbs(host) || strings.HasPrefix(host, "@")
}

func isURL(dsn string) bool {
	return strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://")
}

// isName reports whether a run-time parameter can have that name: PostgreSQL's own, or with a
// prefix and a dot, an extension's.
func isName(s string) bool {
	for i, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r == '_':
		case i > 0 && (r >= '0' && r <= '9' || r == '.'):
		default:
			return false
		}
	}
	return s != ""
}

// layDefaults says what lib/pq, or the server, understands without being told.
func layDefaults(c *pq.Config) {
	lay := func(to *string, standard string) {
		if *to == "" {
			*to = standard
		}
	}
	lay(&c.Database, c.User) // the server does it
	lay((*string)(&c.SSLMode), string(pq.SSLModeRequire))
	lay((*string)(&c.SSLNegotiation), string(pq.SSLNegotiationPostgres))
	lay((*string)(&c.TargetSessionAttrs), string(pq.TargetSessionAttrsAny))
	lay((*string)(&c.LoadBalanceHosts), string(pq.LoadBalanceHostsDisable))
	c.ConnectTimeout = max(c.ConnectTimeout, 0)
	c.Service, c.ServiceFile = "", "" // it has been read

	c.Host = unbracket(c.Host)
	for i := range c.Multi {
		m := &c.Multi[i]
		m.Host = unbracket(m.Host)
		lay(&m.Host, "localhost")
	}
}

// unbracket reads postgres://[::1]/db, of which lib/pq takes the brackets for a part of the name.
func unbracket(host string) string {
	if inner, ok := strings.CutPrefix(host, "["); ok && strings.HasSuffix(inner, "]") {
		return strings.TrimSuffix(inner, "]")
	}
	return host
}

// param is a parameter of a DSN.
type param struct {
	name, value string
	runtime     bool // it is the server's, and unknown to lib/pq
}

// standards returns the values that mean the same as leaving a parameter out. It has none for what
// is said always.
func standards() map[string]string {
	return map[string]string{
		"sslnegotiation":                 string(pq.SSLNegotiationPostgres),
		"sslsni":                         "yes",
		"sslinline":                      "no",
		"connect_timeout":                "0",
		"binary_parameters":              "no",
		"disable_prepared_binary_result": "no",
		"client_encoding":                "UTF8",
		"datestyle":                      "ISO, MDY",
		"target_session_attrs":           string(pq.TargetSessionAttrsAny),
		"load_balance_hosts":             string(pq.LoadBalanceHostsDisable),
		"min_protocol_version":           string(pq.ProtocolVersion30),
		"max_protocol_version":           string(pq.ProtocolVersion30),
	}
}

// params returns the parameters that say all of a parsed DSN, in a fixed order: those of lib/pq as
// its Config has them, then the server's by name. What goes without saying is left out, unless the
// environment would say something else in its place.
func params(c pq.Config) []param {
	var all []param
	standard := standards()
	fields := reflect.ValueOf(c)
	for i := range fields.NumField() {
		tag := fields.Type().Field(i).Tag
		name, env := tag.Get("postgres"), tag.Get("env")
		if name == "" || name == "-" || name == "fallback_application_name" { // which is in application_name by now
			continue
		}
		value := text(c, name, fields.Field(i).Interface())
		switch name {
		case "host", "port", "user", "dbname", "sslmode":
		default:
			if _, elsewhere := os.LookupEnv(env); value == standard[name] && !elsewhere {
				continue
			}
		}
		all = append(all, param{name: name, value: value})
	}
	for _, name := range slices.Sorted(maps.Keys(c.Runtime)) {
		all = append(all, param{name: name, value: c.Runtime[name], runtime: true})
	}
	return all
}

// text writes the value of a field of c.
func text(c pq.Config, name string, value any) string {
	switch name { // those that are lists
	case "host":
		return list(c, c.Host, func(m pq.ConfigMultihost) string { return m.Host })
	case "hostaddr":
		if !c.Hostaddr.IsValid() {
			return ""
		}
		return list(c, c.Hostaddr.String(), func(m pq.ConfigMultihost) string {
			if !m.Hostaddr.IsValid() {
				return ""
			}
			return m.Hostaddr.String()
		})
	case "port":
		first := strconv.Itoa(int(c.Port))
		if !slices.ContainsFunc(c.Multi, func(m pq.ConfigMultihost) bool { return m.Port != c.Port }) {
			return first
		}
		return list(c, first, func(m pq.ConfigMultihost) string { return strconv.Itoa(int(m.Port)) })
	}
	switch v := value.(type) {
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case time.Duration:
		return strconv.FormatInt(int64(v/time.Second), 10)
	}
	return fmt.Sprint(value)
}

func list(c pq.Config, first string, next func(pq.ConfigMultihost) string) string {
	items := []string{first}
	for _, m := range c.Multi {
		items = append(items, next(m))
	}
	return strings.Join(items, ",")
}

// format writes a parsed DSN as key='value' pairs, of which show returns what is to be seen.
func format(c pq.Config, show func(param) (name, value string)) string {
	var b strings.Builder
	quote := strings.NewReplacer(`'`, `\'`, `\`, `\\`)
	for _, p := range params(c) {
		name, value := show(p)
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(name + "='" + quote.Replace(value) + "'")
	}
	return b.String()
}

// exact shows everything.
func exact(p param) (name, value string) { return p.name, p.value }

// explain says what is wrong with a DSN in place of lib/pq, in whose texts may be a part of any
// value: of "port= password=secret" the port is "password=secret".
func explain(err error) error {
	text := err.Error()
	fields := reflect.TypeFor[pq.Config]()
	for i := range fields.NumField() {
		tag := fields.Field(i).Tag
		name, env := tag.Get("postgres"), tag.Get("env")
		remedy, ok := remedies()[name]
		if !ok {
			remedy = "give another one, or leave it out"
		}
		if name != "" && strings.HasPrefix(text, fmt.Sprintf("pq: wrong value for %q: ", name)) {
			return fmt.Errorf("postgres: DSN parameter %s has a wrong value: %s", name, remedy)
		}
		if env != "" && strings.HasPrefix(text, "pq: wrong value for $"+env+": ") {
			return fmt.Errorf("postgres: environment variable %s has a wrong value: %s", env, remedy)
		}
	}
	for _, m := range []struct{ sign, say string }{
		{`missing "=" after `, "DSN has a word without an equals sign: give key=value pairs or postgres://…, and write a value with spaces as key='…'"},
		{"unterminated quoted string", "DSN has a quote that is not closed: write a quote in a value as \\'"},
		{"missing character after backslash", "DSN ends with a backslash: write one in a value as \\\\"},
		{"pq: unsupported client_encoding ", "DSN parameter client_encoding is not UTF8: leave it out"},
		{"pq: unsupported datestyle ", "DSN parameter datestyle is not 'ISO, MDY': leave it out"},
		{"pq: could not match ", "DSN parameters host, hostaddr and port are lists of different lengths: give one port, or as many of each"},
		{"pq: min_protocol_version ", "DSN parameter min_protocol_version is above max_protocol_version: lower the one or raise the other"},
		{"pq: weak sslmode ", "DSN parameter sslmode is too weak for sslnegotiation=direct or sslrootcert=system: give verify-full"},
		{"definition of service ", "DSN parameter service names what is not in the service file: see ~/.pg_service.conf or PGSERVICEFILE"},
		{"service file ", "DSN parameter service is given, and there is no service file: see ~/.pg_service.conf or PGSERVICEFILE"},
	} {
		if strings.Contains(strings.TrimPrefix(text, "pq: "), strings.TrimPrefix(m.sign, "pq: ")) {
			return errors.New("postgres: " + m.say)
		}
	}
	if rest, ok := strings.CutPrefix(text, "pq: environment variable $"); ok {
		name, _, _ := strings.Cut(rest, " ")
		return fmt.Errorf("postgres: environment variable %s is set, and lib/pq does not support it: unset it", name)
	}
	return errors.New("postgres: DSN cannot be read: give key=value pairs such as host=db user=app password='…' dbname=shop, or postgres://app:…@db/shop")
}

// remedies says what the parameters may be that have but some values.
func remedies() map[string]string {
	boolean := "give yes or no"
	version := "give 3.0, 3.2 or latest"
	tls := "give TLSv1.0, TLSv1.1, TLSv1.2 or TLSv1.3"
	return map[string]string{
		"host":                           "give a host name, an address, or the directory of a Unix socket; or several, with commas",
		"hostaddr":                       "give an IP address, or several, with commas",
		"port":                           "give a number from 0 to 65535, or several, with commas",
		"connect_timeout":                "give a whole number of seconds, 0 for no limit",
		"sslmode":                        "give disable, allow, prefer, require, verify-ca or verify-full, or pqgo- and the name of a registered tls.Config",
		"sslnegotiation":                 "give postgres or direct",
		"sslsni":                         boolean,
		"sslinline":                      boolean,
		"binary_parameters":              boolean,
		"disable_prepared_binary_result": boolean,
		"target_session_attrs":           "give any, read-write, read-only, primary, standby or prefer-standby",
		"load_balance_hosts":             "give disable or random",
		"min_protocol_version":           version,
		"max_protocol_version":           version,
		"ssl_min_protocol_version":       tls,
		"ssl_max_protocol_version":       tls,
	}
}
