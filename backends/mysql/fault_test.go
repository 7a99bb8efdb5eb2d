package mysql_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	gomysql "github.com/go-sql-driver/mysql"

	"github.com/lidopool/lido/backends/backendtest"
	"github.com/lidopool/lido/backends/mysql"
	"github.com/lidopool/lido/backends/servertest"
	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/pool"
)

// id is the number by which the server knows a connection.
func id(t *testing.T, c *sqldriver.Conn) string { return query(t, c, "SELECT CONNECTION_ID()") }

// during runs a text that sleeps, has do done when the server is at it, and returns the error.
func during(t *testing.T, observer, c *sqldriver.Conn, text string, do func()) error {
	t.Helper()
	number := id(t, c)
	done := make(chan error, 1)
	go func() { done <- try(c, text) }()
	until(t, "the server executes "+text, func() bool {
		return query(t, observer, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE COMMAND='Query' AND STATE='User sleep' AND ID="+number) == "1"
	})
	do()
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		t.Fatalf("%s does not end", text)
		return nil
	}
}

// user creates a user who may not do everything, and returns the DSN.
func user(t *testing.T, s *servertest.Server, c *sqldriver.Conn, name, options string) string {
	t.Helper()
	exec(t, c, fmt.Sprintf("CREATE USER %s IDENTIFIED BY 'pw' %s", name, options))
	exec(t, c, fmt.Sprintf("GRANT SELECT, INSERT, UPDATE, CREATE ON *.* TO %s", name))
	config, err := gomysql.ParseDSN(s.DSN())
	if err != nil {
		t.Fatal(err)
	}
	config.User, config.Passwd = name, "pw"
	return config.FormatDSN()
}

func wantClass(t *testing.T, b pool.Backend[*sqldriver.Conn], err error, want pool.Fault) {
	t.Helper()
	t.Logf("%v: %v", want, err)
	if err == nil {
		t.Errorf("no error, want one that means %v", want)
	} else if got := b.Classify(err); got != want {
		t.Errorf("Classify(%v) = %v, want %v", err, got, want)
	}
}

// number is the number of the server's error; 0 if it has none.
func number(err error) uint16 {
	if e, ok := errors.AsType[*gomysql.MySQLError](err); ok {
		return e.Number
	}
	return 0
}

func wantNumber(t *testing.T, err error, want uint16) {
	t.Helper()
	if got := number(err); got != want {
		t.Errorf("got error %d (%v), want %d", got, err, want)
	}
}

func TestAnIdleConnectionThatWasKilledIsDead(t *testing.T) {
	s := servertest.MySQL(t)
	b := backend(t, mysql.Backend{}, s.Database(t))
	observer, c := connect(t, b), connect(t, b)
	exec(t, observer, "KILL "+id(t, c))
	wantClass(t, b, try(c, "DO 1"), pool.Dead)
	wantClass(t, b, try(c, "DO 1"), pool.Dead) // as the driver says from then on
	wantClass(t, b, b.Reset(t.Context(), c), pool.Dead)
}

func TestAConnectionKilledInItsQueryIsDead(t *testing.T) {
	s := servertest.MySQL(t)
	b := backend(t, mysql.Backend{}, s.Database(t))
	observer, c := connect(t, b), connect(t, b)
	number := id(t, c)
	err := during(t, observer, c, "DO SLEEP(100)", func() { exec(t, observer, "KILL "+number) })
	wantClass(t, b, err, pool.Dead)
}

func TestAQueryThatWasKilledLeavesItsConnectionSound(t *testing.T) {
	s := servertest.MySQL(t)
	b := backend(t, mysql.Backend{}, s.Database(t))
	observer, c := connect(t, b), connect(t, b)
	exec(t, c, "CREATE TABLE t(x INT)")
	exec(t, c, "INSERT INTO t VALUES (1)")
	number := id(t, c)
	// A sleep that is all of a SELECT ends without an error in MySQL.
	err := during(t, observer, c, "UPDATE t SET x=2 WHERE SLEEP(100)", func() { exec(t, observer, "KILL QUERY "+number) })
	wantNumber(t, err, 1317)
	wantClass(t, b, err, pool.Sound)
	exec(t, c, "DO 1")
}

