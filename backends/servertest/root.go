package servertest

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
)

//go:embed reap.sh
var reap string

// A root is the directory that holds everything of the servers of this test binary.
type root struct {
	dir string
	// Whom the servers run as. 0: as whoever runs the tests.
	uid, gid int
	// The end of this pipe is what the reaper waits for. Nobody writes, but if it were
	// not kept here the garbage collector would close it, and the servers would end.
	life *os.File
}

// theRoot makes the root, and starts the reaper, once for the binary.
var theRoot = sync.OnceValues(func() (*root, error) {
	r := &root{}
	if os.Getuid() == 0 {
		// All servers refuse root. nobody is everywhere, and initdb wants a user that has a name.
		u, err := user.Lookup("nobody")
		if err != nil {
			return nil, fmt.Errorf("a user for the servers, which refuse root: %w", err)
		}
		r.uid, _ = strconv.Atoi(u.Uid)
		r.gid, _ = strconv.Atoi(u.Gid)
	}
	var err error
	if r.dir, err = r.mkroot(); err != nil {
		return nil, err
	}
	if err := os.Chmod(r.dir, 0o711); err != nil { // so that nobody finds his own below
		return nil, err
	}
	in, life, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	r.life = life
	reaper := exec.Command("/bin/sh", "-c", reap, "reap.sh", "wait", r.dir)
	reaper.Stdin = in
	reaper.Dir = "/"
	detach(reaper)
	if err := reaper.Start(); err != nil {
		return nil, fmt.Errorf("start the shell that cleans up: %w", err)
	}
	return r, nil
})

// mkroot makes the directory where TMPDIR says; if that is not set, in memory, if there is room, or
// in /tmp. But in /tmp also if the user of the servers cannot get to TMPDIR, or the paths of
// sockets, which end at 107 bytes, would be too long.
func (r *root) mkroot() (string, error) {
	const name = "lido-servers-"
	if dir, ok := inMemory(); ok && os.Getenv("TMPDIR") == "" {
		if root, err := os.MkdirTemp(dir, name); err == nil { // it may be somebody else's
			return root, nil
		}
	}
	dir := os.TempDir()
	if len(dir) > 50 {
		dir = "/tmp"
	}
	for d := dir; r.uid != 0 && d != filepath.Dir(d); d = filepath.Dir(d) {
		if info, err := os.Stat(d); err != nil || info.Mode()&1 == 0 {
			dir = "/tmp"
		}
	}
	return os.MkdirTemp(dir, name)
}

// own hands files over to the user of the servers.
func (r *root) own(files ...string) error {
	if r.uid == 0 {
		return nil
	}
	var errs []error
	for _, f := range files {
		errs = append(errs, os.Lchown(f, r.uid, r.gid))
	}
	return errors.Join(errs...)
}

// mkdir makes a directory of the user of the servers.
func (r *root) mkdir(name string) (string, error) {
	dir, err := os.MkdirTemp(r.dir, name+"-")
	if err != nil {
		return "", err
	}
	return dir, r.own(dir)
}

// write writes a file into a directory of a server, which only the server can read.
func (r *root) write(name, text string) error {
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		return err
	}
	return r.own(name)
}

// command makes a command that works in dir, as the user of the servers, in a clean environment.
// Before it does anything else it notes in dir how to end it, for the reaper; if dir has gone
// meanwhile it does nothing.
func (r *root) command(dir string, b binary, signal string, args ...string) *exec.Cmd {
	// By its whole path: the reaper renames the root, and a directory that one is in goes along.
	const note = `echo "$$ $1" >"$0/pid" && shift && exec "$@"`
	cmd := exec.Command("/bin/sh", append([]string{"-c", note, dir, signal, b.file}, args...)...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C"}
	if b.libraries != "" {
		cmd.Env = append(cmd.Env, "LD_LIBRARY_PATH="+b.libraries)
	}
	detach(cmd)
	if r.uid != 0 {
		become(cmd, r.uid, r.gid)
	}
	return cmd
}

// do runs such a command to its end. Its error says what the command said.
func (r *root) do(dir string, b binary, stdin string, args ...string) error {
	cmd := r.command(dir, b, "KILL", args...)
	if stdin != "" {
		in, err := os.Open(stdin)
		if err != nil {
			return err
		}
		defer in.Close()
		cmd.Stdin = in
	}
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", b.file, err, tail(string(said)))
	}
	return os.Remove(filepath.Join(dir, "pid"))
}
