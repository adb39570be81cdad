package sqlitedb

import "context"

// Tx is the transaction of a group as one change sees it. It ends with the
// change's function; its methods take no context, since a group must not
// depend on that of one caller.
type Tx struct {
	conn  *conn
	ctx   context.Context // of its statements
	rows  []*Rows
	wrote bool
	lost  error // SQLite may have dropped the transaction: nothing more runs
	ended bool
}

// Exec runs a statement and returns how many rows it inserted, updated or
// deleted. The statement stays prepared, so query should be a fixed text.
func (tx *Tx) Exec(query string, args ...any) (rowsAffected int64, err error) {
	if err := tx.usable(); err != nil {
		return 0, err
	}
	n, wrote, err := tx.conn.exec(tx.ctx, query, args)
	if err != nil {
		tx.note(err)
		return 0, err
	}
	tx.wrote = tx.wrote || wrote
	return n, nil
}

// Query runs a statement that returns rows.
func (tx *Tx) Query(query string, args ...any) (*Rows, error) {
	if err := tx.usable(); err != nil {
		return nil, err
	}
	rows, err := tx.conn.query(tx.ctx, query, args)
	if err != nil {
		tx.note(err)
		return nil, err
	}
	rows.tx = tx
	tx.wrote = tx.wrote || !rows.stmt.reads && !rows.stmt.returning
	tx.rows = append(tx.rows, rows)
	return rows, nil
}

// QueryRow runs a statement that returns one row; errors come from Scan.
func (tx *Tx) QueryRow(query string, args ...any) *Row {
	rows, err := tx.Query(query, args...)
	return &Row{rows: rows, err: err}
}

func (tx *Tx) usable() error {
	if tx.ended {
		return errTxEnded
	}
	return tx.lost
}

func (tx *Tx) note(err error) {
	if tx.lost == nil && dropsTransaction(err) {
		tx.lost = err
	}
}

// end closes what the function left open.
func (tx *Tx) end() {
	for _, r := range tx.rows {
		r.fail(r.Close())
	}
	tx.ended = true
}
