//go:build unix

package servertest_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lidopool/lido/backends/servertest"
)

// As whom the test binary runs itself.
const role = "LIDO_SERVERTEST_ROLE"

// TestVictim is not a test: it is what the tests below run, and kill.
func TestVictim(t *testing.T) {
	if os.Getenv(role) == "" {
		t.Skip("the tests below run it")
	}
	fmt.Println("root:", servertest.Root())
	if os.Getenv(role) == "starting" {
		for {
			servertest.Standby(t, servertest.OwnPostgres(t))
			servertest.OwnMySQL(t)
		}
	}
	pg := servertest.Postgres(t)
	open(t, "postgres", pg.DSN()).Ping() // so that there is a session
	servertest.MySQL(t)
	servertest.PgBouncer(t, pg)
	frozen := servertest.OwnPostgres(t)
	open(t, "postgres", frozen.DSN()).Ping()
	frozen.Freeze()
	servertest.OwnMySQL(t).Freeze()
	killed := servertest.OwnPostgres(t)
	servertest.Standby(t, killed)
	segment := killed.Data() + "/postmaster.pid"
	killed.Kill()
	text, err := os.ReadFile(segment)
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(strings.Split(string(text), "\n")[6])
	fmt.Println("segment:", fields[1])
	if os.Getenv(role) == "ending" {
		return
	}
	fmt.Println("up:", true)
	select {} // until it is killed
}

// A victim is another run of this test binary.
type victim struct {
	t    *testing.T
	cmd  *exec.Cmd
	out  *bufio.Scanner
	root string
}

func newVictim(t *testing.T, as string) *victim {
	t.Helper()
	servertest.Postgres(t) // skips or fails here, and in words, if there are no servers
	servertest.MySQL(t)
	cmd := exec.Command(os.Args[0], "-test.run=^TestVictim$")
	cmd.Env = append(os.Environ(), role+"="+as, "LIDO_TEST_POSTGRES_DSN=", "LIDO_TEST_MYSQL_DSN=")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	v := &victim{t: t, cmd: cmd, out: bufio.NewScanner(out)}
	v.root = v.says("root")
	return v
}

// says waits for a line "word: value".
func (v *victim) says(word string) string {
	v.t.Helper()
	var all []string
	for v.out.Scan() {
		if value, ok := strings.CutPrefix(v.out.Text(), word+": "); ok {
			return value
		}
		all = append(all, v.out.Text())
	}
	v.t.Fatalf("the run that is to be killed ended before it said %q:\n%s", word, strings.Join(all, "\n"))
	return ""
}

// leaves waits until nothing of the victim is left.
func (v *victim) leaves(segment string) {
	v.t.Helper()
	v.cmd.Wait()
	left := []string{"?"}
	for deadline := time.Now().Add(patience); len(left) > 0; time.Sleep(5 * time.Millisecond) {
		left, _ = filepath.Glob(v.root + "*")
		left = append(left, processesAt(v.root)...)
		if table, err := os.ReadFile("/proc/sysvipc/shm"); err == nil && segment != "" {
			for line := range strings.Lines(string(table)) {
				if f := strings.Fields(line); len(f) > 1 && f[1] == segment {
					left = append(left, "shared memory "+segment)
				}
			}
		}
		if time.Now().After(deadline) {
			v.t.Fatalf("left behind:\n%s", strings.Join(left, "\n"))
		}
	}
}

// processesAt returns the processes that work below a directory, or have it among
// their arguments, as far as there is a /proc to tell.
func processesAt(root string) []string {
	var found []string
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range all {
		cwd, _ := os.Readlink(dir + "/cwd")
		args, _ := os.ReadFile(dir + "/cmdline")
		if strings.HasPrefix(cwd, root) || strings.Contains(string(args), root) {
			found = append(found, dir+" "+strings.ReplaceAll(string(args), "\x00", " "))
		}
	}
	return found
}

func TestNothingIsLeftOfAKilledTestBinary(t *testing.T) {
	v := newVictim(t, "waiting")
	segment := v.says("segment")
	v.says("up")
	if _, err := os.Stat("/proc/self"); err == nil && len(processesAt(v.root)) == 0 {
		t.Fatal("no process of the victim is found: this test looks in the wrong place")
	}
	v.cmd.Process.Kill()
	v.leaves(segment)
}

func TestNothingIsLeftOfATestBinaryThatEnds(t *testing.T) {
	v := newVictim(t, "ending")
	v.leaves(v.says("segment"))
}

// The worst moment: a process is being started that nobody has noted yet.
func TestNothingIsLeftOfATestBinaryKilledWhileServersStart(t *testing.T) {
	for _, file := range []string{
		"template-*/pid", "postgres-*/data/postmaster.pid", "standby-*/pid", "standby-*/data/postmaster.pid", "mariadb-*/pid",
	} {
		t.Run(strings.ReplaceAll(file, "/", " "), func(t *testing.T) {
			v := newVictim(t, "starting")
			for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
				if found, _ := filepath.Glob(filepath.Join(v.root, file)); len(found) > 0 {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("no file %s below %s", file, v.root)
				}
			}
			v.cmd.Process.Kill()
			v.leaves("")
		})
	}
}
