//go:build unix

package setup_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Logs what it was asked for; installs a browser into the machine, or downloads it as an empty file.
const aptGetBrowser = `echo "$*" >>"$LOG"
case $1,$2 in
install,-s) echo 'Inst libnss3 (2:3.87 Debian:12 [amd64])'; echo 'Inst chromium (156.0 Debian:12 [amd64])'; echo 'Conf libnss3 (2:3.87)' ;;
install,*) mkdir -p "$LIDO_ROOT/usr/lib/chromium"; : >"$LIDO_ROOT/usr/lib/chromium/chromium"; chmod +x "$LIDO_ROOT/usr/lib/chromium/chromium" ;;
download,*) : >libnss3.deb; : >chromium.deb ;;
esac`

// newBrowserless is a fresh Debian without a browser, used by root.
func newBrowserless(t *testing.T) *machine {
	m := newServerless(t)
	m.command("apt-get", aptGetBrowser)
	m.tool("grep")
	return m
}

func TestBrowserIsQuietWhenThereIsOne(t *testing.T) {
	for name, put := range map[string]func(m *machine){
		"in PATH":   func(m *machine) { m.command("google-chrome", "") },
		"of Debian": func(m *machine) { m.server(m.get("LIDO_ROOT") + "/usr/lib/chromium/chromium") },
		"of macOS": func(m *machine) {
			m.server(m.get("LIDO_ROOT") + "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
		},
		"in the private prefix": func(m *machine) { m.server(m.get("XDG_CACHE_HOME") + "/lido/browser/usr/lib/chromium/chromium") },
		"named": func(m *machine) {
			m.server(m.dir + "/my chromium")
			m.set("LIDO_TEST_CHROMIUM", m.dir+"/my chromium")
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newBrowserless(t)
			put(m)
			m.command("show", `printf '%s|' "$@"; exit 7`)
			r := m.run("browser.sh", "show", "two words", "")
			r.wants(t, 7)
			if r.out != "two words||" || r.errout != "" || m.log() != "" {
				t.Errorf("the command printed %q, the script %q, apt-get was called with %q", r.out, r.errout, m.log())
			}
		})
	}
}

func TestBrowserInstallsForRootOnDebian(t *testing.T) {
	m := newBrowserless(t)
	m.run("browser.sh").wants(t, 0, "no Chromium, installing chromium fonts-dejavu-core")
	want := "update -q\ninstall -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 chromium fonts-dejavu-core\n"
	if m.log() != want {
		t.Errorf("called\n%swant\n%s", m.log(), want)
	}
	m.run("browser.sh").wants(t, 0)
	if m.log() != want {
		t.Errorf("called apt-get again:\n%s", m.log())
	}
}

func TestBrowserUnpacksIntoThePrivatePrefixForOthersOnDebian(t *testing.T) {
	m := newBrowserless(t)
	m.user("1000")
	m.command("dpkg", `echo "dpkg $1 ${2##*/}" >>"$LOG"
case $2 in *chromium.deb) mkdir -p "$3/usr/lib/chromium"; : >"$3/usr/lib/chromium/chromium"; chmod +x "$3/usr/lib/chromium/chromium" ;; esac`)
	m.run("browser.sh").wants(t, 0, "unpacking chromium fonts-dejavu-core into "+m.get("XDG_CACHE_HOME")+"/lido/browser")
	want := "install -s --no-install-recommends chromium fonts-dejavu-core\ndownload -q libnss3 chromium\ndpkg -x chromium.deb\ndpkg -x libnss3.deb\n"
	if m.log() != want {
		t.Errorf("called\n%swant\n%s", m.log(), want)
	}
	prefix := m.get("XDG_CACHE_HOME") + "/lido/browser"
	if text, err := os.ReadFile(prefix + "/fonts.conf"); err != nil || !strings.HasPrefix(string(text), "<?xml") {
		t.Errorf("fonts.conf is %q, %v", text, err)
	}
	left, _ := filepath.Glob(prefix + "*/*")
	if len(left) != 2 {
		t.Errorf("left %q, want fonts.conf and usr", left)
	}
	m.run("browser.sh").wants(t, 0) // finds it
	if m.log() != want {
		t.Errorf("called apt-get again:\n%s", m.log())
	}
}

