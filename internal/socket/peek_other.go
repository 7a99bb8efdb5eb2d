//go:build !unix

package socket

import "syscall"

// Peek cannot look here.
func Peek(syscall.RawConn, []byte) (int, error) { return 0, nil }
