package mysql_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/lidopool/lido/backends/mysql"
	"github.com/lidopool/lido/backends/servertest"
	"github.com/lidopool/lido/backends/sqldriver"
)

// left is what a text has left behind that a reset must see to; "" is nothing.
func left(t *testing.T, c *sqldriver.Conn) string {
	t.Helper()
	if inTransaction(t, c) {
		return "a transaction"
	}
	switch state := query(t, c, "SELECT CONCAT(@@autocommit+0, @@completion_type)"); {
	case state[0] != '1':
		return "autocommit off"
	case state[1:] != "NO_CHAIN":
		return "transactions that chain"
	case number(try(c, "SELECT * FROM other")) == 1100, number(try(c, "INSERT INTO other VALUES (1)")) != 0:
		return "a lock"
	}
	return ""
}

// undo brings the session back, whatever was left.
func undo(t *testing.T, c *sqldriver.Conn) {
	t.Helper()
	_ = try(c, "XA END 'x'")
	_ = try(c, "XA ROLLBACK 'x'")
	for _, text := range []string{"SET completion_type=0", "ROLLBACK", "SET autocommit=1", "UNLOCK TABLES", "SET NAMES utf8mb4", "SET sql_mode=DEFAULT"} {
		exec(t, c, text)
	}
}

func witness(t *testing.T) *sqldriver.Conn {
	c := connect(t, backend(t, mysql.Backend{}, servertest.MySQL(t).Database(t)+"?multiStatements=true"))
	exec(t, c, "CREATE TABLE t(x INT)")
	exec(t, c, "CREATE TABLE other(x INT)")
	exec(t, c, "CREATE PROCEDURE p() BEGIN START TRANSACTION; SIGNAL SQLSTATE '45000'; END")
	exec(t, c, "CREATE PROCEDURE q() DO 1")
	return c
}

func TestBeginsSeesEveryTextAfterWhichThereIsSomethingToEnd(t *testing.T) {
	c := witness(t)
	for _, tt := range []struct {
		text string
		want bool
	}{
		{"BEGIN", true}, {"begin work", true}, {"START TRANSACTION", true}, {"Start\n\tTransaction READ ONLY", true},
		{"START/**/TRANSACTION", true}, {"START -- x\nTRANSACTION", true}, {"START # x\nTRANSACTION", true},
		{"/*!50003BEGIN*/", true}, {"/*!BEGIN*/", true}, {"/*M!100100 START TRANSACTION*/", true}, {"SELECT 1;BEGIN", true},
		{"SET NAMES latin1;SELECT 1;\xa0BEGIN", true}, {"SET NAMES latin1;BEGIN\xa0WORK", true},
		{"SET autocommit=0", true}, {"SET @@session.AutoCommit = OFF", true}, {"SET @x=0,`autocommit`=0", true}, {"SET LOCAL autocommit=0", true},
		{"COMMIT AND CHAIN", true}, {"ROLLBACK AND CHAIN", true}, {"SET completion_type=1", true}, {"SET completion_type=1; COMMIT", true},
		{"CALL p()", true}, {"call`p`()", true}, {"CALL q()", true}, {"PREPARE s FROM 'BEGIN'", true},
		{"PREPARE s FROM 'BEGIN'; EXECUTE s", true}, {"EXECUTE IMMEDIATE CONCAT('BE','GIN')", true},
		{"XA START 'x'", true}, {"XA BEGIN 'x'", true}, {"xa/**/start'x'", true},
		{"BEGIN NOT ATOMIC START TRANSACTION; SIGNAL SQLSTATE '45000'; END", true}, {"IF 1 THEN START TRANSACTION; END IF", true},
		{"SET sql_mode=ORACLE; BEGIN START TRANSACTION; END", true},
		{"LOCK TABLES t WRITE", true}, {"LOCK TABLE t READ", true}, {"lock/**/tables t READ", true},
		{"FLUSH TABLES WITH READ LOCK", true}, {"FLUSH TABLES t FOR EXPORT", true}, {"FLUSH LOCAL TABLES t WITH READ LOCK", true},

		{"", false}, {"SELECT 1", false}, {"INSERT INTO t VALUES (1)", false}, {"UPDATE t SET x=2", false}, {"DELETE FROM t", false},
		{"SELECT * FROM t FOR UPDATE", false}, {"SELECT * FROM t LOCK IN SHARE MODE", false}, {"SELECT x AS `start` FROM t", false},
		{"SET TRANSACTION ISOLATION LEVEL READ COMMITTED", false}, {"SAVEPOINT s", false}, {"SET @x=1", false}, {"USE mysql", false},
		{"SELECT x AS beginning, x AS xa1, x AS _call, x AS lock_table FROM t", false}, {"TRUNCATE TABLE t", false}, {"UNLOCK TABLES", false},
		{"SELECT 'autocommit'", true}, // a yes too many
	} {
		if got := mysql.Begins(tt.text); got != tt.want {
			t.Errorf("Begins(%q) = %v, want %v", tt.text, got, tt.want)
		}
		if strings.HasPrefix(tt.text, "USE") {
			continue // it would take the witness away
		}
		_ = try(c, tt.text) // some fail, and have begun a transaction nonetheless
		if found := left(t, c); found != "" && !tt.want {
			t.Errorf("%q has left %s, but Begins says no", tt.text, found)
		}
		undo(t, c)
	}
}

// Texts put together at random: most are wrong, and of the others the server says what they leave.
func TestBeginsMissesNoneOfManyTexts(t *testing.T) {
	c := witness(t)
	pieces := []string{"BEGIN", "begin", "START", "TRANSACTION", "SELECT", "1", "SET", "autocommit", "`autocommit`", "@@autocommit", "SESSION", "=", "0", ";", ";", " ", "\n",
		"/**/", "/*", "*/", "/*!", "/*!50003", "/*M!", "-- ", "#", "'", `"`, "`", `\`, "COMMIT", "ROLLBACK", "AND", "CHAIN", "WORK", "LOCK", "TABLES", "t", "WRITE", "READ", "FLUSH", "WITH",
		"CALL p()", "EXECUTE IMMEDIATE", "'BEGIN'", "x", "_", "$", "@", ".", ",", "\xa0", "é", "\x00", "completion_type"}
	const seed = 5
	random := rand.New(rand.NewPCG(seed, seed))
	found := 0
	for range 3000 {
		var text strings.Builder
		for range 1 + random.IntN(8) {
			text.WriteString(pieces[random.IntN(len(pieces))])
			if random.IntN(2) == 0 {
				text.WriteByte(' ')
			}
		}
		_ = try(c, text.String())
		if what := left(t, c); what != "" {
			found++
			if !mysql.Begins(text.String()) {
				t.Errorf("%q has left %s, but Begins says no", text.String(), what)
			}
			undo(t, c)
		}
	}
	if found < 20 {
		t.Errorf("only %d texts left something behind: the pieces are no good", found)
	}
}

func TestBeginsAllocatesNothing(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { mysql.Begins("SELECT id, name FROM users WHERE id = ? AND lock = 1") }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

// One operation is a look at a text of 44 bytes.
func BenchmarkBegins(b *testing.B) {
	for b.Loop() {
		mysql.Begins("SELECT id, name, email FROM users WHERE id=?")
	}
}
