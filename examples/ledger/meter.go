package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/manage"
	"github.com/lidopool/lido/pool"
)

// meter is a kind of database that counts its connections itself, instead of believing the pool:
// from before a connection is opened until after it is closed.
type meter struct {
	manage.Backend

	mu            sync.Mutex
	open, peak    int
	opens, closes int
	times         []time.Duration // of each open
}

// Open implements manage.Backend.
func (m *meter) Open(dsn string, reset sqldriver.ResetMode) (pool.Backend[*sqldriver.Conn], error) {
	b, err := m.Backend.Open(dsn, reset)
	if err != nil {
		return nil, err
	}
	return metered{b, m}, nil
}

// metered is a pool's backend with a meter: all but Open and Close is as it was.
type metered struct {
	pool.Backend[*sqldriver.Conn]
	meter *meter
}

func (b metered) Open(ctx context.Context) (*sqldriver.Conn, error) {
	b.meter.begin()
	start := time.Now()
	c, err := b.Backend.Open(ctx)
	b.meter.opened(time.Since(start), err)
	return c, err
}

func (b metered) Close(ctx context.Context, c *sqldriver.Conn) error {
	err := b.Backend.Close(ctx, c)
	b.meter.closed()
	return err
}

func (m *meter) begin() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.open++
	m.peak = max(m.peak, m.open)
}

func (m *meter) opened(took time.Duration, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		m.open--
		return
	}
	m.opens++
	m.times = append(m.times, took)
}

func (m *meter) closed() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.open--
	m.closes++
}

// reading is what the meter shows at one moment.
type reading struct {
	peak, opens, closes int
	times               times
}

func (m *meter) read() reading {
	m.mu.Lock()
	defer m.mu.Unlock()
	return reading{m.peak, m.opens, m.closes, newTimes(slices.Clone(m.times))}
}
