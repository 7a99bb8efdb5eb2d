package backendtest

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/internal/loopback"
	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
)

// Backend is what package manage registers for a kind of database: manage.Backend, which a
// backend cannot import.
type Backend interface {
	Name() string
	Canonical(dsn string) (string, error)
	Redact(dsn string) string
	Open(dsn string, reset sqldriver.ResetMode) (pool.Backend[*sqldriver.Conn], error)
}

// Options say what TestBackend may expect. DSN is needed.
type Options struct {
	// DSN leads to a database that is empty and the test's own: a table is made in it. What
	// is tested is standard SQL, and BEGIN, COMMIT and ROLLBACK as texts.
	DSN string
	// Same are other DSNs that mean the same.
	Same []string
	// Wrong are DSNs that cannot work, with Secret in them if they can.
	Wrong []string
	// Secret is what nobody may be shown of any of these DSNs. Empty: there is nothing.
	Secret string
	// Addr is the host:port of the server that DSN names, and At returns DSN with another one in
	// its place. By these TestBackend puts a Proxy between: it counts what is sent, and goes
	// silent. Both, or neither where there is no server.
	Addr string
	At   func(addr string) string
	// Kill ends the session of a connection from outside, and returns when it is over. Nil: it is not tested.
	Kill func(t *testing.T, c *sqldriver.Conn)
	// Slow is a query that takes far longer than Patience if nobody stops it.
	Slow string
	// ReadOnly and Isolation say that the driver heeds these options of transactions.
	ReadOnly, Isolation bool
	// Traces are what the reset mode full must bring back. None: the mode is not tested, and may be refused.
	Traces []Trace
	// Patience is how long a call may take that has nobody to wait for, and one whose ctx has ended. 0: 10 s.
	Patience time.Duration
}

// A Trace is something that a holder may leave in a session, beside a transaction.
type Trace struct {
	Leave string // the statement that leaves it
	Look  string // the query whose answer tells
	Clean string // what it answers where nothing is left
}

// TestBackend tests whether a backend of a database keeps the promises of manage.Backend: DSNs have one
// form and show no secret; what was open at a return is ended as the reset mode says, and
// where nothing was, nothing is sent; a session that was killed is known for dead; and everything ends with its ctx, also
// when the server says nothing. It runs pooltest.TestBackend too.
//
// Time is real in it, since servers and sockets have no other. It takes about two seconds.
func TestBackend(t *testing.T, b Backend, o Options) {
	t.Helper()
	if o.Patience == 0 {
		o.Patience = 10 * time.Second
	}
	s := suite{b, o}
	s.setUp(t)
	t.Run("DSNs", s.testDSNs)
	t.Run("Secrets", s.testSecrets)
	t.Run("Reset", s.testReset)
	t.Run("FullReset", s.testFull)
	t.Run("CleanReturnsCostNothing", s.testCosts)
	t.Run("TransactionOptions", s.testTransactions)
	t.Run("KilledSession", s.testKilled)
	t.Run("ContextsEnd", s.testContexts)
	t.Run("SilentServer", s.testSilence)
	t.Run("Pool", s.testPool)
}

type suite struct {
	Backend
	Options
}

const table = "lido_work" // of one column, n

func (s suite) setUp(t *testing.T) {
	t.Helper()
	c := s.connect(t, s.open(t, s.DSN, ""))
	s.exec(t, c, "CREATE TABLE "+table+" (n INTEGER)")
}

func (s suite) testDSNs(t *testing.T) {
	form, err := s.Canonical(s.DSN)
	if err != nil {
		t.Fatalf("Canonical: %v, want the form of a DSN that works", err)
	}
	for _, dsn := range append([]string{form}, s.Same...) {
		if got, err := s.Canonical(dsn); err != nil || got != form {
			t.Errorf("Canonical(%s) = %s, %v; want that of the DSN of the same meaning, %s: each form has a pool of its own",
				s.Redact(dsn), s.Redact(got), err, s.Redact(form))
		}
	}
	c := s.connect(t, s.open(t, form, ""))
	s.exec(t, c, "SELECT n FROM "+table)
	for i, dsn := range s.Wrong {
		if _, err := s.Canonical(dsn); err == nil {
			t.Errorf("Canonical of wrong DSN %d: no error", i)
		}
		if _, err := s.Backend.Open(dsn, ""); err == nil {
			t.Errorf("Open of wrong DSN %d: no error", i)
		}
	}
	if _, err := s.Backend.Open(s.DSN, "nonsense"); err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("Open with the reset mode nonsense: %v, want an error that repeats it", err)
	}
	if s.Name() == "" {
		t.Error("Name is empty: nobody could ask for the backend")
	}
}

