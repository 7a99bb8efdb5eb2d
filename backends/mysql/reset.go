package mysql

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/lidopool/lido/backends/sqldriver"
)

// managed is an sqldriver.Backend that, after a transaction begun by a text, also sees to what
// ROLLBACK and COMMIT leave behind.
type managed struct {
	*sqldriver.Backend
	conns *conns
	tidy  bool // in the modes rollback and commit
}

// Reset is that of sqldriver.Backend. Where that has ended a transaction, or may have, it
// also unlocks the tables, and fails if the holder has left autocommit off, so that the connection is
// discarded: the next holder's work would not be committed. This costs two
// more round trips.
func (m *managed) Reset(ctx context.Context, c *sqldriver.Conn) error {
	ends := m.tidy && c.InTx()
	if err := m.Backend.Reset(ctx, c); err != nil || !ends {
		return err
	}
	raw := c.For("")
	if err := exec(ctx, raw, "UNLOCK TABLES"); err != nil {
		return fmt.Errorf("mysql: reset: %w", err)
	}
	manual, err := beginsByItself(ctx, raw)
	if err != nil {
		return fmt.Errorf("mysql: reset: %w", err)
	}
	if manual && !m.conns.manual.Load() {
		return errors.New("mysql: reset: autocommit is off: the holder has left it so")
	}
	return nil
}

// beginsByItself reports whether autocommit is off. It fails where each transaction begins the next
// one: then nobody could tell whether one is open.
func beginsByItself(ctx context.Context, c driver.Conn) (bool, error) {
	row, err := ask(ctx, c, "SELECT @@autocommit, @@completion_type", 2)
	if err != nil {
		return false, err
	}
	if row[1] != "NO_CHAIN" && row[1] != "0" {
		return false, fmt.Errorf("mysql: completion_type is %.40s: set it to NO_CHAIN, the default", row[1])
	}
	return off(row[0]), nil
}

func exec(ctx context.Context, c driver.Conn, text string) error {
	_, err := c.(driver.ExecerContext).ExecContext(ctx, text, nil)
	return err
}
