package servertest

import (
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

type postgres struct{}

func (postgres) name() string { return "postgres" }

// postgresTemplate is made once for the binary: initdb takes most of a second, a copy a tenth of
// that.
var postgresTemplate = sync.OnceValues(func() (string, error) {
	b, err := find("postgres")
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
	password := filepath.Join(dir, "password")
	if err := r.write(password, Password); err != nil {
		return "", err
	}
	return dir, r.do(dir, b.sibling("initdb"), "", "-D", filepath.Join(dir, "data"), "-U", User,
		"-A", "scram-sha-256", "--pwfile", password, "-E", "UTF8", "--locale=C", "-N")
})

func (postgres) prepare(r *root, dir string) error {
	template, err := postgresTemplate()
	if err != nil {
		return err
	}
	if err := certificate(r, dir); err != nil {
		return err
	}
	return r.do(dir, binary{file: "/bin/cp"}, "", "-R", "-p", filepath.Join(template, "data"), filepath.Join(dir, "data"))
}

func (postgres) args(i *instance) (binary, []string, error) {
	b, err := find("postgres")
	args := []string{"-D", i.path("data"), "-k", i.dir, "-p", strconv.Itoa(i.port)}
	for _, s := range append([]string{
		"listen_addresses=127.0.0.1",
		"ssl=on", "ssl_cert_file=" + i.path("cert.pem"), "ssl_key_file=" + i.path("key.pem"),
		"shared_buffers=32MB", "max_connections=100",
		// A crash of the machine may cost everything. That of the server costs nothing that was
		// committed, so full_page_writes and synchronous_commit stay on: a process can be killed in
		// the middle of a page.
		"fsync=off",
		// In files, which are removed with all others, not in segments of the kernel's.
		"dynamic_shared_memory_type=mmap",
	}, i.settings...) {
		args = append(args, "-c", s)
	}
	return b, args, err
}

// Line 1 of postmaster.pid is the process, line 8 its state.
func (postgres) ready(i *instance) bool {
	text, err := os.ReadFile(i.path("data/postmaster.pid"))
	if err != nil {
		return false
	}
	lines := strings.Split(string(text), "\n")
	return len(lines) > 7 && lines[0] == strconv.Itoa(i.cmd.Process.Pid) && strings.TrimSpace(lines[7]) == "ready"
}

func (postgres) signals() (os.Signal, string) { return syscall.SIGINT, "QUIT" }

func (postgres) dsn(addr string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(User, Password), Host: addr, Path: "/postgres", RawQuery: "sslmode=disable"}
	return u.String()
}