func TestAConnectionWhoseQueryMetItsDeadlineFailsItsReset(t *testing.T) {
	s := servertest.MySQL(t)
	b := backend(t, mysql.Backend{}, s.Database(t))
	c := connect(t, b)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond) // real: the server must be in mid-work
	defer cancel()
	err := tryCtx(ctx, c, "DO SLEEP(100)")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the end of the context", err)
	}
	wantClass(t, b, err, pool.Sound) // it speaks of the caller
	wantClass(t, b, b.Reset(t.Context(), c), pool.Dead)
}

func TestConnectionsOfAServerThatWasKilledAreDead(t *testing.T) {
	s := servertest.OwnMySQL(t)
	b := backend(t, mysql.Backend{}, s.DSN())
	observer, c, idle := connect(t, b), connect(t, b), connect(t, b)
	err := during(t, observer, c, "DO SLEEP(100)", s.Kill)
	wantClass(t, b, err, pool.Dead)
	wantClass(t, b, try(idle, "DO 1"), pool.Dead)

	_, err = b.Open(t.Context())
	if !strings.Contains(fmt.Sprint(err), "refused") || b.Classify(err) == pool.Full {
		t.Errorf("Open of a server that is gone: %v, %v, want a refusal that is not Full", err, b.Classify(err))
	}
}

func TestConnectionsOfAServerThatShutsDownAreDead(t *testing.T) {
	s := servertest.OwnMySQL(t)
	b := backend(t, mysql.Backend{}, s.DSN())
	observer, c, idle := connect(t, b), connect(t, b), connect(t, b)
	err := during(t, observer, c, "DO SLEEP(100)", s.Stop)
	if got := b.Classify(err); got != pool.Dead && got != pool.AllDead {
		t.Errorf("Classify(%v) = %v, want Dead or AllDead", err, got)
	}
	t.Log(err)
	wantClass(t, b, try(idle, "DO 1"), pool.Dead)
}

func TestAResultThatBreaksOffMeansDead(t *testing.T) {
	s := servertest.MySQL(t)
	dsn := s.Database(t)
	proxy := backendtest.NewProxy(t, s.Addr())
	b := backend(t, mysql.Backend{}, servertest.Redirect(dsn, proxy.Addr()))
	c := connect(t, b)
	proxy.CutAfter(100_000)
	rows, err := c.Raw().(driver.QueryerContext).QueryContext(t.Context(), thousand, nil)
	if err != nil {
		t.Fatal(err)
	}
	for n, row := 0, make([]driver.Value, 1); err == nil; n++ {
		err = rows.Next(row)
	}
	if err == io.EOF {
		t.Error("the rows ended as if they were all")
	}
	wantClass(t, b, err, pool.Dead)
}

func TestAConnectionThatWasResetIsDead(t *testing.T) {
	s := servertest.MySQL(t)
	dsn := s.Database(t)
	proxy := backendtest.NewProxy(t, s.Addr())
	b := backend(t, mysql.Backend{}, servertest.Redirect(dsn, proxy.Addr()))
	c := connect(t, b)
	proxy.Reset()
	wantClass(t, b, try(c, "DO 1"), pool.Dead)
}

func TestAServerWithoutRoomIsFull(t *testing.T) {
	s := servertest.OwnMySQL(t, "max_connections=10")
	root := connect(t, backend(t, mysql.Backend{}, s.DSN()))
	b := backend(t, mysql.Backend{}, user(t, s, root, "app", ""))
	open := func() error {
		c, err := b.Open(t.Context())
		if err == nil {
			t.Cleanup(func() { _ = b.Close(context.Background(), c) })
		}
		return err
	}
	var err error
	for range 20 {
		if err = open(); err != nil {
			break
		}
	}
	wantNumber(t, err, 1040)
	wantClass(t, b, err, pool.Full)
	if !strings.Contains(err.Error(), "make the pools smaller") {
		t.Errorf("%v: want a remedy", err)
	}
}

func TestAUserWithoutRoomIsFull(t *testing.T) {
	s := servertest.OwnMySQL(t, "max_user_connections=2")
	root := connect(t, backend(t, mysql.Backend{}, s.DSN()))
	for name, want := range map[string]uint16{"app": 1203, "bob": 1226} {
		options := ""
		if want == 1226 {
			options = "WITH MAX_USER_CONNECTIONS 1"
		}
		b := backend(t, mysql.Backend{}, user(t, s, root, name, options))
		var err error
		for range 3 {
			c, e := b.Open(t.Context())
			if err = e; err != nil {
				break
			}
			t.Cleanup(func() { _ = b.Close(context.Background(), c) })
		}
		wantNumber(t, err, want)
		wantClass(t, b, err, pool.Full)
	}
}

