package clients_test

import (
	"context"
	"database/sql"
)

// What follows is written as sqlc writes it, with emit_prepared_queries off. (sqlc has a file of queries for
// each database; here their placeholders are turned into those of the database.)

type DBTX interface {
	ExecContext(context.Context, string, ...interface{}) (sql.Result, error)
	PrepareContext(context.Context, string) (*sql.Stmt, error)
	QueryContext(context.Context, string, ...interface{}) (*sql.Rows, error)
	QueryRowContext(context.Context, string, ...interface{}) *sql.Row
}

func New(db DBTX) *Queries {
	return &Queries{db: db}
}

type Queries struct {
	db DBTX
}

func (q *Queries) WithTx(tx *sql.Tx) *Queries {
	return &Queries{
		db: tx,
	}
}

const getNote = `SELECT id, owner, cents, ratio, done, body, made, due, remark FROM notes WHERE id = ?`

func (q *Queries) GetNote(ctx context.Context, text string, id int64) (note, error) {
	row := q.db.QueryRowContext(ctx, text, id)
	var i note
	err := row.Scan(
		&i.ID,
		&i.Owner,
		&i.Cents,
		&i.Ratio,
		&i.Done,
		&i.Body,
		&i.Made,
		&i.Due,
		&i.Remark,
	)
	return i, err
}

const listNotes = `SELECT id, owner, cents, ratio, done, body, made, due, remark FROM notes WHERE owner = ? ORDER BY id`

func (q *Queries) ListNotes(ctx context.Context, text, owner string) ([]note, error) {
	rows, err := q.db.QueryContext(ctx, text, owner)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var items []note
	for rows.Next() {
		var i note
		if err := rows.Scan(
			&i.ID,
			&i.Owner,
			&i.Cents,
			&i.Ratio,
			&i.Done,
			&i.Body,
			&i.Made,
			&i.Due,
			&i.Remark,
		); err != nil {
			return nil, err
		}
		items = append(items, i)
	}
	if err := rows.Close(); err != nil {
		return nil, err
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	return items, nil
}

const addCents = `UPDATE notes SET cents = cents + ? WHERE id = ?`

type AddCentsParams struct {
	Cents int64
	ID    int64
}

func (q *Queries) AddCents(ctx context.Context, text string, arg AddCentsParams) error {
	_, err := q.db.ExecContext(ctx, text, arg.Cents, arg.ID)
	return err
}

// sqlcStore is a program with such a package.
type sqlcStore struct {
	db      handle
	queries *Queries
	database
}

func newSQLC(h handle, d database) (store, error) { return sqlcStore{h, New(h), d}, nil }

func (s sqlcStore) create(ctx context.Context) error {
	_, err := s.db.ExecContext(ctx, s.table)
	return err
}

func (s sqlcStore) insert(ctx context.Context, n note) (note, error) {
	columns, values := "owner, cents, ratio, done, body, made, due, remark", "?, ?, ?, ?, ?, ?, ?, ?"
	args := []any{n.Owner, n.Cents, n.Ratio, n.Done, n.Body, n.Made, n.Due, n.Remark}
	if n.ID != 0 {
		columns, values, args = columns+", id", values+", ?", append(args, n.ID)
	}
	query := s.text("INSERT INTO notes (" + columns + ") VALUES (" + values + ")")
	if s.gives {
		err := s.db.QueryRowContext(ctx, query+" RETURNING id", args...).Scan(&n.ID)
		return n, err
	}
	r, err := s.db.ExecContext(ctx, query, args...)
	if err == nil {
		n.ID, err = r.LastInsertId()
	}
	return n, err
}

func (s sqlcStore) get(ctx context.Context, id int64) (note, error) {
	return s.queries.GetNote(ctx, s.text(getNote), id)
}

func (s sqlcStore) list(ctx context.Context, owner string) ([]note, error) {
	return s.queries.ListNotes(ctx, s.text(listNotes), owner)
}

func (s sqlcStore) owner(ctx context.Context) (owner string, err error) {
	err = s.db.QueryRowContext(ctx, "SELECT owner FROM notes ORDER BY id").Scan(&owner)
	return owner, err
}

func (s sqlcStore) transfer(ctx context.Context, from, to, cents int64, last func() error) error {
	return s.within(ctx, func(_ *sql.Tx, q *Queries) error {
		if err := q.AddCents(ctx, s.text(addCents), AddCentsParams{Cents: -cents, ID: from}); err != nil {
			return err
		}
		if err := q.AddCents(ctx, s.text(addCents), AddCentsParams{Cents: cents, ID: to}); err != nil {
			return err
		}
		return last()
	})
}

func (s sqlcStore) savepoint(ctx context.Context, id int64) error {
	return s.within(ctx, func(tx *sql.Tx, q *Queries) error {
		if err := q.AddCents(ctx, s.text(addCents), AddCentsParams{Cents: 1, ID: id}); err != nil {
			return err
		}
		for _, query := range []string{"SAVEPOINT a", "UPDATE notes SET cents = 0", "ROLLBACK TO SAVEPOINT a"} {
			if _, err := tx.ExecContext(ctx, query); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s sqlcStore) within(ctx context.Context, f func(*sql.Tx, *Queries) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := f(tx, s.queries.WithTx(tx)); err != nil {
		return err
	}
	return tx.Commit()
}

func (s sqlcStore) sum(ctx context.Context, ids []int64) (sum int64, err error) {
	stmt, err := s.db.PrepareContext(ctx, s.text("SELECT cents FROM notes WHERE id = ?"))
	if err != nil {
		return 0, err
	}
	defer stmt.Close()
	for _, id := range ids {
		var cents int64
		if err := stmt.QueryRowContext(ctx, id).Scan(&cents); err != nil {
			return 0, err
		}
		sum += cents
	}
	return sum, nil
}

func (s sqlcStore) slow(ctx context.Context) error {
	var x string
	return s.db.QueryRowContext(ctx, s.database.slow).Scan(&x)
}
