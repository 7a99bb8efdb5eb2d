package target

import (
	"sync/atomic"

	"github.com/lidopool/lido/bench/internal/load"
)

// A Meter counts the resources of a pool where they are opened and closed, instead of believing the
// pool: from before each is opened until after it is closed. The zero Meter is ready. Its methods may
// be called from any goroutine.
type Meter struct {
	open, peak     atomic.Int64
	opened, closed atomic.Uint64
}

// Read is what was counted. The meter does not know what is in use, who waits, and what a server counts.
func (m *Meter) Read() load.Gauges {
	return load.Gauges{
		Open: int(m.open.Load()), Peak: int(m.peak.Load()),
		Opened: m.opened.Load(), Closed: m.closed.Load(),
		InUse: -1, Waiting: -1, Sessions: -1,
	}
}

// begin is called before an open, and ended or closed for each.
func (m *Meter) begin() {
	n := m.open.Add(1)
	for {
		most := m.peak.Load()
		if n <= most || m.peak.CompareAndSwap(most, n) {
			return
		}
	}
}

// ended is called after an open.
func (m *Meter) ended(err error) {
	if err != nil {
		m.open.Add(-1)
		return
	}
	m.opened.Add(1)
}

// close is called after a close.
func (m *Meter) close() {
	m.open.Add(-1)
	m.closed.Add(1)
}