func (s suite) testSecrets(t *testing.T) {
	if s.Secret == "" {
		t.Skip("no secret is given")
	}
	hide := func(what string, x any) {
		t.Helper()
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			if text := fmt.Sprintf(verb, x); strings.Contains(text, s.Secret) || strings.Contains(text, fmt.Sprintf("%x", s.Secret)) {
				t.Errorf("%s, printed with %s, shows the secret", what, verb)
			}
		}
	}
	form, err := s.Canonical(s.DSN)
	if err != nil {
		t.Fatal(err)
	}
	for i, dsn := range append(append([]string{s.DSN, form}, s.Same...), s.Wrong...) {
		hide(fmt.Sprint("Redact of DSN ", i), s.Redact(dsn))
		_, err := s.Canonical(dsn)
		hide(fmt.Sprint("the error of Canonical of DSN ", i), err)
		_, err = s.Backend.Open(dsn, "")
		hide(fmt.Sprint("the error of Open of DSN ", i), err)
	}
	opened := s.open(t, s.DSN, "")
	hide("what Open returned", opened)
	c := s.connect(t, opened)
	hide("a connection", c)
	if s.At != nil {
		_, err := s.open(t, s.At(nobody(t)), "").Open(s.bounded(t))
		if err == nil {
			t.Error("a connection was opened where nobody listens")
		}
		hide("the error of an open that was refused", err)
	}
}

