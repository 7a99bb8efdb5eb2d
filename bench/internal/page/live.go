package page

import (
	"io"
	"net"

	"github.com/lidopool/lido/bench/internal/result"
	"github.com/lidopool/lido/bench/internal/trial"
)

// A Live serves the result of a run that goes on.
type Live struct{}

type state struct {
	Words     string
	Done, All int
	Percent   float64
	Ended     bool
}

// Serve begins to serve on l, which it closes at Close.
func Serve(l net.Listener) *Live { panic("page: not built yet") }

// Publish shows f to all who look, from now on.
func (*Live) Publish(f result.File, p trial.Progress) {}

// Close ends it.
func (*Live) Close() error { return nil }

var _ io.Writer
