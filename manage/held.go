package manage

import (
	"database/sql/driver"
	"io"
)

// heldRows are the rows of a DB. They hold the connection until they are closed; nobody
// else uses it meanwhile, so that reading them needs no lock.
type heldRows struct{ rows }

// holdRows is called while the driver may be called.
func (p *proxy) holdRows(raw driver.Rows) driver.Rows {
	p.tenancy.join()
	return &heldRows{rows{proxy: p, raw: raw, names: raw.Columns()}}
}

// Next implements driver.Rows.
func (r *heldRows) Next(dest []driver.Value) error {
	err := r.raw.Next(dest)
	if err == nil || err == io.EOF {
		return err
	}
	return r.proxy.note(err)
}

// HasNextResultSet implements driver.RowsNextResultSet.
func (r *heldRows) HasNextResultSet() bool {
	raw, ok := r.raw.(driver.RowsNextResultSet)
	return ok && raw.HasNextResultSet()
}

// NextResultSet implements driver.RowsNextResultSet.
func (r *heldRows) NextResultSet() error {
	raw, ok := r.raw.(driver.RowsNextResultSet)
	if !ok {
		return io.EOF
	}
	err := raw.NextResultSet()
	if err == nil {
		r.names = r.raw.Columns()
	} else if err != io.EOF {
		err = r.proxy.note(err)
	}
	return err
}

// Close implements driver.Rows.
func (r *heldRows) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	defer r.proxy.settle()
	return r.proxy.end(r.raw.Close)
}

// heldTx is a transaction of a DB. It holds the connection until it ends.
type heldTx struct {
	tx
	ended bool
}

// Commit implements driver.Tx.
func (t *heldTx) Commit() error {
	defer t.settle()
	return t.tx.Commit()
}

// Rollback implements driver.Tx.
func (t *heldTx) Rollback() error {
	defer t.settle()
	return t.tx.Rollback()
}

func (t *heldTx) settle() {
	if !t.ended {
		t.ended = true
		t.proxy.settle()
	}
}
