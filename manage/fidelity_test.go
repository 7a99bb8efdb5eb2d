package manage_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	gomysql "github.com/go-sql-driver/mysql"
	"github.com/lib/pq"

	"github.com/lidopool/lido/manage"
	"github.com/lidopool/lido/pool"
)

// An eye uses a DB and tells what it sees, in words that do not depend on who pools the connections.
type eye struct {
	k    database
	db   *sql.DB
	name string                                         // of the database, which is not said
	raw  func(*sql.Conn, func(driver.Conn) error) error // the driver's own connection
	said []string
}

func (e *eye) say(format string, args ...any) {
	e.said = append(e.said, strings.ReplaceAll(fmt.Sprintf(format, args...), e.name, "the database"))
}

// failure is an error as its holder sees it: type by type, and its text.
func failure(err error) string {
	var types []string
	for one := err; one != nil; one = errors.Unwrap(one) {
		types = append(types, fmt.Sprintf("%T", one))
	}
	return strings.Join(types, " of ") + ": " + fmt.Sprint(err)
}

// exec says what a statement gave.
func (e *eye) exec(on interface {
	Exec(string, ...any) (sql.Result, error)
}, text string, args ...any) {
	r, err := on.Exec(text, args...)
	if err != nil {
		e.say("exec %s: %s", text, failure(err))
		return
	}
	n, nErr := r.RowsAffected()
	id, idErr := r.LastInsertId()
	e.say("exec %s: %d rows (%v), id %d (%v)", text, n, nErr, id, idErr)
}

// query says everything that there is to know of the result sets of a query.
func (e *eye) query(on interface {
	Query(string, ...any) (*sql.Rows, error)
}, text string, args ...any) {
	rows, err := on.Query(text, args...)
	if err != nil {
		e.say("query %s: %s", text, failure(err))
		return
	}
	defer rows.Close()
	for set := 1; ; set++ {
		types, err := rows.ColumnTypes()
		if err != nil {
			e.say("column types: %s", failure(err))
			return
		}
		for _, c := range types {
			length, hasLength := c.Length()
			nullable, hasNullable := c.Nullable()
			precision, scale, hasSize := c.DecimalSize()
			e.say("query %s: set %d: column %s %s %v, length %d %v, nullable %v %v, size %d %d %v", text, set,
				c.Name(), c.DatabaseTypeName(), c.ScanType(), length, hasLength, nullable, hasNullable, precision, scale, hasSize)
		}
		for rows.Next() {
			row := make([]any, len(types))
			into := make([]any, len(types))
			for i := range row {
				into[i] = &row[i]
			}
			if err := rows.Scan(into...); err != nil {
				e.say("scan: %s", failure(err))
			}
			for i, v := range row {
				if at, ok := v.(time.Time); ok {
					v = at.UTC()
				}
				e.say("query %s: set %d: %s is %T %v", text, set, types[i].Name(), v, v)
			}
		}
		if !rows.NextResultSet() {
			break
		}
	}
	e.say("query %s: ends with %s, close %v", text, failure(rows.Err()), rows.Close())
}

