package clients_test

import (
	"context"
	"database/sql"
	"errors"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/mysqldialect"
	"github.com/uptrace/bun/dialect/pgdialect"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	"github.com/uptrace/bun/schema"
)

// bunStore is github.com/uptrace/bun.
type bunStore struct {
	db *bun.DB
	database
}

func newBun(h handle, d database) (store, error) {
	var dialect schema.Dialect
	switch d.kind {
	case "postgres":
		dialect = pgdialect.New()
	case "mysql":
		dialect = mysqldialect.New()
	default:
		dialect = sqlitedialect.New()
	}
	return bunStore{bun.NewDB(h.(*sql.DB), dialect), d}, nil
}

func (s bunStore) create(ctx context.Context) error {
	_, err := s.db.NewCreateTable().Model((*note)(nil)).Exec(ctx)
	return err
}

func (s bunStore) insert(ctx context.Context, n note) (note, error) {
	_, err := s.db.NewInsert().Model(&n).Exec(ctx)
	return n, err
}

func (s bunStore) get(ctx context.Context, id int64) (n note, err error) {
	err = s.db.NewSelect().Model(&n).Where("id = ?", id).Scan(ctx)
	return n, err
}

func (s bunStore) list(ctx context.Context, owner string) (all []note, err error) {
	err = s.db.NewSelect().Model(&all).Where("owner IN (?)", bun.List([]string{owner, "nobody"})).Order("id").Scan(ctx)
	return all, err
}

func (s bunStore) owner(ctx context.Context) (string, error) {
	rows, err := s.db.NewSelect().Model((*note)(nil)).Order("id").Rows(ctx)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	rows.Next()
	var n note
	err = s.db.ScanRow(ctx, rows, &n)
	return n.Owner, err
}

func (s bunStore) transfer(ctx context.Context, from, to, cents int64, last func() error) error {
	return s.db.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
		if err := s.add(ctx, tx, from, -cents); err != nil {
			return err
		}
		if err := s.add(ctx, tx, to, cents); err != nil {
			return err
		}
		return last()
	})
}

func (bunStore) add(ctx context.Context, tx bun.Tx, id, cents int64) error {
	_, err := tx.NewUpdate().Model((*note)(nil)).Set("cents = cents + ?", cents).Where("id = ?", id).Exec(ctx)
	return err
}

func (s bunStore) savepoint(ctx context.Context, id int64) error {
	return s.db.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
		if err := s.add(ctx, tx, id, 1); err != nil {
			return err
		}
		err := tx.RunInTx(ctx, nil, func(ctx context.Context, inner bun.Tx) error {
			if _, err := inner.NewUpdate().Model((*note)(nil)).Set("cents = 0").Where("1 = 1").Exec(ctx); err != nil {
				return err
			}
			return errBack
		})
		if errors.Is(err, errBack) {
			return nil
		}
		return err
	})
}

func (s bunStore) sum(ctx context.Context, ids []int64) (sum int64, err error) {
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

func (s bunStore) slow(ctx context.Context) error {
	var x string
	return s.db.NewRaw(s.database.slow).Scan(ctx, &x)
}
