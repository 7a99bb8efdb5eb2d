//go:build cgo

package sqlite_test

import (
	"testing"

	"github.com/mattn/go-sqlite3"

	"github.com/lidopool/lido/backends/sqldriver"
)

// A text that begins a transaction, however it is written, must never be taken for one that does not: the next
// holder would be within it.
func TestATextThatBeginsATransactionIsSeen(t *testing.T) {
	for _, text := range []string{
		"BEGIN", "begin immediate", "Begin;", " \t\r\nBEGIN", ";;BEGIN", "\fBEGIN", "\ufeffBEGIN",
		"SAVEPOINT s", "savepoint s", "SELECT 1;BEGIN", "SELECT 1; ; sAvEpOiNt s", "SELECT ';'; BEGIN", "SELECT 1;\n-- so\nBEGIN",
		"-- why\nBEGIN", "--\n-- b\nBEGIN", "/* why */BEGIN", "/* ; */ BEGIN", "SELECT 1 /* ; */; /*;*/ BEGIN", "/**//**/SAVEPOINT s",
		"SELECT 'it''s; '; SAVEPOINT \"a;b\"", "SELECT 1 -- ; '\n; BEGIN",
	} {
		b, c := managed(t, file(t), sqldriver.Rollback)
		raw := c.For(text).(*sqlite3.SQLiteConn)
		exec(t, raw, text)
		if raw.AutoCommit() {
			t.Fatalf("%q begins nothing, so that this shows nothing", text)
		}
		if b.(interface{ Clean(*sqldriver.Conn) bool }).Clean(c) {
			t.Errorf("a connection on which %q was executed is taken for clean", text)
		}
	}
}
