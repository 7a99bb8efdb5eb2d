package target

import (
	"context"
	"database/sql/driver"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/lidopool/lido/backends/sqldriver"
)

// session is a connection to a real database as a load.Conn. A connection is not safe for use by two at a
// time, so where a pool shares it (strategy static) they take turns, each for one query.
type session struct {
	resource
	db   *database
	conn *sqldriver.Conn

	// These belong to who has the turn.
	dice *rand.Rand
	row  []driver.Value
}

func newSession(d *database, c *sqldriver.Conn) *session {
	s := &session{db: d, conn: c, dice: rand.New(rand.NewPCG(rand.Uint64(), 0)), row: make([]driver.Value, 1)}
	s.cut = func() { c.Cut() }
	return s
}

// sessionOf is what metered keeps with a connection.
func sessionOf(c *sqldriver.Conn) *session { return c.Kept().(*session) }

// Use implements load.Conn: it reads one row of the table by its key, or writes one. If the backend is
// slow, it sleeps afterwards.
func (s *session) Use(ctx context.Context, write bool) error {
	if err := s.enter(ctx); err != nil {
		return &useError{err}
	}
	defer s.leave()
	if s.broken.Load() {
		return &useError{errCut}
	}
	err := s.work(ctx, write)
	switch {
	case err == nil && !s.broken.Load():
		return nil
	case err == nil: // a file has no socket that ends what goes on
		err = errCut
	case ctx.Err() != nil: // whatever the driver makes of that
		err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
	return &useError{err}
}

func (s *session) work(ctx context.Context, write bool) (err error) {
	factor := s.db.faults.factor()
	var begun time.Time
	if factor > 1 {
		begun = time.Now()
	}
	if row := s.dice.IntN(rows); write {
		_, err = s.conn.For(s.db.writes[row]).(driver.ExecerContext).ExecContext(ctx, s.db.writes[row], nil)
	} else {
		_, err = query(ctx, s.conn, s.db.reads[row], s.row)
	}
	if err != nil || factor <= 1 {
		return err
	}
	t := time.NewTimer(time.Duration((factor - 1) * float64(time.Since(begun))))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