// look uses much of what a driver can do beyond statements and rows.
func (e *eye) look(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	arg := func(n int) string {
		return map[bool]string{true: fmt.Sprint("$", n), false: "?"}[e.k.name == "postgres"]
	}
	if err := e.db.Ping(); err != nil {
		t.Fatal(err)
	}

	// Statements and their results.
	e.exec(e.db, map[string]string{
		"postgres": "CREATE TABLE t (id SERIAL PRIMARY KEY, name VARCHAR(20) NOT NULL, amount NUMERIC(10,2), at TIMESTAMPTZ, bits BYTEA, flag BOOL, d DATE, f FLOAT8, j JSONB, a INT[])",
		"mysql":    "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(20) NOT NULL, amount DECIMAL(10,2), at DATETIME(6), bits BLOB, flag BOOL, d DATE, f DOUBLE, j JSON, a BIGINT UNSIGNED)",
	}[e.k.name])
	insert := "INSERT INTO t (name, amount, at, bits, flag) VALUES (" + arg(1) + ", " + arg(2) + ", " + arg(3) + ", " + arg(4) + ", " + arg(5) + ")"
	at := time.Date(2024, 2, 29, 12, 30, 45, 123456000, time.UTC)
	e.exec(e.db, insert, "one", "12.50", at, []byte{0, 1, 255}, true)
	e.exec(e.db, insert, "two", 7, nil, []byte(nil), nil)
	e.exec(e.db, insert, "too few")
	e.exec(e.db, insert, nil, 1, at, nil, false)
	e.exec(e.db, insert, sql.Named("name", "x"), 1, at, nil, false)
	e.exec(e.db, "INSERT INTO t (id, name) VALUES (1, 'again')")
	e.exec(e.db, "UPDATE t SET flag = NOT flag WHERE id < 10")
	e.query(e.db, "SELECT * FROM t ORDER BY id")
	e.query(e.db, "SELECT * FROM t WHERE id = "+arg(1), 2)
	e.query(e.db, "SELECT name FROM t WHERE id > "+arg(1), 1000)
	e.query(e.db, "SELECT nothing FROM nowhere")
	e.query(e.db, "SELECT 1; SELECT 'a' AS b, 2 AS c; SELECT 3 WHERE 1 = 0")
	e.query(e.db, "SELECT 1; SELECT nothing FROM nowhere")

	// Prepared ones.
	stmt, err := e.db.Prepare("SELECT name, amount FROM t WHERE id = " + arg(1))
	if err != nil {
		t.Fatal(err)
	}
	defer stmt.Close()
	for _, id := range []any{1, "2", int64(3), nil} {
		var name, amount any
		err := stmt.QueryRow(id).Scan(&name, &amount)
		e.say("prepared with %v: %T %s, %T %s: %s", id, name, name, amount, amount, failure(err))
	}
	_, err = stmt.Query()
	e.say("prepared with nothing: %s", failure(err))
	_, err = stmt.Query(1, 2)
	e.say("prepared with too much: %s", failure(err))
	_, err = e.db.Prepare("SELEC 1")
	e.say("prepare of nonsense: %s", failure(err))

	// Values that only the driver can check.
	switch e.k.name {
	case "postgres":
		e.exec(e.db, "UPDATE t SET a = $1 WHERE id = 1", pq.Array([]int{1, 2, 3}))
		var back []int64
		err := e.db.QueryRow("SELECT a FROM t WHERE id = 1").Scan(pq.Array(&back))
		e.say("an array came back as %v: %s", back, failure(err))
		e.query(e.db, "SELECT $1::text[]", pq.Array([]string{"a", `b"c`}))
		e.copyIn(t)
	case "mysql":
		e.exec(e.db, "UPDATE t SET a = ? WHERE id = 1", uint64(1)<<63)
		e.exec(e.db, "UPDATE t SET j = ? WHERE id = 1", json.RawMessage(`{"a": [1, 2]}`))
		e.query(e.db, "SELECT a, j FROM t WHERE id = ?", 1)
	}
	e.exec(e.db, insert, make(chan int), 1, at, nil, false)

	// Transactions.
	for _, o := range []sql.TxOptions{
		{}, {ReadOnly: true}, {Isolation: sql.LevelReadUncommitted}, {Isolation: sql.LevelReadCommitted}, {Isolation: sql.LevelWriteCommitted},
		{Isolation: sql.LevelRepeatableRead}, {Isolation: sql.LevelSnapshot}, {Isolation: sql.LevelSerializable, ReadOnly: true}, {Isolation: sql.LevelLinearizable},
	} {
		tx, err := e.db.BeginTx(ctx, &o)
		if err != nil {
			e.say("begin %+v: %s", o, failure(err))
			continue
		}
		if e.k.name == "postgres" {
			e.query(tx, "SHOW transaction_isolation")
		}
		if !o.ReadOnly { // else the error is the end of the connection, by Classify
			e.exec(tx, "UPDATE t SET name = 'in a transaction' WHERE id = 1")
		}
		var name string
		err = tx.Stmt(stmt).QueryRow(1).Scan(&name, new(any))
		e.say("in the transaction %+v the name is %s: %s", o, name, failure(err))
		e.say("rollback %+v: %s, and commit: %s", o, failure(tx.Rollback()), failure(tx.Commit()))
	}
	tx, err := e.db.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	e.exec(tx, "SELECT nothing FROM nowhere")
	e.exec(tx, "UPDATE t SET name = 'after an error' WHERE id = 2")
	e.say("commit after an error: %s", failure(tx.Commit()))
	readOnly, err := e.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	e.exec(readOnly, "UPDATE t SET name = 'read only' WHERE id = 2")
	_ = readOnly.Rollback()
	e.query(e.db, "SELECT name FROM t ORDER BY id")

	// What is canceled.
	for what, call := range map[string]func(ctx context.Context) error{
		"exec":  func(ctx context.Context) error { _, err := e.db.ExecContext(ctx, e.k.slow); return err },
		"query": func(ctx context.Context) error { return e.db.QueryRowContext(ctx, e.k.slow).Scan(new(any)) },
	} {
		var err error
		for d := 300 * time.Millisecond; ; d *= 3 { // with pool_strategy=null a connect is in it
			brief, cancel := context.WithTimeout(ctx, d)
			err = call(brief)
			cancel()
			if _, never := errors.AsType[*pool.AcquireError](err); !never || d > patience/3 {
				break
			}
		}
		e.say("a %s that is canceled: %s", what, failure(err))
		e.say("and after it: %v", e.db.QueryRow("SELECT 1").Scan(new(int)))
	}
	slices.Sort(e.said[len(e.said)-4:]) // the order of a map

	// The driver's own connection.
	c, err := e.db.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	err = e.raw(c, func(raw driver.Conn) error {
		e.say("the connection is a %T", raw)
		_, err := raw.(driver.ExecerContext).ExecContext(ctx, "SELECT 1", nil)
		return err
	})
	e.say("what was done on it: %s", failure(err))
	err = c.Raw(func(x any) error {
		for _, i := range []reflect.Type{
			reflect.TypeFor[driver.Pinger](), reflect.TypeFor[driver.ConnBeginTx](), reflect.TypeFor[driver.ConnPrepareContext](),
			reflect.TypeFor[driver.ExecerContext](), reflect.TypeFor[driver.QueryerContext](), reflect.TypeFor[driver.NamedValueChecker](),
			reflect.TypeFor[driver.SessionResetter](), reflect.TypeFor[driver.Validator](),
			reflect.TypeFor[driver.Execer](), reflect.TypeFor[driver.Queryer](), //lint:ignore SA1019 drivers have them
		} {
			e.say("%v: %v", i, reflect.TypeOf(x).Implements(i))
		}
		return nil
	})
	e.say("raw: %s, close %s, ping after it: %s", failure(err), failure(c.Close()), failure(c.PingContext(ctx)))
}

