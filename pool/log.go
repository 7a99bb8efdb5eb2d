package pool

import (
	"context"
	"log/slog"
)

// The log names the pool and numbers its resources. It never prints a resource, which may
// hold a secret.

func (p *Pool[T]) logDebug(msg string, h *hold[T], args ...any) {
	p.logAt(slog.LevelDebug, msg, h, args)
}

func (p *Pool[T]) logInfo(msg string, h *hold[T], args ...any) {
	p.logAt(slog.LevelInfo, msg, h, args)
}

func (p *Pool[T]) logWarn(msg string, h *hold[T], args ...any) {
	p.logAt(slog.LevelWarn, msg, h, args)
}

func (p *Pool[T]) logError(msg string, h *hold[T], args ...any) {
	p.logAt(slog.LevelError, msg, h, args)
}

// logClose tells of a close: at Info if something was wrong with the resource, at Debug if
// it was only no longer wanted.
func (p *Pool[T]) logClose(h *hold[T], why Reason, cause error) {
	level := slog.LevelInfo
	switch why {
	case ReasonOverflow, ReasonDisposed, ReasonUnwanted, ReasonIdle:
		level = slog.LevelDebug
	}
	p.logAt(level, "closing", h, append([]any{"reason", why}, causeArgs(cause)...))
}

func causeArgs(cause error) []any {
	if cause == nil {
		return nil
	}
	return []any{"cause", cause}
}

func (p *Pool[T]) logStatus(msg string) {
	if p.log != nil { // or nobody needs the seats counted
		p.logInfo(msg, nil, "status", p.Stats().load())
	}
}

func (p *Pool[T]) logAt(level slog.Level, msg string, h *hold[T], args []any) {
	if p.log == nil {
		return
	}
	defer func() { _ = recover() }() // a handler that panics must cost no seat
	if !p.log.Enabled(context.Background(), level) {
		return
	}
	all := append(make([]any, 0, len(args)+4), "pool", p.opts.Name)
	if h != nil {
		all = append(all, "resource", h.id)
	}
	p.log.Log(context.Background(), level, msg, append(all, args...)...)
}
