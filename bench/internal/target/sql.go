package target

import (
	"context"
	"crypto/rand"
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/bench/internal/load"
	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/strategies"
)

const (
	// patience is how long a database may take to be reached, and to be left. Arbitrary: a user who has
	// mistyped an address should not wait longer.
	patience = 5 * time.Second
	// rows of the table. Arbitrary: enough that writers seldom wait for each other's row, and few enough
	// to be in memory.
	rows = 1000
)

// database is a real one. It has a table, which is made at open and dropped at Close, and a connection
// of its own for that, and for asking who else is connected, which no meter and no fault sees.
type database struct {
	name     string
	backend  pool.Backend[*sqldriver.Conn]
	table    string
	counting string // the query for the number of sessions of this program; "": there is no server to be asked
	remove   func() error

	reads, writes []string // one for each row, as texts: so they work through every pooler
	faults        Faults
	census        census

	mu    sync.Mutex
	admin *sqldriver.Conn // nil if it has to be opened again
}

// tableName is a name that no other run has.
func tableName() string { return "lidobench_" + suffix() }

func suffix() string {
	var random [4]byte
	rand.Read(random[:])
	return hex.EncodeToString(random[:])
}

// start connects and makes the table. After an error nothing is left behind.
func (d *database) start(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("cannot be reached within %v", patience))
	defer cancel()
	made := false
	defer func() {
		if err == nil {
			return
		}
		// What ended ctx must not keep us from cleaning up.
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		if made {
			err = errors.Join(err, d.dropAnyhow(closing))
		}
		if d.admin != nil {
			_ = d.backend.Close(closing, d.admin)
		}
		if d.remove != nil {
			err = errors.Join(err, d.remove())
		}
		err = fmt.Errorf("target: %s: %w", d.name, err)
	}()
	d.census.ask = func(ctx context.Context) (int, error) {
		n, _, err := d.Sessions(ctx)
		return n, err
	}
	if d.admin, err = d.backend.Open(ctx); err != nil {
		return err
	}
	values := make([]string, rows)
	for i := range values {
		values[i] = fmt.Sprintf("(%d, 0)", i)
		d.reads = append(d.reads, fmt.Sprintf("SELECT n FROM %s WHERE id = %d", d.table, i))
		d.writes = append(d.writes, fmt.Sprintf("UPDATE %s SET n = n + 1 WHERE id = %d", d.table, i))
	}
	if err := exec(ctx, d.admin, "CREATE TABLE "+d.table+" (id INTEGER PRIMARY KEY, n BIGINT NOT NULL)"); err != nil {
		// Who was interrupted does not know whether it was made. Its name is ours alone, but in a file.
		made = ctx.Err() != nil && d.table != ours
		return fmt.Errorf("its table for the measurement cannot be made: %w: give a database in which tables may be made", err)
	}
	made = true
	return exec(ctx, d.admin, "INSERT INTO "+d.table+" VALUES "+strings.Join(values, ", "))
}

// ErrLeft is wrapped by an error of Open or Close after which there is something left that it had made.
var ErrLeft = errors.New("target: left behind")

// dropAnyhow drops the table, over another connection if that of our own has died since it was used last.
func (d *database) dropAnyhow(ctx context.Context) error {
	drop := func(c *sqldriver.Conn) error { return exec(ctx, c, "DROP TABLE IF EXISTS "+d.table) }
	err := d.asAdmin(ctx, drop)
	if err != nil {
		err = d.asAdmin(ctx, drop)
	}
	if err != nil {
		return fmt.Errorf("%w: table %s: %w", ErrLeft, d.table, err)
	}
	return nil
}

// Name implements Backend.
func (d *database) Name() string { return d.name }

// Faults implements Backend.
func (d *database) Faults() *Faults { return &d.faults }

// Sessions implements Backend. It does not count the connection that asks.
func (d *database) Sessions(ctx context.Context) (n int, known bool, err error) {
	if d.counting == "" {
		return 0, false, nil
	}
	err = d.asAdmin(ctx, func(c *sqldriver.Conn) (err error) {
		n, err = count(ctx, c, d.counting)
		return err
	})
	return n, err == nil, err
}

// asAdmin calls f with the connection of our own. If f fails it is opened again for the next call.
func (d *database) asAdmin(ctx context.Context, f func(*sqldriver.Conn) error) (err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.admin == nil {
		if d.admin, err = d.backend.Open(ctx); err != nil {
			d.admin = nil
			return fmt.Errorf("target: %s: %w", d.name, err)
		}
	}
	if err := f(d.admin); err != nil {
		_ = d.backend.Close(ctx, d.admin)
		d.admin = nil
		return fmt.Errorf("target: %s: %w", d.name, err)
	}
	return nil
}

// Close implements Backend. It drops the table.
func (d *database) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	d.census.close()
	err := d.dropAnyhow(ctx)
	if d.admin != nil {
		err = errors.Join(err, d.backend.Close(ctx, d.admin))
	}
	if d.remove != nil {
		err = errors.Join(err, d.remove())
	}
	return err
}

// Target implements Backend.
func (d *database) Target(c strategies.Config) (load.Target, error) {
	m := &metered{Backend: d.backend, db: d, meter: &Meter{}}
	clean, _ := d.backend.(interface{ Clean(*sqldriver.Conn) bool })
	o := origin[*sqldriver.Conn]{
		backend:  m,
		meter:    m.meter,
		conn:     func(c *sqldriver.Conn) load.Conn { return sessionOf(c) },
		sessions: d.census.latest,
		shared:   func() { m.shared = true },
	}
	if clean != nil {
		o.clean = func(c *sqldriver.Conn) bool {
			s := sessionOf(c)
			if !s.tryEnter() {
				return false
			}
			defer s.leave()
			return clean.Clean(c)
		}
	}
	if d.counting == "" {
		o.sessions = func() int { return -1 }
	}
	return newLido(o, c)
}

// Dial implements Backend.
func (d *database) Dial(ctx context.Context, m *Meter) (load.Conn, func() error, error) {
	b := metered{Backend: d.backend, db: d, meter: m}
	c, err := b.Open(ctx)
	if err != nil {
		return nil, nil, err
	}
	return sessionOf(c), func() error {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		return b.Close(ctx, c)
	}, nil
}

// exec executes a text.
func exec(ctx context.Context, c *sqldriver.Conn, text string) error {
	e, ok := c.For(text).(driver.ExecerContext)
	if !ok {
		return fmt.Errorf("%v cannot execute a text", c)
	}
	return c.Within(ctx, func() error {
		_, err := e.ExecContext(ctx, text, nil)
		return err
	})
}

// query is the first column of the first row, of which into is the buffer.
func query(ctx context.Context, c *sqldriver.Conn, text string, into []driver.Value) (driver.Value, error) {
	q, ok := c.For(text).(driver.QueryerContext)
	if !ok {
		return nil, fmt.Errorf("%v cannot query a text", c)
	}
	r, err := q.QueryContext(ctx, text, nil)
	if err != nil {
		return nil, err
	}
	err = r.Next(into)
	if err == io.EOF {
		err = errors.New("there is no row")
	}
	return into[0], errors.Join(err, r.Close())
}

// count is the number that a query answers.
func count(ctx context.Context, c *sqldriver.Conn, text string) (n int, err error) {
	err = c.Within(ctx, func() error {
		v, err := query(ctx, c, text, make([]driver.Value, 1))
		if err != nil {
			return err
		}
		if b, ok := v.([]byte); ok {
			v = string(b)
		}
		_, err = fmt.Sscan(fmt.Sprint(v), &n)
		return err
	})
	return n, err
}
