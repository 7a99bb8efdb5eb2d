package manage

import (
	"context"
	"database/sql/driver"
	"io"
	"reflect"
)

// rows are the result of a query on a connection that has several holders. They keep to the
// guard, and on a common connection keep the turn, until they are closed.
//
// They have every optional interface of driver.Rows as of Go 1.26, and where the driver's
// rows have none they answer what database/sql assumes without: like a stmt, that is exact,
// since nobody else sees them.
type rows struct {
	proxy  *proxy
	raw    driver.Rows
	names  []string // kept, because database/sql asks for them in Scan without its lock
	closed bool
}

// newRows is called while the driver may be called.
func newRows(p *proxy, raw driver.Rows) *rows {
	r := &rows{proxy: p, raw: raw, names: raw.Columns()}
	p.rows++
	p.guard.opened(r)
	return r
}

// do makes a call of the driver. The end of the rows is no error.
func (r *rows) do(call func() error) error {
	var end error
	err := r.proxy.do(context.Background(), func() error {
		err := call()
		if err == io.EOF {
			end, err = err, nil
		}
		return err
	})
	if err != nil {
		return err
	}
	return end
}

// Columns implements driver.Rows.
func (r *rows) Columns() []string { return r.names }

// Next implements driver.Rows.
func (r *rows) Next(dest []driver.Value) error {
	return r.do(func() error { return r.raw.Next(dest) })
}

// Close implements driver.Rows.
func (r *rows) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	r.proxy.rows-- // before leave looks
	return r.proxy.end(func() error {
		r.proxy.guard.forget(r)
		return r.raw.Close()
	})
}

// HasNextResultSet implements driver.RowsNextResultSet.
func (r *rows) HasNextResultSet() (has bool) {
	if raw, ok := r.raw.(driver.RowsNextResultSet); ok {
		_ = r.do(func() error {
			has = raw.HasNextResultSet()
			return nil
		})
	}
	return has
}

// NextResultSet implements driver.RowsNextResultSet.
func (r *rows) NextResultSet() error {
	if raw, ok := r.raw.(driver.RowsNextResultSet); ok {
		return r.do(func() error {
			err := raw.NextResultSet()
			if err == nil {
				r.names = r.raw.Columns()
			}
			return err
		})
	}
	return io.EOF
}

// What follows speaks of the columns, which the driver has read with the first answer: no
// call of the connection.

// ColumnTypeScanType implements driver.RowsColumnTypeScanType.
func (r *rows) ColumnTypeScanType(index int) reflect.Type {
	if raw, ok := r.raw.(driver.RowsColumnTypeScanType); ok {
		return raw.ColumnTypeScanType(index)
	}
	return reflect.TypeFor[any]()
}

// ColumnTypeDatabaseTypeName implements driver.RowsColumnTypeDatabaseTypeName.
func (r *rows) ColumnTypeDatabaseTypeName(index int) string {
	if raw, ok := r.raw.(driver.RowsColumnTypeDatabaseTypeName); ok {
		return raw.ColumnTypeDatabaseTypeName(index)
	}
	return ""
}

// ColumnTypeLength implements driver.RowsColumnTypeLength.
func (r *rows) ColumnTypeLength(index int) (length int64, ok bool) {
	if raw, has := r.raw.(driver.RowsColumnTypeLength); has {
		return raw.ColumnTypeLength(index)
	}
	return 0, false
}

// ColumnTypeNullable implements driver.RowsColumnTypeNullable.
func (r *rows) ColumnTypeNullable(index int) (nullable, ok bool) {
	if raw, has := r.raw.(driver.RowsColumnTypeNullable); has {
		return raw.ColumnTypeNullable(index)
	}
	return false, false
}

// ColumnTypePrecisionScale implements driver.RowsColumnTypePrecisionScale.
func (r *rows) ColumnTypePrecisionScale(index int) (precision, scale int64, ok bool) {
	if raw, has := r.raw.(driver.RowsColumnTypePrecisionScale); has {
		return raw.ColumnTypePrecisionScale(index)
	}
	return 0, 0, false
}