// nobody returns an address where nobody listens.
func nobody(t *testing.T) string {
	t.Helper()
	l := listen(t)
	_ = l.Close()
	return l.Addr().String()
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := loopback.Listen()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// Ways to open a transaction, each with one to end it.
var begins = map[string]func(s suite, t *testing.T, c *sqldriver.Conn) (commit, rollback func() error){
	"BeginTx": func(s suite, t *testing.T, c *sqldriver.Conn) (commit, rollback func() error) {
		tx, err := c.BeginTx(s.bounded(t), driver.TxOptions{})
		if err != nil {
			t.Fatalf("BeginTx: %v", err)
		}
		return tx.Commit, tx.Rollback
	},
	"Text": func(s suite, t *testing.T, c *sqldriver.Conn) (commit, rollback func() error) {
		s.exec(t, c, "BEGIN")
		return func() error { return s.try(s.bounded(t), c, "COMMIT") }, func() error { return s.try(s.bounded(t), c, "ROLLBACK") }
	},
}

func (s suite) testReset(t *testing.T) {
	modes := map[sqldriver.ResetMode]string{"": "0", sqldriver.Rollback: "0", sqldriver.Commit: "1"}
	if len(s.Traces) > 0 {
		modes[sqldriver.Full] = "0"
	}
	other := s.connect(t, s.open(t, s.DSN, ""))
	for how, begin := range begins {
		for mode, want := range modes {
			t.Run(how+"Mode"+string(mode), func(t *testing.T) {
				s.exec(t, other, "DELETE FROM "+table)
				b := s.open(t, s.DSN, mode)
				c := s.connect(t, b)
				begin(s, t, c)
				s.exec(t, c, "INSERT INTO "+table+" VALUES (1)")
				s.reset(t, b, c)
				if c.InTx() {
					t.Error("InTx is true after the reset")
				}
				s.want(t, other, 1, want, "the work of a transaction left open")
				s.exec(t, c, "INSERT INTO "+table+" VALUES (2)")
				s.reset(t, b, c)
				s.want(t, other, 2, "1", "the work of the next holder, in autocommit")
			})
		}
		t.Run(how+"Modenone", func(t *testing.T) {
			b := s.open(t, s.DSN, sqldriver.NoReset)
			c := s.connect(t, b)
			for i, want := range []string{"1", "0"} {
				s.exec(t, other, "DELETE FROM "+table)
				commit, rollback := begin(s, t, c)
				s.exec(t, c, "INSERT INTO "+table+" VALUES (1)")
				s.reset(t, b, c)
				// Nobody looks before the end: a database may have others wait until then.
				if err := []func() error{commit, rollback}[i](); err != nil {
					t.Errorf("end of the transaction after a reset in the mode none: %v, want it to be open still", err)
				}
				s.want(t, other, 1, want, "the work of a transaction that was left open, and then ended")
			}
		})
	}
	t.Run("FailedTransaction", func(t *testing.T) {
		b := s.open(t, s.DSN, "")
		c := s.connect(t, b)
		begins["Text"](s, t, c)
		if s.try(s.bounded(t), c, "SELECT nothing FROM nowhere") == nil {
			t.Fatal("there is a table nowhere")
		}
		s.reset(t, b, c)
		s.exec(t, c, "SELECT n FROM "+table)
	})
}

// want counts the rows with n, as another connection sees them.
func (s suite) want(t *testing.T, other *sqldriver.Conn, n int, want, what string) {
	t.Helper()
	if got := s.query(t, other, fmt.Sprintf("SELECT COUNT(*) FROM %s WHERE n = %d", table, n)); got != want {
		t.Errorf("another sees %s rows of %s, want %s", got, what, want)
	}
}

func (s suite) testFull(t *testing.T) {
	if len(s.Traces) == 0 {
		if _, err := s.Backend.Open(s.DSN, sqldriver.Full); err != nil && !strings.Contains(err.Error(), "full") {
			t.Errorf("Open with the reset mode full: %v, want an error that names it", err)
		}
		t.Skip("no Traces are given")
	}
	b := s.open(t, s.DSN, sqldriver.Full)
	for _, trace := range s.Traces {
		c := s.connect(t, b)
		s.exec(t, c, trace.Leave)
		if got := s.query(t, c, trace.Look); got == trace.Clean {
			t.Errorf("%s leaves nothing that %s shows: the test shows nothing", trace.Leave, trace.Look)
		}
		s.reset(t, b, c)
		if got := s.query(t, c, trace.Look); got != trace.Clean {
			t.Errorf("after %s and a full reset, %s: %s, want %s", trace.Leave, trace.Look, got, trace.Clean)
		}
	}
}

func (s suite) testCosts(t *testing.T) {
	if s.At == nil {
		t.Skip("there is no server to send anything to")
	}
	p := NewProxy(t, s.Addr)
	for _, tt := range []struct {
		name string
		mode sqldriver.ResetMode
		use  func(c *sqldriver.Conn)
		free bool
	}{
		{"Nothing", "", func(c *sqldriver.Conn) {}, true},
		{"Autocommit", "", func(c *sqldriver.Conn) { s.exec(t, c, "INSERT INTO "+table+" VALUES (3)") }, true},
		{"Query", "", func(c *sqldriver.Conn) { s.query(t, c, "SELECT COUNT(*) FROM "+table) }, true},
		{"EndedTransaction", "", func(c *sqldriver.Conn) {
			commit, _ := begins["BeginTx"](s, t, c)
			if err := commit(); err != nil {
				t.Error(err)
			}
		}, true},
		{"OpenTransaction", "", func(c *sqldriver.Conn) { begins["BeginTx"](s, t, c) }, false},
		{"OpenTransactionByText", "", func(c *sqldriver.Conn) { begins["Text"](s, t, c) }, false},
		{"OpenTransactionInModeNone", sqldriver.NoReset, func(c *sqldriver.Conn) { begins["Text"](s, t, c) }, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := s.open(t, s.At(p.Addr()), tt.mode)
			c := s.connect(t, b)
			tt.use(c)
			before, _ := p.Bytes()
			if k, ok := b.(interface{ Clean(*sqldriver.Conn) bool }); ok && k.Clean(c) != tt.free {
				t.Errorf("Clean is %v, want %v", !tt.free, tt.free)
			}
			if k, ok := b.(pool.Checker[*sqldriver.Conn]); ok && k.Checks() == pool.QuickCheck {
				if err := k.Check(s.bounded(t), c); err != nil {
					t.Errorf("Check: %v", err)
				}
			}
			s.reset(t, b, c)
			if after, _ := p.Bytes(); (after == before) != tt.free {
				t.Errorf("check and reset sent %d bytes, want some: %v", after-before, !tt.free)
			}
		})
	}
}

