package sqldriver_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"net"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/pool"
)

// journal is what a fake connection was asked to do, in order.
type journal struct {
	mu    sync.Mutex // two pooled connections may share one
	calls []string
	fail  map[string]error // by call
}

func (j *journal) note(call string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.calls = append(j.calls, call)
	return j.fail[call]
}

// bare is a driver connection that has nothing optional.
type bare struct{ *journal }

func (c bare) Prepare(query string) (driver.Stmt, error) {
	return stmt{c.journal, query}, c.note("prepare " + query)
}
func (c bare) Begin() (driver.Tx, error) {
	if err := c.note("begin"); err != nil {
		return nil, err
	}
	return fakeTx(c), nil
}
func (c bare) Close() error { return c.note("close") }

type stmt struct {
	*journal
	text string
}

func (s stmt) Close() error                               { return s.note("close stmt") }
func (s stmt) NumInput() int                              { return 0 }
func (s stmt) Query([]driver.Value) (driver.Rows, error)  { return nil, errors.New("not a query") }
func (s stmt) Exec([]driver.Value) (driver.Result, error) { return nil, s.note("exec " + s.text) }

type fakeTx struct{ *journal }

func (t fakeTx) Commit() error   { return t.note("commit") }
func (t fakeTx) Rollback() error { return t.note("rollback") }

// full is a driver connection that has everything optional.
type full struct {
	bare
	invalid *bool
	breaks  bool // ResetSession leaves the connection invalid, without saying so
}

func (c full) BeginTx(_ context.Context, o driver.TxOptions) (driver.Tx, error) {
	if err := c.note("begin tx"); err != nil {
		return nil, err
	}
	return fakeTx{c.journal}, nil
}
func (c full) ExecContext(_ context.Context, query string, _ []driver.NamedValue) (driver.Result, error) {
	return nil, c.note("exec context " + query)
}
func (c full) Ping(context.Context) error { return c.note("ping") }
func (c full) ResetSession(context.Context) error {
	*c.invalid = *c.invalid || c.breaks
	return c.note("reset session")
}
func (c full) IsValid() bool { return !*c.invalid }

// connector hands out one prepared connection.
type connector struct {
	conn driver.Conn
	err  error
}

func (c connector) Connect(context.Context) (driver.Conn, error) { return c.conn, c.err }
func (c connector) Driver() driver.Driver                        { return nil }

func newBare() (*journal, bare) {
	j := &journal{fail: map[string]error{}}
	return j, bare{j}
}

func newFull() (*journal, full) {
	j, b := newBare()
	return j, full{bare: b, invalid: new(bool)}
}

func open(t *testing.T, raw driver.Conn, o sqldriver.Options) (*sqldriver.Backend, *sqldriver.Conn) {
	t.Helper()
	b, err := sqldriver.New(connector{conn: raw}, o)
	if err != nil {
		t.Fatal(err)
	}
	c, err := b.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return b, c
}

