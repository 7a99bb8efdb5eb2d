//go:build unix

package setup_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	worksFine     = "exit 0"
	withoutHeader = "echo 'fatal error: stdlib.h: No such file or directory' >&2; exit 1"
	// Logs what it was asked for; installs a gcc that works.
	aptGet = `echo "$DEBIAN_FRONTEND: $*" >>"$LOG"
case $1 in install) printf '#!/bin/sh\nexit 0\n' >"$BIN/gcc"; chmod +x "$BIN/gcc" ;; esac`
)

// newDebian is a fresh Debian with Go and nothing else, used by root.
func newDebian(t *testing.T) *machine {
	m := newMachine(t)
	m.osRelease("PRETTY_NAME=\"Debian GNU/Linux 12\"\nID=debian\n")
	m.user("0")
	m.goVersion("go1.99.1")
	m.command("apt-get", aptGet)
	if err := os.Symlink("/bin/chmod", filepath.Join(m.bin, "chmod")); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *machine) user(id string) { m.command("id", "echo "+id) }

func (m *machine) goVersion(v string) {
	m.command("go", `case $2 in GOVERSION) echo '`+v+`' ;; CC) echo "${CC:-gcc}" ;; esac`)
}

func (m *machine) osRelease(text string) {
	m.write("os-release", text)
	m.set("LIDO_OS_RELEASE", filepath.Join(m.dir, "os-release"))
}

func TestSetupIsQuietWhenAllIsWell(t *testing.T) {
	m := newDebian(t)
	m.command("gcc", worksFine)
	r := m.run("cc.sh")
	r.wants(t, 0)
	if r.out+r.errout != "" || m.log() != "" {
		t.Errorf("said %q and called apt-get %q, want nothing", r.out+r.errout, m.log())
	}
}

func TestSetupRunsTheCommandWithTheCompilerItFound(t *testing.T) {
	m := newDebian(t)
	m.command("clang", worksFine)
	m.command("show", `printf '%s|' "$CC" "$CGO_ENABLED" "$@"; exit 7`)
	r := m.run("cc.sh", "show", "two words", "")
	r.wants(t, 7)
	if want := "clang|1|two words||"; r.out != want {
		t.Errorf("the command got %q, want %q", r.out, want)
	}
}

func TestSetupPrefersTheCompilerNamedInCC(t *testing.T) {
	m := newDebian(t)
	m.command("gcc", worksFine)
	m.command("mycc", `[ "$1" = -pipe ]`)
	m.command("show", `echo "$CC"`)
	m.set("CC", "mycc -pipe")
	r := m.run("cc.sh", "show")
	r.wants(t, 0)
	if r.out != "mycc -pipe\n" {
		t.Errorf("CC = %q, want the one that was named", r.out)
	}
}

func TestSetupSaysSoWhenTheCompilerNamedInCCDoesNotWork(t *testing.T) {
	m := newDebian(t)
	m.command("gcc", worksFine)
	m.set("CC", "nonesuch")
	m.run("cc.sh").wants(t, 0, "CC=nonesuch does not work", "taking gcc")
}

func TestSetupInstallsACompilerForRootOnDebianAndItsChildren(t *testing.T) {
	for name, release := range map[string]string{
		"Debian": "ID=debian\n",
		"Ubuntu": "ID=ubuntu\nID_LIKE=debian\n",
		"Mint":   "ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n",
	} {
		t.Run(name, func(t *testing.T) {
			m := newDebian(t)
			m.osRelease(release)
			m.run("cc.sh").wants(t, 0)
			want := "noninteractive: update -q\n" +
				"noninteractive: install -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 gcc libc6-dev\n"
			if m.log() != want {
				t.Errorf("apt-get was called with\n%swant\n%s", m.log(), want)
			}
		})
	}
}

func TestSetupTakesACompilerWithoutHeadersForNone(t *testing.T) {
	m := newDebian(t)
	m.command("gcc", withoutHeader)
	m.run("cc.sh").wants(t, 0)
	if !strings.Contains(m.log(), "install") {
		t.Error("nothing was installed")
	}
}

func TestSetupKeepsTheOutputOfTheCommandFreeOfItsOwn(t *testing.T) {
	m := newDebian(t)
	m.command("apt-get", "echo reading lists\n"+aptGet)
	m.command("show", "echo shown")
	r := m.run("cc.sh", "show")
	r.wants(t, 0, "reading lists", "installing gcc")
	if r.out != "shown\n" {
		t.Errorf("stdout is %q, want that of the command alone", r.out)
	}
}

