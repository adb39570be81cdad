package sqlitedb

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"time"
)

// maxStatements bounds the prepared statements that are kept: far above the
// fixed texts of this program, so that only generated texts ever reach it.
const maxStatements = 512

// conn is one connection of the driver and its prepared statements, without
// database/sql in between. One goroutine at a time uses it.
type conn struct {
	raw   driver.Conn
	stmts map[string]*stmt
}

type stmt struct {
	driver.Stmt
	args []driver.NamedValue
	busy bool // its rows are still being read

	reads     bool // it is a SELECT
	counts    bool // the number of its rows tells whether it wrote
	returning bool // so does the number of those that it returns
}

func newStmt(raw driver.Stmt, query string) *stmt {
	query = strings.TrimSpace(query)
	begins := func(keyword string) bool {
		return len(query) >= len(keyword) && strings.EqualFold(query[:len(keyword)], keyword)
	}
	s := &stmt{Stmt: raw, reads: begins("SELECT")}
	s.counts = s.reads || begins("INSERT") || begins("UPDATE") || begins("DELETE")
	s.returning = s.counts && strings.Contains(query, "RETURNING")
	return s
}

func newConn(raw driver.Conn) *conn { return &conn{raw: raw, stmts: map[string]*stmt{}} }

func (c *conn) close() error { return errors.Join(c.forget(), c.raw.Close()) }

func (c *conn) forget() error {
	var errs []error
	for _, s := range c.stmts {
		errs = append(errs, s.Close())
	}
	clear(c.stmts)
	return errors.Join(errs...)
}

// prepare returns the kept statement of query. One whose rows are still being
// read must not be run again: then it is another, which its rows close.
func (c *conn) prepare(query string) (s *stmt, kept bool, err error) {
	if s, kept = c.stmts[query]; kept && !s.busy {
		return s, true, nil
	}
	raw, err := c.raw.Prepare(query)
	if err != nil {
		return nil, false, err
	}
	s = newStmt(raw, query)
	if kept || len(c.stmts) >= maxStatements {
		return s, false, nil
	}
	c.stmts[query] = s
	return s, true, nil
}

// background is the context of the statements of a group: a cancelled one would make
// SQLite drop the whole transaction, the changes of others included.
var background = context.Background()

// exec also reports whether the statement wrote, as far as that can be told:
// when in doubt it did.
func (c *conn) exec(ctx context.Context, query string, args []any) (rowsAffected int64, wrote bool, err error) {
	s, kept, err := c.prepare(query)
	if err != nil {
		return 0, false, err
	}
	if !kept {
		defer s.Close()
	}
	if err := s.bind(args); err != nil {
		return 0, false, err
	}
	result, err := s.Stmt.(driver.StmtExecContext).ExecContext(ctx, s.args)
	if err != nil {
		return 0, false, err
	}
	if result != nil {
		rowsAffected, err = result.RowsAffected()
	}
	return rowsAffected, rowsAffected != 0 || !s.counts, err
}

// run executes a statement that controls the transaction.
func (c *conn) run(query string) error {
	_, _, err := c.exec(background, query, nil)
	return err
}

func (c *conn) query(ctx context.Context, query string, args []any) (*Rows, error) {
	s, kept, err := c.prepare(query)
	if err != nil {
		return nil, err
	}
	rows, err := s.query(ctx, args)
	if err != nil {
		if !kept {
			err = errors.Join(err, s.Close())
		}
		return nil, err
	}
	s.busy = true
	return &Rows{raw: rows, stmt: s, kept: kept, values: make([]driver.Value, len(rows.Columns()))}, nil
}

func (c *conn) queryRow(query string, args ...any) *Row {
	rows, err := c.query(background, query, args)
	return &Row{rows: rows, err: err}
}

func (s *stmt) query(ctx context.Context, args []any) (driver.Rows, error) {
	if err := s.bind(args); err != nil {
		return nil, err
	}
	return s.Stmt.(driver.StmtQueryContext).QueryContext(ctx, s.args)
}

// bind fills the statement's own argument list, which SQLite has copied when
// the call returns.
func (s *stmt) bind(args []any) error {
	s.args = s.args[:0]
	for i, arg := range args {
		v, err := driverValue(arg)
		if err != nil {
			return fmt.Errorf("sqlitedb: argument %d: %w", i+1, err)
		}
		s.args = append(s.args, driver.NamedValue{Ordinal: i + 1, Value: v})
	}
	return nil
}

func driverValue(arg any) (driver.Value, error) {
	switch v := arg.(type) {
	case nil, int64, string, []byte, bool, float64:
		return v, nil
	case int:
		return int64(v), nil
	case time.Time:
		return nil, errors.New("a time is stored as an integer, convert it first")
	}
	v, err := driver.DefaultParameterConverter.ConvertValue(arg)
	if _, isTime := v.(time.Time); err == nil && isTime {
		return nil, errors.New("a time is stored as an integer, convert it first")
	}
	return v, err
}
