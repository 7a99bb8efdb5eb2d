package trial

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/lidopool/lido/bench/internal/result"
)

// module is whose commit an environment tells.
const module = "github.com/lidopool/lido"

// Environment describes this machine and this program. Where the program does not know the commit it was
// built from, as with go run, git is asked, if the working directory is a clone of Lido; for a second at most.
func Environment(ctx context.Context) result.Environment {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	e := result.Environment{
		Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, CPU: cpuModel(ctx),
		Cores: runtime.NumCPU(), GOMAXPROCS: runtime.GOMAXPROCS(0),
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return e
	}
	if info.Main.Version != "(devel)" {
		e.Version = info.Main.Version
	}
	dirty := false
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			e.Commit = short(s.Value)
		case "vcs.modified":
			dirty = s.Value == "true"
		}
	}
	switch {
	case e.Commit != "" && dirty:
		e.Commit += "-dirty"
	case e.Commit == "" && e.Version == "":
		e.Commit = gitCommit(ctx)
	}
	return e
}

func short(commit string) string { return commit[:min(12, len(commit))] }

// gitCommit is what git says of the working directory, or nothing.
func gitCommit(ctx context.Context) string {
	git := func(args ...string) string {
		text, _ := exec.CommandContext(ctx, "git", args...).Output()
		return strings.TrimSpace(string(text))
	}
	root := git("rev-parse", "--show-toplevel")
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if root == "" || err != nil || !bytes.HasPrefix(mod, []byte("module "+module+"\n")) {
		return ""
	}
	commit := short(git("rev-parse", "HEAD"))
	if commit != "" && git("status", "--porcelain", "--untracked-files=no") != "" {
		commit += "-dirty"
	}
	return commit
}

var spaces = regexp.MustCompile(`\s+`)

// cpuModel is what the system calls the processor.
func cpuModel(ctx context.Context) string {
	name := ""
	switch runtime.GOOS {
	case "linux":
		name = cpuinfo("/proc/cpuinfo")
	case "darwin", "freebsd", "netbsd", "openbsd", "dragonfly":
		key := "hw.model"
		if runtime.GOOS == "darwin" {
			key = "machdep.cpu.brand_string"
		}
		text, _ := exec.CommandContext(ctx, "sysctl", "-n", key).Output()
		name = string(text)
	case "windows":
		name = os.Getenv("PROCESSOR_IDENTIFIER")
	}
	return cmp.Or(strings.TrimSpace(spaces.ReplaceAllString(name, " ")), "unknown")
}

// cpuinfo is the name in Linux' list of processors, which has another key on each architecture.
func cpuinfo(file string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		key, value, _ := strings.Cut(lines.Text(), ":")
		switch strings.TrimSpace(key) {
		case "model name", "Model", "cpu model", "cpu":
			return value
		}
	}
	return ""
}
