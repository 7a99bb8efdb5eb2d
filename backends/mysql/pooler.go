package mysql

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// CheckPooler reports what makes a DSN unsafe, or useless, behind a pooler that lends server
// connections for a transaction at a time, such as ProxySQL or MaxScale. The error names the
// parameter and says what to change.
//
// interpolateParams=true is needed: without it each query with arguments is prepared on whatever
// server connection is free then, and executed on another. autocommit=0 and user
// variables (@name) are refused: the first holds a server connection for good, the others
// stay on one. Other session variables are left to the pooler, which may know them.
func (b Backend) CheckPooler(dsn string) error {
	d, err := parse(dsn)
	if err != nil {
		return err
	}
	if !d.config.InterpolateParams {
		return errors.New("mysql: DSN parameter interpolateParams is not true behind a pooler, " +
			"which may execute a prepared statement on another server connection than it prepared it on: add interpolateParams=true")
	}
	for name, value := range d.config.Params {
		switch {
		case strings.HasPrefix(name, "@") && !strings.HasPrefix(name, "@@"):
			return fmt.Errorf("mysql: DSN parameter %.40q is a user variable, which would stay on one server connection: leave it out behind a pooler", name)
		case isAutocommit(name) && !slices.Contains([]string{"1", "on", "true"}, strings.ToLower(value)):
			return errors.New("mysql: DSN parameter autocommit is off behind a pooler, where each connection would be held for good: leave it out")
		}
	}
	return nil
}

func isAutocommit(name string) bool {
	name = strings.ToLower(strings.TrimLeft(name, "@"))
	return name == "autocommit" || name == "session.autocommit"
}