func TestTheConnectionToADemotedPrimaryIsDeadAtTheFirstWrite(t *testing.T) {
	s := servertest.OwnMySQL(t)
	root := connect(t, backend(t, mysql.Backend{}, s.DSN()))
	exec(t, root, "CREATE TABLE t(x INT)")
	b := backend(t, mysql.Backend{}, user(t, s, root, "app", ""))
	c := connect(t, b)
	exec(t, c, "INSERT INTO t VALUES (1)")
	exec(t, root, "SET GLOBAL read_only=1")
	wantQuery(t, c, "SELECT x FROM t", "1")
	err := try(c, "INSERT INTO t VALUES (2)")
	wantNumber(t, err, 1290)
	wantClass(t, b, err, pool.Dead)
}

func TestOtherOptionsThatPreventAStatementLeaveTheConnectionSound(t *testing.T) {
	s := servertest.OwnMySQL(t, "secure-file-priv=/usr")
	b := backend(t, mysql.Backend{}, s.DSN())
	err := try(connect(t, b), "SELECT 1 INTO OUTFILE '/tmp/x'")
	wantNumber(t, err, 1290)
	wantClass(t, b, err, pool.Sound)
}

func TestAWriteInAReadOnlyTransactionLeavesTheConnectionSound(t *testing.T) {
	b := backend(t, mysql.Backend{}, servertest.MySQL(t).Database(t))
	c := connect(t, b)
	exec(t, c, "CREATE TABLE t(x INT)")
	if _, err := c.BeginTx(t.Context(), driver.TxOptions{ReadOnly: true}); err != nil {
		t.Fatal(err)
	}
	err := try(c, "INSERT INTO t VALUES (1)")
	wantNumber(t, err, 1792)
	wantClass(t, b, err, pool.Sound)
}

func TestWhatEndsAStatementLeavesTheConnectionSound(t *testing.T) {
	b := backend(t, mysql.Backend{}, servertest.MySQL(t).Database(t))
	a, c := connect(t, b), connect(t, b)
	exec(t, a, "CREATE TABLE t(x INT PRIMARY KEY, y INT)")
	exec(t, a, "INSERT INTO t VALUES (1, 0), (2, 0)")
	for _, conn := range []*sqldriver.Conn{a, c} {
		exec(t, conn, "BEGIN")
	}
	exec(t, a, "UPDATE t SET y=1 WHERE x=1")
	exec(t, c, "UPDATE t SET y=1 WHERE x=2")

	exec(t, c, "SET innodb_lock_wait_timeout=0")
	err := try(c, "UPDATE t SET y=2 WHERE x=1")
	wantNumber(t, err, 1205)
	wantClass(t, b, err, pool.Sound)
	exec(t, c, "SET innodb_lock_wait_timeout=100")

	// One of the two must yield.
	first := make(chan error, 1)
	go func() { first <- try(a, "UPDATE t SET y=2 WHERE x=2") }()
	second := try(c, "UPDATE t SET y=2 WHERE x=1")
	victim := second
	select {
	case err := <-first:
		if err != nil {
			victim = err
		}
	case <-time.After(patience):
		t.Fatal("the deadlock is not found")
	}
	wantNumber(t, victim, 1213)
	wantClass(t, b, victim, pool.Sound)

	for text, want := range map[string]uint16{"INSERT INTO nowhere VALUES (1)": 1146, "SELEKT": 1064, "CREATE TABLE t(x INT)": 1050} {
		err := try(c, text)
		wantNumber(t, err, want)
		wantClass(t, b, err, pool.Sound)
	}
}

func TestAPacketThatIsTooLargeForTheServerCostsItsConnection(t *testing.T) {
	s := servertest.OwnMySQL(t, "max_allowed_packet=1M")
	b := backend(t, mysql.Backend{}, s.DSN())
	err := try(connect(t, b), "DO '"+strings.Repeat("x", 2<<20)+"'")
	wantClass(t, b, err, pool.Dead)

	asks := backend(t, mysql.Backend{}, s.DSN()+"?maxAllowedPacket=0") // then the driver knows the server's limit
	c := connect(t, asks)
	err = try(c, "DO '"+strings.Repeat("x", 2<<20)+"'")
	if !errors.Is(err, gomysql.ErrPktTooLarge) {
		t.Errorf("got %v, want the driver's own refusal", err)
	}
	wantClass(t, b, err, pool.Sound)
	exec(t, c, "DO 1")
}