// newUbuntu is a fresh Ubuntu, used by root: its chromium is a stub.
func newUbuntu(t *testing.T) *machine {
	m := newBrowserless(t)
	m.osRelease("ID=ubuntu\nID_LIKE=debian\n")
	m.command("chromium-browser", "echo 'install it with: snap install chromium' >&2; exit 1")
	m.command("dpkg", "echo amd64")
	m.command("curl", `echo "curl" >>"$LOG"; while [ "$1" != -o ]; do shift; done; : >"$2"`)
	m.command("apt-get", `echo "$*" | sed 's, /[^ ]*/, ,g' >>"$LOG"
case $1,$* in
install,*chrome.deb*) mkdir -p "$LIDO_ROOT/opt/google/chrome"; : >"$LIDO_ROOT/opt/google/chrome/chrome"; chmod +x "$LIDO_ROOT/opt/google/chrome/chrome" ;;
esac`)
	return m
}

func TestBrowserInstallsChromeForRootOnUbuntu(t *testing.T) {
	m := newUbuntu(t)
	m.run("browser.sh").wants(t, 0, "installing Google Chrome")
	want := "curl\nupdate -q\ninstall -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 chrome.deb fonts-dejavu-core\n"
	if m.log() != want {
		t.Errorf("called\n%swant\n%s", m.log(), want)
	}
	if text, err := os.ReadFile(m.get("LIDO_ROOT") + "/etc/default/google-chrome"); string(text) != "repo_add_once=\"false\"\n" {
		t.Errorf("its settings are %q, %v: it would add a source of packages", text, err)
	}
	m.run("browser.sh").wants(t, 0)
	if m.log() != want {
		t.Errorf("called again:\n%s", m.log())
	}
}

func TestBrowserSaysWhatToInstallWhereChromeCannotBeHad(t *testing.T) {
	for name, change := range map[string]func(*machine){
		"no network":       func(m *machine) { m.command("curl", "echo 'could not resolve host' >&2; exit 6") },
		"no such computer": func(m *machine) { m.command("dpkg", "echo arm64") },
	} {
		t.Run(name, func(t *testing.T) {
			m := newUbuntu(t)
			change(m)
			m.run("browser.sh", "touch", "ran").wants(t, 2, "that did not work", "no Chromium on this machine", "google-chrome-stable_current_amd64.deb")
		})
	}
}

func TestBrowserInstallsNoSnap(t *testing.T) {
	m := newUbuntu(t)
	m.user("1000")
	m.run("browser.sh", "touch", "ran").wants(t, 2, "no Chromium on this machine", "google-chrome-stable_current_amd64.deb", "LIDO_TEST_CHROMIUM")
	if m.log() != "" {
		t.Errorf("called apt-get:\n%s", m.log())
	}
	if _, err := os.Stat(filepath.Join(m.dir, "ran")); err == nil {
		t.Error("the command ran without a browser")
	}
}

func TestBrowserSaysWhatToInstallWhereItMayNot(t *testing.T) {
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
			m := newBrowserless(t)
			change(m)
			m.run("browser.sh", "touch", "ran").wants(t, 2, "no Chromium on this machine", "sudo apt-get install", "sudo dnf install",
				"brew install", "LIDO_TEST_CHROMIUM", "bench/browser skips")
			if _, err := os.Stat(filepath.Join(m.dir, "ran")); err == nil {
				t.Error("the command ran without a browser")
			}
			if left, _ := filepath.Glob(m.get("XDG_CACHE_HOME") + "/lido/*"); len(left) > 0 {
				t.Errorf("left %q", left)
			}
		})
	}
}

func TestBrowserFailsWhenInstallingFails(t *testing.T) {
	m := newBrowserless(t)
	m.command("apt-get", "echo 'no such package' >&2; exit 100")
	m.run("browser.sh").wants(t, 2, "no such package", "apt-get could not install chromium fonts-dejavu-core")
}

func TestBrowserSaysThatTheOneThatIsNamedIsNone(t *testing.T) {
	m := newBrowserless(t)
	m.set("LIDO_TEST_CHROMIUM", m.dir+"/none")
	m.run("browser.sh").wants(t, 2, "LIDO_TEST_CHROMIUM="+m.dir+"/none is no program")
}
