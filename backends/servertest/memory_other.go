//go:build !linux

package servertest

func inMemory() (dir string, ok bool) { return "", false }
