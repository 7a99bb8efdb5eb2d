package browser_test

import (
	_ "embed"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A program is a Chromium, and where the files of its private prefix are if it has one.
type program struct{ file, prefix string }

//go:embed places.txt
var places string

// find looks for a Chromium: at LIDO_TEST_CHROMIUM, in PATH, where distributions put it, and in the private
// prefix of internal/setup/browser.sh.
func find() (program, error) {
	if file := os.Getenv("LIDO_TEST_CHROMIUM"); file != "" {
		return program{file: file}, nil
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "chrome-headless-shell"} {
		if file, err := exec.LookPath(name); err == nil && !snap(file) {
			return program{file: file}, nil
		}
	}
	if file := placed(""); file != "" {
		return program{file: file}, nil
	}
	if cache, err := os.UserCacheDir(); err == nil {
		prefix := filepath.Join(cache, "lido", "browser")
		if file := placed(prefix); file != "" {
			return program{file, prefix}, nil
		}
	}
	return program{}, errors.New("no Chromium on this machine: `make setup` installs it or says how to get it")
}

func placed(prefix string) string {
	for line := range strings.Lines(places) {
		place := strings.TrimSpace(line)
		if !strings.HasPrefix(place, "/") {
			continue
		}
		if info, err := os.Stat(prefix + place); err == nil && info.Mode()&0o111 != 0 && !info.IsDir() {
			return prefix + place
		}
	}
	return ""
}

// snap: is this only the stub of Ubuntu, which says that there is a snap? It is a script that names snap;
// so does no other.
func snap(file string) bool {
	text, err := os.ReadFile(file)
	return err == nil && len(text) < 10_000 && strings.Contains(string(text), "snap")
}

// env is what the program needs beside the environment.
func (p program) env() []string {
	if p.prefix == "" {
		return nil
	}
	var dirs []string
	// PulseAudio has a directory of its own, which its library names by where it is in the system.
	for _, pattern := range []string{"/usr/lib/*-linux-*", "/lib/*-linux-*", "/usr/lib/*-linux-*/pulseaudio"} {
		more, _ := filepath.Glob(p.prefix + pattern) // the pattern is right
		dirs = append(dirs, more...)
	}
	return []string{
		"LD_LIBRARY_PATH=" + strings.Join(dirs, ":"),
		"FONTCONFIG_FILE=" + p.prefix + "/fonts.conf", // or it looks for the fonts of the system only
	}
}
