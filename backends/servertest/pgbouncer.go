package servertest

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
)

type pgbouncer struct{ upstream string } // the DSN of the server behind it

func newPgBouncer(upstream string) pgbouncer { return pgbouncer{upstream} }

func (pgbouncer) name() string { return "pgbouncer" }

func (p pgbouncer) prepare(r *root, dir string) error {
	if _, err := find("pgbouncer"); err != nil {
		return err
	}
	u, err := url.Parse(p.upstream)
	if err != nil {
		return errors.New("the DSN of the server behind is no URL")
	}
	password, _ := u.User.Password()
	return r.write(dir+"/users", fmt.Sprintf("%q %q\n", u.User.Username(), password))
}

func (p pgbouncer) args(i *instance) (binary, []string, error) {
	b, err := find("pgbouncer")
	if err != nil {
		return b, nil, err
	}
	u, err := url.Parse(p.upstream)
	if err != nil {
		return b, nil, errors.New("the DSN of the server behind is no URL")
	}
	port := u.Port()
	if port == "" {
		port = "5432"
	}
	lines := append([]string{
		"[databases]",
		fmt.Sprintf("* = host=%s port=%s", u.Hostname(), port),
		"[pgbouncer]",
		"listen_addr=127.0.0.1", "listen_port=" + strconv.Itoa(i.port), "unix_socket_dir=",
		"auth_type=scram-sha-256", "auth_file=" + i.path("users"), "admin_users=" + u.User.Username(),
		"max_client_conn=1000",
		// How long it remembers that the server was away: 15 s by default.
		"server_login_retry=1",
	}, i.settings...)
	return b, []string{i.path("ini")}, i.root.write(i.path("ini"), strings.Join(lines, "\n")+"\n")
}

func (pgbouncer) ready(i *instance) bool {
	c, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(i.port)))
	if err != nil {
		return false
	}
	c.Close()
	return true
}

func (pgbouncer) signals() (os.Signal, string) { return syscall.SIGTERM, "KILL" }

func (p pgbouncer) dsn(addr string) string { return Redirect(p.upstream, addr) }