func (s suite) testTransactions(t *testing.T) {
	b := s.open(t, s.DSN, "")
	begin := func(t *testing.T, c *sqldriver.Conn, o driver.TxOptions) driver.Tx {
		t.Helper()
		tx, err := c.BeginTx(s.bounded(t), o)
		if err != nil {
			t.Fatalf("BeginTx with %+v: %v", o, err)
		}
		return tx
	}
	end := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("end of a transaction: %v", err)
		}
	}
	t.Run("ReadOnly", func(t *testing.T) {
		if !s.ReadOnly {
			t.Skip("the driver does not heed it")
		}
		c := s.connect(t, b)
		tx := begin(t, c, driver.TxOptions{ReadOnly: true})
		if s.try(s.bounded(t), c, "INSERT INTO "+table+" VALUES (4)") == nil {
			t.Error("a read-only transaction could write")
		}
		end(t, tx.Rollback())
		tx = begin(t, c, driver.TxOptions{})
		s.exec(t, c, "INSERT INTO "+table+" VALUES (4)")
		end(t, tx.Rollback())
	})
	t.Run("Isolation", func(t *testing.T) {
		if !s.Isolation {
			t.Skip("the driver does not heed it")
		}
		for level, sees := range map[sql.IsolationLevel]bool{sql.LevelReadCommitted: true, sql.LevelRepeatableRead: false} {
			c, other := s.connect(t, b), s.connect(t, b)
			s.exec(t, other, "DELETE FROM "+table)
			tx := begin(t, c, driver.TxOptions{Isolation: driver.IsolationLevel(level)})
			before := s.query(t, c, "SELECT COUNT(*) FROM "+table)
			s.exec(t, other, "INSERT INTO "+table+" VALUES (5)")
			if got := s.query(t, c, "SELECT COUNT(*) FROM "+table) != before; got != sees {
				t.Errorf("%v: what another has committed since its first read is seen: %v, want %v", level, got, sees)
			}
			end(t, tx.Commit())
		}
	})
}

func (s suite) testKilled(t *testing.T) {
	if s.Kill == nil {
		t.Skip("no Kill is given")
	}
	b := s.open(t, s.DSN, "")
	dead := func(t *testing.T, what string, err error) {
		t.Helper()
		if f := b.Classify(err); err == nil || f != pool.Dead && f != pool.AllDead {
			t.Errorf("%s after the session was killed: %v, which is %v; want an error that means dead", what, err, f)
		}
	}
	for what, call := range map[string]func(c *sqldriver.Conn) error{
		"Statement": func(c *sqldriver.Conn) error { return s.try(s.bounded(t), c, "SELECT n FROM "+table) },
		"Ping":      func(c *sqldriver.Conn) error { return b.Ping(s.bounded(t), c) },
	} {
		t.Run(what, func(t *testing.T) {
			c := s.connect(t, b)
			s.Kill(t, c)
			dead(t, what, call(c))
		})
	}
	for how, begin := range begins {
		t.Run("InTransaction"+how, func(t *testing.T) {
			c := s.connect(t, b)
			commit, _ := begin(s, t, c)
			s.exec(t, c, "INSERT INTO "+table+" VALUES (6)")
			s.Kill(t, c)
			dead(t, "commit", commit())
			other := s.connect(t, b)
			if n := s.query(t, other, "SELECT COUNT(*) FROM "+table+" WHERE n = 6"); n != "0" {
				t.Errorf("%s rows of a transaction whose session was killed are there, want 0", n)
			}
		})
		t.Run("Reset"+how, func(t *testing.T) {
			c := s.connect(t, b)
			begin(s, t, c)
			s.Kill(t, c)
			if err := b.Reset(s.bounded(t), c); err == nil {
				t.Error("Reset with a transaction open and its session killed: nil, want an error: the connection would be lent again")
			}
		})
	}
	t.Run("Check", func(t *testing.T) {
		k, ok := b.(pool.Checker[*sqldriver.Conn])
		if !ok || k.Checks() == pool.NoCheck {
			t.Skip("the backend looks at nothing")
		}
		c := s.connect(t, b)
		s.Kill(t, c)
		var err error
		for deadline := time.Now().Add(s.Patience); err == nil && time.Now().Before(deadline); {
			err = k.Check(s.bounded(t), c) // the news may be under way for an instant
		}
		dead(t, "Check", err)
	})
}