// copyIn copies rows into a table, twice by the same text.
func (e *eye) copyIn(t *testing.T) {
	for i := range 2 {
		tx, err := e.db.Begin()
		if err != nil {
			t.Fatal(err)
		}
		stmt, err := tx.Prepare(`COPY "t" ("name", "f") FROM STDIN`)
		if err != nil {
			e.say("prepare of a copy: %s", failure(err))
			_ = tx.Rollback()
			continue
		}
		for j := range 3 {
			_, err = stmt.Exec(fmt.Sprint("copied ", j), float64(i))
			e.say("copy %d of row %d: %s", i, j, failure(err))
		}
		_, err = stmt.Exec()
		e.say("end of copy %d: %s, close %s, commit %s", i, failure(err), failure(stmt.Close()), failure(tx.Commit()))
	}
	e.query(e.db, "SELECT name, f FROM t WHERE f IS NOT NULL ORDER BY f, name")
}

func TestADriverCanDoAllThatItCanDoWithoutAPool(t *testing.T) {
	eachDatabase(t, func(t *testing.T, k database) {
		params := map[string]string{"postgres": "", "mysql": "multiStatements=true&parseTime=true"}[k.name]
		see := func(t *testing.T, db *sql.DB, dsn string, raw func(*sql.Conn, func(driver.Conn) error) error) []string {
			e := &eye{k: k, db: db, name: nameIn(dsn), raw: raw}
			e.look(t)
			return e.said
		}
		own := func(t *testing.T) string { // a DSN of a database that is empty
			dsn := k.shared(t).Database(t)
			if params != "" {
				dsn = with(dsn, params)
			}
			return dsn
		}
		dsn := own(t)
		plain, err := sql.Open(k.name, dsn)
		if err != nil {
			t.Fatal(err)
		}
		defer plain.Close()
		want := see(t, plain, dsn, func(c *sql.Conn, f func(driver.Conn) error) error {
			return c.Raw(func(x any) error { return f(x.(driver.Conn)) })
		})
		if len(want) < 90 {
			t.Fatalf("only %d things were seen", len(want))
		}
		for _, settings := range []string{"pool_size=2", "pool_strategy=null", "pool_size=1&pool_max_overflow=0&pool_statements=none", "pool_strategy=static"} {
			t.Run(settings, func(t *testing.T) {
				dsn := own(t)
				m, db := k.patient().open(t, dsn, settings)
				got := see(t, db, dsn, manage.Raw)
				for i := range max(len(got), len(want)) {
					switch {
					case i >= len(got):
						t.Errorf("not seen: %s", want[i])
					case i >= len(want):
						t.Errorf("seen, and not without a pool: %s", got[i])
					case got[i] != want[i]:
						t.Errorf("seen:\n\t%s\nwithout a pool:\n\t%s", got[i], want[i])
					}
				}
				k.atRest(t, m, dsn, 15)
			})
		}
	})
}

