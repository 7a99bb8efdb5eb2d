//go:build unix

package servertest

import (
	"os/exec"
	"syscall"
)

// detach gives a command a session of its own, so that what the terminal or a shell sends to the
// tests does not reach it. The reaper ends it.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

// become lets a detached command run as another user.
func become(cmd *exec.Cmd, uid, gid int) {
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

const (
	sigStop = syscall.SIGSTOP
	sigCont = syscall.SIGCONT
)

func send(pid int, s syscall.Signal) error { return syscall.Kill(pid, s) }