func (s suite) testContexts(t *testing.T) {
	if s.Slow == "" {
		t.Skip("no Slow is given")
	}
	b := s.open(t, s.DSN, "")
	for name, begin := range begins {
		t.Run("SlowStatementAfter"+name, func(t *testing.T) {
			c := s.connect(t, b)
			begin(s, t, c)
			ctx, cancel := brief()
			defer cancel()
			s.endsWith(t, ctx, "a slow statement", func() error { return s.try(ctx, c, s.Slow) })
			if err := b.Reset(s.bounded(t), c); err == nil {
				s.exec(t, c, "SELECT n FROM "+table) // what passes a reset works
			}
		})
	}
}

// brief is a ctx that ends in the middle of whatever takes time. The number is arbitrary.
func brief() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), 100*time.Millisecond)
}

// endsWith sees to it that a call which can only fail ends soon after ctx.
func (s suite) endsWith(t *testing.T, ctx context.Context, what string, call func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- call() }()
	<-ctx.Done()
	select {
	case err := <-done:
		if err == nil {
			t.Errorf("%s went well, want it to end with its ctx", what)
		}
		return err
	case <-time.After(s.Patience):
		t.Errorf("%s has not returned %v after its ctx has ended", what, s.Patience)
		return nil
	}
}

func (s suite) testSilence(t *testing.T) {
	if s.At == nil {
		t.Skip("there is no server")
	}
	deaf := s.open(t, s.At(listen(t).Addr().String()), "") // the kernel takes connections, and nobody answers
	p := NewProxy(t, s.Addr)
	b := s.open(t, s.At(p.Addr()), "")
	connected := func() *sqldriver.Conn { return s.connect(t, b) }
	begun := func(how string) *sqldriver.Conn {
		c := connected()
		begins[how](s, t, c)
		return c
	}
	type call struct {
		what string
		c    *sqldriver.Conn
		do   func(ctx context.Context, c *sqldriver.Conn) error
	}
	calls := []call{
		{"open at a server that greets nobody", nil, func(ctx context.Context, _ *sqldriver.Conn) error { _, err := deaf.Open(ctx); return err }},
		{"open", nil, func(ctx context.Context, _ *sqldriver.Conn) error { _, err := b.Open(ctx); return err }},
		{"ping", connected(), b.Ping},
		{"reset of BeginTx", begun("BeginTx"), b.Reset},
		{"reset of a text", begun("Text"), b.Reset},
		{"statement", connected(), func(ctx context.Context, c *sqldriver.Conn) error { return s.try(ctx, c, "SELECT n FROM "+table) }},
	}
	last := connected()
	p.BlackHole()
	for _, k := range calls {
		ctx, cancel := brief()
		err := s.endsWith(t, ctx, k.what, func() error { return k.do(ctx, k.c) })
		cancel()
		if k.c != nil && err != nil && b.Reset(s.bounded(t), k.c) == nil {
			t.Errorf("%s: the connection passes a reset afterwards, although half an answer may be under way", k.what)
		}
	}
	ctx, cancel := brief()
	defer cancel()
	start := time.Now()
	_ = b.Close(ctx, last) // may go well: nobody need answer
	if took := time.Since(start); took > s.Patience {
		t.Errorf("Close took %v", took)
	}
}