func TestAConnectionIdleForTooLongIsFoundDeadByTheCheck(t *testing.T) {
	b := backend(t, mysql.Backend{}, servertest.MySQL(t).Database(t)+"?wait_timeout=1")
	c := connect(t, b)
	check := b.(pool.Checker[*sqldriver.Conn])
	if err := check.Check(t.Context(), c); err != nil {
		t.Errorf("Check of a fresh connection: %v, want nil", err)
	}
	until(t, "the server closes the connection", func() bool { return check.Check(t.Context(), c) != nil }) // in a second, its least timeout
	wantClass(t, b, check.Check(t.Context(), c), pool.Dead)
}

// account creates a user of this test's alone on a server that others use too, and returns the DSN.
func account(t *testing.T, root *sqldriver.Conn, dsn string) (name, as string) {
	t.Helper()
	config, err := gomysql.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	config.User, config.Passwd = config.DBName, "pw" // the database is of this test alone
	exec(t, root, "CREATE USER "+config.User+" IDENTIFIED BY 'pw'")
	t.Cleanup(func() { exec(t, root, "DROP USER "+config.User) })
	exec(t, root, "GRANT ALL ON "+config.DBName+".* TO "+config.User)
	return config.User, config.FormatDSN()
}

func TestASessionWhosePasswordHasExpiredIsDead(t *testing.T) {
	dsn := servertest.MySQL(t).Database(t)
	root := connect(t, backend(t, mysql.Backend{}, dsn))
	if strings.Contains(query(t, root, "SELECT VERSION()"), "MariaDB") {
		t.Skip("MariaDB lets a session go on whose password has expired: set LIDO_TEST_MYSQL_DSN to a MySQL, as CONTRIBUTING.md says")
	}
	name, as := account(t, root, dsn)
	exec(t, root, "GRANT CREATE USER ON *.* TO "+name)
	b := backend(t, mysql.Backend{}, as)
	c := connect(t, b)
	exec(t, c, "ALTER USER CURRENT_USER() PASSWORD EXPIRE")
	exec(t, root, "ALTER USER "+name+" IDENTIFIED BY 'pw'")
	err := try(c, "DO 1")
	wantNumber(t, err, 1820)
	wantClass(t, b, err, pool.Dead) // one opened now works:
	exec(t, connect(t, b), "DO 1")
}

// What no server here says.
func TestClassifyKnowsTheNumbersOfOthers(t *testing.T) {
	for _, tt := range []struct {
		number  uint16
		state   string
		message string
		want    pool.Fault
	}{
		{1053, "08S01", "Server shutdown in progress", pool.AllDead},
		{1927, "70100", "Connection was killed", pool.Dead},
		{2006, "HY000", "MySQL server has gone away", pool.Dead},
		{2013, "HY000", "Lost connection to server during query", pool.Dead},
		{3169, "HY000", "Session was killed", pool.Dead},
		{4031, "HY000", "The client was disconnected by the server because of inactivity", pool.Dead},
		{1820, "HY000", "You must reset your password using ALTER USER statement before executing this statement.", pool.Dead},
		{1836, "HY000", "Running in read-only mode", pool.Dead},
		{1290, "HY000", "The MySQL server is running with the --super-read-only option so it cannot execute this statement", pool.Dead},
		{1047, "08S01", "WSREP has not yet prepared node for application use", pool.Dead},
		{1158, "08S01", "Got an error reading communication packets", pool.Dead},
		{1040, "08004", "Too many connections", pool.Full},
		{1064, "42000", "You have an error in your SQL syntax", pool.Sound},
	} {
		e := &gomysql.MySQLError{Number: tt.number, Message: tt.message}
		copy(e.SQLState[:], tt.state)
		if got := mysql.Classify(fmt.Errorf("wrapped: %w", e)); got != tt.want {
			t.Errorf("Classify(%v) = %v, want %v", e, got, tt.want)
		}
	}
	for err, want := range map[error]pool.Fault{
		gomysql.ErrInvalidConn: pool.Dead, gomysql.ErrMalformPkt: pool.Dead, gomysql.ErrPktSync: pool.Dead, gomysql.ErrPktSyncMul: pool.Dead,
		driver.ErrBadConn: pool.Dead, net.ErrClosed: pool.Dead, gomysql.ErrBusyBuffer: pool.Sound, context.Canceled: pool.Sound,
	} {
		if got := mysql.Classify(fmt.Errorf("wrapped: %w", err)); got != want {
			t.Errorf("Classify(%v) = %v, want %v", err, got, want)
		}
	}
}
