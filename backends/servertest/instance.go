package servertest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/lidopool/lido/internal/loopback"
)

// A program is one kind of server.
type program interface {
	name() string
	// prepare fills a directory for a server that has not run yet. Its error is a missingError if
	// the binaries are not here.
	prepare(r *root, dir string) error
	// args returns the binary and its arguments, which keep it in the foreground.
	args(i *instance) (binary, []string, error)
	// ready reports whether the running server takes connections. It takes none of those that the
	// server may have: a test counts them.
	ready(i *instance) bool
	// Signals that stop the server without waiting for anybody: fast, but as by an
	// operator; and as fast as it can without leaving anything in the kernel.
	signals() (stop os.Signal, end string)
	dsn(addr string) string
}

// How long a server may take to start, or to stop, before that is an error: a hundred times what
// they do take.
const patience = 30 * time.Second

// An instance is one server: a directory, an address, and at times a process.
type instance struct {
	program  program
	settings []string
	root     *root
	dir      string
	port     int

	cmd   *exec.Cmd     // nil: not running
	ended chan struct{} // closed when cmd has
}

// newInstance makes and starts a server.
func newInstance(p program, settings []string) (*instance, error) {
	r, err := theRoot()
	if err != nil {
		return nil, err
	}
	i := &instance{program: p, settings: settings, root: r}
	if i.dir, err = r.mkdir(p.name()); err != nil {
		return nil, err
	}
	if err := p.prepare(r, i.dir); err != nil {
		return nil, errors.Join(err, i.end())
	}
	for range 20 {
		if i.port, err = freePort(); err != nil {
			break
		}
		if err = i.start(); err == nil {
			return i, nil
		}
		// Another test binary may have taken the port meanwhile.
		if log, _ := os.ReadFile(i.path("log")); !strings.Contains(string(log), "already in use") {
			break
		}
	}
	return nil, errors.Join(err, i.end())
}

// freePort finds a port that nobody listens at.
func freePort() (int, error) {
	l, err := loopback.Listen()
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

func (i *instance) path(name string) string { return filepath.Join(i.dir, name) }

func (i *instance) start() error {
	if i.running() {
		return errors.New("it is running")
	}
	b, args, err := i.program.args(i)
	if err != nil {
		return err
	}
	log, err := os.OpenFile(i.path("log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	_, end := i.program.signals()
	cmd := i.root.command(i.dir, b, end, args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		cmd.Wait()
		close(ended)
	}()
	i.cmd, i.ended = cmd, ended
	// A server does not tell when it is ready; asked every few milliseconds, it costs nothing.
	for deadline := time.Now().Add(patience); !i.program.ready(i); {
		select {
		case <-ended:
			i.forget()
			text, _ := os.ReadFile(log.Name())
			return fmt.Errorf("%s ended: %v:\n%s", b.file, cmd.ProcessState, tail(string(text)))
		case <-time.After(3 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(log.Name())
			return fmt.Errorf("%s is not ready after %v:\n%s", b.file, patience, tail(string(text)))
		}
	}
	return nil
}

var errNotRunning = errors.New("it is not running")

func (i *instance) stop() error {
	if !i.running() {
		return errNotRunning
	}
	signal, _ := i.program.signals()
	if err := i.cmd.Process.Signal(signal); err != nil {
		return err
	}
	return i.wait()
}

// wait waits for the process, and notes that it is gone.
func (i *instance) wait() error {
	select {
	case <-i.ended:
	case <-time.After(patience):
		return fmt.Errorf("process %d has not ended after %v", i.cmd.Process.Pid, patience)
	}
	i.forget()
	return nil
}

// running reports whether there is a process: it may have ended by itself.
func (i *instance) running() bool {
	if i.cmd == nil {
		return false
	}
	select {
	case <-i.ended:
		i.forget()
		return false
	default:
		return true
	}
}

// forget notes that the process is gone, also for the reaper: the kernel may give its number to
// another.
func (i *instance) forget() {
	i.cmd = nil
	os.Remove(i.path("pid"))
	os.Remove(i.path("frozen"))
}

func (i *instance) kill() error {
	if !i.running() {
		return errNotRunning
	}
	// Frozen first, or it could have a child that was not there when its children were counted.
	all, err := i.freezeAll()
	if err != nil {
		return err
	}
	for _, pid := range all {
		send(pid, syscall.SIGKILL)
	}
	if err := i.wait(); err != nil {
		return err
	}
	return until(all, "gone", func(state byte) bool { return state == 0 || state == 'Z' })
}

func (i *instance) freeze() error {
	if !i.running() {
		return errNotRunning
	}
	_, err := i.freezeAll()
	return err
}

// freezeAll stops the process and its children, and returns them all.
func (i *instance) freezeAll() ([]int, error) {
	pid := i.cmd.Process.Pid
	stopped := func(state byte) bool { return state == 'T' || state == 0 || state == 'Z' }
	if err := send(pid, sigStop); err != nil {
		return nil, err
	}
	if err := until([]int{pid}, "stopped", stopped); err != nil {
		return nil, err
	}
	children, err := childrenOf(pid)
	if err != nil {
		return nil, err
	}
	all := append(children, pid)
	// For the reaper, before it is done.
	if err := os.WriteFile(i.path("frozen"), []byte(strings.Trim(fmt.Sprint(all), "[]")), 0o600); err != nil {
		return nil, err
	}
	for _, child := range children {
		send(child, sigStop)
	}
	return all, until(all, "stopped", stopped)
}

func (i *instance) thaw() error {
	if !i.running() {
		return errNotRunning
	}
	text, err := os.ReadFile(i.path("frozen"))
	if err != nil {
		return fmt.Errorf("it is not frozen: %w", err)
	}
	for _, field := range strings.Fields(string(text)) {
		if pid, err := strconv.Atoi(field); err == nil {
			send(pid, sigCont)
		}
	}
	return os.Remove(i.path("frozen"))
}

// end ends the server in whatever state it is, and removes all of it.
func (i *instance) end() error {
	said, err := exec.Command("/bin/sh", "-c", reap, "reap.sh", "end", i.dir).CombinedOutput()
	if err != nil || len(said) > 0 {
		return fmt.Errorf("clean up %s: %v %s", i.dir, err, said)
	}
	if i.cmd != nil {
		<-i.ended // the script has waited for the process
		i.cmd = nil
	}
	return nil
}

// tail returns the end of a log.
func tail(log string) string {
	lines := strings.Split(strings.TrimRight(log, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}