func (s suite) testPool(t *testing.T) {
	modes := []sqldriver.ResetMode{sqldriver.Rollback}
	if len(s.Traces) > 0 {
		modes = append(modes, sqldriver.Full)
	}
	for _, mode := range modes {
		pooltest.TestBackend(t, s.open(t, s.DSN, mode), pooltest.BackendOptions[*sqldriver.Conn]{
			Break: s.Kill,
			Dirty: func(t *testing.T, c *sqldriver.Conn) {
				s.exec(t, c, "BEGIN")
				s.exec(t, c, "INSERT INTO "+table+" VALUES (7)")
			},
			Clean: func(t *testing.T, c *sqldriver.Conn) bool {
				return s.query(t, c, "SELECT COUNT(*) FROM "+table+" WHERE n = 7") == "0"
			},
			Patience: s.Patience,
		})
	}
}

// bounded is a ctx that ends only if something hangs.
func (s suite) bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), s.Patience)
	t.Cleanup(cancel)
	return ctx
}

func (s suite) open(t *testing.T, dsn string, mode sqldriver.ResetMode) pool.Backend[*sqldriver.Conn] {
	t.Helper()
	b, err := s.Backend.Open(dsn, mode)
	if err != nil {
		t.Fatalf("Open with the reset mode %q: %v", mode, err)
	}
	return b
}

// connect opens a connection and closes it at the end of the test.
func (s suite) connect(t *testing.T, b pool.Backend[*sqldriver.Conn]) *sqldriver.Conn {
	t.Helper()
	c, err := b.Open(s.bounded(t))
	if err != nil {
		t.Fatalf("open a connection: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), s.Patience)
		defer cancel()
		_ = b.Close(ctx, c) // fails if the test has killed it
	})
	return c
}

func (s suite) reset(t *testing.T, b pool.Backend[*sqldriver.Conn], c *sqldriver.Conn) {
	t.Helper()
	if err := b.Reset(s.bounded(t), c); err != nil {
		t.Fatalf("Reset: %v", err)
	}
}

// try executes a text as database/sql would, and tells the connection which one.
func (s suite) try(ctx context.Context, c *sqldriver.Conn, text string) error {
	raw := c.For(text)
	if e, ok := raw.(driver.ExecerContext); ok {
		if _, err := e.ExecContext(ctx, text, nil); !errors.Is(err, driver.ErrSkip) {
			return err
		}
	}
	stmt, err := prepare(ctx, raw, text)
	if err != nil {
		return err
	}
	if e, ok := stmt.(driver.StmtExecContext); ok {
		_, err = e.ExecContext(ctx, nil)
	} else {
		//lint:ignore SA1019 drivers that have only this can be pooled too
		_, err = stmt.Exec(nil)
	}
	return errors.Join(err, stmt.Close())
}

func prepare(ctx context.Context, c driver.Conn, text string) (driver.Stmt, error) {
	if p, ok := c.(driver.ConnPrepareContext); ok {
		return p.PrepareContext(ctx, text)
	}
	return c.Prepare(text)
}

func (s suite) exec(t *testing.T, c *sqldriver.Conn, text string) {
	t.Helper()
	if err := s.try(s.bounded(t), c, text); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

// query returns the first column of the only row, as text.
func (s suite) query(t *testing.T, c *sqldriver.Conn, text string) string {
	t.Helper()
	answer, err := s.ask(s.bounded(t), c.For(text), text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return answer
}

func (s suite) ask(ctx context.Context, raw driver.Conn, text string) (answer string, err error) {
	rows, err := s.rows(ctx, raw, text)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	row := make([]driver.Value, len(rows.Columns()))
	switch err := rows.Next(row); {
	case err == io.EOF:
		return "no row", nil
	case err != nil:
		return "", err
	}
	if b, ok := row[0].([]byte); ok {
		return string(b), nil
	}
	return fmt.Sprint(row[0]), nil
}

func (s suite) rows(ctx context.Context, raw driver.Conn, text string) (driver.Rows, error) {
	if q, ok := raw.(driver.QueryerContext); ok {
		if rows, err := q.QueryContext(ctx, text, nil); !errors.Is(err, driver.ErrSkip) {
			return rows, err
		}
	}
	stmt, err := prepare(ctx, raw, text)
	if err != nil {
		return nil, err
	}
	if q, ok := stmt.(driver.StmtQueryContext); ok {
		return q.QueryContext(ctx, nil)
	}
	//lint:ignore SA1019 drivers that have only this can be pooled too
	return stmt.Query(nil)
}