func TestSetupSaysWhatToInstallWhereItMayNot(t *testing.T) {
	for name, change := range map[string]func(*machine){
		"not root":        func(m *machine) { m.user("1000") },
		"Fedora":          func(m *machine) { m.osRelease("ID=fedora\nVARIANT_ID=debian\n") },
		"like no Debian":  func(m *machine) { m.osRelease("ID=debianesque\n") },
		"no os-release":   func(m *machine) { m.set("LIDO_OS_RELEASE", m.dir+"/none") },
		"without apt-get": func(m *machine) { os.Remove(filepath.Join(m.bin, "apt-get")) },
		"still no headers": func(m *machine) {
			m.command("apt-get", "exit 0")
			m.command("gcc", withoutHeader)
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newDebian(t)
			change(m)
			r := m.run("cc.sh", "touch", "ran")
			r.wants(t, 2, "no working C compiler", "sudo apt-get install", "sudo dnf install",
				"sudo apk add", "xcode-select --install")
			if m.log() != "" {
				t.Errorf("apt-get was called: %s", m.log())
			}
			if _, err := os.Stat(filepath.Join(m.dir, "ran")); err == nil {
				t.Error("the command ran without a compiler")
			}
		})
	}
}

func TestSetupShowsWhatABrokenCompilerSays(t *testing.T) {
	m := newDebian(t)
	m.user("1000")
	m.command("gcc", withoutHeader)
	m.run("cc.sh").wants(t, 2, "the compiler says: fatal error: stdlib.h")
}

func TestSetupInstallsAlsoWhenUpdateFails(t *testing.T) {
	m := newDebian(t)
	m.command("apt-get", aptGet+"\n[ \"$1\" != update ] || exit 100")
	m.run("cc.sh").wants(t, 0, "apt-get update failed")
}

func TestSetupStopsWhenInstallingFails(t *testing.T) {
	m := newDebian(t)
	m.command("apt-get", "echo 'could not resolve deb.debian.org' >&2; exit 100")
	m.run("cc.sh").wants(t, 2, "could not resolve", "apt-get could not install")
}

func TestSetupRefusesAnEnvironmentThatTurnsCgoOff(t *testing.T) {
	m := newDebian(t)
	m.command("gcc", worksFine)
	m.set("CGO_ENABLED", "0")
	m.run("cc.sh").wants(t, 2, "CGO_ENABLED=0", "unset CGO_ENABLED")
}

func TestSetupJudgesTheVersionOfGo(t *testing.T) {
	for version, code := range map[string]int{
		"go1.26.0":         0,
		"go1.26":           0,
		"go1.26.8-distro1": 0,
		"go1.27rc1":        0,
		"go1.100":          0,
		"go2.0":            0,
		"devel go1.28-a1b2c3d4 Mon Jun 1 10:00:00 2026":    0,
		"go: downloading go1.26.0 (linux/amd64)\ngo1.26.0": 0,
		"go1.25.9": 2,
		"go1.9":    2,
		"":         2,
	} {
		t.Run(version, func(t *testing.T) {
			m := newDebian(t)
			m.command("gcc", worksFine)
			m.goVersion(version)
			r := m.run("cc.sh")
			r.wants(t, code)
			if code != 0 {
				r.wants(t, code, "Lido needs 1.26", "https://go.dev/dl/", "GOTOOLCHAIN=auto")
			}
		})
	}
}

func TestSetupSaysWhereToGetGo(t *testing.T) {
	m := newDebian(t)
	m.command("gcc", worksFine)
	os.Remove(filepath.Join(m.bin, "go"))
	m.run("cc.sh").wants(t, 2, "no go command in PATH", "https://go.dev/dl/")
}

func TestSetupPassesOnWhyGoDoesNotWork(t *testing.T) {
	m := newDebian(t)
	m.command("gcc", worksFine)
	m.command("go", "echo 'toolchain not available' >&2; exit 1")
	m.run("cc.sh").wants(t, 2, "toolchain not available")
}

func TestSetupLeavesNoFilesBehind(t *testing.T) {
	for _, args := range [][]string{nil, {"touch", "ran"}} {
		m := newDebian(t)
		m.run("cc.sh", args...).wants(t, 0)
		m.user("1000")
		m.command("gcc", withoutHeader)
		m.run("cc.sh", args...).wants(t, 2)
		left, err := os.ReadDir(m.get("TMPDIR"))
		if err != nil {
			t.Fatal(err)
		}
		if len(left) != 0 {
			t.Errorf("left %v in the temporary directory", left)
		}
	}
}
