package clients_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"
)

// note has a column of each kind that the databases have in common. sqlx reads the tags db, the
// others their own, and all call the table notes.
type note struct {
	ID     int64      `db:"id" bun:"id,pk,autoincrement"`
	Owner  string     `db:"owner" bun:",notnull"`
	Cents  int64      `db:"cents" bun:",notnull"`
	Ratio  float64    `db:"ratio" bun:",notnull"`
	Done   bool       `db:"done" bun:",notnull"`
	Body   []byte     `db:"body"`
	Made   time.Time  `db:"made" bun:",notnull"`
	Due    *time.Time `db:"due"`
	Remark *string    `db:"remark"`
}

func (n note) String() string {
	due, remark := "never", "none"
	if n.Due != nil {
		due = n.Due.UTC().Format(time.RFC3339Nano)
	}
	if n.Remark != nil {
		remark = fmt.Sprintf("%q", *n.Remark)
	}
	return fmt.Sprintf("%d %s %d %v %t %x %s %s %s",
		n.ID, n.Owner, n.Cents, n.Ratio, n.Done, n.Body, n.Made.UTC().Format(time.RFC3339Nano), due, remark)
}

// store is the job's parts, as each client does them.
type store interface {
	// create makes the table.
	create(ctx context.Context) error
	// insert returns the note with its new id, if it had none.
	insert(ctx context.Context, n note) (note, error)
	get(ctx context.Context, id int64) (note, error)
	list(ctx context.Context, owner string) ([]note, error)
	// owner reads the first row of all, by id, and closes the rows without reading on.
	owner(ctx context.Context) (string, error)
	// transfer moves cents in a transaction, which ends with the error of last, if that gives one.
	transfer(ctx context.Context, from, to, cents int64, last func() error) error
	// savepoint adds a cent in a transaction, and takes all in a part of it that is undone.
	savepoint(ctx context.Context, id int64) error
	// sum adds up the cents of some notes, with one prepared statement.
	sum(ctx context.Context, ids []int64) (int64, error)
	// slow runs the database's slow query.
	slow(ctx context.Context) error
}

// A client makes a store of a database. direct says that it knows that by an interface.
type client struct {
	name   string
	direct bool
	store  func(h handle, d database) (store, error)
}

var clients = []client{
	{"sqlx", false, newSQLX},
	{"gorm", true, newGORM},
	{"bun", false, newBun},
	{"sqlc", true, newSQLC},
}

// workers who do the job's transfers at once, more of them than connections.
const workers, rounds = 6, 5

// executions of the job's prepared statement.
const executions = 100

var errBack = errors.New("changed my mind")

// job uses a store for all that it can. saw is the same for all; said are the texts of
// errors, which are the driver's.
func job(ctx context.Context, s store, look func()) (saw, said []string, err error) {
	say := func(format string, args ...any) { saw = append(saw, fmt.Sprintf(format, args...)) }
	if err := s.create(ctx); err != nil {
		return saw, said, fmt.Errorf("create: %w", err)
	}
	made := time.Date(2026, 11, 25, 12, 30, 1, 0, time.UTC)
	due, remark := made.Add(36*time.Hour), "größer 'than' \"all\"\n"
	for _, n := range []note{
		{Owner: "ann", Cents: 1000, Ratio: 0.1, Done: true, Body: []byte{0, 1, 255, '?'}, Made: made, Due: &due, Remark: &remark},
		{Owner: "bob", Cents: -1 << 62, Ratio: -0.125, Body: []byte{}, Made: made},
		{Owner: "ann", Cents: 500, Made: made},
	} {
		n, err := s.insert(ctx, n)
		if err != nil {
			return saw, said, fmt.Errorf("insert: %w", err)
		}
		got, err := s.get(ctx, n.ID)
		say("inserted %v, read %v, %v", n.ID, got, err)
	}

	if _, err := s.insert(ctx, note{ID: 1, Owner: "eve", Made: made}); err == nil {
		say("there are two notes 1")
	} else {
		said = append(said, err.Error())
	}
	_, err = s.get(ctx, 99)
	say("no note 99: %t", errors.Is(err, sql.ErrNoRows) || errors.Is(err, gorm.ErrRecordNotFound))
	said = append(said, fmt.Sprint(err))

	notes, err := s.list(ctx, "ann")
	say("of ann: %v, %v", notes, err)
	owner, err := s.owner(ctx)
	say("first owner: %v, %v", owner, err)

	say("transfer: %v", s.transfer(ctx, 1, 3, 300, func() error { return nil }))
	say("undone: %t", errors.Is(s.transfer(ctx, 1, 3, 300, func() error { return errBack }), errBack))
	say("savepoint: %v", s.savepoint(ctx, 3))
	for _, id := range []int64{1, 3} {
		n, err := s.get(ctx, id)
		say("%d has %d, %v", id, n.Cents, err)
	}

	var all sync.WaitGroup
	failed := make(chan error, workers*rounds)
	for w := range workers {
		all.Go(func() {
			for i := range rounds {
				err := s.transfer(ctx, 1, 3, int64(w+1), func() error {
					look()
					if i == 0 {
						return errBack
					}
					return nil
				})
				if err != nil && !errors.Is(err, errBack) {
					failed <- err
				}
			}
		})
	}
	all.Wait()
	close(failed)
	for err := range failed {
		return saw, said, fmt.Errorf("transfer among others: %w", err)
	}
	ids := make([]int64, executions)
	for i := range ids {
		ids[i] = 1 + 2*int64(i%2)
	}
	sum, err := s.sum(ctx, ids)
	say("fifty times both: %d, %v", sum, err)

	// Real time, because a server does the waiting: long enough that the query has begun mostly, and no
	// matter if it has not.
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	begun := time.Now()
	err = s.slow(short)
	say("stopped: %t, with its ctx: %t", err != nil, time.Since(begun) < 30*time.Second)
	gone, cancel := context.WithCancel(ctx)
	cancel()
	_, err = s.get(gone, 1)
	say("canceled: %t", errors.Is(err, context.Canceled))
	err = s.transfer(gone, 1, 3, 1, func() error { return nil })
	say("canceled: %t", errors.Is(err, context.Canceled))
	said = append(said, fmt.Sprint(err))

	for _, id := range []int64{1, 3} {
		n, err := s.get(ctx, id)
		say("%d has %d, %v", id, n.Cents, err)
	}
	return saw, said, nil
}

