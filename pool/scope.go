package pool

import (
	"context"
	"sync/atomic"
	"unsafe"
)

// Scope is an owner of leases that a ctx carries, for strategies that share a
// resource among the holders of one owner. See WithScope.
type Scope struct {
	ctx   context.Context
	ended atomic.Bool
}

type scopeKey struct{}

// WithScope returns a ctx within which a singleton strategy lends one and the same resource
// to every Acquire, whichever goroutine it is called from, and a function that ends the
// scope. A scope also ends with parent. What was leased in it stays leased until it is
// released; its idle resource is free for other owners once the scope has ended.
//
// Acquires of one scope on several goroutines share one resource at the same
// time: it must be safe for that. Other strategies ignore scopes.
func WithScope(parent context.Context) (ctx context.Context, end func()) {
	s := &Scope{ctx: parent}
	return context.WithValue(parent, scopeKey{}, s), func() { s.ended.Store(true) }
}

// ScopeOf returns the innermost scope that ctx carries, or nil.
func ScopeOf(ctx context.Context) *Scope {
	s, _ := ctx.Value(scopeKey{}).(*Scope)
	return s
}

// Number is an even number that no other scope has while this one is in use.
func (s *Scope) Number() uint64 { return uint64(uintptr(unsafe.Pointer(s))) }

// Ended reports whether the scope has ended.
func (s *Scope) Ended() bool { return s.ended.Load() || s.ctx.Err() != nil }
