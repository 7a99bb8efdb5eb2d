package clients_test

import (
	"context"
	"database/sql"

	"github.com/jmoiron/sqlx"
)

// sqlxStore is github.com/jmoiron/sqlx.
type sqlxStore struct {
	db *sqlx.DB
	database
}

func newSQLX(h handle, d database) (store, error) {
	return sqlxStore{sqlx.NewDb(h.(*sql.DB), d.kind), d}, nil
}

func (s sqlxStore) create(ctx context.Context) error {
	_, err := s.db.ExecContext(ctx, s.table)
	return err
}

func (s sqlxStore) insert(ctx context.Context, n note) (note, error) {
	columns, values := "owner, cents, ratio, done, body, made, due, remark", ":owner, :cents, :ratio, :done, :body, :made, :due, :remark"
	if n.ID != 0 {
		columns, values = columns+", id", values+", :id"
	}
	query := "INSERT INTO notes (" + columns + ") VALUES (" + values + ")"
	if !s.gives {
		r, err := s.db.NamedExecContext(ctx, query, n)
		if err == nil {
			n.ID, err = r.LastInsertId()
		}
		return n, err
	}
	named, err := s.db.PrepareNamedContext(ctx, query+" RETURNING id")
	if err != nil {
		return n, err
	}
	defer named.Close()
	err = named.GetContext(ctx, &n.ID, n)
	return n, err
}

func (s sqlxStore) get(ctx context.Context, id int64) (n note, err error) {
	err = s.db.GetContext(ctx, &n, s.db.Rebind("SELECT * FROM notes WHERE id = ?"), id)
	return n, err
}

func (s sqlxStore) list(ctx context.Context, owner string) (all []note, err error) {
	query, args, err := sqlx.In("SELECT * FROM notes WHERE owner IN (?) ORDER BY id", []string{owner, "nobody"})
	if err != nil {
		return nil, err
	}
	err = s.db.SelectContext(ctx, &all, s.db.Rebind(query), args...)
	return all, err
}

func (s sqlxStore) owner(ctx context.Context) (string, error) {
	rows, err := s.db.QueryxContext(ctx, "SELECT * FROM notes ORDER BY id")
	if err != nil {
		return "", err
	}
	defer rows.Close()
	rows.Next()
	var n note
	err = rows.StructScan(&n)
	return n.Owner, err
}

func (s sqlxStore) transfer(ctx context.Context, from, to, cents int64, last func() error) error {
	return s.within(ctx, func(tx *sqlx.Tx) error {
		const query = "UPDATE notes SET cents = cents + :cents WHERE id = :id"
		if _, err := tx.NamedExecContext(ctx, query, map[string]any{"id": from, "cents": -cents}); err != nil {
			return err
		}
		if _, err := tx.NamedExecContext(ctx, query, map[string]any{"id": to, "cents": cents}); err != nil {
			return err
		}
		return last()
	})
}

func (s sqlxStore) savepoint(ctx context.Context, id int64) error {
	return s.within(ctx, func(tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx, tx.Rebind("UPDATE notes SET cents = cents + 1 WHERE id = ?"), id); err != nil {
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

// within is how programs with sqlx write transactions.
func (s sqlxStore) within(ctx context.Context, f func(*sqlx.Tx) error) error {
	tx, err := s.db.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := f(tx); err != nil {
		return err
	}
	return tx.Commit()
}

func (s sqlxStore) sum(ctx context.Context, ids []int64) (sum int64, err error) {
	stmt, err := s.db.PreparexContext(ctx, s.db.Rebind("SELECT cents FROM notes WHERE id = ?"))
	if err != nil {
		return 0, err
	}
	defer stmt.Close()
	for _, id := range ids {
		var cents int64
		if err := stmt.GetContext(ctx, &cents, id); err != nil {
			return 0, err
		}
		sum += cents
	}
	return sum, nil
}

func (s sqlxStore) slow(ctx context.Context) error {
	var x any
	return s.db.GetContext(ctx, &x, s.database.slow)
}