// wanted is what everybody sees. The first round of each worker is undone, so the rounds move
// 4 × (1 + … + 6) cents.
var wanted = []string{
	`inserted 1, read 1 ann 1000 0.1 true 0001ff3f 2026-11-25T12:30:01Z 2026-11-27T00:30:01Z "größer 'than' \"all\"\n", <nil>`,
	`inserted 2, read 2 bob -4611686018427387904 -0.125 false  2026-11-25T12:30:01Z never none, <nil>`,
	`inserted 3, read 3 ann 500 0 false  2026-11-25T12:30:01Z never none, <nil>`,
	`no note 99: true`,
	`of ann: [1 ann 1000 0.1 true 0001ff3f 2026-11-25T12:30:01Z 2026-11-27T00:30:01Z "größer 'than' \"all\"\n"` +
		` 3 ann 500 0 false  2026-11-25T12:30:01Z never none], <nil>`,
	`first owner: ann, <nil>`,
	`transfer: <nil>`,
	`undone: true`,
	`savepoint: <nil>`,
	`1 has 700, <nil>`,
	`3 has 801, <nil>`,
	`fifty times both: 75050, <nil>`,
	`stopped: true, with its ctx: true`,
	`canceled: true`,
	`canceled: true`,
	`1 has 616, <nil>`,
	`3 has 885, <nil>`,
}

func TestSQLiteClientsSeeNoDifference(t *testing.T)     { clientsSeeNoDifference(t, sqlite3) }
func TestPostgreSQLClientsSeeNoDifference(t *testing.T) { clientsSeeNoDifference(t, postgreSQL) }
func TestMariaDBClientsSeeNoDifference(t *testing.T)    { clientsSeeNoDifference(t, mariaDB) }
func TestPgxClientsSeeNoDifference(t *testing.T)        { clientsSeeNoDifference(t, pgxPostgreSQL) }
func TestModerncClientsSeeNoDifference(t *testing.T)    { clientsSeeNoDifference(t, modernSQLite) }

func clientsSeeNoDifference(t *testing.T, d database) {
	for _, c := range clients {
		t.Run(c.name, func(t *testing.T) {
			// Over plain database/sql: what it says here is what it must say there.
			db := plain(t, d)
			said, columns := work(t, c, db, d, func() {}), columnsOf(t, db)

			t.Run("OpenDB", func(t *testing.T) {
				p := pool(t, d)
				db := p.openDB(t)
				got := work(t, c, db, d, p.looker(t))
				if !slices.Equal(got, said) {
					t.Errorf("errors say\n%s\nwant what they say without Lido:\n%s", lines(got), lines(said))
				}
				if got := columnsOf(t, db); !slices.Equal(got, columns) {
					t.Errorf("the columns are\n%s\nwant what they are without Lido:\n%s", lines(got), lines(columns))
				}
				p.mustRest(t)
				// Each connection prepares once, and most executions find that.
				if s := p.stats(t).Statements; s.Hits < executions-most {
					t.Errorf("of %d executions of one prepared statement, on at most %d connections, %d found it prepared", executions, most, s.Hits)
				}
			})
			if !c.direct {
				return
			}
			t.Run("Open", func(t *testing.T) {
				p := pool(t, d)
				got := work(t, c, p.open(t), d, p.looker(t))
				if !slices.Equal(got, said) {
					t.Errorf("errors say\n%s\nwant what they say without Lido:\n%s", lines(got), lines(said))
				}
				p.mustRest(t)
			})
		})
	}
}

// work has a client do the job, and returns what its errors said.
func work(t *testing.T, c client, h handle, d database, look func()) (said []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s, err := c.store(h, d)
	if err != nil {
		t.Fatal(err)
	}
	saw, said, err := job(ctx, s, look)
	if err != nil {
		t.Fatalf("%v, after\n%s", err, lines(saw))
	}
	if !slices.Equal(saw, wanted) {
		t.Errorf("the job saw\n%s\nwant\n%s", lines(saw), lines(wanted))
	}
	return said
}

// looker looks whether there are more connections than there may be.
func (p pooled) looker(t *testing.T) func() {
	return func() {
		if s := p.stats(t); s.Open > most || s.Open == 0 {
			t.Errorf("%d connections are open, want 1 to %d", s.Open, most)
		}
	}
}

// columnsOf is all that database/sql can tell of the columns of the notes.
func columnsOf(t *testing.T, db *sql.DB) (all []string) {
	t.Helper()
	rows, err := db.Query("SELECT * FROM notes ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	types, err := rows.ColumnTypes()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range types {
		null, knows := c.Nullable()
		length, bounded := c.Length()
		precision, scale, decimal := c.DecimalSize()
		all = append(all, fmt.Sprint(c.Name(), " ", c.DatabaseTypeName(), " ", c.ScanType(), null, knows, length, bounded, precision, scale, decimal))
	}
	return all
}

func lines(all []string) string { return "\t" + strings.Join(all, "\n\t") }
