package servertest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"
)

type mariadb struct{}

func (mariadb) name() string { return "mariadb" }

// mariadbShare returns the directory with the SQL that makes the system's tables, which is beside
// the binary's.
func mariadbShare(b binary) (string, error) {
	for _, share := range []string{"mysql", "mariadb"} {
		dir := filepath.Join(filepath.Dir(b.file), "../share", share)
		if _, err := os.Stat(filepath.Join(dir, "mysql_system_tables.sql")); err == nil {
			return dir, nil
		}
	}
	return "", fmt.Errorf("no mysql_system_tables.sql in share/mysql or share/mariadb beside %s", b.file)
}

// mariadbTemplate is made once for the binary. mariadb-install-db, which does the same, is not in
// the package of the server alone.
var mariadbTemplate = sync.OnceValues(func() (string, error) {
	b, err := find("mariadbd")
	if err != nil {
		return "", err
	}
	share, err := mariadbShare(b)
	if err != nil {
		return "", err
	}
	r, err := theRoot()
	if err != nil {
		return "", err
	}
	dir, err := r.mkdir("template")
	if err != nil {
		return "", err
	}
	// Here a statement ends with its line.
	var script strings.Builder
	script.WriteString("CREATE DATABASE IF NOT EXISTS mysql;\nUSE mysql;\nSET @auth_root_socket=NULL;\n")
	for _, name := range []string{"mysql_system_tables.sql", "mysql_performance_tables.sql", "mysql_system_tables_data.sql", "maria_add_gis_sp_bootstrap.sql"} {
		text, err := os.ReadFile(filepath.Join(share, name))
		if err != nil {
			return "", err
		}
		script.Write(text)
		script.WriteByte('\n')
	}
	fmt.Fprintf(&script, "DELETE FROM global_priv WHERE User='';\nFLUSH PRIVILEGES;\n"+
		"CREATE USER '%s'@'%%' IDENTIFIED BY '%s';\nGRANT ALL ON *.* TO '%[1]s'@'%%' WITH GRANT OPTION;\nCREATE DATABASE %[1]s;\n", User, Password)
	file := filepath.Join(dir, "bootstrap.sql")
	if err := r.write(file, script.String()); err != nil {
		return "", err
	}
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		return "", err
	}
	if err := r.own(data); err != nil {
		return "", err
	}
	args := append(mariadbOptions(dir, share), "--bootstrap", "--enforce-storage-engine=", "--max-allowed-packet=8M")
	return dir, r.do(dir, b, file, args...)
})

func mariadbOptions(dir, share string) []string {
	return []string{"--no-defaults", "--datadir=" + filepath.Join(dir, "data"), "--tmpdir=" + dir,
		"--lc-messages-dir=" + share, "--character-sets-dir=" + filepath.Join(share, "charsets"),
		"--innodb-log-file-size=8M", "--innodb-buffer-pool-size=32M", "--innodb-use-native-aio=0",
		// The log is written at each commit, but not synced: a crash of the machine may cost
		// everything, that of the server costs nothing. It is also why the doublewrite buffer
		// stays: a process can be killed in the middle of a page.
		"--innodb-flush-log-at-trx-commit=2",
		"--performance-schema=OFF", "--skip-log-bin"}
}

func (mariadb) prepare(r *root, dir string) error {
	template, err := mariadbTemplate()
	if err != nil {
		return err
	}
	if err := certificate(r, dir); err != nil {
		return err
	}
	return r.do(dir, binary{file: "/bin/cp"}, "", "-R", "-p", filepath.Join(template, "data"), filepath.Join(dir, "data"))
}

func (mariadb) args(i *instance) (binary, []string, error) {
	b, err := find("mariadbd")
	if err != nil {
		return b, nil, err
	}
	share, err := mariadbShare(b)
	args := append(mariadbOptions(i.dir, share), "--socket="+i.path("socket"), "--port="+strconv.Itoa(i.port),
		"--bind-address=127.0.0.1", "--pid-file="+i.path("started"), "--skip-name-resolve",
		"--ssl-cert="+i.path("cert.pem"), "--ssl-key="+i.path("key.pem"),
		// A host that breaks off a hundred connections is barred otherwise, and tests do.
		"--max-connect-errors=1000000")
	for _, s := range i.settings {
		args = append(args, "--"+s)
	}
	return b, args, err
}

// The server listens before it writes its pid, and answers from then on: with its greeting, or an
// error when it is full.
func (mariadb) ready(i *instance) bool {
	text, err := os.ReadFile(i.path("started"))
	if err != nil || strings.TrimSpace(string(text)) != strconv.Itoa(i.cmd.Process.Pid) {
		return false
	}
	c, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(i.port)))
	if err != nil {
		return false
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	n, _ := c.Read(make([]byte, 1))
	return n == 1
}

func (mariadb) signals() (os.Signal, string) { return syscall.SIGTERM, "KILL" }

func (mariadb) dsn(addr string) string {
	c := mysql.NewConfig()
	c.User, c.Passwd, c.Net, c.Addr, c.DBName = User, Password, "tcp", addr, User
	return c.FormatDSN()
}
