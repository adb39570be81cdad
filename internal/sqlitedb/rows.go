package sqlitedb

import (
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
)

// Rows are the result of [Tx.Query], used as those of database/sql. What is
// not closed when the change's function returns is closed then.
type Rows struct {
	raw    driver.Rows
	stmt   *stmt
	kept   bool
	values []driver.Value
	tx     *Tx // told of an error; nil outside of a change
	err    error
	ended  bool // the last row was read
	some   bool // there was a row
	closed bool
}

// Next reads the next row and reports whether there is one. After the last row
// or an error it closes r.
func (r *Rows) Next() bool {
	if r.closed {
		return false
	}
	err := r.raw.Next(r.values)
	if err == nil {
		r.some = true
		return true
	}
	if r.ended = errors.Is(err, io.EOF); !r.ended {
		r.fail(err)
	}
	r.fail(r.Close())
	return false
}

// Err is the error, if any, that ended the iteration.
func (r *Rows) Err() error { return r.err }

// Close ends the iteration. It may be called again.
func (r *Rows) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	if r.tx != nil && r.stmt.returning && (r.some || !r.ended) {
		r.tx.wrote = true
	}
	err := r.raw.Close()
	r.stmt.busy = false
	if !r.kept {
		err = errors.Join(err, r.stmt.Close())
	}
	return err
}

func (r *Rows) fail(err error) {
	if err == nil {
		return
	}
	if r.err == nil {
		r.err = err
	}
	if r.tx != nil {
		r.tx.note(err)
	}
}

// Scan copies the columns of the current row. A destination is a pointer to a
// string, bool, float, integer, byte slice or a type made of one of these, to
// any, to a pointer of those for a column that may be NULL, or a [sql.Scanner].
func (r *Rows) Scan(dest ...any) error {
	if r.closed {
		return errors.New("sqlitedb: Scan without a row")
	}
	if len(dest) != len(r.values) {
		return fmt.Errorf("sqlitedb: Scan of %d columns into %d destinations", len(r.values), len(dest))
	}
	for i, d := range dest {
		if err := assign(d, r.values[i]); err != nil {
			return fmt.Errorf("sqlitedb: column %s: %w", r.raw.Columns()[i], err)
		}
	}
	return nil
}

// Row is the result of [Tx.QueryRow].
type Row struct {
	rows *Rows
	err  error
}

// Scan copies the first row, as [Rows.Scan] does, or returns [sql.ErrNoRows].
func (r *Row) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	if !r.rows.Next() {
		if r.rows.Err() != nil {
			return r.rows.Err()
		}
		return sql.ErrNoRows
	}
	return errors.Join(r.rows.Scan(dest...), r.rows.Close())
}

func assign(dest any, v driver.Value) error {
	switch d := dest.(type) {
	case *int64:
		if n, ok := v.(int64); ok {
			*d = n
			return nil
		}
	case *int:
		if n, ok := v.(int64); ok {
			*d = int(n)
			return nil
		}
	case *string:
		if s, ok := v.(string); ok {
			*d = s
			return nil
		}
	case *[]byte:
		if b, ok := v.([]byte); ok || v == nil {
			*d = b
			return nil
		}
	case *json.RawMessage:
		if b, ok := v.([]byte); ok || v == nil {
			*d = b
			return nil
		}
	case *any:
		*d = v
		return nil
	case sql.Scanner:
		return d.Scan(v)
	}
	return assignSlow(reflect.ValueOf(dest), v)
}

// assignSlow follows pointers and types made of a basic one.
func assignSlow(dest reflect.Value, v driver.Value) error {
	if dest.Kind() != reflect.Pointer || dest.IsNil() {
		return fmt.Errorf("the destination %v is no pointer", dest.Type())
	}
	d := dest.Elem()
	if d.Kind() == reflect.Pointer {
		if v == nil {
			d.SetZero()
			return nil
		}
		d.Set(reflect.New(d.Type().Elem()))
		return assign(d.Interface(), v)
	}
	switch x := v.(type) {
	case int64:
		return assignInt(d, x)
	case bool:
		if d.Kind() == reflect.Bool {
			d.SetBool(x)
			return nil
		}
	case float64:
		if d.CanFloat() {
			d.SetFloat(x)
			return nil
		}
	case string:
		if d.Kind() == reflect.String {
			d.SetString(x)
			return nil
		}
		if isBytes(d) {
			d.SetBytes([]byte(x))
			return nil
		}
	case []byte:
		if isBytes(d) {
			d.SetBytes(x)
			return nil
		}
		if d.Kind() == reflect.String {
			d.SetString(string(x))
			return nil
		}
	}
	return fmt.Errorf("a %T does not fit %v", v, d.Type())
}

func isBytes(d reflect.Value) bool {
	return d.Kind() == reflect.Slice && d.Type().Elem().Kind() == reflect.Uint8
}

func assignInt(d reflect.Value, n int64) error {
	switch {
	case d.CanInt() && !d.OverflowInt(n):
		d.SetInt(n)
	case d.CanUint() && n >= 0 && !d.OverflowUint(uint64(n)):
		d.SetUint(uint64(n))
	case d.Kind() == reflect.Bool:
		d.SetBool(n != 0)
	case d.CanFloat():
		d.SetFloat(float64(n))
	case d.Kind() == reflect.String:
		d.SetString(fmt.Sprint(n))
	default:
		return fmt.Errorf("%d does not fit %v", n, d.Type())
	}
	return nil
}
