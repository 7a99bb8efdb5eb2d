//go:build unix

package setup_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Logs what it was asked for, and what keeps the packages quiet meanwhile; installs into the
// machine what the packages have, or downloads them as empty files.
const aptGetServers = `echo "$*" >>"$LOG"
[ ! -e "$LIDO_ROOT/usr/sbin/policy-rc.d" ] || echo "policy: $(cat "$LIDO_ROOT/usr/sbin/policy-rc.d")" >>"$LOG"
[ ! -e "$LIDO_ROOT/etc/postgresql-common/createcluster.d/lido.conf" ] || echo "cluster: $(cat "$LIDO_ROOT"/etc/postgresql-common/createcluster.d/lido.conf)" >>"$LOG"
case $1,$2 in
install,-s) echo 'Inst libpq5 (15.1 Debian:12 [amd64])'; echo 'Inst pgbouncer (1.18 Debian:12 [amd64])'; echo 'Conf libpq5 (15.1)' ;;
install,*) for p; do case $p in
	postgresql) f=usr/lib/postgresql/15/bin/postgres ;;
	mariadb-server-core) f=usr/sbin/mariadbd ;;
	pgbouncer) f=usr/sbin/pgbouncer ;;
	*) continue ;;
	esac; mkdir -p "$(dirname "$LIDO_ROOT/$f")"; : >"$LIDO_ROOT/$f"; chmod +x "$LIDO_ROOT/$f"; done ;;
download,*) : >libpq5.deb; : >pgbouncer.deb ;;
esac`

// newServerless is a fresh Debian without servers, used by root.
func newServerless(t *testing.T) *machine {
	m := newMachine(t)
	m.osRelease("ID=debian\n")
	m.user("0")
	for _, name := range []string{"mkdir", "chmod", "mv"} {
		m.tool(name)
	}
	m.command("apt-get", aptGetServers)
	m.set("LIDO_ROOT", t.TempDir())
	m.set("XDG_CACHE_HOME", t.TempDir())
	return m
}

func (m *machine) server(file string) { m.write(file, "") }

func (m *machine) allServers() {
	for _, name := range []string{"postgres", "mariadbd", "pgbouncer"} {
		m.command(name, "")
	}
}

func TestServersIsQuietWhenAllAreThere(t *testing.T) {
	for name, put := range map[string]func(m *machine){
		"in PATH": (*machine).allServers,
		"of Debian": func(m *machine) {
			root := m.get("LIDO_ROOT")
			m.server(root + "/usr/lib/postgresql/9.6/bin/postgres")
			m.server(root + "/usr/sbin/mariadbd")
			m.server(root + "/usr/sbin/pgbouncer")
		},
		"of Homebrew": func(m *machine) {
			root := m.get("LIDO_ROOT") + "/opt/homebrew/opt"
			m.server(root + "/postgresql@17/bin/postgres")
			m.server(root + "/mariadb/bin/mariadbd")
			m.server(root + "/pgbouncer/bin/pgbouncer")
		},
		"in the private prefix": func(m *machine) {
			root := m.get("XDG_CACHE_HOME") + "/lido/servers"
			m.server(root + "/usr/lib/postgresql/15/bin/postgres")
			m.server(root + "/usr/sbin/mariadbd")
			m.server(root + "/usr/sbin/pgbouncer")
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newServerless(t)
			put(m)
			m.command("show", `printf '%s|' "$@"; exit 7`)
			r := m.run("servers.sh", "show", "two words", "")
			r.wants(t, 7)
			if r.out != "two words||" || r.errout != "" || m.log() != "" {
				t.Errorf("the command printed %q, the script %q, apt-get was called with %q", r.out, r.errout, m.log())
			}
		})
	}
}

func TestServersInstallsForRootWhatIsMissingAndStartsNothing(t *testing.T) {
	m := newServerless(t)
	m.command("systemctl", `echo "systemctl $*" >>"$LOG"`)
	m.run("servers.sh").wants(t, 0, "no postgres mariadbd pgbouncer")
	quiet := "policy: exit 101\ncluster: create_main_cluster = false\n"
	want := "update -q\n" + quiet +
		"install -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 --no-remove postgresql mariadb-server-core pgbouncer\n" + quiet +
		"systemctl disable --quiet pgbouncer\n"
	if m.log() != want {
		t.Errorf("called\n%swant\n%s", m.log(), want)
	}
	for _, file := range []string{"/usr/sbin/policy-rc.d", "/etc/postgresql-common/createcluster.d/lido.conf"} {
		if _, err := os.Stat(m.get("LIDO_ROOT") + file); err == nil {
			t.Errorf("%s is left behind", file)
		}
	}
}

