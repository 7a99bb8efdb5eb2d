package target

import (
	"context"
	"database/sql/driver"
	"fmt"

	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/pool"
)

// metered is the backend of a pool of connections, with a meter and faults in front: all else is as it
// was, also what it may implement besides.
type metered struct {
	pool.Backend[*sqldriver.Conn]
	db     *database
	meter  *Meter
	shared bool // several will use a connection at the same time
}

var (
	_ pool.LimitChecker             = (*metered)(nil)
	_ pool.Checker[*sqldriver.Conn] = (*metered)(nil)
)

var errCut = fmt.Errorf("target: connection was cut: %w", driver.ErrBadConn)

// Open implements pool.Backend.
func (m *metered) Open(ctx context.Context) (c *sqldriver.Conn, err error) {
	m.meter.begin()
	defer func() { m.meter.ended(err) }()
	f := &m.db.faults
	since := f.down.Load()
	if f.isDown() {
		return nil, errRefused
	}
	if c, err = m.Backend.Open(ctx); err != nil {
		return nil, err
	}
	s := newSession(m.db, c)
	if m.shared {
		s.share()
	}
	c.Keep(s)
	if !f.add(&s.resource, since) {
		_ = m.Backend.Close(ctx, c)
		return nil, errRefused
	}
	return c, nil
}

// Close implements pool.Backend.
func (m *metered) Close(ctx context.Context, c *sqldriver.Conn) error {
	defer m.meter.close()
	m.db.faults.remove(&sessionOf(c).resource)
	return m.Backend.Close(ctx, c)
}

// Ping implements pool.Backend.
func (m *metered) Ping(ctx context.Context, c *sqldriver.Conn) error {
	if sessionOf(c).broken.Load() {
		return errCut
	}
	return m.Backend.Ping(ctx, c)
}

// Checks implements pool.Checker for a backend that does.
func (m *metered) Checks() pool.Check {
	if c, ok := m.Backend.(pool.Checker[*sqldriver.Conn]); ok {
		return c.Checks()
	}
	return pool.NoCheck
}

// Check implements pool.Checker. What was cut is found by the look at its socket.
func (m *metered) Check(ctx context.Context, c *sqldriver.Conn) error {
	return m.Backend.(pool.Checker[*sqldriver.Conn]).Check(ctx, c)
}

// CheckLimits implements pool.LimitChecker for a backend that does.
func (m *metered) CheckLimits(kind string, l pool.Limits) error {
	if c, ok := m.Backend.(pool.LimitChecker); ok {
		return c.CheckLimits(kind, l)
	}
	return nil
}
