package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
)

// schema is double-entry bookkeeping: a transfer is two entries that sum to zero, and a balance
// is the sum of its account's entries. Amounts are cents.
const schema = `
CREATE TABLE branches (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE accounts (
	id      INTEGER PRIMARY KEY,
	branch  INTEGER NOT NULL REFERENCES branches,
	balance INTEGER NOT NULL CHECK (balance >= 0)
);
CREATE TABLE entries (
	id       INTEGER PRIMARY KEY,
	account  INTEGER NOT NULL REFERENCES accounts,
	transfer INTEGER, -- NULL: the deposit that opened the account
	amount   INTEGER NOT NULL,
	booked   INTEGER NOT NULL -- Unix time
);`

// finish is what comes after the rows: indexes are made faster then. application_id spells
// "Lido" and marks the file as complete books of this program.
const finish = `
CREATE INDEX entries_by_account ON entries (account);
CREATE UNIQUE INDEX entries_by_transfer ON entries (transfer, account);
UPDATE accounts SET balance = (SELECT sum(amount) FROM entries WHERE account = accounts.id);
CREATE INDEX accounts_by_branch ON accounts (branch, balance);
PRAGMA application_id = 0x4c69646f;`

const applicationID = 0x4c69646f

const (
	branches          = 40
	entriesPerAccount = 10 // on average, the first deposit included
	deposit           = 1000_00
	firstDay          = 1_700_000_000 // arbitrary: in November 2023
	rowsPerCommit     = 20_000        // arbitrary: some commits a second
)

// build makes the books of a bank with some history, the same ones every time.
func build(ctx context.Context, db *sql.DB, accounts int, p *progress) error {
	b := &builder{ctx: ctx, db: db, progress: p, rows: branches + accounts*(1+entriesPerAccount)}
	defer b.rollback()
	b.exec(schema)
	for id := 1; id <= branches; id++ {
		b.insert(`INSERT INTO branches VALUES (?, ?)`, id, fmt.Sprintf("Branch %d", id))
	}
	balances := make([]int64, accounts+1)
	for id := 1; id <= accounts; id++ {
		balances[id] = deposit
		b.insert(`INSERT INTO accounts VALUES (?, ?, 0)`, id, 1+id%branches)
	}
	for id := 1; id <= accounts; id++ {
		b.insert(`INSERT INTO entries VALUES (NULL, ?, NULL, ?, ?)`, id, deposit, firstDay)
	}
	random := rand.New(rand.NewPCG(1, 1))
	const entry = `INSERT INTO entries VALUES (NULL, ?, ?, ?, ?)`
	for n := range accounts * (entriesPerAccount - 1) / 2 {
		from, to := twoAccounts(random, accounts)
		amount := random.Int64N(balances[from]/10 + 1)
		balances[from] -= amount
		balances[to] += amount
		b.insert(entry, from, n+1, -amount, firstDay+n)
		b.insert(entry, to, n+1, amount, firstDay+n)
	}
	b.commit()
	p.step("build", "indexes")
	b.exec(finish)
	return b.err
}

// builder inserts rows, many per transaction. After an error it does nothing.
type builder struct {
	ctx      context.Context
	db       *sql.DB
	progress *progress
	rows     int // in all
	err      error

	done int
	tx   *sql.Tx
	stmt *sql.Stmt
	text string // of stmt
}

func (b *builder) insert(text string, args ...any) {
	if b.err == nil && b.tx == nil {
		b.tx, b.err = b.db.BeginTx(b.ctx, nil)
	}
	if b.err == nil && b.text != text {
		b.text = text
		b.stmt, b.err = b.tx.PrepareContext(b.ctx, text) // closed with its transaction
	}
	if b.err == nil {
		_, b.err = b.stmt.ExecContext(b.ctx, args...)
	}
	if b.done++; b.done%rowsPerCommit == 0 {
		b.commit()
		b.progress.step("build", "%s of %s rows", count(b.done), count(b.rows))
	}
}

func (b *builder) commit() {
	if b.err == nil && b.tx != nil {
		b.err = b.tx.Commit()
		b.tx, b.text = nil, ""
	}
}

func (b *builder) exec(text string) {
	if b.err == nil {
		_, b.err = b.db.ExecContext(b.ctx, text)
	}
}

func (b *builder) rollback() {
	if b.tx != nil {
		b.tx.Rollback()
	}
}

func twoAccounts(random *rand.Rand, accounts int) (from, to int) {
	from = 1 + random.IntN(accounts)
	to = 1 + random.IntN(accounts-1)
	if to >= from {
		to++
	}
	return from, to
}

// books is what an audit counted.
type books struct {
	accounts, entries int
	money             int64 // of all accounts together
	lastTransfer      int64
}

// errUnbalanced says that the data is wrong, not that reading it failed.
var errUnbalanced = errors.New("the books do not balance")

// audit checks the books by themselves: every balance is the sum of its entries, every transfer has
// two which sum to zero, and the file is sound.
func audit(ctx context.Context, db *sql.DB) (b books, err error) {
	err = db.QueryRowContext(ctx, `SELECT count(*), sum(balance) FROM accounts`).Scan(&b.accounts, &b.money)
	if err != nil {
		return b, err
	}
	err = db.QueryRowContext(ctx, `SELECT count(*), coalesce(max(transfer), 0) FROM entries`).Scan(&b.entries, &b.lastTransfer)
	if err != nil {
		return b, err
	}
	for _, check := range []struct{ finds, query string }{
		{"account %v has a balance of %v cents, and entries for %v", `
			SELECT a.id, a.balance, coalesce(e.amount, 0) FROM accounts a
			LEFT JOIN (SELECT account, sum(amount) AS amount FROM entries GROUP BY account) e ON e.account = a.id
			WHERE a.balance <> coalesce(e.amount, 0)`},
		{"transfer %v has %v entries, which sum to %v", `
			SELECT transfer, count(*), sum(amount) FROM entries WHERE transfer IS NOT NULL
			GROUP BY transfer HAVING count(*) <> 2 OR sum(amount) <> 0`},
		{"a row of %v refers to one of %v that is not there (%v)", `
			SELECT "table", "parent", rowid FROM pragma_foreign_key_check`},
		{"the file is damaged: %v%v%v", `
			SELECT integrity_check, '', '' FROM pragma_integrity_check WHERE integrity_check <> 'ok'`},
	} {
		var x, y, z any
		switch err := db.QueryRowContext(ctx, check.query+` LIMIT 1`).Scan(&x, &y, &z); {
		case err == nil:
			return b, fmt.Errorf("%w: "+check.finds, errUnbalanced, x, y, z)
		case !errors.Is(err, sql.ErrNoRows):
			return b, err
		}
	}
	return b, nil
}

// expect checks what an audit cannot see by itself: that the books are those from before plus the
// transfers that the workers saw committed, no more and no less.
func (b books) expect(before books, transfers int) error {
	if b.money != before.money {
		return fmt.Errorf("%w: there were %d cents, and now there are %d", errUnbalanced, before.money, b.money)
	}
	if b.accounts != before.accounts {
		return fmt.Errorf("%w: there were %d accounts, and now there are %d", errUnbalanced, before.accounts, b.accounts)
	}
	switch want := before.entries + 2*transfers; {
	case b.entries < want:
		return fmt.Errorf("%w: %d entries, %d wanted after %d transfers: writes were lost", errUnbalanced, b.entries, want, transfers)
	case b.entries > want:
		return fmt.Errorf("%w: %d entries, %d wanted after %d transfers: writes were doubled", errUnbalanced, b.entries, want, transfers)
	}
	return nil
}
