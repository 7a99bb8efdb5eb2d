package clients_test

import (
	"context"
	"errors"

	mysqldialect "gorm.io/driver/mysql"
	postgresdialect "gorm.io/driver/postgres"
	sqlitedialect "gorm.io/driver/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// gormStore is gorm.io/gorm. Its dialects take a database that is open already.
type gormStore struct {
	db *gorm.DB
	database
}

func newGORM(h handle, d database) (store, error) {
	var dialect gorm.Dialector
	switch d.kind {
	case "postgres":
		dialect = postgresdialect.New(postgresdialect.Config{Conn: h})
	case "mysql":
		dialect = mysqldialect.New(mysqldialect.Config{Conn: h})
	default:
		dialect = sqlitedialect.New(sqlitedialect.Config{Conn: h})
	}
	db, err := gorm.Open(dialect, &gorm.Config{Logger: logger.Discard})
	return gormStore{db, d}, err
}

func (s gormStore) create(ctx context.Context) error {
	return s.db.WithContext(ctx).AutoMigrate(&note{})
}

func (s gormStore) insert(ctx context.Context, n note) (note, error) {
	err := s.db.WithContext(ctx).Create(&n).Error
	return n, err
}

func (s gormStore) get(ctx context.Context, id int64) (n note, err error) {
	err = s.db.WithContext(ctx).First(&n, id).Error
	return n, err
}

func (s gormStore) list(ctx context.Context, owner string) (all []note, err error) {
	err = s.db.WithContext(ctx).Where("owner IN ?", []string{owner, "nobody"}).Order("id").Find(&all).Error
	return all, err
}

func (s gormStore) owner(ctx context.Context) (string, error) {
	rows, err := s.db.WithContext(ctx).Model(&note{}).Order("id").Rows()
	if err != nil {
		return "", err
	}
	defer rows.Close()
	rows.Next()
	var n note
	err = s.db.ScanRows(rows, &n)
	return n.Owner, err
}

func (s gormStore) transfer(ctx context.Context, from, to, cents int64, last func() error) error {
	return s.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := add(tx, from, -cents); err != nil {
			return err
		}
		if err := add(tx, to, cents); err != nil {
			return err
		}
		return last()
	})
}

func add(tx *gorm.DB, id, cents int64) error {
	return tx.Model(&note{}).Where("id = ?", id).Update("cents", gorm.Expr("cents + ?", cents)).Error
}

func (s gormStore) savepoint(ctx context.Context, id int64) error {
	return s.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := add(tx, id, 1); err != nil {
			return err
		}
		err := tx.Transaction(func(inner *gorm.DB) error {
			if err := inner.Model(&note{}).Where("1 = 1").Update("cents", 0).Error; err != nil {
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

func (s gormStore) sum(ctx context.Context, ids []int64) (sum int64, err error) {
	prepared := s.db.WithContext(ctx).Session(&gorm.Session{PrepareStmt: true})
	for _, id := range ids {
		var n note
		if err := prepared.Select("cents").Where("id = ?", id).Take(&n).Error; err != nil {
			return 0, err
		}
		sum += n.Cents
	}
	return sum, nil
}

func (s gormStore) slow(ctx context.Context) error {
	var x string
	return s.db.WithContext(ctx).Raw(s.database.slow).Scan(&x).Error
}
