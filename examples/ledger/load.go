package main

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// load is the work done through each strategy: of 100 operations, 50 look at a balance, 25 at the
// last entries of an account, 5 at the total of a branch, and 20 move money. It knows a *sql.DB
// and nothing of pools.
type load struct {
	db         *sql.DB
	accounts   int
	goroutines int
	duration   time.Duration

	operations   atomic.Int64 // done so far
	lastTransfer atomic.Int64 // transfers are numbered by the bank, not by the database
}

// tally is what workers saw. The times are of every single operation, so percentiles are exact.
type tally struct {
	acquires      []time.Duration // waiting for the lease
	reads, writes []time.Duration // from having the lease to giving it back
	committed     int             // transfers
	errors        int
	firstError    error
}

// patience is how much longer than asked a run may take before what still hangs is cancelled:
// more than any timeout in the program, so that only a bug can need it.
const patience = time.Minute

// run lets the goroutines work until the time is over or ctx ends. What has begun then is
// finished first: a commit cut off half-way leaves nobody knowing whether it happened.
func (l *load) run(ctx context.Context) tally {
	work, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.duration+patience)
	defer cancel()
	tallies := make([]tally, l.goroutines)
	end := time.Now().Add(l.duration)
	var wg sync.WaitGroup
	for i := range tallies {
		random := rand.New(rand.NewPCG(2, uint64(i)))
		wg.Go(func() {
			for time.Now().Before(end) && ctx.Err() == nil {
				l.operate(work, random, &tallies[i])
			}
		})
	}
	wg.Wait()
	var all tally
	for i := range tallies {
		all.add(&tallies[i])
	}
	return all
}

func (t *tally) add(u *tally) {
	t.acquires = append(t.acquires, u.acquires...)
	t.reads = append(t.reads, u.reads...)
	t.writes = append(t.writes, u.writes...)
	t.committed += u.committed
	t.errors += u.errors
	if t.firstError == nil {
		t.firstError = u.firstError
	}
}

func (t *tally) fail(err error) {
	t.errors++
	if t.firstError == nil {
		t.firstError = err
	}
}

// operate leases a connection, does one operation on it and gives it back. A plain l.db.QueryRow
// would do the same; the steps are apart here to be timed.
func (l *load) operate(ctx context.Context, random *rand.Rand, t *tally) {
	start := time.Now()
	conn, err := l.db.Conn(ctx)
	leased := time.Now()
	if err != nil {
		t.fail(err)
		return
	}
	t.acquires = append(t.acquires, leased.Sub(start))

	times := &t.reads
	switch dice, account := random.IntN(100), 1+random.IntN(l.accounts); {
	case dice < 50:
		err = balance(ctx, conn, account)
	case dice < 75:
		err = statement(ctx, conn, account)
	case dice < 80:
		err = branchTotal(ctx, conn, 1+random.IntN(branches))
	default:
		times = &t.writes
		from, to := twoAccounts(random, l.accounts)
		err = transfer(ctx, conn, l.lastTransfer.Add(1), from, to, 1+random.Int64N(10_00))
		if err == nil {
			t.committed++
		}
	}
	if closed := conn.Close(); err == nil {
		err = closed
	}
	if err != nil && !errors.Is(err, errTooPoor) {
		t.fail(err)
		return
	}
	*times = append(*times, time.Since(leased))
	l.operations.Add(1)
}

func balance(ctx context.Context, conn *sql.Conn, account int) error {
	var cents int64
	return conn.QueryRowContext(ctx, `SELECT balance FROM accounts WHERE id = ?`, account).Scan(&cents)
}

func statement(ctx context.Context, conn *sql.Conn, account int) error {
	rows, err := conn.QueryContext(ctx,
		`SELECT id, amount, booked FROM entries WHERE account = ? ORDER BY id DESC LIMIT 20`, account)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id, cents, booked int64
		if err := rows.Scan(&id, &cents, &booked); err != nil {
			return err
		}
	}
	return rows.Err()
}

func branchTotal(ctx context.Context, conn *sql.Conn, branch int) error {
	var accounts, cents int64
	return conn.QueryRowContext(ctx,
		`SELECT count(*), coalesce(sum(balance), 0) FROM accounts WHERE branch = ?`, branch).Scan(&accounts, &cents)
}

// errTooPoor ends a transfer that its sender cannot pay. It is an answer, not a failure.
var errTooPoor = errors.New("balance too low")

func transfer(ctx context.Context, conn *sql.Conn, number int64, from, to int, cents int64) error {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // does nothing after Commit
	paid, err := tx.ExecContext(ctx, `UPDATE accounts SET balance = balance - ? WHERE id = ? AND balance >= ?`, cents, from, cents)
	if err != nil {
		return err
	}
	if n, err := paid.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, errTooPoor)
	}
	if _, err := tx.ExecContext(ctx, `UPDATE accounts SET balance = balance + ? WHERE id = ?`, cents, to); err != nil {
		return err
	}
	const entry = `INSERT INTO entries (account, transfer, amount, booked) VALUES (?, ?, ?, ?)`
	now := time.Now().Unix()
	if _, err := tx.ExecContext(ctx, entry, from, number, -cents, now); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, entry, to, number, cents, now); err != nil {
		return err
	}
	return tx.Commit()
}
