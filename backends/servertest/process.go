package servertest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// A process as the kernel knows it: its parent, and its state in one letter, T for stopped, Z for
// ended but not looked for.
type process struct {
	parent int
	state  byte
}

// processes returns those of the machine.
func processes() (map[int]process, error) {
	all := map[int]process{}
	entries, err := os.ReadDir("/proc")
	if _, selfErr := os.Stat("/proc/self/stat"); err != nil || selfErr != nil {
		return processesByPs()
	}
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			if p, ok := lookUp(pid); ok {
				all[pid] = p
			}
		}
	}
	return all, nil
}

// lookUp reads "pid (name) state parent …"; the name may hold anything.
func lookUp(pid int) (process, bool) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return process{}, false
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 2 {
		return process{}, false
	}
	parent, err := strconv.Atoi(fields[1])
	return process{parent, fields[0][0]}, err == nil
}

// processesByPs is for systems without /proc, such as macOS.
func processesByPs() (map[int]process, error) {
	out, err := exec.Command("ps", "-A", "-o", "pid=", "-o", "ppid=", "-o", "stat=").Output()
	if err != nil {
		return nil, fmt.Errorf("list the processes: %w", err)
	}
	all := map[int]process{}
	for line := range strings.Lines(string(out)) {
		var pid, parent int
		var state string
		if _, err := fmt.Sscan(line, &pid, &parent, &state); err == nil {
			all[pid] = process{parent, state[0]}
		}
	}
	return all, nil
}

func childrenOf(pid int) ([]int, error) {
	all, err := processes()
	var children []int
	for child, p := range all {
		if p.parent == pid {
			children = append(children, child)
		}
	}
	return children, err
}

// until waits until each process is in a state that will do; 0 is no process. Signals take effect
// some time after they are sent, and nothing tells when.
func until(pids []int, wanted string, will func(state byte) bool) error {
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		all, err := processes()
		if err != nil {
			return err
		}
		waiting := 0
		for _, pid := range pids {
			if !will(all[pid].state) {
				waiting++
			}
		}
		if waiting == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d of %d processes are not %s after %v", waiting, len(pids), wanted, patience)
		}
	}
}