func TestServersInstallsOnlyWhatIsMissing(t *testing.T) {
	m := newServerless(t)
	m.command("mariadbd", "")
	m.command("pgbouncer", "")
	m.command("systemctl", `echo "systemctl $*" >>"$LOG"`)
	m.run("servers.sh").wants(t, 0)
	if !strings.Contains(m.log(), "--no-remove postgresql\n") || strings.Contains(m.log(), "systemctl") {
		t.Errorf("called\n%swant postgresql to be installed and nothing else", m.log())
	}
}

func TestServersKeepsThePolicyOfTheMachine(t *testing.T) {
	m := newServerless(t)
	policy := m.get("LIDO_ROOT") + "/usr/sbin/policy-rc.d"
	m.write(policy, "its own")
	m.run("servers.sh").wants(t, 0)
	if text, err := os.ReadFile(policy); err != nil || string(text) != "its own" {
		t.Errorf("policy-rc.d is %q, %v, want what it was", text, err)
	}
}

func TestServersCleansUpWhenInstallingFails(t *testing.T) {
	m := newServerless(t)
	m.command("apt-get", "echo 'no such package' >&2; exit 100")
	m.run("servers.sh", "touch", "ran").wants(t, 2, "no such package", "apt-get could not install postgresql mariadb-server-core pgbouncer")
	if _, err := os.Stat(m.get("LIDO_ROOT") + "/usr/sbin/policy-rc.d"); err == nil {
		t.Error("policy-rc.d is left behind: no package could start a service any more")
	}
	if _, err := os.Stat(filepath.Join(m.dir, "ran")); err == nil {
		t.Error("the command ran without servers")
	}
}

func TestServersUnpacksIntoThePrivatePrefixForOthersOnDebian(t *testing.T) {
	m := newServerless(t)
	m.user("1000")
	m.command("postgres", "")
	m.command("mariadbd", "")
	m.command("dpkg", `echo "dpkg $1 ${2##*/}" >>"$LOG"
case $2 in *pgbouncer.deb) mkdir -p "$3/usr/sbin"; : >"$3/usr/sbin/pgbouncer"; chmod +x "$3/usr/sbin/pgbouncer" ;; esac`)
	m.run("servers.sh").wants(t, 0, "unpacking pgbouncer into "+m.get("XDG_CACHE_HOME"))
	want := "install -s --no-install-recommends pgbouncer\ndownload -q libpq5 pgbouncer\ndpkg -x libpq5.deb\ndpkg -x pgbouncer.deb\n"
	if m.log() != want {
		t.Errorf("called\n%swant\n%s", m.log(), want)
	}
	left, _ := filepath.Glob(m.get("XDG_CACHE_HOME") + "/lido/servers*/*")
	if want := m.get("XDG_CACHE_HOME") + "/lido/servers/usr"; len(left) != 1 || left[0] != want {
		t.Errorf("left %q, want %s alone", left, want)
	}
	m.run("servers.sh").wants(t, 0) // finds them
	if m.log() != want {
		t.Errorf("called apt-get again:\n%s", m.log())
	}
}

func TestServersSaysWhatToInstallWhereItMayNot(t *testing.T) {
	for name, change := range map[string]func(*machine){
		"Fedora":          func(m *machine) { m.osRelease("ID=fedora\n") },
		"no os-release":   func(m *machine) { m.set("LIDO_OS_RELEASE", m.dir+"/none") },
		"without apt-get": func(m *machine) { os.Remove(filepath.Join(m.bin, "apt-get")) },
		"nothing to download": func(m *machine) {
			m.user("1000")
			m.command("apt-get", "exit 100")
			m.command("dpkg", "")
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newServerless(t)
			m.command("postgres", "")
			change(m)
			m.run("servers.sh", "touch", "ran").wants(t, 2, "no mariadbd pgbouncer on this machine",
				"sudo apt-get install", "sudo dnf install", "brew install", "LIDO_TEST_POSTGRES_DSN", "docs/compose.yaml")
			if _, err := os.Stat(filepath.Join(m.dir, "ran")); err == nil {
				t.Error("the command ran without servers")
			}
			if left, _ := filepath.Glob(m.get("XDG_CACHE_HOME") + "/lido/*"); len(left) > 0 {
				t.Errorf("left %q", left)
			}
		})
	}
}

func TestServersSaysThatADSNIsNotEnough(t *testing.T) {
	m := newServerless(t)
	m.osRelease("ID=fedora\n")
	m.set("LIDO_TEST_MYSQL_DSN", "u:s3cret@tcp(db)/x")
	r := m.run("servers.sh")
	r.wants(t, 2, "LIDO_TEST_MYSQL_DSN is set and will be used, but not by tests that kill their server")
	if strings.Contains(r.errout, "s3cret") || strings.Contains(r.errout, "LIDO_TEST_POSTGRES_DSN is set") {
		t.Errorf("says too much:\n%s", r.errout)
	}
}
