package page

import (
	"io"
	"net"

	"github.com/lidopool/lido/bench/internal/result"
	"github.com/lidopool/lido/bench/internal/trial"
)

// TODO(issue 6): the page.

// Write writes f as one HTML document.
func Write(w io.Writer, f result.File) error { panic("page: not built yet") }

// A Live serves the result of a run that goes on.
type Live struct{}

// Serve begins to serve on l, which it closes at Close.
func Serve(l net.Listener) *Live { panic("page: not built yet") }

// Publish shows f to all who look, from now on.
func (*Live) Publish(f result.File, p trial.Progress) {}

// Close ends it.
func (*Live) Close() error { return nil }
