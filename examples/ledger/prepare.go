package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/lidopool/lido/strategies"
)

// prepare builds the books at path, or takes those that are there, and audits them. 0 accounts
// means as many as there are, or defaultAccounts.
func prepare(ctx context.Context, path string, accounts int, p *progress) (now books, err error) {
	fresh, err := create(path)
	if err != nil {
		return now, err
	}
	if fresh {
		defer func() {
			if err != nil {
				remove(path) // half-built books are of no use
			}
		}()
	}
	b, err := openBank(path, auditor())
	if err != nil {
		return now, &requestError{err}
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if fresh {
		if accounts == 0 {
			accounts = defaultAccounts
		}
		if err := build(ctx, b.db, accounts, p); err != nil {
			return now, errors.Join(ctx.Err(), fmt.Errorf("ledger: building the books: %w", err))
		}
	} else if err := recognise(ctx, b.db, path, accounts); err != nil {
		return now, err
	}
	p.step("books", "audit")
	if now, err = audit(ctx, b.db); err != nil {
		return now, errors.Join(ctx.Err(), fmt.Errorf("ledger: %s: %w", path, err))
	}
	p.done("books", "%s accounts, %s entries, audited", count(now.accounts), count(now.entries))
	return now, nil
}

// create makes an empty file and reports true, or false if there is a file already. It asks the
// file system, whose errors are clearer than SQLite's.
func create(path string) (fresh bool, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o644)
	if err == nil {
		return true, f.Close()
	}
	if !errors.Is(err, fs.ErrExist) {
		return false, badRequest("-db cannot be created: %w: name a file in a directory that exists and is writable", err)
	}
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a file", path)
	}
	if err == nil {
		f, err = os.OpenFile(path, os.O_RDWR, 0) // the load writes
	}
	if err != nil {
		return false, badRequest("-db cannot be used: %w: name a file that can be written, or a new one", err)
	}
	return false, f.Close()
}

func remove(path string) {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		os.Remove(path + suffix)
	}
}

// recognise makes sure that a database is complete books of this program, of so many accounts if
// that is not 0.
func recognise(ctx context.Context, db *sql.DB, path string, accounts int) error {
	var id, have int
	err := db.QueryRowContext(ctx, `PRAGMA application_id`).Scan(&id)
	if err == nil && id == applicationID {
		err = db.QueryRowContext(ctx, `SELECT count(*) FROM accounts`).Scan(&have)
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return badRequest("-db is %s, which cannot be read: %w: name another file", path, err)
	case id != applicationID:
		return badRequest("-db is %s, which is not a ledger of this program: name another file", path)
	case accounts != 0 && accounts != have:
		return badRequest("-accounts is %d, but %s has %d: leave -accounts out, or name another file", accounts, path, have)
	}
	return nil
}

// auditor is the strategy for one who works alone, and wants to hear of it if not.
func auditor() strategies.Config { return strategies.Config{Kind: "assertion"} }