func begin(t *testing.T, c *sqldriver.Conn) driver.Tx {
	t.Helper()
	tx, err := c.BeginTx(t.Context(), driver.TxOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return tx
}

func wantCalls(t *testing.T, j *journal, want ...string) {
	t.Helper()
	if len(j.calls)+len(want) > 0 && !reflect.DeepEqual(j.calls, want) {
		t.Errorf("the driver was asked for %q, want %q", j.calls, want)
	}
}

func TestResetWithNothingToDoAsksTheDriverForNothing(t *testing.T) {
	j, raw := newBare()
	b, c := open(t, raw, sqldriver.Options{})
	if err := b.Reset(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	wantCalls(t, j)
}

func TestResetEndsARememberedTransaction(t *testing.T) {
	for _, tt := range []struct {
		mode sqldriver.ResetMode
		want []string
	}{
		{"", []string{"begin", "rollback"}},
		{sqldriver.Rollback, []string{"begin", "rollback"}},
		{sqldriver.Commit, []string{"begin", "commit"}},
		{sqldriver.NoReset, []string{"begin"}},
	} {
		t.Run("mode "+string(tt.mode), func(t *testing.T) {
			j, raw := newBare()
			b, c := open(t, raw, sqldriver.Options{Reset: tt.mode})
			begin(t, c)
			if err := b.Reset(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			wantCalls(t, j, tt.want...)
			if got, want := c.InTx(), tt.mode == sqldriver.NoReset; got != want {
				t.Errorf("InTx after reset: got %v, want %v", got, want)
			}
		})
	}
}

func TestResetLeavesAnEndedTransactionAlone(t *testing.T) {
	for name, end := range map[string]func(driver.Tx) error{"commit": driver.Tx.Commit, "rollback": driver.Tx.Rollback} {
		t.Run(name, func(t *testing.T) {
			j, raw := newBare()
			b, c := open(t, raw, sqldriver.Options{})
			if err := end(begin(t, c)); err != nil {
				t.Fatal(err)
			}
			if c.InTx() {
				t.Error("InTx is true after the end of the transaction")
			}
			if err := b.Reset(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			wantCalls(t, j, "begin", name)
		})
	}
}

func TestTxDoesNothingAfterResetSoThatItCannotHitTheNextHolder(t *testing.T) {
	j, raw := newBare()
	b, c := open(t, raw, sqldriver.Options{})
	old := begin(t, c)
	if err := b.Reset(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	begin(t, c) // the next holder's
	for _, end := range []func() error{old.Commit, old.Rollback} {
		if err := end(); !errors.Is(err, sql.ErrTxDone) {
			t.Errorf("a transaction ended by Reset answered %v, want sql.ErrTxDone", err)
		}
	}
	wantCalls(t, j, "begin", "rollback", "begin")
	if !c.InTx() {
		t.Error("the old transaction ended the next holder's")
	}
}

func TestResetFailsAfterARollbackThatFailed(t *testing.T) {
	boom := errors.New("boom")
	j, raw := newBare()
	j.fail["rollback"] = boom
	b, c := open(t, raw, sqldriver.Options{})
	if err := begin(t, c).Rollback(); !errors.Is(err, boom) {
		t.Fatalf("got %v, want the driver's error", err)
	}
	if err := b.Reset(t.Context(), c); !errors.Is(err, boom) {
		t.Errorf("Reset of a connection in doubt: got %v, want the rollback's error", err)
	}
}

func TestResetFailsAfterABeginThatCameTooLateAndCouldNotBeUndone(t *testing.T) {
	boom := errors.New("boom")
	j, raw := newBare()
	j.fail["rollback"] = boom
	b, c := open(t, raw, sqldriver.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.BeginTx(ctx, driver.TxOptions{}); err != context.Canceled {
		t.Fatalf("got %v, want the end of the context", err)
	}
	if err := b.Reset(t.Context(), c); !errors.Is(err, boom) {
		t.Errorf("Reset of a connection in doubt: got %v, want the rollback's error", err)
	}
}

func TestResetFailsIfItsRollbackFails(t *testing.T) {
	boom := errors.New("boom")
	j, raw := newBare()
	j.fail["rollback"] = boom
	b, c := open(t, raw, sqldriver.Options{})
	begin(t, c)
	if err := b.Reset(t.Context(), c); !errors.Is(err, boom) {
		t.Errorf("got %v, want the driver's error", err)
	}
}

func TestResetEndsATransactionBegunByText(t *testing.T) {
	for _, tt := range []struct {
		name  string
		mode  sqldriver.ResetMode
		execs bool
		skip  bool
		want  []string
	}{
		{"by exec context", "", true, false, []string{"exec context ROLLBACK"}},
		{"commit", sqldriver.Commit, true, false, []string{"exec context COMMIT"}},
		{"by statement", "", false, false, []string{"prepare ROLLBACK", "exec ROLLBACK", "close stmt"}},
		{"skipped", "", true, true, []string{"exec context ROLLBACK", "prepare ROLLBACK", "exec ROLLBACK", "close stmt"}},
		{"none", sqldriver.NoReset, true, false, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j, plain := newBare()
			var raw driver.Conn = plain
			if tt.execs {
				raw = execer{plain}
			}
			if tt.skip {
				j.fail["exec context ROLLBACK"] = driver.ErrSkip
			}
			dirty := func(driver.Conn) bool { // until something was executed
				return len(j.calls) == 0 || j.calls[len(j.calls)-1] == "begin"
			}
			b, c := open(t, raw, sqldriver.Options{Reset: tt.mode, Dirty: dirty})
			if err := b.Reset(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			wantCalls(t, j, tt.want...)
		})
	}
}

type execer struct{ bare }

func (c execer) ExecContext(_ context.Context, query string, _ []driver.NamedValue) (driver.Result, error) {
	return nil, c.note("exec context " + query)
}

func TestResetTrustsDirtyMoreThanItsMemory(t *testing.T) {
	j, raw := newBare()
	j.fail["rollback"] = errors.New("no transaction is active")
	b, c := open(t, raw, sqldriver.Options{Dirty: func(driver.Conn) bool { return false }})
	if err := begin(t, c).Rollback(); err == nil {
		t.Fatal("rollback was to fail")
	}
	begin(t, c)
	if c.InTx() {
		t.Error("InTx is true although the driver says that no transaction is open")
	}
	if err := b.Reset(t.Context(), c); err != nil {
		t.Errorf("Reset of a connection that the driver calls clean: %v", err)
	}
	wantCalls(t, j, "begin", "rollback", "begin")
}

func TestResetFailsIfTheTransactionOutlivesIt(t *testing.T) {
	_, raw := newBare()
	b, c := open(t, raw, sqldriver.Options{Dirty: func(driver.Conn) bool { return true }})
	if err := b.Reset(t.Context(), c); err == nil {
		t.Error("Reset succeeded although the driver still reports a transaction")
	}
}

func TestResetLeavesTheSessionToCheck(t *testing.T) {
	j, raw := newFull()
	b, c := open(t, raw, sqldriver.Options{})
	begin(t, c)
	if err := errors.Join(b.Reset(t.Context(), c), b.Check(t.Context(), c)); err != nil {
		t.Fatal(err)
	}
	wantCalls(t, j, "begin tx", "rollback", "reset session")
}

func TestCheckFailsIfTheDriverGivesTheSessionUp(t *testing.T) {
	j, raw := newFull()
	j.fail["reset session"] = driver.ErrBadConn
	b, c := open(t, raw, sqldriver.Options{})
	if err := b.Check(t.Context(), c); !errors.Is(err, driver.ErrBadConn) {
		t.Errorf("got %v, want driver.ErrBadConn", err)
	}
}

func TestCheckOfABackendsOwnNeedsNoDriver(t *testing.T) {
	j, raw := newFull()
	n := 0
	b, c := open(t, raw, sqldriver.Options{Check: func(context.Context, driver.Conn, net.Conn) error { n++; return nil }})
	if err := b.Check(t.Context(), c); err != nil || n != 1 || b.Checks() != pool.QuickCheck {
		t.Errorf("Check: %v after %d calls, %v, want one quick call", err, n, b.Checks())
	}
	wantCalls(t, j)
}

func TestResetFailsWithoutARoundTripIfTheConnectionIsInvalid(t *testing.T) {
	j, raw := newFull()
	b, c := open(t, raw, sqldriver.Options{})
	begin(t, c)
	*raw.invalid = true
	if err := b.Reset(t.Context(), c); !errors.Is(err, driver.ErrBadConn) {
		t.Errorf("got %v, want driver.ErrBadConn", err)
	}
	wantCalls(t, j, "begin tx")
}

func TestCheckFailsIfItLeavesTheConnectionInvalid(t *testing.T) {
	_, raw := newFull()
	raw.breaks = true
	b, c := open(t, raw, sqldriver.Options{})
	if err := b.Check(t.Context(), c); !errors.Is(err, driver.ErrBadConn) {
		t.Errorf("got %v, want driver.ErrBadConn", err)
	}
}

func beginsByText(query string) bool { return strings.Contains(query, "BEGIN") }

func TestResetRollsBackOnlyWhatATextMayHaveBegun(t *testing.T) {
	for _, tt := range []struct {
		name string
		mode sqldriver.ResetMode
		do   func(*sqldriver.Conn)
		want []string
	}{
		{"nothing", "", func(*sqldriver.Conn) {}, nil},
		{"a text that begins nothing", "", func(c *sqldriver.Conn) { c.For("SELECT 1") }, nil},
		{"no text", "", func(c *sqldriver.Conn) { c.For("") }, nil},
		{"a text that begins", "", func(c *sqldriver.Conn) { c.For("BEGIN") }, []string{"exec context ROLLBACK"}},
		{"raw", "", func(c *sqldriver.Conn) { c.Raw() }, []string{"exec context ROLLBACK"}},
		{"to be committed", sqldriver.Commit, func(c *sqldriver.Conn) { c.For("BEGIN") }, []string{"exec context COMMIT"}},
		{"to be left", sqldriver.NoReset, func(c *sqldriver.Conn) { c.For("BEGIN") }, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j, raw := newFull()
			b, c := open(t, raw, sqldriver.Options{Reset: tt.mode, Begins: beginsByText})
			tt.do(c)
			for range 2 { // the second finds nothing more to do
				if err := b.Reset(t.Context(), c); err != nil {
					t.Fatal(err)
				}
			}
			wantCalls(t, j, tt.want...)
		})
	}
}

func TestATextThatComesAgainIsNotLookedAtAgain(t *testing.T) {
	var looked []string
	_, raw := newFull()
	b, c := open(t, raw, sqldriver.Options{Begins: func(query string) bool {
		looked = append(looked, query)
		return query == "BEGIN"
	}})
	long := strings.Repeat("SELECT 1", 10_000)
	for _, query := range []string{"SELECT 1", "SELECT 1", strings.Clone("SELECT 1"), "SELECT 2", "SELECT 1", "BEGIN", "BEGIN", long, long} {
		c.For(query)
		if err := b.Reset(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"SELECT 1", "SELECT 2", "SELECT 1", "BEGIN", "BEGIN", long, long}; !slices.Equal(looked, want) {
		t.Errorf("looked at %.60q, want %.60q: each text once while it is the same, unless it begins something or is not worth keeping", looked, want)
	}
}

func TestFullResetIsMadeOnceAfterAnyUse(t *testing.T) {
	n := 0
	o := sqldriver.Options{Reset: sqldriver.Full, Full: func(context.Context, driver.Conn, net.Conn) error { n++; return nil }}
	for _, use := range []func(*sqldriver.Conn){
		func(c *sqldriver.Conn) { c.For("SELECT 1") },
		func(c *sqldriver.Conn) { c.Raw() },
		func(c *sqldriver.Conn) { begin(t, c) },
	} {
		n = 0
		_, raw := newFull()
		b, c := open(t, raw, o)
		for _, use := range []func(*sqldriver.Conn){func(*sqldriver.Conn) {}, use, func(*sqldriver.Conn) {}} {
			use(c)
			if err := b.Reset(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		if n != 1 || c.InTx() {
			t.Errorf("%d full resets after one use and three returns, in a transaction: %v; want 1, false", n, c.InTx())
		}
	}
	if _, err := sqldriver.New(connector{}, sqldriver.Options{Reset: sqldriver.Full}); err == nil {
		t.Error("New took the mode full for a backend that cannot")
	}
}

func TestValidateRefusesAConnectionAtItsOpenAndAtItsPing(t *testing.T) {
	j, raw := newFull()
	var refuse error
	o := sqldriver.Options{Validate: func(context.Context, driver.Conn) error { return refuse }}
	b, c := open(t, raw, o)
	refuse = errTest
	if err := b.Ping(t.Context(), c); !errors.Is(err, errTest) || b.Classify(err) != pool.Dead {
		t.Errorf("Ping: %v, %v, want the refusal, which makes the connection dead", err, b.Classify(err))
	}
	if _, err := b.Open(t.Context()); !errors.Is(err, errTest) {
		t.Errorf("Open: %v, want the refusal", err)
	}
	wantCalls(t, j, "ping", "close")
}

// frozen is a driver's connection that reads from a socket and does not heed ctx.
type frozen struct {
	full
	socket net.Conn
}

func (f frozen) Ping(context.Context) error {
	_, err := f.socket.Read(make([]byte, 1))
	return err
}

type dialer struct {
	connector
	socket net.Conn
}

func (d dialer) Dial(context.Context) (driver.Conn, net.Conn, error) { return d.conn, d.socket, d.err }

func TestWhatTheSocketOfADialerWaitsForEndsWithCtx(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		_, raw := newFull()
		b, err := sqldriver.New(dialer{connector{conn: frozen{raw, near}}, near}, sqldriver.Options{})
		if err != nil {
			t.Fatal(err)
		}
		c, err := b.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		if err := b.Ping(ctx, c); b.Classify(err) != pool.Dead || time.Since(begun) != time.Second {
			t.Errorf("Ping: %v after %v, want a dead connection after 1s", err, time.Since(begun))
		}
	})
}

// slow is a driver's connection whose calls read from a socket and do not heed ctx.
type slow struct {
	full
	begins bool // its begin reads nothing
	socket net.Conn
}

func (s slow) read() error {
	_, err := s.socket.Read(make([]byte, 1))
	return err
}

func (s slow) BeginTx(context.Context, driver.TxOptions) (driver.Tx, error) {
	if s.begins {
		return s, nil
	}
	return s, s.read()
}

func (s slow) Commit() error   { return s.read() }
func (s slow) Rollback() error { return s.read() }

// openSlow opens a slow connection of a backend with a Grace of 2 s, and returns the server's end of it.
func openSlow(t *testing.T, begins bool) (*sqldriver.Backend, *sqldriver.Conn, net.Conn) {
	t.Helper()
	near, far := net.Pipe()
	t.Cleanup(func() { far.Close() })
	_, raw := newFull()
	b, err := sqldriver.New(dialer{connector{conn: slow{raw, begins, near}}, near}, sqldriver.Options{Grace: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	c, err := b.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return b, c, far
}

func TestBeginTxEndsWithItsContextThoughTheDriverDoesNotHeedIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, c, _ := openSlow(t, false)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		_, err := c.BeginTx(ctx, driver.TxOptions{})
		if b.Classify(err) != pool.Dead || !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != time.Second {
			t.Errorf("BeginTx: %v after %v, want the end of the ctx and a dead connection after 1s", err, time.Since(begun))
		}
	})
}

func TestTheEndOfATransactionHasItsGraceAfterTheContextOfTheBegin(t *testing.T) {
	for name, end := range map[string]func(driver.Tx) error{"Commit": driver.Tx.Commit, "Rollback": driver.Tx.Rollback} {
		t.Run(name, func(t *testing.T) {
			for _, tt := range []struct {
				what          string
				ctx, answer   time.Duration // when they come, if they do
				returns       time.Duration
				lost, without bool
			}{
				{"silence", time.Second, 0, 3 * time.Second, true, false},
				{"silence after the ctx", -1, 0, 2 * time.Second, true, false},
				{"an answer within the grace", time.Second, 2 * time.Second, 2 * time.Second, false, false},
				{"an answer before the ctx ends", time.Minute, time.Second, time.Second, false, false},
				{"a late answer, and a ctx that does not end", 0, time.Hour, time.Hour, false, true},
			} {
				synctest.Test(t, func(t *testing.T) {
					b, c, far := openSlow(t, true)
					ctx, cancel := context.WithCancel(t.Context())
					if tt.without {
						ctx = context.Background()
					}
					defer cancel()
					tx, err := c.BeginTx(ctx, driver.TxOptions{})
					if err != nil {
						t.Fatal(err)
					}
					switch {
					case tt.ctx < 0:
						cancel()
					case tt.ctx > 0:
						defer time.AfterFunc(tt.ctx, cancel).Stop()
					}
					if tt.answer > 0 {
						time.AfterFunc(tt.answer, func() { far.Write([]byte{0}) })
					}
					begun := time.Now()
					err = end(tx)
					if took := time.Since(begun); took != tt.returns || (err != nil) != tt.lost || tt.lost && b.Classify(err) != pool.Dead {
						t.Errorf("%s: %v after %v, want an error that means dead: %v, after %v", tt.what, err, took, tt.lost, tt.returns)
					}
					if tt.lost {
						return
					}
					time.AfterFunc(time.Hour, func() { far.Write([]byte{0}) })
					if tx, err = c.BeginTx(context.Background(), driver.TxOptions{}); err != nil || tx.Commit() != nil {
						t.Errorf("%s: the connection has a limit afterwards: %v", tt.what, err)
					}
				})
			}
		})
	}
}

func TestBeginTxKeepsTheRulesOfDatabaseSQLForADriverWithOnlyBegin(t *testing.T) {
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range []struct {
		name string
		ctx  context.Context
		opts driver.TxOptions
		want []string
	}{
		{"isolation", t.Context(), driver.TxOptions{Isolation: driver.IsolationLevel(sql.LevelSerializable)}, nil},
		{"read only", t.Context(), driver.TxOptions{ReadOnly: true}, nil},
		{"canceled", canceled, driver.TxOptions{}, []string{"begin", "rollback"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j, raw := newBare()
			_, c := open(t, raw, sqldriver.Options{})
			tx, err := c.BeginTx(tt.ctx, tt.opts)
			if err == nil || tx != nil {
				t.Errorf("BeginTx returned (%v, %v), want an error", tx, err)
			}
			if c.InTx() {
				t.Error("a BeginTx that failed left a transaction remembered")
			}
			wantCalls(t, j, tt.want...)
		})
	}
}

func TestBeginTxReturnsTheDriversErrorItself(t *testing.T) {
	boom := errors.New("boom")
	j, raw := newFull()
	j.fail["begin tx"] = boom
	_, c := open(t, raw, sqldriver.Options{})
	if _, err := c.BeginTx(t.Context(), driver.TxOptions{ReadOnly: true}); err != boom {
		t.Errorf("got %v, want the driver's own error, which database/sql compares", err)
	}
}

// Of a shared connection one holder may have Raw in hand while another returns.
func TestCleanLooksAgainAtWhatMayStillBeBegun(t *testing.T) {
	for name, o := range map[string]sqldriver.Options{
		"Dirty": {}, "Dirty and Begins": {Begins: func(string) bool { return false }},
	} {
		within := false
		o.Dirty = func(driver.Conn) bool { return within }
		_, raw := newFull()
		b, c := open(t, raw, o)
		c.Raw()
		if !b.Clean(c) {
			t.Errorf("%s: not clean, though the driver says so", name)
		}
		within = true
		if b.Clean(c) {
			t.Errorf("%s: clean, though a transaction was begun behind Raw", name)
		}
	}
}

func TestCheckAfterSparesWhatWasUsedJustNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		_, raw := newFull()
		b, c := open(t, raw, sqldriver.Options{
			CheckAfter: time.Second,
			Check:      func(context.Context, driver.Conn, net.Conn) error { n++; return nil },
		})
		for _, giveBack := range []func() bool{
			func() bool { return b.Clean(c) },
			func() bool { return b.Reset(t.Context(), c) == nil },
		} {
			n = 0
			for i, idle := range []time.Duration{time.Second - 1, time.Second} {
				if !giveBack() {
					t.Fatal("not clean")
				}
				time.Sleep(idle)
				if err := b.Check(t.Context(), c); err != nil || n != i {
					t.Errorf("idle for %v: %d checks, %v, want %d", idle, n, err, i)
				}
			}
		}
	})
}

func TestACutEndsACallThatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c, _ := openSlow(t, false)
		begun := make(chan error)
		go func() { _, err := c.BeginTx(context.Background(), driver.TxOptions{}); begun <- err }()
		synctest.Wait()
		if !c.Cut() {
			t.Error("a connection whose socket is known could not be cut")
		}
		if err := <-begun; err == nil {
			t.Error("a call went well on a connection that was cut")
		}
		_, raw := newFull()
		if _, c := open(t, raw, sqldriver.Options{}); c.Cut() {
			t.Error("a connection whose socket is not known was cut")
		}
	})
}
