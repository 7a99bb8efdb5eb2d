//go:build cgo

package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/lidopool/lido/backends/backendtest"
	"github.com/lidopool/lido/backends/sqlite"
)

func TestSQLiteKeepsThePromisesOfADatabaseBackend(t *testing.T) {
	const secret = "hunter2secret"
	dir := t.TempDir()
	for name, o := range map[string]backendtest.Options{
		"file": {
			DSN:   filepath.Join(dir, "a.db") + "?_auth_pass=" + secret,
			Same:  []string{"file:" + filepath.Join(dir, "a.db") + "?_auth_pass=" + secret, filepath.Join(dir, "x", "..", "a.db") + "?_timeout=5000&_auth_pass=" + secret},
			Wrong: []string{"a.db?nonsense=" + secret, "a.db?_busy_timeout=soon&_auth_pass=" + secret},
		},
		"memory": {
			DSN:   sqlite.Memory("conformance") + "&_auth_pass=" + secret,
			Same:  []string{"file:/conformance?vfs=memdb&_auth_pass=" + secret},
			Wrong: []string{"file:x?mode=memory&cache=shared&_auth_pass=" + secret},
		},
	} {
		o.Secret = secret
		o.Slow = "INSERT INTO lido_work WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c LIMIT 100000000) SELECT count(*) FROM c"
		t.Run(name, func(t *testing.T) {
			connect(t, conns(t, o.DSN)) // what is in memory goes with its last connection
			backendtest.TestBackend(t, sqlite.Backend{}, o)
		})
	}
}
