//go:build gc && (amd64 || arm64) && !lido_portable

package goid

import "unsafe"

// getg returns the address of the g struct of the calling goroutine. It stays
// valid, and the same, for the life of the process; see the package comment.
func getg() unsafe.Pointer
