package mysql

import (
	"errors"
	"fmt"
	"strings"

	gomysql "github.com/go-sql-driver/mysql"
)

// dsn is a DSN that the driver has read.
type dsn struct {
	config    *gomysql.Config
	canonical string
}

const form = "write user:password@tcp(host:3306)/database?name=value"

// parse reads a DSN. Its errors are its own, since the driver's show parts of the DSN.
func parse(s string) (dsn, error) {
	config, err := parseByDriver(s)
	if err != nil {
		return dsn{}, diagnose(s, err)
	}
	if config.TLSConfig == "false" {
		config.TLSConfig = "" // the same, said or not
	}
	if config.TLS == nil {
		config.AllowFallbackToPlaintext = false // from nothing
	}
	d := dsn{config, format(config)}
	// What the driver writes it must read as the same, or the canonical form would be
	// another DSN. Not so tcp([::1]), of which it makes tcp([[::1]]:3306).
	again, err := parseByDriver(d.canonical)
	if err != nil || format(again) != d.canonical {
		return dsn{}, fmt.Errorf("mysql: DSN has an address that is not one: %s, or unix(/path), or tcp([::1]:3306)", form)
	}
	return d, nil
}

// parseByDriver is ParseDSN, which panics over a parameter that it once knew.
func parseByDriver(s string) (config *gomysql.Config, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("mysql: the driver gave up on the DSN")
		}
	}()
	return gomysql.ParseDSN(s)
}

// format is FormatDSN, which drops the password of an empty user.
func format(c *gomysql.Config) string {
	s := c.FormatDSN()
	if c.User == "" && c.Passwd != "" {
		s = ":" + c.Passwd + "@" + s
	}
	return s
}

// diagnose finds out what the driver did not like, without showing more than names it knows.
func diagnose(s string, err error) error {
	if !strings.Contains(s, "/") {
		return fmt.Errorf("mysql: DSN has no slash before the database: %s", form)
	}
	_, query, _ := strings.Cut(s[strings.LastIndexByte(s, '/'):], "?")
	for pair := range strings.SplitSeq(query, "&") {
		if _, err := parseByDriver("/?" + pair); err != nil {
			name, _, _ := strings.Cut(pair, "=")
			return fmt.Errorf("mysql: DSN parameter %s", complaint(name))
		}
	}
	if strings.Contains(err.Error(), "unsafe collations") {
		return errors.New("mysql: DSN parameter interpolateParams is true with a collation in which a backslash may be a part of a letter: " +
			"take one of utf8mb4, or leave interpolateParams out")
	}
	if _, err := parseByDriver("/" + s[strings.LastIndexByte(s, '/')+1:]); err != nil {
		return errors.New("mysql: DSN has a percent sign in its database that is no escape: write %25 for it")
	}
	return fmt.Errorf("mysql: DSN has an address that cannot be read: %s, or unix(/path); a slash in a parameter is %%2F", form)
}

// complaint is what must be wrong with a parameter that the driver has refused.
func complaint(name string) string {
	switch name {
	case "allowAllFiles", "allowCleartextPasswords", "allowFallbackToPlaintext", "allowNativePasswords", "allowOldPasswords",
		"checkConnLiveness", "clientFoundRows", "columnsWithAlias", "compress", "interpolateParams", "multiStatements", "parseTime", "rejectReadOnly":
		return name + " is neither true nor false: give one of them"
	case "timeout", "readTimeout", "writeTimeout", "timeTruncate":
		return name + " is no duration: give one such as 5s or 500ms"
	case "maxAllowedPacket":
		return name + " is no number: give bytes, or 0 to ask the server"
	case "loc":
		return name + " is no time zone: give UTC, Local or a name such as Europe%2FRome"
	case "tls":
		return name + " is unknown: give true, false, skip-verify, preferred, or a name known to the driver's RegisterTLSConfig"
	case "serverPubKey":
		return name + " is unknown: give a name known to the driver's RegisterServerPubKey"
	case "strict":
		return name + " is no longer known to the driver: leave it out, and set sql_mode"
	case "connectionAttributes":
		return name + " is not well encoded: write %25 for a percent sign"
	}
	return "of a name that the driver does not know is not well encoded: write %25 for a percent sign"
}

// param returns a parameter as it is written in the canonical form.
func (d dsn) param(name string) (value string, ok bool) {
	_, query, _ := strings.Cut(d.canonical[strings.LastIndexByte(d.canonical, '/'):], "?")
	for pair := range strings.SplitSeq(query, "&") {
		if value, ok := strings.CutPrefix(pair, name+"="); ok {
			return value, true
		}
	}
	return "", false
}
