//go:build !unix

package servertest

import (
	"errors"
	"os/exec"
	"syscall"
)

// Without a shell and signals no server is started: only those of the environment are of use.

func detach(*exec.Cmd)           {}
func become(*exec.Cmd, int, int) {}

const (
	sigStop = syscall.SIGTERM
	sigCont = syscall.SIGTERM
)

func send(int, syscall.Signal) error { return errors.ErrUnsupported }