func TestAConnectionWhoseQueryWasCanceledIsNotLentAgain(t *testing.T) {
	eachDatabase(t, func(t *testing.T, k database) {
		dsn := k.shared(t).Database(t)
		m, db := k.open(t, dsn, "pool_size=1&pool_max_overflow=0")
		before := number(t, db, k.self)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond) // the server must be in mid-query
		defer cancel()
		if _, err := db.ExecContext(ctx, k.slow); err == nil {
			t.Fatal("the query ended by itself")
		}
		if after := number(t, db, k.self); after == before {
			t.Error("the same connection is in use: half an answer may be under way on it")
		}
		if s := statsOf(t, m, k.name, dsn); s.Opened != 2 {
			t.Errorf("%d connections were opened, want 2", s.Opened)
		}
	})
}

func TestTheDriversOwnErrorIsFoundInWhatADBAnswers(t *testing.T) {
	eachDatabase(t, func(t *testing.T, k database) {
		_, db := k.open(t, k.shared(t).Database(t), "")
		mustExec(t, db, "CREATE TABLE t (id INT PRIMARY KEY)")
		mustExec(t, db, "INSERT INTO t VALUES (1)")
		_, err := db.Exec("INSERT INTO t VALUES (1)")
		p, isPq := errors.AsType[*pq.Error](err)
		m, isMySQL := errors.AsType[*gomysql.MySQLError](err)
		if isPq && p.Code != "23505" || isMySQL && m.Number != 1062 || !isPq && !isMySQL {
			t.Errorf("a key that is there already: %T %v, want the driver's own error", err, err)
		}
	})
}
